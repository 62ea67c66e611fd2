/* lib/stats/fronts.c - see fronts.h. */
#include "lib/stats/fronts.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- dominance ---- */

/* Value of a goal with less is better. */
static double turned(const struct pareto_set *s, size_t i, size_t d)
{
    double v = s->points[i * s->dims + d];
    return s->maximize[d] ? -v : v;
}

static bool usable(const struct pareto_set *s, size_t i)
{
    for (size_t d = 0; d < s->dims; d++)
        if (isnan(s->points[i * s->dims + d]))
            return false;
    return true;
}

bool pareto_dominates(const struct pareto_set *s, size_t a, size_t b, const double *slack)
{
    bool better = false;
    for (size_t d = 0; d < s->dims; d++) {
        double x = turned(s, a, d), y = turned(s, b, d), e = slack ? slack[d] : 0;
        if (!(x <= y + e))
            return false;
        better = better || x + e < y;
    }
    return better;
}

/* ---- ranks ---- */

/* Each round takes off what nothing that is left dominates. */
void pareto_ranks(const struct pareto_set *s, int *rank)
{
    size_t n = s->count, *left = xcalloc(n + 1, sizeof *left), count = 0;
    for (size_t i = 0; i < n; i++) {
        rank[i] = -1;
        if (usable(s, i))
            left[count++] = i;
    }
    bool *stays = xcalloc(n + 1, sizeof *stays);
    for (int round = 0; count; round++) {
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            stays[i] = false;
            for (size_t j = 0; j < count && !stays[i]; j++)
                stays[i] = pareto_dominates(s, left[j], left[i], NULL);
        }
        for (size_t i = 0; i < count; i++) {
            if (stays[i])
                left[kept++] = left[i];
            else
                rank[left[i]] = round;
        }
        count = kept;
    }
    free(left);
    free(stays);
}

/* ---- the front alone ---- */

struct corner {
    double x, y;
    size_t index;
};

static int by_first_goal(const void *a, const void *b)
{
    const struct corner *p = a, *q = b;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return (p->y > q->y) - (p->y < q->y);
}

/* In the order of the first goal a point is on the front if its second is the least so
 * far, or if it equals the point that is. */
static void sweep_front(const struct pareto_set *s, bool *on)
{
    struct corner *c = xcalloc(s->count + 1, sizeof *c);
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        on[i] = false;
        if (usable(s, i))
            c[n++] = (struct corner){turned(s, i, 0), turned(s, i, 1), i};
    }
    qsort(c, n, sizeof *c, by_first_goal);
    const struct corner *least = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!least || c[i].y < least->y)
            least = &c[i];
        on[c[i].index] = c[i].x == least->x && c[i].y == least->y;
    }
    free(c);
}

void pareto_front_mark(const struct pareto_set *s, const double *slack, bool *on)
{
    if (s->dims == 2 && !slack) {
        sweep_front(s, on);
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        on[i] = usable(s, i);
        for (size_t j = 0; j < s->count && on[i]; j++)
            on[i] = !pareto_dominates(s, j, i, slack);
    }
}

/* ---- hypervolume ---- */

void pareto_reference(const struct pareto_set *s, double *reference)
{
    for (size_t d = 0; d < s->dims; d++) {
        double worst = NAN;
        for (size_t i = 0; i < s->count; i++)
            if (usable(s, i) && !(turned(s, i, d) <= worst))
                worst = turned(s, i, d);
        double r = isnan(worst) ? NAN : fmax(1.1 * worst, 0.9 * worst);
        if (r == 0)
            r = 1e-12;
        reference[d] = s->maximize[d] ? -r : r;
    }
}

static int by_last_goal(const void *a, const void *b, void *dims)
{
    const double *p = *(double *const *)a, *q = *(double *const *)b;
    size_t d = *(const size_t *)dims - 1;
    return (p[d] > q[d]) - (p[d] < q[d]);
}

/* Volume between `n` points and the reference over the first `dims` goals (less is
 * better): slabs along the last goal, each with the volume of the points below it. */
static double slice(const double **p, size_t n, size_t dims, const double *reference)
{
    if (dims == 1) {
        double least = reference[0];
        for (size_t i = 0; i < n; i++)
            least = fmin(least, p[i][0]);
        return reference[0] - least;
    }
    const double **own = xmalloc((n + 1) * sizeof *own);
    memcpy(own, p, n * sizeof *own);
    qsort_r(own, n, sizeof *own, by_last_goal, &dims);
    const double **under = xmalloc((n + 1) * sizeof *under);
    double volume = 0;
    for (size_t i = 0; i < n; i++) {
        double top = i + 1 < n ? own[i + 1][dims - 1] : reference[dims - 1];
        double height = top - own[i][dims - 1];
        if (!(height > 0))
            continue;
        memcpy(under, own, (i + 1) * sizeof *under);
        volume += height * slice(under, i + 1, dims - 1, reference);
    }
    free(own);
    free(under);
    return volume;
}

double pareto_hypervolume(const struct pareto_set *s, const double *reference)
{
    if (s->dims == 0 || s->dims > PARETO_MAX_DIMS)
        return NAN;
    double corner[PARETO_MAX_DIMS];
    for (size_t d = 0; d < s->dims; d++)
        corner[d] = s->maximize[d] ? -reference[d] : reference[d];
    double *flat = xcalloc(s->count * s->dims + 1, sizeof *flat);
    const double **inside = xcalloc(s->count + 1, sizeof *inside);
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        bool in = usable(s, i);
        for (size_t d = 0; d < s->dims; d++) {
            flat[i * s->dims + d] = turned(s, i, d);
            in = in && flat[i * s->dims + d] < corner[d];
        }
        if (in)
            inside[n++] = &flat[i * s->dims];
    }
    double volume = n ? slice(inside, n, s->dims, corner) : 0;
    free(inside);
    free(flat);
    return volume;
}

/* ---- membership under noise ---- */

static void draw_mean(const struct pareto_runs *r, size_t dims,
                      const struct philox_key *key, uint64_t stream, double *mean)
{
    for (size_t d = 0; d < dims; d++)
        mean[d] = 0;
    for (size_t i = 0; i < r->count; i++) {
        const double *run = &r->values[rng_below(key, stream, i, r->count) * dims];
        for (size_t d = 0; d < dims; d++)
            mean[d] += run[d] / (double)r->count;
    }
}

void pareto_membership(const struct pareto_runs *runs, size_t configs, size_t dims,
                       const bool *maximize, const double *slack, size_t draws,
                       uint64_t seed, double *probability)
{
    struct philox_key key = rng_key(seed, "pareto bootstrap");
    size_t fewest = SIZE_MAX, *hits = xcalloc(configs + 1, sizeof *hits);
    for (size_t i = 0; i < configs; i++)
        fewest = runs[i].count < fewest ? runs[i].count : fewest;
    bool *on = xcalloc(configs + 1, sizeof *on);
    double *means = xcalloc(configs * dims + 1, sizeof *means);
    struct pareto_set set = {means, configs, dims, maximize};
    for (uint64_t b = 0; b < draws && fewest >= 2; b++) {
        for (size_t i = 0; i < configs; i++)
            draw_mean(&runs[i], dims, &key, b << 20 | i, &means[i * dims]);
        pareto_front_mark(&set, slack, on);
        for (size_t i = 0; i < configs; i++)
            hits[i] += on[i];
    }
    for (size_t i = 0; i < configs; i++)
        probability[i] = fewest >= 2 && draws ? (double)hits[i] / (double)draws : NAN;
    free(hits);
    free(on);
    free(means);
}

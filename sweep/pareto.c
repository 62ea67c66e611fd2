/* sweep/pareto.c - see pareto.h. */
#include "sweep/pareto.h"
#include "lib/mem.h"
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool has_nan(const double *p, size_t m)
{
    for (size_t k = 0; k < m; k++)
        if (isnan(p[k]))
            return true;
    return false;
}

static bool dominates(const double *a, const double *b, size_t m)
{
    bool better = false;
    for (size_t k = 0; k < m; k++) {
        if (a[k] > b[k])
            return false;
        better = better || a[k] < b[k];
    }
    return better;
}

void pareto_ranks(const double *points, size_t n, size_t m, size_t *rank)
{
    size_t left = n;
    bool *front = xcalloc(n + 1, sizeof *front);
    for (size_t i = 0; i < n; i++) {
        rank[i] = PARETO_UNRANKED;
        left -= has_nan(points + i * m, m);
    }
    for (size_t level = 0; left; level++) {
        for (size_t i = 0; i < n; i++) {
            front[i] = rank[i] == PARETO_UNRANKED && !has_nan(points + i * m, m);
            for (size_t k = 0; k < n && front[i]; k++)
                front[i] = rank[k] != PARETO_UNRANKED || has_nan(points + k * m, m) ||
                           !dominates(points + k * m, points + i * m, m);
        }
        for (size_t i = 0; i < n; i++)
            if (front[i]) {
                rank[i] = level;
                left--;
            }
    }
    free(front);
}

void pareto_reference(const double *points, size_t n, size_t m, double *reference)
{
    for (size_t k = 0; k < m; k++) {
        double worst = -INFINITY;
        for (size_t i = 0; i < n; i++)
            worst = fmax(worst, points[i * m + k]);
        reference[k] = fmax(1.1 * worst, 0.9 * worst);
        if (reference[k] == 0)
            reference[k] = DBL_EPSILON;
    }
}

struct slice {
    const double *point;
    double last;
};

static int by_last(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    return (x->last > y->last) - (x->last < y->last);
}

/* Slices along the last objective: between two neighbours the cross-section is the
 * hypervolume of all points up to there, in one objective less. */
static double sliced(const double *const *points, size_t n, size_t m,
                     const double *reference)
{
    double volume = 0;
    if (m == 1) {
        for (size_t i = 0; i < n; i++)
            volume = fmax(volume, reference[0] - points[i][0]);
        return volume;
    }
    struct slice *order = xcalloc(n + 1, sizeof *order);
    const double **below = xcalloc(n + 1, sizeof *below);
    for (size_t i = 0; i < n; i++)
        order[i] = (struct slice){points[i], points[i][m - 1]};
    qsort(order, n, sizeof *order, by_last);
    for (size_t i = 0; i < n; i++) {
        double next = i + 1 < n ? order[i + 1].last : reference[m - 1];
        below[i] = order[i].point;
        if (next > order[i].last)
            volume += (next - order[i].last) * sliced(below, i + 1, m - 1, reference);
    }
    free(order);
    free(below);
    return volume;
}

double pareto_hypervolume(const double *points, size_t n, size_t m,
                          const double *reference)
{
    const double **inside = xcalloc(n + 1, sizeof *inside);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        bool below = true;
        for (size_t k = 0; k < m; k++)
            below = below && points[i * m + k] < reference[k];
        if (below)
            inside[count++] = points + i * m;
    }
    double volume = count ? sliced(inside, count, m, reference) : 0;
    free(inside);
    return volume;
}

/* The members of one front, greedily. */
static void order_front(const double *points, size_t m, const double *reference,
                        size_t *members, size_t n, size_t wanted)
{
    double *chosen = xcalloc((n + 1) * m, sizeof *chosen);
    for (size_t at = 0; at < n && at < wanted; at++) {
        size_t best = at;
        double most = -1;
        for (size_t i = at; i < n; i++) {
            memcpy(chosen + at * m, points + members[i] * m, m * sizeof *chosen);
            double volume = pareto_hypervolume(chosen, at + 1, m, reference);
            if (volume > most) {
                most = volume;
                best = i;
            }
        }
        size_t winner = members[best];
        memmove(members + at + 1, members + at, (best - at) * sizeof *members);
        members[at] = winner;
        memcpy(chosen + at * m, points + winner * m, m * sizeof *chosen);
    }
    free(chosen);
}

void pareto_order(const double *points, size_t n, size_t m, size_t wanted, size_t *order)
{
    size_t *rank = xcalloc(n + 1, sizeof *rank), done = 0;
    double *reference = xcalloc(m + 1, sizeof *reference);
    pareto_ranks(points, n, m, rank);
    pareto_reference(points, n, m, reference);
    for (size_t level = 0; done < n; level++) {
        size_t first = done;
        for (size_t i = 0; i < n; i++)
            if (rank[i] == level)
                order[done++] = i;
        if (done == first) /* only points with NaN are left */
            for (size_t i = 0; i < n; i++)
                if (rank[i] == PARETO_UNRANKED)
                    order[done++] = i;
        if (rank[order[first]] == level && first < wanted && done > wanted)
            order_front(points, m, reference, order + first, done - first,
                        wanted - first);
    }
    free(rank);
    free(reference);
}

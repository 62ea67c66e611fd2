/* report/pareto.c - see pareto.h. */
#include "report/pareto.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "report/words.h"
#include <math.h>
#include <stdlib.h>

/* ---- the front ---- */

/* Does b dominate a? Costs are to be low, scores high after turning by `sign`. */
static bool dominates(double score_b, double cost_b, double score_a, double cost_a,
                      double sign)
{
    double d = sign * (score_b - score_a);
    return d >= 0 && cost_b <= cost_a && (d > 0 || cost_b < cost_a);
}

static void mark_front(const double *score, const double *cost, size_t n, double sign,
                       bool *on)
{
    for (size_t i = 0; i < n; i++) {
        on[i] = true;
        for (size_t j = 0; j < n && on[i]; j++)
            on[i] = !dominates(score[j], cost[j], score[i], cost[i], sign);
    }
}

static void draw_means(const struct report *r, const struct front_point *p,
                       const char *cost_metric, const struct philox_key *key,
                       uint64_t stream, double *score, double *cost)
{
    size_t n = p->cell->count;
    *score = *cost = 0;
    for (size_t i = 0; i < n; i++) {
        const struct report_trial *t = p->cell->trials[rng_below(key, stream, i, n)];
        *score += trial_metric(t, r->settings.metric) / (double)n;
        *cost += trial_metric(t, cost_metric) / (double)n;
    }
}

static void membership(const struct report *r, struct front_point *p, size_t n,
                       const char *cost_metric, double sign)
{
    struct philox_key key = rng_key(0, "pareto bootstrap");
    double *score = xcalloc(n + 1, sizeof *score), *cost = xcalloc(n + 1, sizeof *cost);
    bool *on = xcalloc(n + 1, sizeof *on);
    size_t *hits = xcalloc(n + 1, sizeof *hits), fewest = SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        if (p[i].cell->count < fewest)
            fewest = p[i].cell->count;
    for (uint64_t b = 0; b < PARETO_DRAWS && fewest >= 2; b++) {
        for (size_t i = 0; i < n; i++)
            draw_means(r, &p[i], cost_metric, &key, b << 16 | i, &score[i], &cost[i]);
        mark_front(score, cost, n, sign, on);
        for (size_t i = 0; i < n; i++)
            hits[i] += on[i];
    }
    for (size_t i = 0; i < n; i++)
        p[i].probability = fewest >= 2 ? (double)hits[i] / PARETO_DRAWS : NAN;
    free(score);
    free(cost);
    free(on);
    free(hits);
}

struct front_point *pareto_front(const struct report *r, const char *cost_metric,
                                 size_t *count)
{
    const struct matrix *m = &r->matrix;
    size_t n = 0, *order = xcalloc(m->groups + 1, sizeof *order);
    struct front_point *p = xcalloc(m->groups + 1, sizeof *p);
    double *score = xcalloc(m->groups + 1, sizeof *score),
           *cost = xcalloc(m->groups + 1, sizeof *cost);
    bool *on = xcalloc(m->groups + 1, sizeof *on);
    double sign = r->settings.rules.minimize ? -1 : 1;
    matrix_order(m, m->main_column, order);
    for (size_t i = 0; i < m->groups; i++) {
        const struct report_cell *c = matrix_cell(m, m->main_column, order[i]);
        struct spread x = cell_spread(c, cost_metric);
        if (!c->count || x.n != c->count)
            continue;
        p[n] = (struct front_point){
            .cell = c, .score = cell_spread(c, r->settings.metric), .cost = x};
        score[n] = p[n].score.mean;
        cost[n] = x.mean;
        n++;
    }
    mark_front(score, cost, n, sign, on);
    for (size_t i = 0; i < n; i++)
        p[i].on_front = on[i];
    membership(r, p, n, cost_metric, sign);
    free(order);
    free(score);
    free(cost);
    free(on);
    *count = n;
    return p;
}

/* ---- the sentence ---- */

static bool is_tied(const struct verdict *v, size_t group)
{
    for (size_t i = 0; i < v->tied_count; i++)
        if (v->tied[i] == group)
            return true;
    return false;
}

static const char *name_of(const struct report *r, const struct front_point *p)
{
    return r->data.groups.items[p->cell->group].label;
}

char *pareto_takeaway(const struct report *r, const struct front_point *p, size_t count,
                      const char *(*cost_text)(double), const char *cost_name)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    double delta = r->settings.rules.delta;
    const struct front_point *best = &p[0], *lean = &p[0], *leanest = &p[0];
    for (size_t i = 0; i < count; i++) {
        if (is_tied(v, p[i].cell->group) && p[i].cost.mean < lean->cost.mean)
            lean = &p[i];
        if (p[i].cost.mean < leanest->cost.mean)
            leanest = &p[i];
    }
    const struct front_point *other = lean != best ? lean : leanest;
    const struct verdict_pair *pair =
        other == best ? NULL : verdict_find(v, best->cell->group, other->cell->group);
    if (!pair)
        return xasprintf("%s has the best mean (%s) and the lowest %s (%s) of %s: the "
                         "front is that one point.",
                         name_of(r, best), word_score(best->score.mean, delta), cost_name,
                         cost_text(best->cost.mean),
                         word_plural(count, r->data.by_method ? "method" : "group"));
    const char *gain =
        word_f("%s (%s)", word_change(pair->diff, delta), pair_evidence(r, pair));
    const char *judged = pair->word == VERDICT_BETTER       ? "a real gain"
                         : pair->word == VERDICT_EQUIVALENT ? "equivalent"
                                                            : "cannot tell";
    return xasprintf("%s needs %s of %s where %s needs %s; that buys %s: %s.",
                     name_of(r, best), cost_text(best->cost.mean), cost_name,
                     name_of(r, other), cost_text(other->cost.mean), gain, judged);
}

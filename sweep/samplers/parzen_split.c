/* sweep/samplers/parzen_split.c - the order of finished trials, and the best tenth of
 * them. */
#include "lib/mem.h"
#include "sweep/samplers/objectives.h"
#include "sweep/samplers/parzen.h"
#include <math.h>
#include <stdlib.h>

#define BELOW_MAX 25

/* A finished trial: complete ones come before pruned ones, those that failed last. */
struct finished {
    size_t index;
    uint64_t number;
    bool failed; /* diverged, or never measured anything */
    bool pruned;
    double depth; /* pruned: -step of its last report */
    double
        value; /* smaller is better; with several objectives the place in their order */
};

static int by_rank(const void *a, const void *b)
{
    const struct finished *x = a, *y = b;
    if (x->failed != y->failed)
        return x->failed ? 1 : -1;
    if (x->pruned != y->pruned)
        return x->pruned ? 1 : -1;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static int by_number(const void *a, const void *b)
{
    const struct finished *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Of the objectives; one that is infinite or NaN fails them all. */
static bool has_values(const struct sampler_trial *t, size_t m)
{
    if (!t->values)
        return isfinite(t->value);
    for (size_t k = 0; k < m; k++)
        if (!isfinite(t->values[k]))
            return false;
    return true;
}

static bool take(const struct sampler_trial *t, size_t index, double sign, size_t m,
                 struct finished *out)
{
    const struct curve *c = &t->curve;
    *out = (struct finished){.index = index, .number = c->number};
    if (c->state == CURVE_COMPLETE) {
        out->failed = !has_values(t, m);
        out->value = out->failed ? 0 : sign * (t->values ? t->values[0] : t->value);
        return true;
    }
    if (c->state != CURVE_PRUNED)
        return false;
    out->pruned = true;
    out->failed = !c->count;
    if (c->count) {
        const struct curve_point *last = &c->points[c->count - 1];
        out->depth = -(double)last->step;
        out->value = isfinite(last->value) ? sign * last->value : INFINITY;
    }
    return true;
}

/* Replaces the values of the complete trials by their places. */
static void order_objectives(const struct sampler_history *h,
                             const struct sweep_objective *objectives, size_t m,
                             size_t wanted, struct finished *all, size_t n)
{
    double *points = xcalloc(n * m + 1, sizeof *points);
    size_t *row = xcalloc(n + 1, sizeof *row), *order = xcalloc(n + 1, sizeof *order);
    bool *maximize = xcalloc(m, sizeof *maximize);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const double *values = h->trials[all[i].index].values;
        if (all[i].pruned || all[i].failed || !values)
            continue;
        for (size_t k = 0; k < m; k++)
            points[count * m + k] = values[k];
        row[count++] = i;
    }
    for (size_t k = 0; k < m; k++)
        maximize[k] = objectives[k].maximize;
    pareto_order(&(struct pareto_set){points, count, m, maximize}, wanted, order);
    for (size_t i = 0; i < count; i++)
        all[row[order[i]]].value = (double)i;
    free(points);
    free(row);
    free(order);
    free(maximize);
}

void tpe_split(const struct sampler_history *h, const struct sweep_objective *objectives,
               size_t objective_count, struct tpe_split *out)
{
    struct finished *all = xcalloc(h->count + 1, sizeof *all);
    double sign = objective_count && objectives[0].maximize ? -1 : 1;
    const size_t m = objective_count ? objective_count : 1;
    size_t n = 0, failed = 0;
    for (size_t i = 0; i < h->count; i++)
        n += take(&h->trials[i], i, sign, m, &all[n]);
    for (size_t i = 0; i < n; i++)
        failed += all[i].failed;
    qsort(all, n, sizeof *all, by_number);
    *out = (struct tpe_split){.n = n, .n_below = (n + 9) / 10};
    if (out->n_below > BELOW_MAX)
        out->n_below = BELOW_MAX;
    if (out->n_below > n - failed) /* a failure is no example to follow */
        out->n_below = n - failed;
    if (objective_count > 1)
        order_objectives(h, objectives, objective_count, out->n_below, all, n);
    qsort(all, n, sizeof *all, by_rank);
    qsort(all, out->n_below, sizeof *all, by_number);
    qsort(all + out->n_below, n - out->n_below, sizeof *all, by_number);
    out->below = xcalloc(n + 1, sizeof *out->below);
    for (size_t i = 0; i < n; i++)
        out->below[i] = all[i].index;
    out->above = out->below + out->n_below;
    free(all);
}

void tpe_split_release(struct tpe_split *s)
{
    free(s->below);
    *s = (struct tpe_split){0};
}

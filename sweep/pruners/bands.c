/* sweep/pruners/bands.c - W&B's `early_terminate: {type: hyperband}`.
 *
 * Bands are min_iter * eta^i, or the s values max_iter / eta^i. A resource unit is one
 * report of the metric. At the largest band that a trial has reached, the threshold is
 * the value at position floor(n / eta) of all n trials' values there, in order; a trial
 * ends when its best so far (strict: its value at the band) is worse. */
#include "lib/mem.h"
#include "lib/text_table.h"
#include "sweep/pruners/pruner.h"
#include <math.h>
#include <stdlib.h>

int bands_steps(const struct pruner_settings *s, int64_t out[PRUNER_RUNGS_MAX])
{
    int n = 0;
    int64_t step = s->min_iter;
    if (!s->max_iter) {
        while (n < PRUNER_RUNGS_MAX) {
            out[n++] = step;
            if (__builtin_mul_overflow(step, s->eta, &step))
                break;
        }
        return n;
    }
    double band = (double)s->max_iter;
    for (int64_t i = 0; i < s->bands && n < PRUNER_RUNGS_MAX; i++) {
        band /= (double)s->eta;
        if (band < 1)
            break;
        out[n++] = (int64_t)band;
    }
    for (int i = 0; i < n / 2; i++) {
        int64_t t = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = t;
    }
    return n;
}

/* Reports that are numbers, turned so that smaller is better. */
static size_t reports(const struct curve *c, double sign, double *out)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        if (isfinite(c->points[i].value))
            out[n++] = sign * c->points[i].value;
    return n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool judge(struct pruner *p, const struct curve *curves, size_t count, size_t self)
{
    double sign = p->s.maximize ? -1 : 1;
    size_t longest = 0, there = 0;
    for (size_t i = 0; i < count; i++)
        longest = curves[i].count > longest ? curves[i].count : longest;
    double *own = xcalloc(longest + 1, sizeof *own), best = INFINITY;
    size_t n = reports(&curves[self], sign, own);
    int64_t steps[PRUNER_RUNGS_MAX], band = 0;
    int bands = bands_steps(&p->s, steps);
    for (int b = 0; b < bands && steps[b] <= (int64_t)n; b++)
        band = steps[b];
    bool ends = false;
    if (band) {
        double *all = xcalloc(count, sizeof *all), *other = xcalloc(longest, sizeof *all);
        for (size_t i = 0; i < count; i++)
            if (reports(&curves[i], sign, other) >= (size_t)band)
                all[there++] = other[band - 1];
        qsort(all, there, sizeof *all, by_value);
        for (size_t i = 0; i < n; i++)
            best = fmin(best, own[i]);
        double threshold = all[(size_t)(1.0 / (double)p->s.eta * (double)there)];
        ends = (p->s.strict ? own[band - 1] : best) > threshold;
        free(all);
        free(other);
    }
    free(own);
    return ends;
}

static int check(struct pruner_settings *s, struct err *err)
{
    int64_t steps[PRUNER_RUNGS_MAX];
    s->eta = s->eta ? s->eta : 3;
    if (!s->min_iter && !s->max_iter)
        return err_set(err, ERR_CONFIG,
                       "hyperband's bands need min_iter, or max_iter and s");
    if (s->max_iter && !s->bands)
        return err_set(err, ERR_CONFIG, "max_iter needs s, the number of bands");
    if (!bands_steps(s, steps))
        return err_set(err, ERR_CONFIG,
                       "no band is left: max_iter / eta is below 1; raise max_iter");
    return 0;
}

#define SHOWN_MAX 6

static void say(const struct pruner *p, const char *unit, FILE *f)
{
    int64_t steps[PRUNER_RUNGS_MAX];
    const int n = bands_steps(&p->s, steps), shown = n < SHOWN_MAX ? n : SHOWN_MAX;
    (void)unit;
    fputs("hyperband: looks at reports ", f);
    for (int i = 0; i < shown; i++)
        text_print(f, "%s%lld", i ? ", " : "", (long long)steps[i]);
    text_print(f, "%s of the metric\n", shown < n ? ", ..." : "");
}

const struct pruner_rule pruner_bands = {.name = "bands",
                                         .wandb_name = "hyperband",
                                         .counts_reports = true,
                                         .say = say,
                                         .check = check,
                                         .judge = judge};

/* sweep/pruners/percentile.c - worse than the median, or a percentile, of the complete
 * trials at the same step (rules: Optuna 3.1.0's MedianPruner and PercentilePruner). */
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/text_table.h"
#include "sweep/pruners/pruner.h"
#include <math.h>
#include <stdlib.h>

/* Whether this is the first report in its interval, counted from the warm-up. */
static bool is_first_in_interval(const struct pruner_settings *s, const struct curve *c)
{
    int64_t step = c->points[c->count - 1].step;
    int64_t start = (step - s->warmup) / s->interval * s->interval + s->warmup;
    int64_t before = c->count > 1 ? c->points[c->count - 2].step : -1;
    return before < start;
}

static double best_so_far(const struct curve *c, double sign)
{
    double best = NAN;
    for (size_t i = 0; i < c->count; i++)
        best = fmin(best, sign * c->points[i].value); /* fmin leaves NaN out */
    return best;
}

/* The percentile at exactly this step; NaN when too few have reported there. */
static double level_at(const struct pruner_settings *s, const struct curve *curves,
                       size_t count, int64_t step, double sign)
{
    double *at = xcalloc(count + 1, sizeof *at);
    size_t n = 0, reports = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; curves[i].state == CURVE_COMPLETE && k < curves[i].count; k++)
            if (curves[i].points[k].step == step) {
                reports++;
                if (!isnan(curves[i].points[k].value))
                    at[n++] = sign * curves[i].points[k].value;
            }
    double level = n && reports >= (size_t)s->min_trials
                       ? stat_quantile(at, n, s->percentile / 100)
                       : NAN;
    free(at);
    return level;
}

static bool judge(struct pruner *p, const struct curve *curves, size_t count, size_t self)
{
    const struct curve *c = &curves[self];
    double sign = p->s.maximize ? -1 : 1;
    int64_t step = c->points[c->count - 1].step;
    size_t complete = 0;
    for (size_t i = 0; i < count; i++)
        complete += curves[i].state == CURVE_COMPLETE;
    if (!complete || complete < (size_t)p->s.startup || step < p->s.warmup ||
        !is_first_in_interval(&p->s, c))
        return false;
    double best = best_so_far(c, sign);
    return isnan(best) || best > level_at(&p->s, curves, count, step, sign);
}

static int check_median(struct pruner_settings *s, struct err *err)
{
    (void)err;
    s->percentile = 50;
    return 0;
}

static void say_worse_than(const struct pruner *p, const char *than, const char *unit,
                           FILE *f)
{
    text_print(
        f,
        "%s: once %lld configurations are complete, one that is worse than %s of them "
        "at the same %s is stopped\n",
        p->rule->name, (long long)p->s.startup, than, unit);
}

static void say_median(const struct pruner *p, const char *unit, FILE *f)
{
    say_worse_than(p, "half", unit, f);
}

static void say_percentile(const struct pruner *p, const char *unit, FILE *f)
{
    say_worse_than(p, "the percentile", unit, f);
}

const struct pruner_rule pruner_median = {
    .name = "median", .say = say_median, .check = check_median, .judge = judge};
const struct pruner_rule pruner_percentile = {
    .name = "percentile", .say = say_percentile, .judge = judge};

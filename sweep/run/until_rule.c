/* sweep/run/until_rule.c - see until_rule.h. */
#include "sweep/run/until_rule.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/stats/range.h"
#include "lib/stats/regret.h"
#include <math.h>
#include <stdlib.h>

/* Arms that are still in, by their place in the list. */
struct field {
    size_t count, *place;
    struct stat_arm *arms;
    const struct until_arm *all;
    double variance, df;
    size_t best; /* of `arms` */
};

static bool is_in(const struct until_arm *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (!isfinite(a->x[i]))
            return false;
    return !a->out && a->n > 0;
}

static void pool(struct field *f)
{
    double ss = 0, df = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct until_arm *a = &f->all[f->place[i]];
        const double sd = a->n > 1 ? stat_sd(a->x, a->n) : 0;
        ss += sd * sd * (double)(a->n - 1);
        df += (double)(a->n - 1);
    }
    f->variance = df > 0 ? ss / df : NAN;
    f->df = df;
}

static void field_init(struct field *f, const struct until_arm *all, size_t count)
{
    *f = (struct field){.all = all,
                        .place = xcalloc(count + 1, sizeof *f->place),
                        .arms = xcalloc(count + 1, sizeof *f->arms)};
    for (size_t i = 0; i < count; i++)
        if (is_in(&all[i]))
            f->place[f->count++] = i;
    pool(f);
    for (size_t i = 0; i < f->count; i++) {
        const struct until_arm *a = &all[f->place[i]];
        f->arms[i] = (struct stat_arm){stat_mean(a->x, a->n),
                                       sqrt(f->variance / (double)a->n), f->df};
        if (f->arms[i].mean > f->arms[f->best].mean)
            f->best = i;
    }
}

static void field_release(struct field *f)
{
    free(f->place);
    free(f->arms);
}

static double smallest_difference(const struct field *f, const struct sweep_until *rule,
                                  bool minimize)
{
    if (!isnan(rule->delta))
        return rule->delta;
    size_t n = 0, cap = 0;
    double *x = NULL;
    for (size_t i = 0; i < f->count; i++)
        for (size_t k = 0; k < f->all[f->place[i]].n; k++) {
            x = xgrow(x, &cap, n + 1, sizeof *x);
            x[n++] = minimize ? -f->all[f->place[i]].x[k] : f->all[f->place[i]].x[k];
        }
    const double delta = stat_smallest_difference(x, n, minimize);
    free(x);
    return delta;
}

static double se_of_difference(const struct field *f, size_t i)
{
    return hypot(f->arms[i].se, f->arms[f->best].se);
}

/* How many standard errors apart counts at this look, over all pairs; INFINITY: nothing
 * is known of the spread. */
static double critical(const struct field *f, size_t look)
{
    const double level = UNTIL_LEVEL / ((double)look * ((double)look + 1));
    struct stat_range range;
    if (f->count < 2 || !(f->df > 0))
        return INFINITY;
    stat_range_init(&range, f->count);
    return stat_range_quantile(&range, level, f->df) / M_SQRT2;
}

/* It is worse than the best, or no more than delta apart from it. */
static bool is_settled(const struct field *f, size_t i, double q, double delta)
{
    const double behind = f->arms[f->best].mean - f->arms[i].mean,
                 margin = isfinite(q) ? q * se_of_difference(f, i) : INFINITY;
    return i == f->best || behind > margin || behind + margin < delta;
}

static bool is_decided(const struct field *f, double q, double delta)
{
    for (size_t i = 0; i < f->count; i++)
        if (!is_settled(f, i, q, delta))
            return false;
    return true;
}

static void weigh(const struct field *f, const struct sweep_until *rule, size_t look,
                  struct until_look *out)
{
    struct stat_regret *r = xcalloc(f->count, sizeof *r);
    stat_regret(f->arms, f->count, out->delta, r);
    out->expected = r[f->best].expected;
    out->chance = r[f->best].chance;
    out->reached =
        f->count == 1 ||
        (rule->goal == UNTIL_REGRET   ? out->expected < rule->limit
         : rule->goal == UNTIL_CHANCE ? out->chance < rule->limit
                                      : is_decided(f, critical(f, look), out->delta));
    free(r);
}

/* For a verdict whoever is not settled yet matters, else who is close to the best. */
static void choose(const struct field *f, const struct sweep_until *rule, size_t look,
                   size_t *send, struct until_look *out)
{
    const bool verdict = rule->goal == UNTIL_DECIDED;
    const double q = verdict ? critical(f, look) : NAN;
    for (size_t i = 0; i < f->count; i++) {
        const double behind = f->arms[f->best].mean - f->arms[i].mean;
        const bool matters = i == f->best || isnan(f->variance) ||
                             (verdict ? !is_settled(f, i, q, out->delta)
                                      : !(behind > UNTIL_REACH * se_of_difference(f, i)));
        if (matters && f->all[f->place[i]].left)
            send[out->send_count++] = f->place[i];
    }
}

void until_look_at(const struct sweep_until *rule, const struct until_arm *arms,
                   size_t count, size_t look, bool minimize, size_t *send,
                   struct until_look *out)
{
    struct field f;
    field_init(&f, arms, count);
    *out = (struct until_look){.best = count, .expected = NAN, .chance = NAN};
    out->delta = smallest_difference(&f, rule, minimize);
    if (f.count) {
        out->best = f.place[f.best];
        weigh(&f, rule, look, out);
        if (!out->reached)
            choose(&f, rule, look, send, out);
    }
    field_release(&f);
}

/* report/evidence/front.c - see front.h. */
#include "report/evidence/front.h"
#include "lib/mem.h"
#include "lib/stats/fronts.h"
#include "lib/stats/knee.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/page/words.h"
#include <math.h>
#include <stdlib.h>

/* ---- axes ---- */

static double memory_of(const struct report *r, const struct report_trial *t)
{
    return trial_metric(t, r->settings.memory_key);
}

static double usd_of(const struct report *r, const struct report_trial *t)
{
    return trial_usd(r, t);
}

const char *front_latency_key(const struct report *r)
{
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        if (t->column == r->matrix.main_column && trial_is_good(t, &r->settings) &&
            !isfinite(trial_metric(t, "latency/p99_high_ms")))
            return "latency/p50_ms";
    }
    return "latency/p99_ms";
}

static double latency_of(const struct report *r, const struct report_trial *t)
{
    return trial_metric(t, r->latency_key);
}

static const char *ms_text(double v)
{
    return word_f("%s ms", word_ms(v));
}

const struct front_axis front_axes[] = {
    {"memory", "peak memory", "MiB", 1.0 / (1 << 20), word_bytes, memory_of},
    {"usd", "the price of a run", "USD", 1, word_usd, usd_of},
    {"latency", "latency of one request", "ms", 1, ms_text, latency_of},
};
const size_t front_axis_count = ARRAY_LEN(front_axes);

const struct front_axis *front_axis_find(const char *id)
{
    for (size_t i = 0; i < front_axis_count; i++)
        if (str_eq(front_axes[i].id, id))
            return &front_axes[i];
    return NULL;
}

double front_axis_scale(const struct front_axis *axis, double most, const char **unit)
{
    const bool large = axis->value == memory_of && most >= 1 << 30;
    *unit = large ? "GiB" : axis->unit;
    return large ? 1.0 / (1 << 30) : axis->scale;
}

/* ---- the front ---- */

struct spread cell_cost(const struct report *r, const struct report_cell *c,
                        const struct front_axis *axis)
{
    double *v = xcalloc(c->count + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        double x = axis->value(r, c->trials[i]);
        if (isfinite(x) && x > 0)
            v[n++] = x;
    }
    struct spread s = spread_of(v, n);
    free(v);
    return s;
}

/* Score and log cost of every run of a point. */
static struct pareto_runs runs_of(const struct report *r, const struct front_point *p,
                                  const struct front_axis *axis)
{
    size_t n = p->cell->count;
    double *v = xcalloc(2 * n + 1, sizeof *v);
    for (size_t i = 0; i < n; i++) {
        v[2 * i] = trial_metric(p->cell->trials[i], r->settings.metric);
        v[2 * i + 1] = log(axis->value(r, p->cell->trials[i]));
    }
    return (struct pareto_runs){v, n};
}

static void mark_front(const struct report *r, struct front_point *p, size_t n,
                       const struct front_axis *axis)
{
    const bool maximize[] = {!r->settings.rules.minimize, false};
    const double slack[] = {r->settings.rules.delta, log1p(PARETO_SLACK)};
    double *means = xcalloc(2 * n + 1, sizeof *means),
           *probability = xcalloc(n + 1, sizeof *probability);
    bool *on = xcalloc(n + 1, sizeof *on);
    struct pareto_runs *runs = xcalloc(n + 1, sizeof *runs);
    for (size_t i = 0; i < n; i++) {
        means[2 * i] = p[i].score.mean;
        means[2 * i + 1] = log(p[i].cost.mean);
        runs[i] = runs_of(r, &p[i], axis);
    }
    struct pareto_set set = {means, n, 2, maximize};
    pareto_front_mark(&set, slack, on);
    pareto_membership(runs, n, 2, maximize, slack, PARETO_DRAWS, 0, probability);
    for (size_t i = 0; i < n; i++) {
        p[i].on_front = on[i];
        p[i].probability = probability[i];
        free((double *)runs[i].values);
    }
    free(means);
    free(probability);
    free(on);
    free(runs);
}

static void mark_knee(const struct report *r, struct front_point *p, size_t n)
{
    double *cost = xcalloc(3 * n + 1, sizeof *cost), *score = cost + n, *se = score + n;
    for (size_t i = 0; i < n; i++) {
        cost[i] = p[i].cost.mean;
        score[i] = p[i].score.mean;
        se[i] = p[i].score.n >= 2 ? p[i].score.sd / sqrt((double)p[i].score.n) : 0;
    }
    struct one_se k = stat_one_se(cost, score, se, n, r->settings.rules.minimize);
    if (k.chosen != NO_KNEE)
        p[k.chosen].knee = true;
    free(cost);
}

struct front_point *pareto_front(const struct report *r, const struct front_axis *axis,
                                 size_t *count)
{
    const struct matrix *m = &r->matrix;
    size_t n = 0, *order = xcalloc(m->groups + 1, sizeof *order);
    struct front_point *p = xcalloc(m->groups + 1, sizeof *p);
    matrix_order(m, m->main_column, order);
    for (size_t i = 0; i < m->groups && n < PARETO_MAX; i++) {
        const struct report_cell *c = matrix_cell(m, m->main_column, order[i]);
        struct spread x = cell_cost(r, c, axis);
        if (c->count && x.n == c->count)
            p[n++] = (struct front_point){
                .cell = c, .score = cell_spread(c, r->settings.metric), .cost = x};
    }
    for (size_t i = 0; i < n; i++) /* of a single run the interval is that of its items */
        if (p[i].score.n == 1)
            p[i].score.ci = p[i].cell->verdict->ci;
    if (n) {
        mark_front(r, p, n, axis);
        mark_knee(r, p, n);
    }
    free(order);
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

/* "; P(on the front) .97 and .41" */
static const char *membership_text(const struct front_point *a,
                                   const struct front_point *b)
{
    if (isnan(a->probability))
        return "";
    return a == b ? word_f(" On the front with probability %.2f.", a->probability)
                  : word_f(" On the front with probability %.2f and %.2f.",
                           a->probability, b->probability);
}

static const char *knee_text(const struct report *r, const struct front_point *p,
                             size_t count, const struct front_axis *axis)
{
    for (size_t i = 1; i < count; i++)
        if (p[i].knee)
            return word_f(" Cheapest within one standard error of the best: %s (%s).",
                          name_of(r, &p[i]), axis->text(p[i].cost.mean));
    return p[0].score.n < 2 ? ""
                            : word_f(" None of the others lies within one standard error "
                                     "of it for less.");
}

char *pareto_takeaway(const struct report *r, const struct front_point *p, size_t count,
                      const struct front_axis *axis)
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
        return xasprintf("%s has the best mean (%s) and the lowest of %s (%s) of %s: the "
                         "front is that one point.%s",
                         name_of(r, best), word_score(best->score.mean, delta),
                         axis->name, axis->text(best->cost.mean),
                         word_plural(count, r->data.by_method ? "method" : "group"),
                         membership_text(best, best));
    const char *gain =
        word_f("%s (%s)", word_change(pair->diff, delta), pair_evidence(r, pair));
    const char *judged = pair->word == VERDICT_BETTER       ? "a real gain"
                         : pair->word == VERDICT_EQUIVALENT ? "equivalent"
                                                            : "cannot tell";
    return xasprintf("%s: %s for %s, %s for %s; the more expensive buys %s: %s.%s%s",
                     word_f("%c%s", (char)(axis->name[0] - 32), axis->name + 1),
                     axis->text(best->cost.mean), name_of(r, best),
                     axis->text(other->cost.mean), name_of(r, other), gain, judged,
                     membership_text(best, other), knee_text(r, p, count, axis));
}

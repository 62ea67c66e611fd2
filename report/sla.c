/* report/sla.c - verdicts, see sla.h. A constraint is a row of `constraints`: what it is
 * called and how its estimate and bounds are had. */
#include "report/sla.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats.h"
#include "lib/str.h"
#include "report/cost.h"
#include "report/words.h"
#include <math.h>
#include <stdlib.h>

#define HOURS_PER_MONTH 730.0

const char *const sla_words[] = {"meets", "at risk", "unknown", "breaks"};

/* What the constraints of one configuration share. */
struct judge {
    const struct report *r;
    const struct sla *sla;
    const struct report_cell *cell;
    struct queue *queue;
    struct serving serving; /* requests 0: latency was not measured */
    struct service lower, upper;
    struct load_point at_peak, at_peak_lower, at_peak_upper;
    double replicas, usd_per_hour;
    struct sla_verdict *out;
};

/* ---- the rule ---- */

void sla_decide(struct sla_check *c)
{
    double worse = c->more_is_better ? c->lower : c->upper;
    double better = c->more_is_better ? c->upper : c->lower;
    double sign = c->more_is_better ? -1 : 1;
    c->margin = isnan(worse)    ? NAN
                : c->limit == 0 ? sign * (c->limit - worse)
                                : sign * (c->limit - worse) / fabs(c->limit);
    if (!isnan(better) && sign * better > sign * c->limit)
        c->word = SLA_BREAKS;
    else if (isnan(worse))
        c->word = SLA_UNKNOWN;
    else if (sign * worse <= sign * c->limit && !c->predicted)
        c->word = SLA_MEETS;
    else
        c->word = SLA_AT_RISK;
}

/* ---- measures ---- */

/* Mean over seeds and its one-sided 95 % bounds; with one seed no bounds. */
static void over_seeds(const struct report_cell *cell, const char *key,
                       struct sla_check *c)
{
    double *v = xcalloc(cell->count + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < cell->count; i++) {
        v[n] = trial_metric(cell->trials[i], key);
        n += isfinite(v[n]);
    }
    struct stat_interval both = stat_t_interval(v, n, .90);
    c->measured = stat_mean(v, n);
    c->lower = both.low;
    c->upper = both.high;
    if (n == 0)
        snprintf(c->note, sizeof c->note, "not measured");
    else if (n == 1)
        snprintf(c->note, sizeof c->note, "one seed: no bound");
    free(v);
}

static void set_break(struct sla_check *c, double estimate, double low)
{
    c->break_per_s = estimate;
    c->break_low_per_s = fmin(low, estimate);
}

static void latency(const struct judge *j, struct sla_check *c, int percentile)
{
    double q = queue_percentiles[percentile];
    if (!j->serving.requests) {
        snprintf(c->note, sizeof c->note, "latency was not measured");
        return;
    }
    c->measured = j->at_peak.response_ms[percentile];
    c->lower = j->at_peak_lower.response_ms[percentile];
    if (queue_can_claim(j->serving.service.requests, q))
        c->upper = j->at_peak_upper.response_ms[percentile];
    else
        snprintf(c->note, sizeof c->note, "%zu requests cannot bound this percentile",
                 j->serving.service.requests);
    if (isnan(j->sla->peak_per_s))
        snprintf(c->note, sizeof c->note, "no load given: service alone");
    else
        set_break(
            c,
            j->replicas *
                queue_break_load(j->queue, &j->serving.service, percentile, c->limit),
            j->replicas * queue_break_load(j->queue, &j->upper, percentile, c->limit));
}

static void latency_p50(const struct judge *j, struct sla_check *c)
{
    latency(j, c, QUEUE_P50);
}

static void latency_p95(const struct judge *j, struct sla_check *c)
{
    latency(j, c, QUEUE_P95);
}

static void latency_p99(const struct judge *j, struct sla_check *c)
{
    latency(j, c, QUEUE_P99);
}

static void ttft(const struct judge *j, struct sla_check *c)
{
    over_seeds(j->cell, "latency/ttft_p99_ms", c);
}

static void tpot(const struct judge *j, struct sla_check *c)
{
    over_seeds(j->cell, "latency/tpot_p99_ms", c);
}

/* Service rate of one replica; bounds of the mean service time over the requests. */
static void throughput(const struct judge *j, struct sla_check *c)
{
    const struct service *s = &j->serving.service;
    if (!j->serving.requests || s->requests < 2) {
        snprintf(c->note, sizeof c->note, "latency was not measured");
        return;
    }
    double half =
        stat_normal_quantile(.95) * stat_sd(s->ms, s->n) / sqrt((double)s->requests);
    c->measured = 1000 / s->mean_ms;
    c->lower = 1000 / (s->mean_ms + half);
    c->upper = s->mean_ms > half ? 1000 / (s->mean_ms - half) : INFINITY;
    snprintf(c->note, sizeof c->note, "one replica, requests one by one");
}

static void quality(const struct judge *j, struct sla_check *c)
{
    c->more_is_better = !j->r->settings.rules.minimize;
    over_seeds(j->cell, j->r->settings.metric, c);
}

static void memory(const struct judge *j, struct sla_check *c)
{
    const char *key = isfinite(cell_spread(j->cell, "mem/peak_rss_bytes").mean)
                          ? "mem/peak_rss_bytes"
                          : "mem/planned_bytes";
    over_seeds(j->cell, key, c);
    c->measured /= 1 << 20;
    c->lower /= 1 << 20;
    c->upper /= 1 << 20;
}

/* At least k of n replicas up, failures independent: sum of C(n, i) a^i (1 - a)^(n - i).
 */
static void availability(const struct judge *j, struct sla_check *c)
{
    double one = sla_number(j->sla, "replica_availability");
    if (isnan(one) || isnan(j->replicas) || !(j->out->load_per_s > 0)) {
        snprintf(c->note, sizeof c->note, "%s",
                 isnan(one) ? "replica_availability is not given"
                            : "the replicas it needs are not known");
        return;
    }
    double needed = fmax(1, ceil(j->sla->peak_per_s / j->out->load_per_s - 1e-9));
    size_t n = (size_t)j->replicas, k = (size_t)needed;
    c->measured = k > n ? 0 : 1 - stat_binom_cdf(k - 1, n, one);
    c->lower = c->upper = c->measured;
    snprintf(c->note, sizeof c->note,
             "%zu of %zu replicas must be up, each %g; failures independent", k, n, one);
}

static void run_budget(const struct judge *j, struct sla_check *c)
{
    double usd_per_s =
        cell_run_usd(j->r, j->cell) / cell_spread(j->cell, "time/total_s").mean;
    over_seeds(j->cell, "time/total_s", c);
    c->measured *= usd_per_s;
    c->lower *= usd_per_s;
    c->upper *= usd_per_s;
}

/* Replicas are whole, so that serving has no spread of its own; a year's refreshes have
 * that of the run's time. */
static void month_budget(const struct judge *j, struct sla_check *c)
{
    double runs, per_month, serving = j->replicas * j->usd_per_hour * HOURS_PER_MONTH;
    struct sla_check run = {.limit = 1, .measured = NAN, .lower = NAN, .upper = NAN};
    refresh_usd(j->r, j->cell, &runs);
    per_month = runs / 12;
    run_budget(j, &run);
    if (isnan(serving) || isnan(run.measured)) {
        snprintf(c->note, sizeof c->note, "%s",
                 isnan(serving) ? "no load given" : "the time of a run is not known");
        return;
    }
    c->measured = serving + per_month * run.measured;
    c->lower = serving + per_month * (isnan(run.lower) ? run.measured : run.lower);
    c->upper = serving + per_month * (isnan(run.upper) ? run.measured : run.upper);
    double affordable = floor((c->limit - per_month * run.measured) /
                              (j->usd_per_hour * HOURS_PER_MONTH));
    double load = fmax(affordable, 0) * j->out->load_per_s;
    set_break(c, load, load);
    snprintf(c->note, sizeof c->note, "%.0f × %s per hour, %.3g refreshes a month",
             j->replicas, word_usd(j->usd_per_hour), per_month);
}

static void thousand_budget(const struct judge *j, struct sla_check *c)
{
    c->measured = 1000 * j->replicas * j->usd_per_hour / (3600 * j->sla->mean_per_s);
    c->lower = c->upper = c->measured;
    snprintf(c->note, sizeof c->note, "%s",
             isnan(c->measured) ? "no load given" : "at the mean load");
}

static bool changes_base(const struct report_cell *cell, bool merged)
{
    const struct report_trial *t = cell->trials[0];
    const char *method = json_string_value(trial_value(t, "method"));
    const char *bias = json_string_value(trial_value(t, "bias"));
    return merged || str_in_list(method ? method : "", "full|bitfit|ln_tuning", '|') ||
           (bias && !str_eq(bias, "none"));
}

static void base_untouched(const struct judge *j, struct sla_check *c)
{
    const char *method = json_string_value(trial_value(j->cell->trials[0], "method"));
    if (!method) {
        snprintf(c->note, sizeof c->note, "the method is not recorded");
        return;
    }
    c->measured = c->lower = c->upper = changes_base(j->cell, j->out->merged);
    snprintf(c->note, sizeof c->note, "%s",
             c->measured > 0 ? "its weights differ from the base's"
                             : "what it learns is stored and served beside the base");
}

/* ---- the table ---- */

static const struct constraint {
    const char *key, *title, *unit;
    bool more_is_better;
    void (*measure)(const struct judge *, struct sla_check *);
} constraints[] = {
    {"quality_floor",        "quality",                    "",      true,  quality        },
    {"latency_p50_ms",       "response time at peak, p50", "ms",    false, latency_p50    },
    {"latency_p95_ms",       "response time at peak, p95", "ms",    false, latency_p95    },
    {"latency_p99_ms",       "response time at peak, p99", "ms",    false, latency_p99    },
    {"ttft_p99_ms",          "time to first token, p99",   "ms",    false, ttft           },
    {"tpot_p99_ms",          "time per output token, p99", "ms",    false, tpot           },
    {"throughput_per_s",     "throughput of a replica",    "per s", true,  throughput     },
    {"availability",         "availability",               "",      true,  availability   },
    {"memory_limit_mib",     "peak memory of training",    "MiB",   false, memory         },
    {"budget_usd_per_run",   "cost of a training run",     "USD",   false, run_budget     },
    {"budget_usd_per_1000",  "cost of 1,000 requests",     "USD",   false, thousand_budget},
    {"budget_usd_per_month", "cost per month",             "USD",   false, month_budget   },
    {"base_untouched",       "base stays as it is",        "",      false, base_untouched },
};

static void run_checks(struct judge *j)
{
    struct sla_verdict *v = j->out;
    for (size_t i = 0; i < ARRAY_LEN(constraints); i++) {
        const struct constraint *k = &constraints[i];
        bool flag = k->measure == base_untouched;
        double limit = flag ? 0 : sla_number(j->sla, k->key);
        if (isnan(limit) || (flag && !sla_flag(j->sla, k->key)))
            continue;
        struct sla_check *c = &v->checks[v->count++];
        *c = (struct sla_check){.key = k->key,
                                .title = k->title,
                                .unit = k->unit,
                                .more_is_better = k->more_is_better,
                                .limit = limit,
                                .measured = NAN,
                                .lower = NAN,
                                .upper = NAN,
                                .break_per_s = NAN,
                                .break_low_per_s = NAN};
        k->measure(j, c);
        sla_decide(c);
        if (c->word > v->overall)
            v->overall = c->word;
        if (!isnan(c->break_per_s) &&
            (!v->first || c->break_per_s < v->first->break_per_s))
            v->first = c;
    }
}

/* ---- replicas ---- */

/* The highest load of a replica within the latency limits, by the upper bounds where an
 * idle replica keeps to them; without limits 70 % of what it can do. */
static double load_of_replica(const struct sla *sla, struct queue *q,
                              const struct serving *s, const struct service *upper)
{
    static const char *const keys[] = {"latency_p50_ms", "latency_p95_ms",
                                       "latency_p99_ms"};
    double most = NAN;
    for (int i = 0; i < QUEUE_PERCENTILES; i++) {
        double limit = sla_number(sla, keys[i]);
        if (isnan(limit))
            continue;
        double load = queue_break_load(q, upper, i, limit);
        if (load <= 0)
            load = queue_break_load(q, &s->service, i, limit);
        most = isnan(most) ? load : fmin(most, load);
    }
    return isnan(most) ? .7 * s->per_s : most;
}

double sla_capacity(const struct report *r, const struct report_cell *c, bool merged)
{
    struct serving s;
    struct service upper;
    struct queue q;
    if (!serving_measure(r, c, merged, &s))
        return NAN;
    queue_init(&q);
    service_bound(&s.service, true, &upper);
    double load = load_of_replica(r->sla, &q, &s, &upper);
    service_release(&upper);
    serving_release(&s);
    queue_release(&q);
    return load;
}

static void size_fleet(struct judge *j)
{
    double said = sla_number(j->sla, "replicas"),
           least = sla_number(j->sla, "replicas_min");
    double peak = j->sla->peak_per_s;
    j->out->load_per_s = j->serving.requests
                             ? load_of_replica(j->sla, j->queue, &j->serving, &j->upper)
                             : NAN;
    double load = j->out->load_per_s > 0 ? j->out->load_per_s : .7 * j->serving.per_s;
    j->replicas = !isnan(said)                 ? said
                  : isnan(peak) || isnan(load) ? NAN
                                               : fmax(least, ceil(peak / load - 1e-9));
    j->out->replicas = j->replicas;
    if (!j->serving.requests)
        return;
    double share = isnan(peak) ? 0 : peak / j->replicas;
    queue_simulate(j->queue, &j->serving.service, 1, share, &j->at_peak);
    queue_simulate(j->queue, &j->lower, 1, share, &j->at_peak_lower);
    queue_simulate(j->queue, &j->upper, 1, share, &j->at_peak_upper);
}

/* Merged where it was measured and the base may change, unless the file says otherwise.
 */
static void choose_serving(struct judge *j)
{
    const char *serve = sla_text(j->sla, "serve");
    bool may_merge = !str_eq(serve, "unmerged") && !sla_flag(j->sla, "base_untouched");
    if (may_merge && serving_measure(j->r, j->cell, true, &j->serving))
        j->out->merged = true;
    else if (!serving_measure(j->r, j->cell, false, &j->serving))
        return;
    j->out->recorded = j->serving.service.recorded;
    service_bound(&j->serving.service, false, &j->lower);
    service_bound(&j->serving.service, true, &j->upper);
}

static void judge_cell(const struct report *r, const struct report_cell *cell,
                       struct queue *q, struct sla_verdict *out)
{
    struct judge j = {.r = r,
                      .sla = r->sla,
                      .cell = cell,
                      .queue = q,
                      .replicas = NAN,
                      .usd_per_hour = replica_usd_per_hour(r, cell),
                      .out = out};
    *out = (struct sla_verdict){.cell = cell, .replicas = NAN, .load_per_s = NAN};
    choose_serving(&j);
    if (!j.serving.requests)
        j.serving.per_s = NAN;
    size_fleet(&j);
    run_checks(&j);
    double runs, yearly = refresh_usd(r, cell, &runs);
    out->usd_per_month = j.replicas * j.usd_per_hour * HOURS_PER_MONTH + yearly / 12;
    serving_release(&j.serving);
    service_release(&j.lower);
    service_release(&j.upper);
}

struct sla_verdict *sla_judge(const struct report *r)
{
    const struct matrix *m = &r->matrix;
    struct sla_verdict *all = xcalloc(m->groups + 1, sizeof *all);
    struct queue q;
    queue_init(&q);
    for (size_t g = 0; g < m->groups; g++) {
        const struct report_cell *c = matrix_cell(m, m->main_column, g);
        if (c->count)
            judge_cell(r, c, &q, &all[g]);
    }
    queue_release(&q);
    return all;
}

const struct sla_verdict *sla_leader(const struct report *r)
{
    const struct report_cell *c = report_leader(r);
    return r->services && c ? &r->services[c->group] : NULL;
}

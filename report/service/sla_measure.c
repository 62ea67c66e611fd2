/* report/service/sla_measure.c - how estimate and bounds of each constraint are had, see
 * sla.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/service/sla_parts.h"
#include <math.h>
#include <stdlib.h>

void sla_over_seeds(const struct report_cell *cell, const char *key, struct sla_check *c)
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

#define PREDICTED "many adapters on one base: predicted, measured with one"

static void set_break(struct sla_check *c, double estimate, double low)
{
    c->break_per_s = estimate;
    c->break_low_per_s = fmin(low, estimate);
}

static void latency(const struct sla_judge *j, struct sla_check *c, int percentile)
{
    double q = queue_percentiles[percentile];
    if (!j->serving.requests) {
        snprintf(c->note, sizeof c->note, "latency was not measured");
        return;
    }
    c->measured = j->at_peak.response_ms[percentile];
    c->lower = j->at_peak_lower.response_ms[percentile];
    c->predicted = j->predicted;
    if (j->predicted)
        snprintf(c->note, sizeof c->note, PREDICTED);
    if (queue_can_claim(j->serving.service.requests, q))
        c->upper = j->at_peak_upper.response_ms[percentile];
    else
        snprintf(c->note, sizeof c->note, "%zu requests cannot bound this percentile",
                 j->serving.service.requests);
    if (isnan(j->share)) {
        snprintf(c->note, sizeof c->note, "no load given: service alone");
        return;
    }
    double scale = j->sla->peak_per_s / j->share;
    set_break(
        c, scale * queue_break_load(j->queue, &j->serving.service, percentile, c->limit),
        scale * queue_break_load(j->queue, &j->upper, percentile, c->limit));
}

static void latency_p50(const struct sla_judge *j, struct sla_check *c)
{
    latency(j, c, QUEUE_P50);
}

static void latency_p95(const struct sla_judge *j, struct sla_check *c)
{
    latency(j, c, QUEUE_P95);
}

static void latency_p99(const struct sla_judge *j, struct sla_check *c)
{
    latency(j, c, QUEUE_P99);
}

static void ttft(const struct sla_judge *j, struct sla_check *c)
{
    sla_over_seeds(j->cell, "latency/ttft_p99_ms", c);
}

static void tpot(const struct sla_judge *j, struct sla_check *c)
{
    sla_over_seeds(j->cell, "latency/tpot_p99_ms", c);
}

/* Service rate of one replica; bounds of the mean service time over the requests. */
static void throughput(const struct sla_judge *j, struct sla_check *c)
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

static void quality(const struct sla_judge *j, struct sla_check *c)
{
    c->more_is_better = !j->r->settings.rules.minimize;
    sla_over_seeds(j->cell, j->r->settings.metric, c);
}

static void memory(const struct sla_judge *j, struct sla_check *c)
{
    const char *key = isfinite(cell_spread(j->cell, "mem/peak_rss_bytes").mean)
                          ? "mem/peak_rss_bytes"
                          : "mem/planned_bytes";
    sla_over_seeds(j->cell, key, c);
    c->measured /= 1 << 20;
    c->lower /= 1 << 20;
    c->upper /= 1 << 20;
}

static double enough_up(double replicas, double peak, double load, double one)
{
    return availability((size_t)replicas, fleet_replicas(peak, load, 1), one);
}

/* At least k of n replicas up, failures independent: sum of C(n, i) a^i (1 - a)^(n -
 * i). */
static void enough_replicas(const struct sla_judge *j, struct sla_check *c)
{
    double one = sla_number(j->sla, "replica_availability");
    if (isnan(one) || isnan(j->replicas) || !(j->out->load_per_s > 0)) {
        snprintf(c->note, sizeof c->note, "%s",
                 isnan(one) ? "replica_availability is not given"
                            : "the replicas it needs are not known");
        return;
    }
    c->measured = 1;
    if (!j->out->separate) {
        c->measured = enough_up(j->replicas, j->sla->peak_per_s, j->out->load_per_s, one);
        snprintf(c->note, sizeof c->note,
                 "%zu of %g replicas must be up, each %g; failures independent",
                 fleet_replicas(j->sla->peak_per_s, j->out->load_per_s, 1), j->replicas,
                 one);
    }
    for (size_t t = 0; j->out->separate && t < j->sla->task_count; t++) {
        double peak =
            j->sla->tasks[t].requests_per_s * j->sla->peak_per_s / j->sla->mean_per_s;
        c->measured *= enough_up(sla_task_replicas(j, t), peak, j->out->load_per_s, one);
        snprintf(c->note, sizeof c->note, "all tasks up, each on replicas of its own");
    }
    c->lower = c->upper = c->measured;
    c->predicted = j->predicted;
}

static void run_budget(const struct sla_judge *j, struct sla_check *c)
{
    double usd_per_s =
        cell_run_usd(j->r, j->cell) / cell_spread(j->cell, "time/total_s").mean;
    sla_over_seeds(j->cell, "time/total_s", c);
    c->measured *= usd_per_s;
    c->lower *= usd_per_s;
    c->upper *= usd_per_s;
}

/* Replicas are whole, so that serving has no spread of its own; a year's refreshes have
 * that of the run's time. */
static void month_budget(const struct sla_judge *j, struct sla_check *c)
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
    if (!j->out->separate &&
        j->out->load_per_s > 0) /* else it depends on how the tasks grow */
        set_break(c, load, load);
    c->predicted = j->predicted;
    double dearest =
        (c->limit - per_month * run.measured) / (j->replicas * HOURS_PER_MONTH);
    snprintf(c->note, sizeof c->note,
             "%.0f × %s per hour, %.3g refreshes a month; holds up to %s per hour",
             j->replicas, word_usd(j->usd_per_hour), per_month, word_usd(dearest));
}

static void budget_1000(const struct sla_judge *j, struct sla_check *c)
{
    c->measured = fleet_usd_per_1k(j->replicas, j->usd_per_hour, j->sla->mean_per_s);
    c->lower = c->upper = c->measured;
    c->predicted = j->predicted;
    snprintf(c->note, sizeof c->note, "%s",
             isnan(c->measured) ? "no load given"
             : j->predicted     ? PREDICTED
                                : "at the mean load");
}

int sla_changes_base(const struct report_cell *cell, bool merged)
{
    const struct method_facts *m = cell->trials[0]->method;
    return merged ? 1 : m ? m->changes_base != BASE_none : -1;
}

static void base_untouched(const struct sla_judge *j, struct sla_check *c)
{
    const int changes = sla_changes_base(j->cell, j->out->merged);
    if (changes < 0) {
        snprintf(c->note, sizeof c->note, "not known of this method");
        return;
    }
    c->measured = c->lower = c->upper = changes;
    snprintf(c->note, sizeof c->note, "%s",
             c->measured > 0 ? "its weights differ from the base's"
                             : "what it learns is stored and served beside the base");
}

/* ---- the table ---- */

const struct sla_constraint sla_constraints[] = {
    {"quality_floor", "quality", "", true, false, 0, false, quality},
    {"latency_p50_ms", "response time at peak, p50", "ms", false, false, 0, true,
     latency_p50},
    {"latency_p95_ms", "response time at peak, p95", "ms", false, false, 0, true,
     latency_p95},
    {"latency_p99_ms", "response time at peak, p99", "ms", false, false, 0, true,
     latency_p99},
    {"ttft_p99_ms", "time to first token, p99", "ms", false, false, 0, true, ttft},
    {"tpot_p99_ms", "time per output token, p99", "ms", false, false, 0, true, tpot},
    {"throughput_per_s", "throughput of a replica", "per s", true, false, 0, true,
     throughput},
    {"availability", "availability", "", true, false, 1, true, enough_replicas},
    {"memory_limit_mib", "peak memory of training", "MiB", false, false, 0, false,
     memory},
    {"budget_usd_per_run", "cost of a training run", "USD", false, false, 0, false,
     run_budget},
    {"budget_usd_per_1000", "cost of 1,000 requests", "USD", false, false, 0, true,
     budget_1000},
    {"budget_usd_per_month", "cost per month", "USD", false, false, 0, true,
     month_budget},
    {"base_untouched", "base stays as it is", "", false, true, 0, false, base_untouched},
};
const size_t sla_constraint_count = ARRAY_LEN(sla_constraints);

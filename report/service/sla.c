/* report/service/sla.c - verdicts, see sla.h: the rule of the words, how many replicas
 * the load needs, one configuration after the other. */
#include "lib/mem.h"
#include "lib/str.h"
#include "report/evidence/strength.h"
#include "report/service/sla_parts.h"
#include <math.h>
#include <stdlib.h>

const char *const sla_words[] = {"meets", "at risk", "unknown", "breaks"};

/* ---- the rule ---- */

void sla_decide(struct sla_check *c)
{
    double worse = c->more_is_better ? c->lower : c->upper;
    double better = c->more_is_better ? c->upper : c->lower;
    double sign = c->more_is_better ? -1 : 1;
    /* Of a share what counts is the allowance: 0.9999 of a limit of 0.99 uses up a
     * hundredth of the down-time that is allowed, not 99 %. */
    double whole = c->ceiling > 0 ? c->ceiling - c->limit : fabs(c->limit);
    c->margin = isnan(worse) ? NAN : sign * (c->limit - worse) / (whole > 0 ? whole : 1);
    if (!isnan(better) && sign * better > sign * c->limit)
        c->word = SLA_BREAKS;
    else if (isnan(worse))
        c->word = SLA_UNKNOWN;
    else if (sign * worse <= sign * c->limit && !c->predicted)
        c->word = SLA_MEETS;
    else
        c->word = SLA_AT_RISK;
}

static void run_checks(struct sla_judge *j)
{
    struct sla_verdict *v = j->out;
    for (size_t i = 0; i < sla_constraint_count; i++) {
        const struct sla_constraint *k = &sla_constraints[i];
        double limit = k->flag ? 0 : sla_number(j->sla, k->key);
        if (isnan(limit) || (k->flag && !sla_flag(j->sla, k->key)))
            continue;
        struct sla_check *c = &v->checks[v->count++];
        *c = (struct sla_check){.key = k->key,
                                .title = k->title,
                                .unit = k->unit,
                                .more_is_better = k->more_is_better,
                                .ceiling = k->ceiling,
                                .limit = limit,
                                .measured = NAN,
                                .lower = NAN,
                                .upper = NAN,
                                .break_per_s = NAN,
                                .break_low_per_s = NAN};
        k->measure(j, c);
        if (k->timed && cell_busy(j->cell)) { /* not the latency of a service alone */
            c->predicted = true;
            snprintf(c->note, sizeof c->note, "timed while other work ran");
        }
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

double sla_task_replicas(const struct sla_judge *j, size_t task)
{
    double peak =
        j->sla->tasks[task].requests_per_s * j->sla->peak_per_s / j->sla->mean_per_s;
    double load = j->out->load_per_s > 0 ? j->out->load_per_s : .7 * j->serving.per_s;
    return (double)fleet_replicas(peak, load, (size_t)sla_number(j->sla, "replicas_min"));
}

/* Tasks with replicas of their own: their sum, and the busiest of them all. */
static void size_per_task(struct sla_judge *j)
{
    j->replicas = j->share = 0;
    for (size_t t = 0; t < j->sla->task_count; t++) {
        double n = sla_task_replicas(j, t);
        j->replicas += n;
        j->share = fmax(j->share, j->sla->tasks[t].requests_per_s * j->sla->peak_per_s /
                                      j->sla->mean_per_s / n);
    }
}

static void size_fleet(struct sla_judge *j)
{
    double said = sla_number(j->sla, "replicas"), peak = j->sla->peak_per_s;
    double load = j->out->load_per_s > 0 ? j->out->load_per_s : .7 * j->serving.per_s;
    if (j->out->separate && isnan(said) && !isnan(load)) {
        size_per_task(j);
        return;
    }
    size_t least = (size_t)sla_number(j->sla, "replicas_min");
    j->replicas = !isnan(said) ? said
                  : isnan(peak) || isnan(load)
                      ? NAN
                      : (double)fleet_replicas(peak, load, least);
    j->share = peak / j->replicas;
}

static void simulate_peak(struct sla_judge *j)
{
    double share = isnan(j->share) ? 0 : j->share;
    queue_simulate(j->queue, &j->serving.service, 1, share, &j->at_peak);
    queue_simulate(j->queue, &j->lower, 1, share, &j->at_peak_lower);
    queue_simulate(j->queue, &j->upper, 1, share, &j->at_peak_upper);
}

/* Each request may find its adapter cold: its bytes are read besides the weights'. */
static void expect_cold_adapters(struct sla_judge *j)
{
    double adapter = cell_spread(j->cell, "size/adapter_bytes").mean,
           weights = 4 * cell_spread(j->cell, "params/total").mean;
    double longer = 1 + (adapter / weights > 0 ? adapter / weights : 0);
    j->predicted = true;
    for (size_t i = 0; i < j->upper.n; i++)
        j->upper.ms[i] *= longer;
    j->upper.mean_ms *= longer;
}

/* One task: merged where that was measured and the base may change. Several: unmerged, as
 * they can share the base then. The file may say otherwise. */
static void choose_serving(struct sla_judge *j)
{
    const char *serve = sla_text(j->sla, "serve");
    bool several = j->sla->task_count > 1;
    bool merge = str_eq(serve, "merged") || (str_eq(serve, "auto") && !several);
    if (merge && !sla_flag(j->sla, "base_untouched") &&
        serving_measure(j->r, j->cell, true, &j->serving))
        j->out->merged = true;
    else if (!serving_measure(j->r, j->cell, false, &j->serving))
        return;
    j->out->recorded = j->serving.service.recorded;
    j->out->separate = several && sla_changes_base(j->cell, j->out->merged) != 0;
    service_bound(&j->serving.service, false, &j->lower);
    service_bound(&j->serving.service, true, &j->upper);
    if (several && !j->out->separate)
        expect_cold_adapters(j);
    j->out->load_per_s = load_of_replica(j->sla, j->queue, &j->serving, &j->upper);
}

static void judge_cell(const struct report *r, const struct report_cell *cell,
                       struct queue *q, struct sla_verdict *out)
{
    struct sla_judge j = {.r = r,
                          .sla = r->sla,
                          .cell = cell,
                          .queue = q,
                          .replicas = NAN,
                          .share = NAN,
                          .usd_per_hour = replica_usd_per_hour(r, cell),
                          .out = out};
    *out = (struct sla_verdict){.cell = cell, .replicas = NAN, .load_per_s = NAN};
    choose_serving(&j);
    if (!j.serving.requests)
        j.serving.per_s = NAN;
    size_fleet(&j);
    out->replicas = j.replicas;
    out->busiest_per_s = j.share;
    if (j.serving.requests)
        simulate_peak(&j);
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

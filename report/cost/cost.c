/* report/cost/cost.c - see cost.h: this machine. */
#include "report/cost/cost.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/service/capacity.h"
#include "report/service/erlang.h"
#include <math.h>
#include <stdlib.h>

/* clang-format off */
const struct assumption assumptions[ASSUME_COUNT] = {
    [ASSUME_CARRY_OVER] = {"part of the share reached here that carries over", "",
        "a GPU reaches less of its peak on a small model; the measured share is the ceiling",
        1, 0.5, 0.1},
    [ASSUME_UTILISATION] = {"share of the peak reached, where nothing was measured", "",
        "0.5 is the usual ceiling in training (llm-analysis)", 0.50, 0.30, 0.05},
    [ASSUME_SETUP_S] = {"set-up of a run on a rented GPU", "s",
        "load the program, the model and the data", 30, 60, 180},
    [ASSUME_BANDWIDTH] = {"share of the memory bandwidth reached", "",
        "llm-analysis: at most 0.9", 0.90, 0.70, 0.50},
    [ASSUME_LAUNCH_S] = {"launches per update", "s",
        "some hundred kernels of about 10 µs", 0, 0.005, 0.020},
    [ASSUME_OVERHEAD_S] = {"launches and transfers per request", "s",
        "kernel launches of a small encoder", 0, 0.002, 0.010},
    [ASSUME_SPOT_HOURS] = {"hours between interruptions of a spot GPU", "h",
        "no vendor publishes it", 24, 8, 2},
    [ASSUME_RESTART_S] = {"restart after an interruption", "s",
        "a new machine and the set-up again; half a checkpoint interval of 600 s is lost besides",
        60, 180, 600},
    [ASSUME_PEAK_LOAD] = {"peak over mean load", "times", "a busy hour", 3, 3, 3},
};
/* clang-format on */

const char *const decision_part_names[DECISION_PARTS] = {"complete", "failed",
                                                         "pruned early", "not ended"};

const struct report_cell *report_leader(const struct report *r)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    return v->ranked ? matrix_cell(&r->matrix, r->matrix.main_column, v->ranking[0])
                     : NULL;
}

/* ---- training ---- */

double trial_threads(const struct report_trial *t)
{
    double threads = json_get_num(t->environment, "threads", 1);
    return threads >= 1 ? threads : 1;
}

/* What it calls its GPU; "" where it does not say. */
static const char *gpu_name(const struct report_trial *t)
{
    const char *said = json_get_str(t->environment, "gpu", "");
    return *said ? said
           : str_eq(json_get_str(t->environment, "backend", ""), "cuda")
               ? json_get_str(t->environment, "variant", "")
               : "";
}

bool trial_has_gpu(const struct report_trial *t)
{
    return *gpu_name(t) || t->gpus > 0;
}

const struct gpu *trial_gpu(const struct report *r, const struct report_trial *t)
{
    return *gpu_name(t) ? catalog_device(&r->catalog, gpu_name(t)) : NULL;
}

/* How many it held. */
static double gpu_count(const struct report_trial *t)
{
    static const char *const keys[] = {"gpu_count", "gpus", "num_gpus"};
    double n = t->gpus;
    for (size_t i = 0; !(n >= 1) && i < ARRAY_LEN(keys); i++)
        n = json_get_num(t->environment, keys[i], 0);
    return n >= 1 ? n : 1;
}

double trial_usd_per_hour(const struct report *r, const struct report_trial *t)
{
    if (t->usd_per_hour > 0)
        return t->usd_per_hour;
    if (trial_has_gpu(t)) {
        const struct gpu *gpu = trial_gpu(r, t);
        return gpu ? gpu_count(t) * catalog_range(&r->catalog, gpu->name).base : NAN;
    }
    double core = r->options.core_usd_per_hour;
    if (t->usd_per_core_hour > 0 && core == REPORT_CORE_USD_PER_HOUR)
        core = t->usd_per_core_hour; /* no option overrules the file */
    return trial_threads(t) * core;
}

static double trial_seconds(const struct report_trial *t)
{
    double total = trial_metric(t, "time/total_s");
    return t->spent_s > 0 ? t->spent_s : isfinite(total) ? total : 0;
}

double trial_usd(const struct report *r, const struct report_trial *t)
{
    double seconds =
        trial_seconds(t); /* what never ran costs nothing, whatever it holds */
    return seconds > 0 ? trial_usd_per_hour(r, t) * seconds / 3600 : 0;
}

double cell_run_usd(const struct report *r, const struct report_cell *c)
{
    double sum = 0;
    for (size_t i = 0; i < c->count; i++)
        sum += trial_usd_per_hour(r, c->trials[i]) *
               trial_metric(c->trials[i], "time/total_s") / 3600;
    return c->count ? sum / (double)c->count : NAN;
}

struct run_cost cell_run_cost(const struct report *r, const struct report_cell *c)
{
    struct run_cost out = {.train_s = cell_spread(c, "time/train_s").mean,
                           .eval_s = cell_spread(c, "time/eval_s").mean,
                           .total_s = cell_spread(c, "time/total_s").mean,
                           .usd = cell_run_usd(r, c),
                           .energy_j = cell_spread(c, "energy/train_j").mean};
    double rest = out.total_s - out.train_s - (isnan(out.eval_s) ? 0 : out.eval_s);
    out.setup_s = rest < 0 ? 0 : rest; /* clocks of the parts may overlap a little */
    return out;
}

static enum decision_part part_of(const struct report_trial *t)
{
    return t->state == TRIAL_complete ? DECISION_COMPLETE
           : t->state == TRIAL_pruned ? DECISION_PRUNED
           : trial_is_open(t)         ? DECISION_OPEN
                                      : DECISION_FAILED;
}

struct decision_cost decision_cost(const struct report *r)
{
    struct decision_cost d = {0};
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        enum decision_part p = part_of(t);
        d.trials[p]++;
        d.seconds[p] += t->spent_s;
        d.usd[p] += trial_usd(r, t);
    }
    return d;
}

double decision_usd(const struct report *r, double *seconds)
{
    struct decision_cost d = decision_cost(r);
    double usd = 0;
    *seconds = 0;
    for (int p = 0; p < DECISION_PARTS; p++) {
        usd += d.usd[p];
        *seconds += d.seconds[p];
    }
    return usd;
}

double refresh_usd(const struct report *r, const struct report_cell *c, double *runs)
{
    size_t tasks = r->sla && r->sla->task_count ? r->sla->task_count : 1;
    double per_year = r->sla ? sla_number(r->sla, "retrains_per_year") : 12;
    *runs = per_year * (double)tasks;
    return *runs * cell_run_usd(r, c);
}

/* ---- serving, by formula ---- */

/* Fewest workers whose p99 wait stays within four mean service times. */
static double workers_for(double load)
{
    if (!(load >= 0) || load > 1e5)
        return load > 1e5 ? ceil(load) : NAN; /* large fleets hardly wait */
    int c = (int)load + 1;
    for (double wait; (wait = stat_erlang_c(c, load)) > 0.01; c++)
        if (log(wait / 0.01) / (c - load) <= 4)
            break;
    return c;
}

double cost_per_1000(const struct report *r, double service_s, double usd_per_hour,
                     double *workers)
{
    double per_day = r->options.requests_per_day;
    *workers = NAN;
    if (!(per_day > 0) || !isfinite(service_s))
        return 1000 * service_s * usd_per_hour / 3600;
    *workers =
        workers_for(per_day / 86400 * assumptions[ASSUME_PEAK_LOAD].base * service_s);
    return *workers * usd_per_hour * 24 * 1000 / per_day;
}

double cell_busy_usd(const struct report *r, const struct report_cell *c)
{
    double service_s = cell_spread(c, "latency/p50_ms").mean / 1000;
    return isfinite(service_s)
               ? 1000 * service_s * trial_usd_per_hour(r, c->trials[0]) / 3600
               : NAN;
}

/* What the service levels say of a cell; NULL: no load, another situation. */
static const struct sla_verdict *service_of(const struct report *r,
                                            const struct report_cell *c)
{
    const struct sla_verdict *v = r->services ? &r->services[c->group] : NULL;
    return v && v->cell == c && isfinite(v->replicas) && r->sla->mean_per_s > 0 ? v
                                                                                : NULL;
}

double cell_per_1000_usd(const struct report *r, const struct report_cell *c,
                         double *workers)
{
    double service_s = cell_spread(c, "latency/p50_ms").mean / 1000;
    const struct sla_verdict *v = service_of(r, c);
    *workers = NAN;
    if (v) {
        *workers = v->replicas;
        return fleet_usd_per_1k(v->replicas, replica_usd_per_hour(r, c),
                                r->sla->mean_per_s);
    }
    if (!isfinite(service_s))
        return NAN;
    return cost_per_1000(r, service_s, trial_usd_per_hour(r, c->trials[0]), workers);
}

double replica_usd_per_hour(const struct report *r, const struct report_cell *c)
{
    double said = sla_number(r->sla, "replica_usd_per_hour");
    return isnan(said) ? trial_usd_per_hour(r, c->trials[0]) : said;
}

/* report/cost.c - see cost.h. */
#include "report/cost.h"
#include "lib/json.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>

const struct assumption assumptions[ASSUME_COUNT] = {
    [ASSUME_UTILISATION] = {"share of the peak reached",             "",
                            "small models reach little; 0.5 is the usual ceiling in "
                            "training (llm-analysis)",                                       0.50, 0.30,  0.05 },
    [ASSUME_SETUP_S] = {"set-up of a run on a rented GPU",       "s",
                            "load the program, the model and the data",                      30,   60,    180  },
    [ASSUME_BANDWIDTH] = {"share of the memory bandwidth reached", "",
                            "llm-analysis: at most 0.9",                                     0.90, 0.70,  0.50 },
    [ASSUME_OVERHEAD_S] = {"launches and transfers per request",    "s",
                            "kernel launches of a small encoder",                            0,    0.002, 0.010},
    [ASSUME_PEAK_LOAD] = {"peak over mean load",                   "times", "a busy hour", 3,    3,     3    },
};

/* ---- this machine ---- */

double trial_threads(const struct report_trial *t)
{
    double threads = json_get_num(t->environment, "threads", 1);
    return threads >= 1 ? threads : 1;
}

static double core_usd(const struct report *r, double threads, double seconds)
{
    return seconds * threads * r->options.core_usd_per_hour / 3600;
}

double trial_usd(const struct report *r, const struct report_trial *t)
{
    double total = trial_metric(t, "time/total_s");
    double seconds = t->spent_s > 0 ? t->spent_s : isfinite(total) ? total : 0;
    return core_usd(r, trial_threads(t), seconds);
}

double cell_run_usd(const struct report *r, const struct report_cell *c)
{
    double sum = 0;
    for (size_t i = 0; i < c->count; i++)
        sum += core_usd(r, trial_threads(c->trials[i]),
                        trial_metric(c->trials[i], "time/total_s"));
    return c->count ? sum / (double)c->count : NAN;
}

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

/* A day's cost of n servers per 1,000 of its requests. */
static double per_1000(double servers, double usd_per_hour, double requests_per_day)
{
    return servers * usd_per_hour * 24 * 1000 / requests_per_day;
}

static double peak_load(const struct report *r, double service_s)
{
    return r->options.requests_per_day / 86400 * assumptions[ASSUME_PEAK_LOAD].base *
           service_s;
}

double cell_per_1000_usd(const struct report *r, const struct report_cell *c,
                         double *workers)
{
    double service_s = cell_spread(c, "latency/p50_ms").mean / 1000;
    double threads = c->count ? trial_threads(c->trials[0]) : 1;
    *workers = NAN;
    if (!isfinite(service_s))
        return NAN;
    if (!(r->options.requests_per_day > 0))
        return core_usd(r, threads, 1000 * service_s);
    *workers = workers_for(peak_load(r, service_s));
    return per_1000(*workers, threads * r->options.core_usd_per_hour,
                    r->options.requests_per_day);
}

double decision_usd(const struct report *r, double *seconds)
{
    double usd = 0;
    *seconds = 0;
    for (size_t i = 0; i < r->data.count; i++) {
        usd += trial_usd(r, &r->data.trials[i]);
        *seconds += r->data.trials[i].spent_s;
    }
    return usd;
}

/* ---- GPUs ---- */

/* Training FLOPs over forward FLOPs: the head's gradient stops at once, a method inside
 * the model needs gradients of activations too, full fine-tuning those of weights. */
static double training_factor(const struct report_trial *t)
{
    const char *method = json_string_value(trial_value(t, "method"));
    if (str_eq(method, "head"))
        return 1;
    return str_eq(method, "full") ? 3 : 2;
}

double forward_flops(const struct report *r)
{
    double least = NAN;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        double rows =
            trial_metric(t, "throughput/samples_per_s") * trial_metric(t, "time/train_s");
        double flops = trial_metric(t, "train/flops") / rows / training_factor(t);
        if (isfinite(flops) && flops > 0)
            least = fmin(least, flops);
    }
    return least;
}

static struct range3 train_seconds(const struct report_cell *c, const struct gpu *g)
{
    double flops = cell_spread(c, "train/flops").mean;
    const struct assumption *u = &assumptions[ASSUME_UTILISATION],
                            *s = &assumptions[ASSUME_SETUP_S];
    return (struct range3){s->low + flops / (g->flops_s * u->low),
                           s->base + flops / (g->flops_s * u->base),
                           s->high + flops / (g->flops_s * u->high)};
}

static struct range3 request_seconds(const struct report *r, const struct report_cell *c,
                                     const struct gpu *g)
{
    double flops = forward_flops(r), weights = 2 * cell_spread(c, "params/total").mean;
    const struct assumption *u = &assumptions[ASSUME_UTILISATION],
                            *b = &assumptions[ASSUME_BANDWIDTH],
                            *o = &assumptions[ASSUME_OVERHEAD_S];
    /* fmax would hide an unknown */
    if (!isfinite(flops) || !isfinite(weights))
        return (struct range3){NAN, NAN, NAN};
    return (struct range3){flops / (g->flops_s * u->low),
                           o->base + fmax(weights / (g->bandwidth_bytes_s * b->base),
                                          flops / (g->flops_s * u->base)),
                           o->high + fmax(weights / (g->bandwidth_bytes_s * b->high),
                                          flops / (g->flops_s * u->high))};
}

static double gpu_per_1000(const struct report *r, double service_s, double usd_per_hour)
{
    if (!(r->options.requests_per_day > 0) || !isfinite(service_s))
        return 1000 * service_s * usd_per_hour / 3600;
    return per_1000(workers_for(peak_load(r, service_s)), usd_per_hour,
                    r->options.requests_per_day);
}

void predict_gpu(const struct report *r, const struct report_cell *c,
                 const struct gpu *gpu, struct gpu_cost *out)
{
    double planned = cell_spread(c, "mem/planned_bytes").mean;
    struct range3 train = train_seconds(c, gpu), serve = request_seconds(r, c, gpu);
    *out = (struct gpu_cost){.gpu = gpu,
                             .price = catalog_range(&r->catalog, gpu->name),
                             .fits = planned < 0.95 * gpu->memory_bytes,
                             .train_s = train};
    out->run_usd = (struct range3){train.low * out->price.low / 3600,
                                   train.base * out->price.base / 3600,
                                   train.high * out->price.high / 3600};
    out->request_ms =
        (struct range3){serve.low * 1000, serve.base * 1000, serve.high * 1000};
    out->per_1000_usd = (struct range3){gpu_per_1000(r, serve.low, out->price.low),
                                        gpu_per_1000(r, serve.base, out->price.base),
                                        gpu_per_1000(r, serve.high, out->price.high)};
    if (out->price.newest)
        out->age_days = price_age_days(out->price.newest, r->data.last_ms);
}

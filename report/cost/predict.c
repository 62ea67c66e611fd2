/* report/cost/predict.c - see cost.h: GPUs, by the roofline. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/service/capacity.h"
#include <math.h>
#include <stdlib.h>

const char *const memory_fit_words[] = {"yes", "tight", "no", "unknown"};

#define CHECKPOINT_S 600.0 /* interval; half of it is lost at each interruption */

/* Training FLOPs over forward FLOPs; NaN: not known. */
static double training_factor(const struct report_trial *t)
{
    return t->method ? t->method->training_cost : NAN;
}

double forward_flops(const struct report *r)
{
    double least = NAN;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        double rows =
            trial_metric(t, "throughput/samples_per_s") * trial_metric(t, "time/train_s");
        double reused = trial_metric(t, "train/reused_flops");
        double all = trial_metric(t, "train/flops") + (isnan(reused) ? 0 : reused);
        double flops = all / rows / training_factor(t);
        if (isfinite(flops) && flops > 0)
            least = fmin(least, flops);
    }
    return least;
}

/* ---- calibration ---- */

/* A run's share of the peak, of `gpu` for runs on it, else of the machine's measured
 * one. */
static double share_of(const struct report *r, const struct report_trial *t,
                       const struct gpu *gpu)
{
    const struct gpu *ran_on = trial_gpu(r, t);
    if (gpu)
        return ran_on == gpu ? trial_metric(t, "train/flops_per_s") / gpu->flops_s : NAN;
    return trial_metric(t, "train/share_of_peak");
}

static struct calibration shares(const struct report *r, const struct report_cell *c,
                                 const struct gpu *gpu)
{
    struct calibration out = {.share = {NAN, NAN, NAN}, .own = gpu != NULL};
    double *share = xcalloc(r->data.count + 1, sizeof *share);
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        double v = share_of(r, t, gpu);
        if (t->group == c->group && t->state == TRIAL_complete && v > 0 && v <= 1.5)
            share[out.runs++] = v;
    }
    if (out.runs)
        out.share = (struct range3){stat_quantile(share, out.runs, 1),
                                    stat_median(share, out.runs),
                                    stat_quantile(share, out.runs, 0)};
    free(share);
    return out;
}

struct calibration calibrate_method(const struct report *r, const struct report_cell *c,
                                    const struct gpu *gpu)
{
    struct calibration own = gpu ? shares(r, c, gpu) : (struct calibration){.runs = 0};
    return own.runs ? own : shares(r, c, NULL);
}

/* The share of a GPU's peak: what was reached here, as far as that carries over, never
 * above the usual ceiling but at the cheap end; else the assumption. */
static struct range3 efficiency(const struct calibration *k)
{
    const struct assumption *carry = &assumptions[ASSUME_CARRY_OVER],
                            *guess = &assumptions[ASSUME_UTILISATION];
    if (k->runs && k->own)
        return k->share;
    if (!k->runs)
        return (struct range3){guess->low, guess->base, guess->high};
    return (struct range3){fmin(k->share.low * carry->low, 1),
                           fmin(k->share.base * carry->base, guess->low),
                           fmin(k->share.high * carry->high, guess->base)};
}

/* ---- the roofline ---- */

struct work {
    double flops, bytes; /* of all */
    double launches;     /* updates or requests */
    double launch_s[3], setup_s[3];
};

static double roofline(const struct work *w, const struct gpu *g, double compute_share,
                       double memory_share, int end, bool *memory_bound)
{
    double compute = w->flops / (g->flops_s * compute_share);
    double memory = w->bytes / (g->bandwidth_bytes_s * memory_share);
    if (memory_bound)
        *memory_bound = memory > compute;
    /* fmax would hide an unknown */
    double longer = isnan(compute) || isnan(memory) ? NAN : fmax(compute, memory);
    return w->setup_s[end] + longer + w->launches * w->launch_s[end];
}

static struct range3 seconds_of(const struct work *w, const struct gpu *g,
                                struct range3 share, bool *memory_bound)
{
    const struct assumption *b = &assumptions[ASSUME_BANDWIDTH];
    return (struct range3){roofline(w, g, share.low, b->low, 0, NULL),
                           roofline(w, g, share.base, b->base, 1, memory_bound),
                           roofline(w, g, share.high, b->high, 2, NULL)};
}

/* Bytes of an update in bf16: weights read twice, moments and fp32 copies of what trains
 * read and written, activations (held in fp32 here) written and read once in half. */
static double training_bytes(const struct report_cell *c)
{
    double held = cell_spread(c, "mem/activations_bytes").mean;
    return cell_spread(c, "train/updates").mean *
           (4 * cell_spread(c, "params/total").mean +
            20 * cell_spread(c, "params/trainable").mean + (isnan(held) ? 0 : held));
}

static struct work training_work(const struct report_cell *c)
{
    const struct assumption *l = &assumptions[ASSUME_LAUNCH_S],
                            *s = &assumptions[ASSUME_SETUP_S];
    return (struct work){.flops = cell_spread(c, "train/flops").mean,
                         .bytes = training_bytes(c),
                         .launches = cell_spread(c, "train/updates").mean,
                         .launch_s = {l->low, l->base, l->high},
                         .setup_s = {s->low, s->base, s->high}};
}

static struct work request_work(const struct report *r, const struct report_cell *c)
{
    const struct assumption *o = &assumptions[ASSUME_OVERHEAD_S];
    return (struct work){.flops = forward_flops(r),
                         .bytes = 2 * cell_spread(c, "params/total").mean,
                         .launches = 1,
                         .launch_s = {o->low, o->base, o->high}};
}

/* ---- prices ---- */

static struct range3 priced(struct range3 seconds, const struct price_range *p)
{
    return (struct range3){seconds.low * p->low / 3600, seconds.base * p->base / 3600,
                           seconds.high * p->high / 3600};
}

/* What is billed when a spot GPU is taken away now and then; seconds. */
static double with_interruptions(double seconds, double hours_between, double restart_s)
{
    return 3600 * spot_solve(seconds / 3600, hours_between, CHECKPOINT_S / 3600,
                             restart_s / 3600, 1, 1)
                      .billed_hours;
}

static struct range3 on_spot(struct range3 t)
{
    const struct assumption *h = &assumptions[ASSUME_SPOT_HOURS],
                            *a = &assumptions[ASSUME_RESTART_S];
    return (struct range3){with_interruptions(t.low, h->low, a->low),
                           with_interruptions(t.base, h->base, a->base),
                           with_interruptions(t.high, h->high, a->high)};
}

/* The cheap end of serving takes full batches, where weights are read once for many. */
static struct range3 gpu_per_1000(const struct report *r, struct range3 ms,
                                  double batched_s, const struct price_range *p)
{
    double workers;
    return (struct range3){cost_per_1000(r, batched_s, p->low, &workers),
                           cost_per_1000(r, ms.base / 1000, p->base, &workers),
                           cost_per_1000(r, ms.high / 1000, p->high, &workers)};
}

static enum memory_fit fit_of(double planned, const struct gpu *g)
{
    return !isfinite(planned)                 ? FIT_UNKNOWN
           : planned <= .85 * g->memory_bytes ? FIT_YES
           : planned <= .95 * g->memory_bytes ? FIT_TIGHT
                                              : FIT_NO;
}

void predict_gpu(const struct report *r, const struct report_cell *c,
                 const struct gpu *gpu, struct gpu_cost *out)
{
    struct calibration k = calibrate_method(r, c, gpu);
    struct range3 share = efficiency(&k);
    struct work training = training_work(c), request = request_work(r, c);
    *out =
        (struct gpu_cost){.gpu = gpu,
                          .price = catalog_range(&r->catalog, gpu->name),
                          .spot = catalog_spot_range(&r->catalog, gpu->name),
                          .fit = fit_of(cell_spread(c, "mem/planned_bytes").mean, gpu)};
    out->train_s = seconds_of(&training, gpu, share, &out->memory_bound);
    struct range3 serve = seconds_of(&request, gpu, share, NULL);
    out->request_ms =
        (struct range3){serve.low * 1000, serve.base * 1000, serve.high * 1000};
    out->run_usd = priced(out->train_s, &out->price);
    out->spot_usd = priced(on_spot(out->train_s), &out->spot);
    out->per_1000_usd = gpu_per_1000(
        r, out->request_ms, request.flops / (gpu->flops_s * share.low), &out->price);
    if (out->price.newest)
        out->age_days = price_age_days(out->price.newest, r->data.last_ms);
}

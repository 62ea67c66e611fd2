/* report/advise/advise.c - candidates, set up so that they fit; see advise.h. */
#include "report/advise/advise.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#define USABLE 0.95 /* of a device's memory */

const char *const served_names[SERVED_COUNT] = {"merged", "beside the base",
                                                "a model of its own"};
const char *const fit_names[] = {"fits", "fits over several GPUs", "tight",
                                 "does not fit"};

const struct candidate advise_candidates[] = {
#define CANDIDATE(method, served, title, lm_points, cls_points)                          \
    {method, SERVED_##served, title, lm_points, cls_points},
#define RATES(...)
#include "report/advise/methods.def"
#undef CANDIDATE
#undef RATES
};
const size_t advise_candidate_count = ARRAY_LEN(advise_candidates);

void advise_say(json_t *list, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    json_array_append_new(list, json_vsprintf(fmt, ap));
    va_end(ap);
}

bool advise_is_lm(const struct advise_request *r)
{
    return str_eq(r->task, "causal-lm");
}

const struct method_facts *advise_facts(const struct advise_request *r,
                                        const char *method)
{
    static const struct method_facts unknown;
    const struct method_facts *f = method_facts_find(r->methods, r->method_count, method);
    return f ? f : &unknown;
}

/* --- setups --- */

static double chosen_rank(const struct advise_request *r)
{
    if (isfinite(r->rank))
        return r->rank;
    if (!r->shape.decoder || r->rows < 200)
        return 8;
    return r->rows > 10000 ? 64 : 32;
}

static struct setup first_setup(const struct advise_request *r, const char *method)
{
    const bool large = r->shape.decoder && r->shape.parameters > 1e9;
    return (struct setup){
        .method = method,
        .targets = r->shape.decoder ? TARGETS_ALL : TARGETS_QV,
        .rank = chosen_rank(r),
        .virtual_tokens = 20,
        .reduction_factor = 16,
        .base_bytes = r->shape.decoder ? 2 : 4,
        .checkpointing = r->checkpointing >= 0
                             ? r->checkpointing == 1
                             : large || advise_facts(r, method)->quantised,
        .batch = r->batch,
        .accumulation = 1,
        .seq_len = r->seq_len,
        .labels = advise_is_lm(r) ? 0 : 2,
    };
}

bool advise_leaner(const struct advise_request *r, struct setup *s)
{
    if (!s->checkpointing && r->checkpointing != 0)
        s->checkpointing = true;
    else if (s->batch > 1) {
        s->accumulation *= 2;
        s->batch = fmax(1, ceil(r->batch / s->accumulation));
    } else if (!s->adam8)
        s->adam8 = true;
    else
        return false;
    return true;
}

/* --- what fits --- */

static void compute(const struct advise_request *r, struct advice *a)
{
    struct exact_plan plan;
    const bool planned = r->exact && r->exact(r->ctx, &a->setup, &plan) == 0;
    a->setup.counted = planned ? plan.counts : (struct counts){0};
    estimate(&r->shape, &a->setup, STACK_LEAN, &a->estimates[STACK_LEAN]);
    estimate(&r->shape, &a->setup, STACK_PEFT, &a->estimates[STACK_PEFT]);
    a->exact = planned && !r->machine.gpu;
    a->own_peak = planned && r->machine.gpu && plan.own_peak > 0 ? plan.own_peak : NAN;
    if (!a->exact)
        return;
    struct estimate *e = &a->estimates[STACK_PEFT];
    for (int i = 0; i < EST_COUNT; i++)
        e->bytes[i] = plan.bytes[i];
    e->peak = plan.peak;
    a->estimates[STACK_LEAN] = *e;
    a->seconds.base = plan.seconds;
}

/* Computes it as it is set up: on one GPU, failing that over several, then for a lean
 * stack alone. */
static void judge_fit(const struct advise_request *r, struct advice *a)
{
    const double room = USABLE * r->memory_bytes;
    compute(r, a);
    const double lean = a->estimates[STACK_LEAN].peak,
                 part = r->machine.count > 1
                            ? estimate_sharded_peak(&r->shape, &a->setup,
                                                    &a->estimates[STACK_PEFT],
                                                    r->machine.count)
                            : INFINITY;
    a->peak = a->estimates[STACK_PEFT].peak;
    a->fit = a->peak <= room ? FIT_YES
             : part <= room  ? FIT_SHARDED
             : lean <= room  ? FIT_TIGHT
                             : FIT_NO;
    if (a->fit == FIT_SHARDED || a->fit == FIT_TIGHT)
        a->peak = a->fit == FIT_SHARDED ? part : lean;
}

enum fit advise_fit(const struct advise_request *r, const struct setup *s, double *peak)
{
    struct advice a = {.setup = *s};
    judge_fit(r, &a);
    if (peak)
        *peak = a.peak;
    return a.fit;
}

/* From the most generous setup down to the first that fits; none does: the first of those
 * that come nearest to it. */
static void set_up(const struct advise_request *r, struct advice *a)
{
    struct advice best = {.fit = FIT_NO};
    a->setup = first_setup(r, a->candidate->method);
    do {
        judge_fit(r, a);
        if (a->fit < best.fit || best.fit == FIT_NO)
            best = *a;
    } while (best.fit != FIT_YES && advise_leaner(r, &a->setup));
    *a = best;
}

/* --- time and money --- */

static struct estimate_range in_ms(struct estimate_range s)
{
    return (struct estimate_range){1000 * s.low, 1000 * s.base, 1000 * s.high};
}

static void latency(const struct advise_request *r, struct advice *a)
{
    const bool beside = a->candidate->served == SERVED_BESIDE;
    const struct gpu *gpu = r->machine.gpu;
    a->request_ms = a->first_ms = (struct estimate_range){NAN, NAN, NAN};
    if (gpu)
        a->request_ms = in_ms(estimate_request(&r->shape, &a->setup, gpu, beside));
    if (gpu && advise_is_lm(r))
        a->first_ms = in_ms(estimate_first_token(&r->shape, &a->setup, gpu, beside));
}

static void cost(const struct advise *all, struct advice *a)
{
    const struct advise_request *r = all->request;
    const double tokens = r->rows * r->epochs * r->seq_len, here = a->seconds.base;
    const struct price_range own = {
        .low = r->usd_per_hour, .base = r->usd_per_hour, .high = r->usd_per_hour};
    const struct price_range *p = r->machine.gpu ? &all->price : &own;
    a->seconds = a->usd = (struct estimate_range){NAN, NAN, NAN};
    if (a->exact) /* measured GEMM rate, predicted share of it */
        a->seconds = (struct estimate_range){here * 0.8, here, here * 1.5};
    else if (r->machine.gpu)
        a->seconds =
            estimate_seconds(&a->setup, &a->estimates[STACK_PEFT], r->machine.gpu,
                             r->machine.count, a->fit == FIT_SHARDED, tokens);
    const double hours = r->machine.count / 3600.0;
    a->usd = (struct estimate_range){a->seconds.low * hours * p->low,
                                     a->seconds.base * hours * p->base,
                                     a->seconds.high * hours * p->high};
}

/* --- the whole --- */

/* Two ways to serve the same training are told apart only where it matters; else the
 * first of them is asked about. */
static bool is_asked(const struct advise_request *r, const struct candidate *c)
{
    bool again = false;
    for (const struct candidate *other = advise_candidates; other < c; other++)
        again |= str_eq(other->method, c->method);
    return r->base_untouched || r->tasks_later || !again;
}

static int by_points(const void *x, const void *y)
{
    const struct advice *a = x, *b = y;
    const size_t out_a = json_array_size(a->ruled_out),
                 out_b = json_array_size(b->ruled_out);
    if (!out_a != !out_b)
        return out_a ? 1 : -1;
    if (a->points != b->points)
        return a->points > b->points ? -1 : 1;
    return a->candidate < b->candidate ? -1 : 1;
}

int advise_make(const struct advise_request *r, struct advise *out, struct err *err)
{
    *out = (struct advise){.request = r, .watch = json_array()};
    out->price = (struct price_range){.low = NAN, .base = NAN, .high = NAN};
    if (r->machine.gpu)
        out->price = catalog_range(r->catalog, r->machine.gpu->name);
    out->items = xcalloc(advise_candidate_count, sizeof *out->items);
    for (size_t i = 0; i < advise_candidate_count; i++) {
        struct advice *a = &out->items[out->count];
        if (!is_asked(r, &advise_candidates[i]))
            continue;
        *a = (struct advice){.candidate = &advise_candidates[i],
                             .seconds = {NAN, NAN, NAN},
                             .measured = {.mean = NAN, .latency_ms = NAN}};
        set_up(r, a);
        cost(out, a);
        latency(r, a);
        a->reasons = json_array();
        a->against = json_array();
        a->ruled_out = json_array();
        a->priors = json_array();
        out->count++;
    }
    int rc = r->store ? advise_measure(out, err) : 0;
    for (size_t i = 0; i < out->count && !rc; i++)
        advise_judge(out, &out->items[i]);
    qsort(out->items, out->count, sizeof *out->items, by_points);
    while (out->open < out->count && !json_array_size(out->items[out->open].ruled_out))
        out->open++;
    if (rc)
        advise_release(out);
    else
        advise_watch(out);
    return rc;
}

void advise_release(struct advise *a)
{
    for (size_t i = 0; i < a->count; i++) {
        json_decref(a->items[i].reasons);
        json_decref(a->items[i].against);
        json_decref(a->items[i].ruled_out);
        json_decref(a->items[i].priors);
        free(a->items[i].measured.values);
    }
    free(a->items);
    json_decref(a->watch);
    json_decref(a->decided);
    *a = (struct advise){0};
}

const struct advice *advise_find(const struct advise *a, const char *method)
{
    for (size_t i = 0; i < a->count; i++)
        if (str_eq(a->items[i].candidate->method, method))
            return &a->items[i];
    return NULL;
}

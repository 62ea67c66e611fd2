/* report/advise/rules.c - reasons, points, what is ruled out; see advise.h.
 *
 * Each rule looks at one thing and says its sentence with the points it gives. Points are
 * a way to order, not a measure: a standing (0 to 6), a prior's first choice 3, a
 * measured loss 5. */
#include "report/advise/advise.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include <math.h>

/* QLoRA pays off once the 16-bit base takes more of the device than this. */
#define CROWDED    0.5
#define LARGE      6.5e9 /* parameters */
#define OWN_USABLE 0.95  /* of a device's memory */

static bool adds(const struct advice *a, enum addition what)
{
    return setup_adds(&a->setup, what);
}

static const struct method_facts *facts_of(const struct advise *all,
                                           const struct advice *a)
{
    return advise_facts(all->request, a->candidate->method);
}

static void pro(struct advice *a, double points, json_t *reason)
{
    a->points += points;
    json_array_append_new(points >= 0 ? a->reasons : a->against, reason);
}

#define SAY(...) json_sprintf(__VA_ARGS__)

/* --- hard constraints --- */

static void rule_memory(const struct advise *all, struct advice *a)
{
    const struct advise_request *r = all->request;
    char need[32], room[32];
    str_bytes(need, sizeof need, a->peak);
    str_bytes(room, sizeof room, r->memory_bytes);
    if (!isfinite(a->peak))
        return; /* it does not apply */
    if (a->fit == FIT_NO)
        advise_say(a->ruled_out,
                   "memory: %s%s at the leanest (one row at a time, recomputation, 8-bit "
                   "moments), the device has %s",
                   need, a->exact ? "" : " predicted", room);
    else if (a->fit == FIT_TIGHT)
        pro(a, -1.5,
            SAY("tight: %s only with fused kernels and a chunked loss; transformers and "
                "peft as they are need more than %s",
                need, room));
    else if (a->fit == FIT_SHARDED)
        pro(a, -0.5,
            SAY("does not fit one GPU: parameters divided over %d (FSDP), %s each",
                r->machine.count, need));
    else
        pro(a, 0, SAY("fits: %s of %s", need, room));
    if (a->fit != FIT_NO && a->own_peak > OWN_USABLE * r->memory_bytes)
        pro(a, -1,
            SAY("not by this program there: its CUDA backend would take %s, since it "
                "holds a base that is not quantised in fp32",
                str_bytes(need, sizeof need, a->own_peak)));
    if (a->fit != FIT_NO && a->setup.adam8)
        pro(a, -0.5, SAY("only with 8-bit moments"));
}

static void rule_base(const struct advise *all, struct advice *a)
{
    const struct advise_request *r = all->request;
    const bool beside = a->candidate->served == SERVED_BESIDE;
    const struct method_facts *facts = facts_of(all, a);
    if (r->base_untouched && !beside)
        advise_say(a->ruled_out, "the base must stay as it is: %s",
                   facts->changes_base ? base_change_said[facts->changes_base]
                                       : "merging writes into its weights");
    if (r->base_untouched && facts->quantised)
        pro(a, -2,
            SAY("the served base is a 4-bit copy, not the certified bytes; a 16-bit base "
                "with the same adapter is another model and has to be measured"));
    if (!r->tasks_later || !beside) {
        if (r->tasks_later && !r->base_untouched)
            pro(a, -2, SAY("each further task is a whole model to store and to serve"));
        return;
    }
    if (adds(a, ADDS_bottleneck))
        pro(a, r->base_untouched ? 10 : 2,
            SAY("an added module that cannot be merged: the base stays byte-identical by "
                "construction, a task is a file, tasks can be added, stacked, fused and "
                "removed without touching the others"));
    else if (adds(a, ADDS_low_rank) && !facts->quantised)
        pro(a, 2,
            SAY("left unmerged, a task is a small file beside the same base; that nobody "
                "merges it is a matter of discipline"));
    else
        pro(a, 1, SAY("a task is a small file beside the same base"));
}

static void rule_time(const struct advise *all, struct advice *a)
{
    const struct advise_request *r = all->request;
    char low[32], base[32];
    if (isfinite(r->hours) && isfinite(a->seconds.base)) {
        str_duration(low, sizeof low, a->seconds.low);
        str_duration(base, sizeof base, a->seconds.base);
        if (a->seconds.low > r->hours * 3600)
            advise_say(a->ruled_out, "time: at least %s predicted, %.3g h allowed", low,
                       r->hours);
        else if (a->seconds.base > r->hours * 3600)
            pro(a, -2, SAY("time at risk: %s predicted, %.3g h allowed", base, r->hours));
    }
    if (isfinite(r->usd) && isfinite(a->usd.base)) {
        if (a->usd.low > r->usd)
            advise_say(a->ruled_out, "money: at least $%.2f predicted, $%.2f allowed",
                       a->usd.low, r->usd);
        else if (a->usd.base > r->usd)
            pro(a, -2,
                SAY("money at risk: $%.2f predicted, $%.2f allowed", a->usd.base,
                    r->usd));
    }
}

static void rule_measured_latency(const struct advise_request *r, struct advice *a)
{
    if (a->measured.latency_ms > r->latency_ms)
        advise_say(a->ruled_out, "latency: p50 of %.3g ms measured, %.3g ms allowed",
                   a->measured.latency_ms, r->latency_ms);
    else
        pro(a, 0,
            SAY("latency: p50 of %.3g ms measured, %.3g ms allowed",
                a->measured.latency_ms, r->latency_ms));
}

static void rule_predicted_latency(const struct advise_request *r, struct advice *a)
{
    const char *what = advise_is_lm(r) ? "per output token" : "per request";
    if (a->request_ms.low > r->latency_ms)
        advise_say(a->ruled_out,
                   "latency: at least %.3g ms %s predicted, %.3g ms allowed",
                   a->request_ms.low, what, r->latency_ms);
    else if (a->request_ms.base > r->latency_ms)
        pro(a, -2,
            SAY("latency at risk: %.3g ms %s predicted, %.3g ms allowed",
                a->request_ms.base, what, r->latency_ms));
    else if (isfinite(a->request_ms.base))
        pro(a, 0,
            SAY("latency: %.3g ms %s predicted, %.3g ms allowed", a->request_ms.base,
                what, r->latency_ms));
}

/* Of a language model the time to the first token is a limit of its own. */
static void rule_first_token(const struct advise *all, struct advice *a)
{
    const struct advise_request *r = all->request;
    const struct estimate_range *t = &a->first_ms;
    if (!isfinite(r->ttft_ms) || !isfinite(t->base))
        return;
    if (t->low > r->ttft_ms)
        advise_say(a->ruled_out,
                   "first token: at least %.3g ms after a prompt of %.0f tokens "
                   "predicted, %.3g ms allowed",
                   t->low, r->seq_len, r->ttft_ms);
    else
        pro(a, t->base > r->ttft_ms ? -2 : 0,
            SAY("first token%s: %.3g ms after a prompt of %.0f tokens predicted, %.3g ms "
                "allowed",
                t->base > r->ttft_ms ? " at risk" : "", t->base, r->seq_len, r->ttft_ms));
}

static void rule_latency(const struct advise *all, struct advice *a)
{
    const struct advise_request *r = all->request;
    if (!isfinite(r->latency_ms))
        return;
    if (isfinite(a->measured.latency_ms))
        rule_measured_latency(r, a);
    else
        rule_predicted_latency(r, a);
    if (adds(a, ADDS_low_rank) && a->candidate->served == SERVED_BESIDE)
        pro(a, -1, SAY("unmerged, it takes part in every request"));
}

static void rule_applies(const struct advise *all, struct advice *a)
{
    const struct model_shape *m = &all->request->shape;
    if (advise_is_lm(all->request) && adds(a, ADDS_head))
        advise_say(a->ruled_out, "a language model has no classifier to train alone");
    if (m->decoder && adds(a, ADDS_biases))
        advise_say(a->ruled_out, "%s has %s", m->name,
                   m->qkv_bias ? "biases on queries, keys and values alone"
                               : "no biases to train");
    if (all->request->machine.gpu && !machine_has_bf16(&all->request->machine) &&
        adds(a, ADDS_whole) && m->decoder)
        pro(a, -1,
            SAY("the GPU has no bfloat16: full fine-tuning in float16 needs loss "
                "scaling"));
}

/* --- memory binds or not --- */

static void rule_quantised(const struct advise *all, struct advice *a)
{
    const struct advise_request *r = all->request;
    const struct method_facts *facts = facts_of(all, a);
    const struct advice *lora = facts->quantised ? advise_find(all, facts->method) : NULL;
    if (!lora)
        return;
    /* at the batch that was asked for: what LoRA needs before it was made leaner */
    struct setup s = lora->setup;
    struct estimate e;
    s.batch = r->batch;
    s.accumulation = 1;
    s.adam8 = false;
    estimate(&r->shape, &s, STACK_PEFT, &e);
    const double peak = lora->exact ? lora->peak : e.peak, share = peak / r->memory_bytes;
    char text[32];
    str_bytes(text, sizeof text, peak);
    if (r->shape.parameters >= LARGE && share > CROWDED)
        pro(a, 4,
            SAY("memory binds: a 16-bit base with LoRA takes %s, %.0f %% of a device; "
                "NF4 "
                "leaves room for rank, length and batch at the same quality (prior "
                "qlora-equals-lora)",
                text, 100 * share));
    else if (lora->fit != FIT_YES)
        pro(a, 4, SAY("LoRA on the plain base needs %s: memory binds", text));
    else
        pro(a, -1.5,
            SAY("memory does not bind: LoRA on the plain base takes %.0f %% of the "
                "device, trains 1.3 to 1.7 times faster and merges without loss",
                100 * share));
}

/* --- priors --- */

static bool condition_met(const struct advise_request *r, const char *key,
                          const json_t *value)
{
    const double n = json_number_value(value), tokens = r->rows * r->epochs * r->seq_len;
    return str_eq(key, "task")            ? str_eq(json_string_value(value), r->task)
           : str_eq(key, "rows_min")      ? r->rows >= n
           : str_eq(key, "rows_max")      ? r->rows <= n
           : str_eq(key, "tokens_min")    ? tokens >= n
           : str_eq(key, "params_min")    ? r->shape.parameters >= n
           : str_eq(key, "params_max")    ? r->shape.parameters <= n
           : str_eq(key, "gpu_bytes_max") ? r->machine.gpu && r->memory_bytes <= n
           : str_eq(key, "latency")       ? isfinite(r->latency_ms)
           : str_eq(key, "tasks_later")   ? r->tasks_later && !r->base_untouched
           : str_eq(key, "keep_skills")   ? r->keep_skills
           : str_eq(key, "no_bf16") ? r->machine.gpu && !machine_has_bf16(&r->machine)
                                    : false;
}

static bool in_situation(const struct advise_request *r, const struct prior_default *d)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)d->conditions, key, value)
    {
        if (!condition_met(r, key, value))
            return false;
    }
    return true;
}

static const char *const served_words[SERVED_COUNT] = {"merged", "beside", "own"};

/* What is said of a method (LoRA) holds for its presets (on a 4-bit base, DoRA), unless
 * they are named. */
static const char *name_in(const struct advise *all, const struct advice *a,
                           const struct prior_default *d)
{
    const struct method_facts *facts = facts_of(all, a);
    const char *own = a->candidate->method;
    const bool named = str_in_list(own, d->first, '|') ||
                       str_in_list(own, d->then, '|') || str_in_list(own, d->avoid, '|');
    return named || !*facts->method ? own : facts->method;
}

static void rule_defaults(const struct advise *all, struct advice *a)
{
    const struct priors *p = all->request->priors;
    for (size_t i = 0; i < p->default_count; i++) {
        const struct prior_default *d = &p->defaults[i];
        const char *name = name_in(all, a, d);
        if (!in_situation(all->request, d))
            continue;
        if (str_in_list(name, d->avoid, '|'))
            pro(a, -3, SAY("to be avoided: %s (prior %s)", d->situation, d->id));
        else if (*d->served &&
                 !str_in_list(served_words[a->candidate->served], d->served, '|'))
            continue; /* said of the other way to serve it */
        else if (str_in_list(name, d->first, '|'))
            pro(a, 3,
                SAY("first choice: %s - %s (prior %s)", d->situation, d->why, d->id));
        else if (str_in_list(name, d->then, '|'))
            pro(a, 1.5, SAY("second choice: %s (prior %s)", d->situation, d->id));
    }
}

/* Claims in scope are listed on their side; they give no points of their own, since the
 * standings already stem from them. */
static void list_priors(const struct advise *all, struct advice *a)
{
    const struct advise_request *r = all->request;
    for (size_t i = 0; i < r->priors->claim_count; i++) {
        const struct prior *p = &r->priors->claims[i];
        json_t *with = json_pack("{s:s}", "target_modules",
                                 a->setup.targets == TARGETS_ALL ? "all-linear" : "");
        const bool for_it = prior_is_better(p, a->candidate->method, with);
        const bool against = !for_it && prior_is_worse(p, a->candidate->method, with);
        json_decref(with);
        if (prior_in_scope(p, r->task, r->rows) && (for_it || against))
            json_array_append_new(a->priors,
                                  json_pack("{s:s, s:s}", "id", p->id, "side",
                                            p->direction == PRIOR_ADVICE  ? "advice"
                                            : p->direction == PRIOR_EQUAL ? "equal"
                                            : for_it                      ? "for"
                                                                          : "against"));
    }
}

/* --- the store --- */

/* The best mean, and how many methods have one over two seeds or more. */
static const struct advice *best_measured(const struct advise *all, size_t *methods)
{
    const struct advice *best = NULL;
    *methods = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct measured *m = &all->items[i].measured;
        if (m->seeds < 2)
            continue;
        (*methods)++;
        if (!best ||
            (m->maximize ? m->mean > best->measured.mean : m->mean < best->measured.mean))
            best = &all->items[i];
    }
    return best;
}

static void rule_measured(const struct advise *all, struct advice *a)
{
    size_t methods;
    const struct advice *best = best_measured(all, &methods);
    const struct measured *m = &a->measured;
    if (!best || m->seeds < 2)
        return;
    if (str_eq(best->candidate->method, a->candidate->method)) {
        pro(a, methods > 1 ? 2 : 0,
            SAY("measured: %s %s, %.4f [%.4f, %.4f] over %zu seeds, %zu configuration%s "
                "tried%s%s",
                methods > 1 ? "best mean" : "no other method is, mean", m->metric,
                m->mean, m->low, m->high, m->seeds, m->configurations,
                m->configurations == 1 ? "" : "s", all->data.asked ? "" : ", on ",
                all->data.asked ? "" : all->data.name));
        return;
    }
    struct stat_test t =
        stat_welch_t(m->values, m->seeds, best->measured.values, best->measured.seeds, 0);
    const bool behind = m->maximize ? t.ci.high < 0 : t.ci.low > 0;
    if (behind)
        pro(a, -5,
            SAY("measured: %s %.4f, %+.4f [%+.4f, %+.4f] against %s", m->metric, m->mean,
                t.diff, t.ci.low, t.ci.high, best->candidate->method));
    else
        pro(a, 1,
            SAY("measured: %s %.4f over %zu seeds, not told apart from %s (%+.4f [%+.4f, "
                "%+.4f])",
                m->metric, m->mean, m->seeds, best->candidate->method, t.diff, t.ci.low,
                t.ci.high));
}

void advise_judge(struct advise *all, struct advice *a)
{
    static void (*const rules[])(const struct advise *, struct advice *) = {
        rule_applies,     rule_memory,    rule_base,     rule_time,     rule_latency,
        rule_first_token, rule_quantised, rule_defaults, rule_measured, list_priors};
    a->points =
        all->request->shape.decoder ? a->candidate->lm_points : a->candidate->cls_points;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        rules[i](all, a);
}

/* --- what to watch --- */

void advise_watch(struct advise *all)
{
    const struct advise_request *r = all->request;
    const struct advice *a = all->open ? &all->items[0] : NULL;
    json_t *w = all->watch;
    if (!a)
        return;
    if (adds(a, ADDS_low_rank) && r->shape.decoder)
        advise_say(w,
                   "rank %.0f on all linear layers (q, k, v, o, gate, up, down); try 32 "
                   "and 64: above a rank that suffices more buys little",
                   a->setup.rank);
    if (a->setup.checkpointing)
        advise_say(w,
                   "gradient checkpointing on: activations of one layer at a time, for "
                   "about a third more compute");
    if (facts_of(all, a)->quantised) {
        advise_say(w, "NF4 with double quantisation; compute in %s",
                   r->machine.gpu && !machine_has_bf16(&r->machine)
                       ? "float16 (this GPU has no bfloat16), where a share of 7 B runs "
                         "failed: watch for it"
                       : "bfloat16 (in float16 a share of 7 B runs failed)");
        advise_say(w, "paged or 8-bit AdamW: moments shrink to a quarter, and pages "
                      "move to the host at a spike of memory");
        advise_say(w,
                   "loss spikes: clip gradients at 0.3, rate %s, warm up; loss_spike: "
                   "rollback goes back to the last good point with half the rate",
                   r->shape.parameters > 3e10 ? "1e-4" : "2e-4");
        advise_say(w, "say which is served and measure that one: 4-bit base with the "
                      "adapter beside it, 16-bit base merged, or quantised again");
    } else if (adds(a, ADDS_low_rank)) {
        advise_say(w, "the rate of full fine-tuning is too low: take about ten times it");
    }
    if (adds(a, ADDS_bottleneck))
        advise_say(w, "bottlenecks cost 20 to 30 %% of latency at batch 1, 4 to 6 %% at "
                      "larger ones: measure it");
    if (r->base_untouched)
        advise_say(w, "keep the base's SHA-256 with every release and check it at load");
    if (r->keep_skills)
        advise_say(w, "measure forgetting (general_data: loss on general text before and "
                      "after): it follows the rate more than the method");
    if (r->machine.count > 1 && a->fit == FIT_YES)
        advise_say(w,
                   "%d GPUs: a copy of the base on each (data parallel), only the "
                   "adapter's gradients travel",
                   r->machine.count);
}

/* report/machine/estimate.c - see estimate.h. */
#include "report/machine/estimate.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>

const char *const estimate_names[EST_COUNT] = {
#define X(name, help) #name,
    ESTIMATE_BYTES(X)
#undef X
};

#define NF4_BYTES       0.516 /* per weight, double quantisation, blocks of 64 and 256 */
#define LOSS_CHUNK      512   /* tokens, lean stack */
#define LOGIT_BYTES     14    /* 16-bit, fp32, log-softmax and gradient in fp32 */
#define DECODER_LINEARS 7
#define ENCODER_LINEARS 6

const struct formula formulas[] = {
#define FORMULA(name, adds, quantised, magnitudes)                                       \
    {name, ADDS_##adds, quantised, magnitudes},
#include "report/machine/formulas.def"
#undef FORMULA
};
const size_t formula_count = ARRAY_LEN(formulas);

const struct formula *formula_find(const char *method)
{
    for (size_t i = 0; i < ARRAY_LEN(formulas); i++)
        if (str_eq(formulas[i].name, method))
            return &formulas[i];
    return NULL;
}

bool setup_adds(const struct setup *s, enum addition what)
{
    const struct formula *f = formula_find(s->method);
    return f && f->adds == what;
}

static bool is_lora(const struct setup *s)
{
    return setup_adds(s, ADDS_low_rank);
}

static bool has_magnitudes(const struct setup *s)
{
    const struct formula *f = formula_find(s->method);
    return f && f->magnitudes;
}

static bool is_quantised(const struct setup *s)
{
    const struct formula *f = formula_find(s->method);
    return s->quantised || (f && f->quantised);
}

/* --- linear layers that a setup targets --- */

/* Inputs and outputs of a layer's linears, the first `n` of them: q k v o, then gate up
 * down or the two of encoders and GPT-2. */
static int linears(const struct model_shape *m, double in[DECODER_LINEARS],
                   double out[DECODER_LINEARS])
{
    const double d = m->d, f = m->f;
    const double ins[] = {d, d, d, m->q, d, d, f};
    const double outs[] = {m->q, m->kv, m->kv, d, f, f, d};
    const bool gated = m->decoder && !m->plain;
    int n = gated ? DECODER_LINEARS : ENCODER_LINEARS;
    for (int i = 0; i < n; i++) {
        in[i] = ins[gated ? i : i < 5 ? i : 6];
        out[i] = outs[gated ? i : i < 5 ? i : 6];
    }
    return n;
}

static bool targeted(enum targets t, int i)
{
    return t == TARGETS_ALL || (t == TARGETS_QV && (i == 0 || i == 2)) ||
           (t == TARGETS_MLP && i >= 4);
}

/* Sum over the targets of a layer of ci in + co out + c. */
static double over_targets(const struct model_shape *m, enum targets t, double ci,
                           double co, double c)
{
    double in[DECODER_LINEARS], out[DECODER_LINEARS], sum = 0;
    int n = linears(m, in, out);
    for (int i = 0; i < n; i++)
        sum += targeted(t, i) ? ci * in[i] + co * out[i] + c : 0;
    return sum;
}

/* --- parameters --- */

static bool is_lm(const struct model_shape *m, const struct setup *s)
{
    return m->decoder && s->labels <= 0;
}

/* Of the base as it is loaded: a classifier takes the place of an output embedding. */
static double base_parameters(const struct model_shape *m, const struct setup *s)
{
    if (s->counted.base > 0)
        return s->counted.base;
    return m->parameters - (m->decoder && !is_lm(m, s) && !m->tied ? m->head : 0);
}

static double head_parameters(const struct model_shape *m, const struct setup *s)
{
    if (s->labels <= 0)
        return 0;
    if (m->decoder) /* `score` has no bias */
        return s->labels * m->d;
    bool own_dense =
        str_in_list(m->model_type, "roberta|xlm-roberta|camembert|distilbert", '|');
    return s->labels * (m->d + 1) + (own_dense ? m->d * m->d + m->d : 0);
}

static double bottleneck_parameters(const struct model_shape *m, const struct setup *s)
{
    double size = floor(m->d / s->reduction_factor);
    return m->layers * (s->houlsby ? 2 : 1) * (2 * m->d * size + size + m->d);
}

static double added_parameters(const struct model_shape *m, const struct setup *s)
{
    if (is_lora(s))
        return m->layers *
               (over_targets(m, s->targets, s->rank, s->rank, 0) +
                (has_magnitudes(s) ? over_targets(m, s->targets, 0, 1, 0) : 0));
    if (setup_adds(s, ADDS_bottleneck))
        return bottleneck_parameters(m, s);
    if (setup_adds(
            s,
            ADDS_scales)) /* keys, values, and the input of the last feed-forward layer */
        return m->layers * (2 * m->kv + m->f + (m->decoder ? 0 : m->d));
    if (setup_adds(s, ADDS_prefix))
        return s->virtual_tokens * m->layers * 2 * m->kv;
    if (setup_adds(s, ADDS_prompt))
        return s->virtual_tokens * m->d;
    if (setup_adds(s, ADDS_vectors))
        return m->layers * over_targets(m, s->targets, 0, 1, s->rank);
    if (setup_adds(s, ADDS_norms))
        return m->plain     ? m->layers * 4 * m->d + 2 * m->d
               : m->decoder ? m->layers * 2 * m->d + m->d
                            : m->layers * 4 * m->d + 2 * m->d;
    if (setup_adds(s, ADDS_biases))
        return m->plain     ? m->layers * (9 * m->d + m->f) + m->d
               : m->decoder ? (m->qkv_bias ? m->layers * (m->q + 2 * m->kv) : NAN)
                            : m->layers * (4 * m->d + m->f + m->d + 2 * m->d) + m->d +
                                  (m->pooler ? m->d : 0);
    return setup_adds(s, ADDS_head) ? 0 : NAN;
}

double estimate_trainable(const struct model_shape *m, const struct setup *s)
{
    if (s->counted.trainable > 0)
        return s->counted.trainable;
    double base =
        setup_adds(s, ADDS_whole) ? base_parameters(m, s) : added_parameters(m, s);
    return base + head_parameters(m, s);
}

/* --- activations, bytes per token of a layer --- */

/* What transformers keeps of a layer whose weights are frozen: norm inputs (fp32 copies
 * under 16 bit), queries, keys, values (repeated to all heads) and output of attention,
 * inputs of the non-linearity and of the gate's product. */
static double peft_base(const struct model_shape *m, double b)
{
    return m->decoder ? 2 * 4 * m->d + b * 4 * m->q + (m->plain ? 1 : 3) * b * m->f
                      : 2 * b * m->d + b * 4 * m->d + b * m->f + 3 * m->d;
}

/* Inputs that weight gradients need. */
static double peft_full(const struct model_shape *m, double b)
{
    return m->decoder ? b * (4 * m->d + m->q + m->f) : b * (3 * m->d + m->f);
}

/* What the method keeps beyond: each adapter its own fp32 copy of its input. */
static double peft_method(const struct model_shape *m, const struct setup *s)
{
    const double b = s->base_bytes;
    if (is_lora(s) && b < 4)
        return over_targets(m, s->targets, 4, 0, 4 * s->rank) +
               (has_magnitudes(s) ? over_targets(m, s->targets, 0, b + 4, 0) : 0);
    if (is_lora(s)) /* no copies, and the inputs of q, k, v are one tensor */
        return b * m->d * (s->targets == TARGETS_ALL ? 3 : 1) +
               (s->targets == TARGETS_ALL ? b * m->f : 0) +
               over_targets(m, s->targets, 0, has_magnitudes(s) ? 2 * b : 0, 4 * s->rank);
    if (setup_adds(s, ADDS_vectors))
        return over_targets(m, s->targets, 0, 4, 8 * s->rank);
    if (setup_adds(
            s,
            ADDS_scales)) /* outputs of keys and values, input of the feed-forward layer */
        return b * (2 * m->kv + m->f);
    if (setup_adds(s, ADDS_bottleneck))
        return (s->houlsby ? 2 : 1) * (8 * m->d + 8 * m->d / s->reduction_factor);
    if (setup_adds(s, ADDS_prefix))
        return b * 2 * m->q * s->virtual_tokens / s->seq_len;
    return setup_adds(s, ADDS_norms)   ? 2 * b * m->d
           : setup_adds(s, ADDS_whole) ? peft_full(m, b)
                                       : 0;
}

/* Norms and the non-linearity recomputed (reference/engine.md 7.2); `whole`: not, the one
 * layer of a decoder that checkpointing has unfolded. */
static double lean_layer(const struct model_shape *m, const struct setup *s, bool whole)
{
    const double b = s->base_bytes;
    double keep = !m->decoder ? 6 * m->d + m->f
                  : whole     ? 6 * m->d + 2 * m->kv + (m->plain ? 1 : 3) * m->f
                              : 4 * m->d + 2 * m->kv + (m->plain ? 1 : 2) * m->f;
    return b * keep + (is_lora(s) ? over_targets(m, s->targets, 0, 0, b * s->rank) : 0);
}

static double layer_bytes(const struct model_shape *m, const struct setup *s,
                          enum stack stack, bool whole)
{
    return stack == STACK_PEFT ? peft_base(m, s->base_bytes) + peft_method(m, s)
                               : lean_layer(m, s, whole);
}

static double activations(const struct model_shape *m, const struct setup *s,
                          enum stack stack, double tokens)
{
    if (setup_adds(s, ADDS_head)) /* nothing of the base is kept */
        return tokens * layer_bytes(m, s, stack, false);
    if (s->checkpointing)
        return tokens *
               (m->layers * s->base_bytes * m->d + layer_bytes(m, s, stack, true));
    return tokens * m->layers * layer_bytes(m, s, stack, false);
}

/* --- the whole --- */

static double tokens_of(const struct setup *s)
{
    double more = setup_adds(s, ADDS_prompt) ? s->virtual_tokens : 0;
    return s->batch * (s->seq_len + more);
}

static double weight_bytes(const struct model_shape *m, const struct setup *s,
                           enum stack stack)
{
    if (!is_quantised(s))
        return base_parameters(m, s) * s->base_bytes;
    /* prepare_model_for_kbit_training turns what is not quantised to fp32 */
    double rest = stack == STACK_PEFT ? 4 : s->base_bytes;
    return m->linear * NF4_BYTES + (base_parameters(m, s) - m->linear) * rest;
}

static void state_bytes(const struct setup *s, struct estimate *e)
{
    const bool whole = setup_adds(s, ADDS_whole);
    const double n = e->trainable, b = whole ? s->base_bytes : s->bf16_adapter ? 2 : 4;
    const bool pure = (s->pure_bf16 || !whole) && b < 4;
    e->bytes[EST_trainable] = whole ? (b < 4 && !pure ? 4 * n : 0) : b * n;
    e->bytes[EST_gradients] = b * n;
    e->bytes[EST_optimizer] = (s->adam8 ? 2 : pure && !s->adam32 ? 4 : 8) * n;
    e->adapter_bytes = s->counted.adapter_bytes > 0 ? s->counted.adapter_bytes : b * n;
}

static double flops_per_token(const struct model_shape *m, const struct setup *s,
                              double trainable)
{
    const double computed = m->linear + (is_lm(m, s) ? m->head : 0);
    const double scores =
        (m->decoder ? 6 : 12) * m->layers * m->q * s->seq_len; /* causal: half skipped */
    double flops = setup_adds(s, ADDS_whole)  ? 6 * computed + scores
                   : setup_adds(s, ADDS_head) ? 2 * computed + scores / 3
                                              : 4 * computed + scores + 6 * trainable;
    if (s->checkpointing && !setup_adds(s, ADDS_head))
        flops += 2 * m->linear + scores / 3;
    return flops * tokens_of(s) / (s->batch * s->seq_len);
}

static double sum_of(const double bytes[EST_COUNT])
{
    double sum = 0;
    for (int i = 0; i < EST_COUNT; i++)
        sum += bytes[i];
    return sum;
}

/* Without accumulation gradients come as activations go. */
static double peak_of(const struct setup *s, const double bytes[EST_COUNT])
{
    double passing = bytes[EST_activations] + bytes[EST_logits];
    double saved = s->accumulation > 1 ? 0 : fmin(passing, bytes[EST_gradients]);
    return sum_of(bytes) - saved;
}

void estimate(const struct model_shape *m, const struct setup *s, enum stack stack,
              struct estimate *out)
{
    const double n = tokens_of(s), b = s->base_bytes, widest = fmax(m->d, m->f);
    *out =
        (struct estimate){.trainable = estimate_trainable(m, s), .total = m->parameters};
    out->bytes[EST_weights] = weight_bytes(m, s, stack);
    state_bytes(s, out);
    out->bytes[EST_activations] = activations(m, s, stack, n);
    if (is_lm(m, s))
        out->bytes[EST_logits] = stack == STACK_PEFT
                                     ? n * m->vocab * LOGIT_BYTES
                                     : fmin(n, LOSS_CHUNK) * m->vocab * 8 + n * m->d * b;
    out->bytes[EST_workspace] =
        2 * n * widest * b + (is_quantised(s) ? m->d * m->f * b : 0);
    out->bytes[EST_overhead] = ESTIMATE_CONTEXT_BYTES;
    out->flops_per_token = flops_per_token(m, s, out->trainable);
    out->peak = peak_of(s, out->bytes);
}

double estimate_sharded_peak(const struct model_shape *m, const struct setup *s,
                             const struct estimate *e, int gpus)
{
    double bytes[EST_COUNT];
    for (int i = 0; i < EST_COUNT; i++)
        bytes[i] = i <= EST_optimizer ? e->bytes[i] / gpus : e->bytes[i];
    double layer = e->bytes[EST_weights] / m->layers;
    return peak_of(s, bytes) + 2 * layer; /* this one and the next, gathered */
}

/* Shares of the peak: published runs reach 16 % (peft, Llama-3.2-3B on an L40S), 27 to
 * 33 % (8 B on an H100), 56 % (torchtune, 3 B on an A100) and, with what checkpointing
 * computes again, 86 % (torchtune, 8 B on an RTX 4090), so that the quick end is 90 %: no
 * run in reference/engine.md 2.3 lies outside. Small models may reach little.
 * Dequantising: 3,083 against 2,413 tokens/s there; 1.66 by Google Vertex. Set-up and
 * sharding are assumptions. */
static const struct estimate_range utilisation = {0.90, 0.30, 0.10},
                                   small_utilisation = {0.50, 0.30, 0.05},
                                   dequantising = {1.0, 1.28, 1.66},
                                   sharding = {1.1, 1.4, 2.5}, setup_s = {30, 60, 180};
#define SMALL 1e9 /* parameters */

struct estimate_range estimate_seconds(const struct setup *s, const struct estimate *e,
                                       const struct gpu *gpu, int gpus, bool sharded,
                                       double tokens)
{
    const double least = tokens * e->flops_per_token / (gpu->flops_s * gpus);
    const struct estimate_range one = {1, 1, 1},
                                *u = e->total < SMALL ? &small_utilisation : &utilisation,
                                *q = is_quantised(s) ? &dequantising : &one,
                                *h = sharded ? &sharding : &one;
    return (struct estimate_range){setup_s.low + least / u->low * q->low * h->low,
                                   setup_s.base + least / u->base * q->base * h->base,
                                   setup_s.high + least / u->high * q->high * h->high};
}

/* Bandwidth: llm-analysis gives at most 0.9. Launches of a small encoder 0 to 10 ms.
 * Bottlenecks: 4 to 6 % slower in batches (AdapterDrop), 21 to 30 % at batch 1 (LoRA,
 * table 1). Unmerged LoRA: arithmetic says 1 %, vLLM measured 1.5 in throughput (pull
 * request 11267). 4-bit weights are read faster and have to be dequantised. */
static const struct estimate_range bandwidth = {0.9, 0.7, 0.5},
                                   launch_s = {0, 0.002, 0.01},
                                   bottleneck = {1.04, 1.21, 1.30},
                                   unmerged = {1.01, 1.2, 1.5};

static double request_s(double bytes, double flops, const struct gpu *gpu, double reach,
                        double share)
{
    return fmax(bytes / (gpu->bandwidth_bytes_s * reach), flops / (gpu->flops_s * share));
}

/* A pass over so many tokens; the output embedding is computed for the last. */
static struct estimate_range pass(const struct model_shape *m, const struct setup *s,
                                  const struct gpu *gpu, bool beside, double tokens)
{
    const double flops = 2 * m->linear * tokens + (is_lm(m, s) ? 2 * m->head : 0) +
                         2 * m->layers * m->q * tokens * (tokens > 1 ? tokens : 0);
    const double bytes =
        is_quantised(s) ? weight_bytes(m, s, STACK_LEAN) : 2 * base_parameters(m, s);
    const struct estimate_range one = {1, 1, 1}, *u = &small_utilisation,
                                *q = is_quantised(s) ? &dequantising : &one,
                                *a = !beside                          ? &one
                                     : setup_adds(s, ADDS_bottleneck) ? &bottleneck
                                     : is_lora(s)                     ? &unmerged
                                                                      : &one;
    return (struct estimate_range){
        launch_s.low +
            request_s(bytes, flops, gpu, bandwidth.low, u->low) * q->low * a->low,
        launch_s.base +
            request_s(bytes, flops, gpu, bandwidth.base, u->base) * q->base * a->base,
        launch_s.high +
            request_s(bytes, flops, gpu, bandwidth.high, u->high) * q->high * a->high};
}

struct estimate_range estimate_request(const struct model_shape *m, const struct setup *s,
                                       const struct gpu *gpu, bool beside)
{
    return pass(m, s, gpu, beside, is_lm(m, s) ? 1 : s->seq_len);
}

struct estimate_range estimate_first_token(const struct model_shape *m,
                                           const struct setup *s, const struct gpu *gpu,
                                           bool beside)
{
    return pass(m, s, gpu, beside, s->seq_len);
}

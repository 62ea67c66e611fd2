/* report/machine/estimate.h - memory, compute and time of fine-tuning a base that is not
 * here, by formula; always predicted, never measured.
 *
 * Two stacks give the two ends of a range:
 *   lean   fused kernels: what cannot be recomputed cheaply is kept, the loss is taken in
 *          chunks (Unsloth, torchtune, this program); reference/engine.md 7.2
 *   peft   transformers + peft + bitsandbytes as they are: norms and adapter inputs in
 *          fp32 copies, logits three times. Held against peft's measured table
 *          (Llama-3.2-3B, batch 4 x 768, bf16): 18.8 to 36.2 GiB within 6 %, see
 *          tests/unit/report/estimate.c.
 * The peft number is what fits or not; where only the lean one fits the word is tight.
 * What this program itself takes on this machine is no estimate: the trainer's planner
 * says it. Where that planner knows the base it also counts for these formulas (struct
 * counts); the closed forms below are for architectures that it does not know yet.
 *
 * Bytes per category; `peak` is less than their sum where gradients of full fine-tuning
 * replace activations as the backward pass frees them. Several GPUs: weights are
 * replicated while one GPU holds everything (data parallel), else everything that belongs
 * to parameters is divided (sharded, as FSDP does; one layer is gathered at a time). */
#ifndef REPORT_MACHINE_ESTIMATE_H
#define REPORT_MACHINE_ESTIMATE_H

#include "report/machine/catalog.h"
#include "report/machine/shape.h"

#define ESTIMATE_BYTES(X)                                                                \
    X(weights, "frozen weights; all of them for full fine-tuning")                       \
    X(trainable, "trained parameters, and fp32 masters of 16-bit ones")                  \
    X(gradients, "their gradients")                                                      \
    X(optimizer, "moments")                                                              \
    X(activations, "kept for the backward pass")                                         \
    X(logits, "over the vocabulary, with their gradient")                                \
    X(workspace, "one dequantised matrix, gradients in flight")                          \
    X(overhead, "CUDA context and libraries")
enum estimate_bytes {
#define X(name, help) EST_##name,
    ESTIMATE_BYTES(X)
#undef X
        EST_COUNT
};
extern const char *const estimate_names[EST_COUNT];

/* What CUDA's context and libraries hold beside what is asked for: 0.3 to 0.8 GB by
 * driver and libraries; an estimate. */
#define ESTIMATE_CONTEXT_BYTES 0.6e9

enum stack { STACK_LEAN, STACK_PEFT, STACK_COUNT };

enum targets { TARGETS_ALL, TARGETS_QV, TARGETS_MLP };

/* What a method adds to a base, as far as the closed forms tell methods apart. */
enum addition {
    ADDS_low_rank,
    ADDS_bottleneck,
    ADDS_scales,  /* a factor per feature */
    ADDS_vectors, /* between two fixed matrices */
    ADDS_prefix,
    ADDS_prompt,
    ADDS_head, /* nothing but the task's head */
    ADDS_biases,
    ADDS_norms,
    ADDS_whole
};
/* A method that there is a closed form for (formulas.def). */
struct formula {
    const char *name; /* a method or preset of the trainer */
    enum addition adds;
    bool quantised, magnitudes;
};
extern const struct formula formulas[];
extern const size_t formula_count;
const struct formula *formula_find(const char *method); /* NULL: there is none */

/* What a planner counted exactly; 0: by closed form. */
struct counts {
    double trainable, adapter_bytes;
    double base; /* parameters of the base, without the task's head */
};

/* How a method is set up. */
struct setup {
    const char *method; /* of a formula; another one has NaN for its parameters */
    bool quantised;     /* also where the method's formula does not say so */
    enum targets targets;
    double rank, virtual_tokens, reduction_factor;
    bool houlsby;
    double base_bytes; /* per weight of the base: 2 bf16 or fp16, 4 fp32 */
    bool checkpointing, adam8, pure_bf16; /* pure: no fp32 masters, 16-bit moments */
    bool bf16_adapter, adam32; /* what is added trains in 16 bits, with moments in 16;
                                  adam32: bitsandbytes' AdamW, in 32 */
    double batch, accumulation, seq_len; /* rows of a micro-batch, tokens of a row */
    double labels;                       /* classes; 0: a language model */
    struct counts counted;
};

struct estimate {
    double bytes[EST_COUNT], peak; /* of one GPU, everything on it */
    double trainable, total, adapter_bytes;
    double flops_per_token; /* forward, backward and recomputation */
};

bool setup_adds(const struct setup *s, enum addition what);
/* Trained parameters as counted, else by closed form (reference/peft-methods.md section
 * 8). NaN: a method without one. */
double estimate_trainable(const struct model_shape *m, const struct setup *s);
void estimate(const struct model_shape *m, const struct setup *s, enum stack stack,
              struct estimate *out);
/* Peak of each of `gpus` when parameters are divided. */
double estimate_sharded_peak(const struct model_shape *m, const struct setup *s,
                             const struct estimate *e, int gpus);

struct estimate_range {
    double low, base, high;
};
/* Seconds for so many tokens on `gpus` of a kind: FLOPs / (peak x utilisation), the
 * utilisation and the price of dequantising and of sharding with their spread. */
struct estimate_range estimate_seconds(const struct setup *s, const struct estimate *e,
                                       const struct gpu *gpu, int gpus, bool sharded,
                                       double tokens);
/* Seconds of a single request: a forward pass of seq_len tokens for classifiers, one
 * output token for language models, whichever of reading the weights and computing is
 * slower. `beside`: the adapter is not merged. */
struct estimate_range estimate_request(const struct model_shape *m, const struct setup *s,
                                       const struct gpu *gpu, bool beside);
/* Seconds to the first token of a prompt of seq_len tokens. */
struct estimate_range estimate_first_token(const struct model_shape *m,
                                           const struct setup *s, const struct gpu *gpu,
                                           bool beside);

#endif

/* runner/optim/optimizer.h - optimisers as registry rows: the op that makes an update,
 * and how much state it keeps where.
 *
 * Each group of parameters (session.h) has its state in one piece of the optimizer arena,
 * 64-byte aligned; optimizer_plan hands the pieces out. Group by group one op call:
 * gradient in, parameters and state updated in place. `adamw` follows torch's fused one:
 * moments of rounded parameters are bf16. `adamw_8bit` follows bitsandbytes: one group per
 * tensor, moments in 8 bits with an absmax per 256 elements, tensors under 4096 elements
 * and tables of embeddings in 32 bits. `paged_adamw_32bit` is bitsandbytes' AdamW: fp32
 * moments also of rounded parameters, decay behind the step. Nothing is paged: memory is
 * planned and taken once, so that no spike is left for paging to catch. */
#ifndef RUNNER_OPTIM_OPTIMIZER_H
#define RUNNER_OPTIM_OPTIMIZER_H

#include "kernels/backend.h"
#include <stdbool.h>

/* Parameters that one optimiser call serves. */
struct param_group {
    size_t offset, count; /* floats, padding included */
    size_t elements;      /* without padding; of per_tensor groups their tensor's */
    bool table;           /* of per_tensor groups: of embeddings */
    bool decay;
    bool rounded; /* its parameters are numbers of bf16 (params.h) */
    float lr_ratio;
    size_t state; /* bytes into the optimizer arena */
};

struct optimizer {
    const char *name;
    enum op op;
    bool per_tensor;
    size_t (*state_bytes)(const struct param_group *g);
    /* Fills out[1..] with views of the state at `at`. */
    void (*state)(const struct param_group *g, char *at, struct op_args *args);
};

/* The name is one that the options allow. */
const struct optimizer *optimizer_find(const char *name);
/* Sets `state` of each group; returns the arena's size. */
size_t optimizer_plan(const struct optimizer *o, struct param_group *groups,
                      size_t count);

#endif

/* runner/nn/arch/rope.h - rotary position embeddings by config.json: inverse frequencies
 * and the factor of sines and cosines (Su et al. 2021; transformers'
 * modeling_rope_utils.py).
 *
 * Both spellings are read: rope_parameters {rope_type, rope_theta, ...}, and the older
 * rope_theta beside rope_scaling {rope_type or type, ...}. With D columns of a head
 * rotated, f_i = theta^(-2 i / D) for i < D / 2; the type changes them:
 *   default  f_i
 *   linear   f_i / factor
 *   llama3   wavelengths above original_max_position_embeddings / low_freq_factor by
 *            factor, below .. / high_freq_factor not at all, smoothly between (Llama 3.1)
 *   yarn     Peng et al. 2023: the same idea with a ramp over i, and a factor on sines
 *            and cosines that keeps the entropy of attention
 * Types whose frequencies depend on a sequence's length (dynamic, longrope) are refused by
 * name, as is every other. */
#ifndef RUNNER_NN_ARCH_ROPE_H
#define RUNNER_NN_ARCH_ROPE_H

#include "lib/err.h"
#include <jansson.h>
#include <stdint.h>

struct rope {
    float *frequencies; /* `count` of them, half of the rotated columns; owned */
    int32_t count;
    float factor;
};

/* head_dim: even. Errors start with the key. */
int rope_read(const json_t *config, int32_t head_dim, struct rope *out, struct err *err);
void rope_release(struct rope *r);

#endif

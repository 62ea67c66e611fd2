/* runner/nn/arch/rope.h - rotary position embeddings by config.json: inverse frequencies
 * and the factor of sines and cosines (Su et al. 2021; transformers'
 * modeling_rope_utils.py).
 *
 * Both spellings are read: rope_parameters {rope_type, rope_theta, ...}, one of them or one
 * for each type of layers, and the older rope_theta beside rope_scaling {rope_type or type,
 * ...}. With D columns of a head rotated, f_i = theta^(-2 i / D) for i < D / 2; the type
 * changes them:
 *   default  f_i
 *   linear   f_i / factor
 *   dynamic  a sequence of n tokens beyond max_position_embeddings M: theta times
 *            (factor n / M - factor + 1)^(D / (D - 2))
 *   llama3   wavelengths above original_max_position_embeddings / low_freq_factor by
 *            factor, below .. / high_freq_factor not at all, smoothly between (Llama 3.1)
 *   yarn     Peng et al. 2023: the same idea with a ramp over i, and a factor on sines
 *            and cosines that keeps the entropy of attention
 *   longrope Ding et al. 2024: f_i by short_factor, of sequences beyond
 *            original_max_position_embeddings by long_factor
 * Every other type is refused by name.
 *
 * Where frequencies depend on the length of a sequence its own length decides, never that
 * of the longest beside it (transformers asks the longest of the batch), so that a batch
 * is no other than its rows. Virtual tokens count. */
#ifndef RUNNER_NN_ARCH_ROPE_H
#define RUNNER_NN_ARCH_ROPE_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    ROPE_POSITIONS = 2048,    /* where config.json has none */
    ROPE_MOST_ROWS = 1 << 18, /* 64 MB of heads of 128 columns */
};

/* What a family has where config.json says nothing, and what it takes. */
struct rope_family {
    double theta;
    int32_t original_length; /* original_max_position_embeddings, whatever
                                rope_parameters has; 0: none */
    bool partial;            /* partial_rotary_factor is taken */
    bool only_longrope;      /* and default; "su" and "yarn" are old names of longrope */
};

/* A sequence of n tokens has row min(max(n - length, 0), rows - 1) of frequencies. */
struct rope {
    float *frequencies; /* rows x count, half of the rotated columns; owned */
    int32_t count, rows, length;
    float factor;
};

/* layer_type: "sliding_attention" where a family has a table for each type, or NULL.
 * Errors start with the key. */
int rope_read(const json_t *config, const struct rope_family *family,
              const char *layer_type, int32_t head_dim, struct rope *out,
              struct err *err);
void rope_release(struct rope *r);

/* The longest sequence: max_position_embeddings; with `dynamic`, which has no end of its
 * own, four times what its factor is for (ROPE_MOST_ROWS more at most). */
int32_t rope_positions(const json_t *config);

#endif

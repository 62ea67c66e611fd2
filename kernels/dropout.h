/* kernels/dropout.h - the dropout mask, one definition for every backend.
 *
 * Keep element (row, col) of a site when u >= p, where u is the 24-bit uniform from word
 * (col & 3) of philox4x32(key = {seed low 32, seed high 32 ^ 0x9E3779B9}, counter =
 * {token_base + row, col >> 2, site, step}). For attention probabilities row is the
 * query's token, col = DROPOUT_COL(head, key position within its sequence, virtual keys
 * first). So a mask depends on the trial's own seed, update, site, token and feature,
 * never on how rows are packed. */
#ifndef KERNELS_DROPOUT_H
#define KERNELS_DROPOUT_H

#include "kernels/backend.h"
#include <stdbool.h>

/* Columns of different heads and keys differ for 1024 heads of 2^22 keys: from the top 6
 * bits of the key's block of 65536, 10 of the head, 16 of the key in its block. A multiple
 * of 4 for a key that is one, so that four keys share a counter. */
#define DROPOUT_COL(head, key)                                                           \
    (((uint32_t)(key) >> 16) << 26 | (uint32_t)(head) << 16 | (uint32_t)(key) % 65536)

/* Scalar definition (the judge). Attention: pass col as defined above. */
bool dropout_keep(const struct op_step *step, uint32_t site, float p, uint32_t row,
                  uint32_t col);

#endif

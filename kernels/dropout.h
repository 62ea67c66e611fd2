/* kernels/dropout.h - the dropout mask, one definition for every backend.
 *
 * Keep element (row, col) of a site when u >= p, where u is the 24-bit uniform from word
 * (col & 3) of philox4x32(key = {seed low 32, seed high 32 ^ 0x9E3779B9}, counter =
 * {token_base + row, col >> 2, site, step}). For attention probabilities row is the
 * query's token, col = head * 65536 + key position within its sequence (virtual keys
 * first). So a mask depends on the trial's own seed, update, site, token and feature,
 * never on how rows are packed. */
#ifndef KERNELS_DROPOUT_H
#define KERNELS_DROPOUT_H

#include "kernels/backend.h"
#include <stdbool.h>

/* Scalar definition (the judge). Attention: pass col as defined above. */
bool dropout_keep(const struct op_step *step, uint32_t site, float p, uint32_t row,
                  uint32_t col);

#endif

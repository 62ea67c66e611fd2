/* runner/hub/blocks.h - GGUF's block types: how a tensor's numbers lie in bytes.
 *
 * A row of a weight is a whole number of blocks, and a block holds `elements` numbers in
 * `bytes` bytes: small integers with one or two half-precision scales, or, in the K types,
 * sub-blocks with scales of their own. What `unpack` gives equals gguf-py 0.19
 * (gguf/quants.py) bit for bit: everything in fp32, products and sums rounded one by one
 * (ggml-quants.c, dequantize_row_*, is the original). `pack` goes the other way, as
 * ggml's reference quantisers do (quantize_row_q8_0_ref: d = largest / 127 in fp32, codes
 * rounded half away from zero, d kept as half): F32, F16, BF16 and Q8_0 are written. */
#ifndef RUNNER_HUB_BLOCKS_H
#define RUNNER_HUB_BLOCKS_H

#include "kernels/tensor.h"
#include <stdint.h>

struct block_type {
    uint32_t number; /* in the file */
    const char *name;
    int elements, bytes;
    void (*unpack)(const uint8_t *block, float *out);
    void (*pack)(const float *in, uint8_t *block); /* NULL: nobody has written it */
};

#define BLOCK_ELEMENTS_MAX 256

/* NULL: not known */
const struct block_type *block_type_find(uint32_t number);
const struct block_type *block_type_named(const char *name); /* upper or lower case */
/* "F32, F16, ...", for messages */
const char *block_type_names(void);

/* Of plain numbers; DT_COUNT: of blocks. */
enum dtype block_type_dtype(const struct block_type *t);

#endif

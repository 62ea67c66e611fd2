/* kernels/nf4.h - 4-bit block quantisation, byte for byte as bitsandbytes' CPU code (NF4,
 * FP4; double quantisation).
 *
 * A matrix is flattened row-major and cut into blocks of `block` elements (the last may
 * be short). absmax is the block's largest magnitude in fp32; a code is the table's entry
 * nearest to x * (1 / absmax), in a short block x / absmax; absmax is taken for at least
 * 1e-38. NF4: ties take the lower code, the last cut point is 0x1.b913b4p-1, an all-zero
 * block gets code 7. Element 2i is in the high nibble of byte i, 2i+1 in the low.
 *
 * Double quantisation: offset = fp32 mean of absmax, summed as torch does on one thread
 * (on several its own last bit differs above 32,768 blocks); absmax - offset goes through
 * the signed dynamic 8-bit map in blocks of 256 with fp32 absmax2, by the grid of
 * bitsandbytes' CPU code (dynamic_on_grid). bitsandbytes on a GPU takes the nearest entry
 * instead, so a base that it quantises there differs in the codes of some block maxima,
 * by one. Here every backend has the CPU's bytes: a trial gives the same weights wherever
 * it runs. Who needs a GPU's bytes starts from a folder that was quantised there; it is
 * read as it is.
 *
 * Dequantised: table[code] * absmax in fp32. Reference: bitsandbytes 0.50 functional.py,
 * backends/default/ops.py and csrc/cpu_ops.cpp; facts in QLoRA (Dettmers et al. 2023). */
#ifndef KERNELS_NF4_H
#define KERNELS_NF4_H

#include "kernels/dynamic8.h"
#include "kernels/tensor.h"
#include "lib/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const float nf4_table[16], fp4_table[16];

/* Of what the quantised form of a matrix says all: rows, cols, quant, block, double_quant,
 * and what the values are rounded to. Where the parts lie in its buffer (all 64-byte
 * aligned): every backend's prepared form of such a weight is these bytes. */
struct q4_layout {
    size_t n, blocks, groups; /* groups of 256 blocks */
    size_t codes, absmax, absmax2, offset,
        bytes; /* byte offsets, total. absmax: U8 codes if double, else F32 */
};
struct q4_layout q4_layout(const struct weight_spec *spec);

/* Refuses what has no 4-bit form: a block size that is no power of two in 32..4096, a
 * value that is not finite. */
int q4_check(const float *src, const struct weight_spec *spec, struct err *err);
/* Its two halves; `first` is the number of src's first element, for the message. */
int q4_check_block(const struct weight_spec *spec, struct err *err);
int q4_check_values(const float *src, size_t count, size_t first, struct err *err);
void q4_quantize(const float *src, const struct weight_spec *spec, void *dst);
/* Its two halves: the maxima (fp32) of blocks [begin, end) and their codes, in any order
 * of calls, src from block `begin` on; then what is kept of the maxima, which are
 * overwritten. */
void q4_quantize_blocks(const float *src, const struct weight_spec *spec, size_t begin,
                        size_t end, float *absmax, void *dst);
void q4_keep_absmax(float *absmax, const struct weight_spec *spec, void *dst);
/* Elements [begin, begin + count) as fp32. */
void q4_dequantize(const void *q, const struct weight_spec *spec, size_t begin,
                   size_t count, float *dst);
/* The absmax values after their own round trip. */
void q4_absmax(const void *q, const struct weight_spec *spec, float *dst);
/* A value as spec->rounded holds it, to nearest, ties to even. */
float q4_rounded(enum dtype t, float x);

/* Between which values an ascending code's reach ends, and the codes in that order. */
void q4_cut_points(enum quant_kind kind, float cuts[15]);
extern const uint8_t nf4_ascending[16], fp4_ascending[16];
/* No block is scaled by less: its codes are then those of zero, or near it. */
#define Q4_ABSMAX_MIN 1e-38f

/* bitsandbytes' AVX-512 kernel (csrc/cpu_ops.cpp, 0.50) takes widths that are a multiple
 * of 16, blocks below 2,048, and reads absmax[row * (cols / block) + col / block], which
 * is the block of an element only where the block divides the width: another such matrix
 * comes back wrong from it (CUDA, and the plain loop that serves all others, are right).
 * Models that were tuned with it hold such values, so they are reproduced: the caller
 * keeps an irregular matrix as the fp32 values of this round trip. */
bool q4_is_irregular(int32_t cols, int32_t block);
void q4_round_trip(const float *src, const struct weight_spec *spec, float *dst);
/* Its second half, from the bytes of q4_layout. */
void q4_back(const void *q, const struct weight_spec *spec, float *dst);

#endif

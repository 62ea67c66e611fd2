/* kernels/q4_round_trip.c - what bitsandbytes' CPU code gives back for widths that its
 * kernel does not expect. */
#include "kernels/nf4.h"
#include "lib/mem.h"
#include <stdlib.h>

bool q4_is_irregular(int32_t cols, int32_t block)
{
    return block < 2048 && cols % 16 == 0 && cols % block != 0;
}

void q4_round_trip(const float *src, int32_t rows, int32_t cols, enum quant_kind kind,
                   int32_t block, int double_quant, float *dst)
{
    const size_t n = (size_t)rows * (size_t)cols;
    const struct q4_layout l = q4_layout(n, block, double_quant);
    const float *table = kind == QUANT_FP4 ? fp4_table : nf4_table;
    uint8_t *q = xmalloc(l.bytes);
    float *absmax = xmalloc(l.blocks * sizeof *absmax);
    q4_quantize(src, n, kind, block, double_quant, q);
    q4_absmax(q, n, block, double_quant, absmax);
    const bool irregular = q4_is_irregular(cols, block);
    for (size_t i = 0; i < n; i++) {
        const size_t row = i / (size_t)cols, col = i % (size_t)cols;
        const size_t wrong = row * (size_t)(cols / block) + col / (size_t)block;
        const uint8_t byte = q[l.codes + i / 2];
        dst[i] = table[i % 2 ? byte & 15 : byte >> 4] *
                 absmax[irregular ? wrong : i / (size_t)block];
    }
    free(absmax);
    free(q);
}

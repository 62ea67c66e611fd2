/* kernels/q4_round_trip.c - what bitsandbytes' CPU code gives back for widths that its
 * kernel does not expect. */
#include "kernels/nf4.h"
#include "lib/mem.h"
#include <stdlib.h>

bool q4_is_irregular(int32_t cols, int32_t block)
{
    return block < 2048 && cols % 16 == 0 && cols % block != 0;
}

void q4_back(const void *q, const struct weight_spec *spec, float *dst)
{
    const struct q4_layout l = q4_layout(spec);
    const float *table = spec->quant == QUANT_FP4 ? fp4_table : nf4_table;
    const size_t cols = (size_t)spec->cols, block = (size_t)spec->block;
    const bool irregular = q4_is_irregular(spec->cols, spec->block);
    const uint8_t *codes = (const uint8_t *)q + l.codes;
    float *absmax = xmalloc(l.blocks * sizeof *absmax);
    q4_absmax(q, spec, absmax);
    for (size_t i = 0; i < l.n; i++) {
        const size_t wrong = i / cols * (cols / block) + i % cols / block;
        const int code = i % 2 ? codes[i / 2] & 15 : codes[i / 2] >> 4;
        dst[i] = q4_rounded(spec->rounded,
                            table[code] * absmax[irregular ? wrong : i / block]);
    }
    free(absmax);
}

void q4_round_trip(const float *src, const struct weight_spec *spec, float *dst)
{
    void *q = xmalloc(q4_layout(spec).bytes);
    q4_quantize(src, spec, q);
    q4_back(q, spec, dst);
    free(q);
}

/* kernels/cpu/simd/philox.h - the dropout mask, W counters at a time.
 *
 * The same function as lib/rng.h's philox4x32 and the same mask as dropout_keep, bit for
 * bit: a uniform of 24 bits is >= p when its integer is >= ceil(p 2^24). */
#ifndef KERNELS_CPU_SIMD_PHILOX_H
#define KERNELS_CPU_SIMD_PHILOX_H

#include "kernels/backend.h"
#include "kernels/cpu/simd/vec.h"

struct mask_stream {
    uint32_t key[2], token_base, site, step;
    vi threshold; /* kept from this 24-bit number on */
    float scale;  /* 1 / (1 - p) */
};

INLINE struct mask_stream mask_stream(const struct op_step *step, const struct op_attr *a)
{
    return (struct mask_stream){
        .key = {(uint32_t)step->seed, (uint32_t)(step->seed >> 32) ^ 0x9E3779B9u},
        .token_base = step->token_base,
        .site = a->site,
        .step = step->step,
        .threshold = (int32_t)ceilf(a->p * 0x1p24f) - (vi){0},
        .scale = 1 / (1 - a->p),
    };
}

INLINE void vu_multiply(vu a, uint32_t b, vu *high, vu *low)
{
    vu64 factor = b - (vu64){0};
    vu64 even = vu_mul_even((vu64)a, factor), odd = vu_mul_even((vu64)a >> 32, factor);
    const uint64_t lower = 0xffffffffu;
    *high = (vu)(even >> 32 | (odd & ~lower));
    *low = (vu)((even & lower) | odd << 32);
}

/* The four words of the counters {row, group, site, step}. */
INLINE void philox_words(const struct mask_stream *m, vu row, vu group, vu word[4])
{
    vu c0 = row, c1 = group, c2 = m->site - (vu){0}, c3 = m->step - (vu){0};
    uint32_t k0 = m->key[0], k1 = m->key[1];
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        vu high0, low0, high1, low1;
        vu_multiply(c0, 0xD2511F53u, &high0, &low0);
        vu_multiply(c2, 0xCD9E8D57u, &high1, &low1);
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    word[0] = c0;
    word[1] = c1;
    word[2] = c2;
    word[3] = c3;
}

/* y where the word's uniform is >= p, else 0. */
INLINE vf mask_apply(const struct mask_stream *m, vu word, vf y)
{
    return vf_zero_if_less((vi)(word >> 8), m->threshold, y);
}

#endif

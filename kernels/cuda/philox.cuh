/* kernels/cuda/philox.cuh - the dropout mask: the function of kernels/dropout.h, bit for
 * bit. A uniform of 24 bits is >= p when its integer is >= ceil(p 2^24). */
#ifndef KERNELS_CUDA_PHILOX_CUH
#define KERNELS_CUDA_PHILOX_CUH

#include "kernels/cuda/device.cuh"

struct mask_stream {
    uint32_t key[2], token_base, site, step;
    uint32_t threshold; /* kept from this 24-bit number on */
    float scale;        /* 1 / (1 - p) */
};

__host__ __device__ inline struct mask_stream mask_stream(const struct op_args &a)
{
    struct mask_stream m;
    m.key[0] = (uint32_t)a.step.seed;
    m.key[1] = (uint32_t)(a.step.seed >> 32) ^ 0x9E3779B9u;
    m.token_base = a.step.token_base;
    m.site = a.attr.site;
    m.step = a.step.step;
    m.threshold = (uint32_t)ceilf(a.attr.p * 16777216.0f);
    m.scale = 1 / (1 - a.attr.p);
    return m;
}

/* The words of columns 4 group .. 4 group + 3 (philox4x32-10; Salmon et al. 2011). */
__device__ inline void mask_words(const struct mask_stream &m, uint32_t row,
                                  uint32_t group, uint32_t word[4])
{
    uint32_t c0 = m.token_base + row, c1 = group, c2 = m.site, c3 = m.step;
    uint32_t k0 = m.key[0], k1 = m.key[1];
    for (int round = 0; round < 10; round++) {
        const uint32_t high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        const uint32_t high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
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

/* The factor of an element: 0, or 1 / (1 - p). */
__device__ inline float mask_factor(const struct mask_stream &m, uint32_t word)
{
    return word >> 8 >= m.threshold ? m.scale : 0.0f;
}

__device__ inline float mask_at(const struct mask_stream &m, uint32_t row, uint32_t col)
{
    uint32_t word[4];
    mask_words(m, row, col >> 2, word);
    const uint32_t low = col & 1 ? word[1] : word[0], high = col & 1 ? word[3] : word[2];
    return mask_factor(m, col & 2 ? high : low);
}

#endif

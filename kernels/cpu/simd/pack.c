/* kernels/cpu/simd/pack.c - operands in the order in which a tile reads them. */
#include "kernels/cpu/simd/simd.h"

void pack_transpose(float *dst, size_t stride, const float *src, int64_t ld, int rows,
                    int k)
{
    for (int begin = 0; begin < k; begin += W) {
        vf v[W];
        const int n = left(k, begin);
        for (int r = 0; r < W; r++)
            v[r] = (vf){0};
        if (n == W && rows == W)
#pragma GCC unroll 16
            for (int r = 0; r < W; r++)
                v[r] = vf_load(src + r * ld + begin);
        else
            for (int r = 0; r < rows; r++)
                v[r] = n == W ? vf_load(src + r * ld + begin)
                              : vf_load_n(src + r * ld + begin, n);
        vf_transpose(v);
        float *d = dst + (size_t)begin * stride;
        if (n == W)
#pragma GCC unroll 16
            for (int i = 0; i < W; i++)
                vf_store(d + i * stride, v[i]);
        else
            for (int i = 0; i < n; i++)
                vf_store(d + i * stride, v[i]);
    }
}

void pack_copy(float *dst, size_t stride, const float *src, int64_t ld, int cols, int k)
{
    if (cols >= W)
        for (int i = 0; i < k; i++)
            vf_store(dst + i * stride, vf_load(src + i * ld));
    else
        for (int i = 0; i < k; i++)
            vf_store(dst + i * stride, vf_load_n(src + i * ld, cols));
}

/* kernels/cpu/simd/vec.h - vectors of CPU_WIDTH floats and what C lacks for them.
 *
 * GCC's vector extension does most of it: + - * / and comparisons are plain C. Here are
 * the types, loads with fewer than W elements (the edges of every matrix), a product-sum
 * with one rounding, selection and the lane shuffles. Intrinsics only where the compiler
 * does not find the instruction.
 *
 * vf_fma is explicit wherever the same sum is computed by several functions (tiles of
 * different height, main loop and edge): a compiler's own choice of contraction could
 * differ between them, and rows must not depend on which one they fall into. */
#ifndef KERNELS_CPU_SIMD_VEC_H
#define KERNELS_CPU_SIMD_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif
#ifdef CPU_NEON
#include <arm_neon.h>
#endif

#define W CPU_WIDTH

typedef float vf __attribute__((vector_size(W * 4)));
typedef int32_t vi __attribute__((vector_size(W * 4)));
typedef uint32_t vu __attribute__((vector_size(W * 4)));
typedef uint64_t vu64 __attribute__((vector_size(W * 4)));
/* W floats anywhere in memory. */
typedef float vf_mem __attribute__((vector_size(W * 4), aligned(4), may_alias));
/* W / 2 doubles, and the floats they come from. */
typedef double vd __attribute__((vector_size(W * 4)));
typedef float vf_half __attribute__((vector_size(W * 2), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vf vf_splat(float x)
{
    return x - (vf){0};
}

/* Keeps a value in a register, where the compiler would rather load it again. */
#if CPU_WIDTH == 16
#define vf_keep(v) __asm__("" : "+v"(v))
#elif defined(__x86_64__) || defined(__i386__)
#define vf_keep(v) __asm__("" : "+x"(v))
#elif defined(CPU_NEON)
#define vf_keep(v) __asm__("" : "+w"(v))
#else
#define vf_keep(v) (void)(v)
#endif

INLINE vf vf_load(const float *p)
{
    return *(const vf_mem *)p;
}

INLINE void vf_store(float *p, vf v)
{
    *(vf_mem *)p = v;
}

/* W floats as W / 2 doubles twice. */
INLINE vd vd_load(const float *p)
{
    return __builtin_convertvector(*(const vf_half *)p, vd);
}

#if CPU_WIDTH == 16

INLINE __mmask16 vf_mask(int n)
{
    return (__mmask16)((1u << n) - 1);
}

/* The first n elements, 0 <= n <= W; zero in the others. */
INLINE vf vf_load_n(const float *p, int n)
{
    return (vf)_mm512_maskz_loadu_ps(vf_mask(n), p);
}

INLINE void vf_store_n(float *p, vf v, int n)
{
    _mm512_mask_storeu_ps(p, vf_mask(n), (__m512)v);
}

INLINE vf vf_fma(vf a, vf b, vf c)
{
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

/* b where either is not a number. */
INLINE vf vf_max(vf a, vf b)
{
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
}

INLINE vf vf_min(vf a, vf b)
{
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
}

INLINE vf vf_sqrt(vf a)
{
    return (vf)_mm512_sqrt_ps((__m512)a);
}

/* x 2^n for an integral n, overflowing and underflowing as it should */
INLINE vf vf_scale(vf x, vf n)
{
    return (vf)_mm512_scalef_ps((__m512)x, (__m512)n);
}

/* a < b ? x : y */
INLINE vf vf_if_less(vf a, vf b, vf x, vf y)
{
    __mmask16 m = _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
    return (vf)_mm512_mask_blend_ps(m, (__m512)y, (__m512)x);
}

/* a < b ? 0 : y, of integers */
INLINE vf vf_zero_if_less(vi a, vi b, vf y)
{
    __mmask16 m = _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b);
    return (vf)_mm512_mask_mov_ps((__m512)y, m, _mm512_setzero_ps());
}

/* Products of the even lanes, 64 bits each. */
INLINE vu64 vu_mul_even(vu64 a, vu64 b)
{
    return (vu64)_mm512_mul_epu32((__m512i)a, (__m512i)b);
}

#else

INLINE vf vf_bits(vi mask, vf x, vf y)
{
#ifdef CPU_NEON
    return (vf)vbslq_f32((uint32x4_t)mask, (float32x4_t)x, (float32x4_t)y);
#else
    return (vf)((mask & (vi)x) | (~mask & (vi)y));
#endif
}

INLINE vf vf_if_less(vf a, vf b, vf x, vf y)
{
    return vf_bits(a < b, x, y);
}

/* In two halves, because 2^n alone may be out of range; |n| < 250. */
INLINE vf vf_scale(vf x, vf n)
{
    vi k = __builtin_convertvector(n, vi), half = k >> 1;
    return x * (vf)((half + 127) << 23) * (vf)((k - half + 127) << 23);
}

INLINE vf vf_zero_if_less(vi a, vi b, vf y)
{
    return (vf)(~(a < b) & (vi)y);
}

#if CPU_WIDTH == 8

INLINE __m256i vf_mask(int n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
}

INLINE vf vf_load_n(const float *p, int n)
{
    return (vf)_mm256_maskload_ps(p, vf_mask(n));
}

INLINE void vf_store_n(float *p, vf v, int n)
{
    _mm256_maskstore_ps(p, vf_mask(n), (__m256)v);
}

INLINE vf vf_fma(vf a, vf b, vf c)
{
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

INLINE vf vf_max(vf a, vf b)
{
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
}

INLINE vf vf_min(vf a, vf b)
{
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
}

INLINE vf vf_sqrt(vf a)
{
    return (vf)_mm256_sqrt_ps((__m256)a);
}

INLINE vu64 vu_mul_even(vu64 a, vu64 b)
{
    return (vu64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
}

#elif defined(CPU_NEON)

#include "kernels/cpu/simd/vec/neon.h"

#else

INLINE vf vf_load_n(const float *p, int n)
{
    float t[W] = {0};
    for (int i = 0; i < W && i < n; i++)
        t[i] = p[i];
    return vf_load(t);
}

INLINE void vf_store_n(float *p, vf v, int n)
{
    for (int i = 0; i < W && i < n; i++)
        p[i] = v[i];
}

INLINE vf vf_fma(vf a, vf b, vf c)
{
    return a * b + c;
}

INLINE vf vf_max(vf a, vf b)
{
    return vf_bits(a > b, a, b);
}

INLINE vf vf_min(vf a, vf b)
{
    return vf_bits(a < b, a, b);
}

INLINE vf vf_sqrt(vf a)
{
    for (int i = 0; i < W; i++)
        a[i] = sqrtf(a[i]);
    return a;
}

INLINE vu64 vu_mul_even(vu64 a, vu64 b)
{
#ifdef __SSE2__
    return (vu64)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

#endif
#endif

/* Lane shuffles of two vectors: interleaved a0 b0 a1 b1 .. (lower and upper half of the
 * result), the even and the odd lanes of both. */
#if CPU_WIDTH == 16
#define LANES_LOW  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define LANES_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define LANES_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define LANES_ODD  1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LANES      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#elif CPU_WIDTH == 8
#define LANES_LOW  0, 8, 1, 9, 2, 10, 3, 11
#define LANES_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define LANES_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define LANES_ODD  1, 3, 5, 7, 9, 11, 13, 15
#define LANES      0, 1, 2, 3, 4, 5, 6, 7
#else
#define LANES_LOW  0, 4, 1, 5
#define LANES_HIGH 2, 6, 3, 7
#define LANES_EVEN 0, 2, 4, 6
#define LANES_ODD  1, 3, 5, 7
#define LANES      0, 1, 2, 3
#endif
#define vec_low(a, b)  __builtin_shufflevector(a, b, LANES_LOW)
#define vec_high(a, b) __builtin_shufflevector(a, b, LANES_HIGH)
#define vec_even(a, b) __builtin_shufflevector(a, b, LANES_EVEN)
#define vec_odd(a, b)  __builtin_shufflevector(a, b, LANES_ODD)

/* Sums of neighbours: a0+a1, a2+a3, .., b0+b1, .. */
INLINE vf vf_pairs(vf a, vf b)
{
#ifdef CPU_NEON
    return (vf)vpaddq_f32((float32x4_t)a, (float32x4_t)b);
#else
    return vec_even(a, b) + vec_odd(a, b);
#endif
}

/* Always the same tree, so a sum's bits depend on its elements' places only. */
INLINE float vf_sum(vf v)
{
    for (int lanes = W; lanes > 1; lanes /= 2)
        v = vf_pairs(v, v);
    return v[0];
}

INLINE float vf_max_lane(vf v)
{
    float m = v[0];
    for (int i = 1; i < W; i++)
        m = v[i] > m ? v[i] : m;
    return m;
}

INLINE double vd_sum(vd v)
{
    double s = 0;
    for (int i = 0; i < W / 2; i++)
        s += v[i];
    return s;
}

/* Rows to columns, in log2 W rounds of interleaving row i with row i + W/2. */
INLINE void vf_transpose(vf r[W])
{
#pragma GCC unroll 4
    for (int round = 1; round < W; round *= 2) {
        vf t[W];
#pragma GCC unroll 8
        for (int i = 0; i < W / 2; i++) {
            t[2 * i] = vec_low(r[i], r[i + W / 2]);
            t[2 * i + 1] = vec_high(r[i], r[i + W / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < W; i++)
            r[i] = t[i];
    }
}

/* ---- numbers of 16 bits, exactly ---- */

#if CPU_WIDTH == 16

INLINE vf vf_of_bf16(const uint16_t *p)
{
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16);
}

INLINE vf vf_of_half(const uint16_t *p)
{
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

#elif CPU_WIDTH == 8

INLINE vf vf_of_bf16(const uint16_t *p)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16);
}

INLINE vf vf_of_half(const uint16_t *p)
{
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

#elif !defined(CPU_NEON)

INLINE vu vu_of_u16(const uint16_t *p)
{
    vu v = {0};
    for (int i = 0; i < W; i++)
        v[i] = p[i];
    return v;
}

INLINE vf vf_of_bf16(const uint16_t *p)
{
    return (vf)(vu_of_u16(p) << 16);
}

/* As half_to_float (kernels/half.h). */
INLINE vf vf_of_half(const uint16_t *p)
{
    const vu h = vu_of_u16(p), size = (h & 0x7fff) << 13;
    const vf x = (vf)size * 0x1p112f;
    return (vf)((vu)x | (h >> 15) << 31 | ((vu)(size >= 0x0f800000) & 0x7f800000));
}

#endif

/* ---- bf16: words of two, the first in the lower half ---- */

/* To the nearest bf16, ties to even, as the upper half of fp32 bits; NaN stays NaN. */
INLINE vu bf16_round(vf x)
{
    const vu bits = (vu)x, nan = (vu)(x != x);
    const vu rounded = bits + 0x7fff + (bits >> 16 & 1);
    return ((rounded & ~nan) | ((bits | 0x400000) & nan)) & 0xffff0000u;
}

/* To the nearest half, ties to even, as fp32. */
INLINE vf half_round(vf x)
{
    const vu bits = (vu)x, size = bits & 0x7fffffff;
    const vu normal = (size + 0xfff + (size >> 13 & 1)) & ~0x1fffu;
    /* below 2^-14, in steps of 2^-24: the sum rounds */
    const vu low = (vu)((vf)size + 0.5f - 0.5f), is_low = (vu)(size < 0x38800000);
    const vu is_high = (vu)(size >= 0x477ff000); /* rounds to 65,536 */
    const vu y = (low & is_low) | (normal & ~is_low & ~is_high) | (0x7f800000 & is_high);
    return (vf)(y | (bits & 0x80000000u));
}

/* Words of the pairs lower[i], upper[i]. */
INLINE vf bf16_pairs(vf lower, vf upper)
{
    return (vf)(bf16_round(lower) >> 16 | bf16_round(upper));
}

/* n <= W single ones; zero beyond. */
INLINE vf bf16_widen(const uint16_t *x, int n)
{
    typedef uint16_t vh __attribute__((vector_size(2 * W)));
    vh half = {0};
    memcpy(&half, x, n == W ? sizeof(half) : (size_t)n * sizeof(*x));
    return (vf)(__builtin_convertvector(half, vu) << 16);
}

INLINE vf bf16_splat(const void *word)
{
    return (vf)(*(const uint32_t *)word - (vu){0});
}

#ifdef __AVX512BF16__

/* Words of 2 W numbers that follow one another. */
INLINE vf bf16_words(vf a, vf b)
{
    return (vf)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
}

/* To the nearest bf16, as fp32. */
INLINE vf bf16_rounded(vf x)
{
    const __m256bh half = _mm512_cvtneps_pbh((__m512)x);
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)half), 16);
}

/* Both products of each word, added to c. */
INLINE vf bf16_fma(vf a, vf b, vf c)
{
    return (vf)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
}

#elif !defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)

INLINE vf bf16_words(vf a, vf b)
{
    return bf16_pairs(vec_even(a, b), vec_odd(a, b));
}

INLINE vf bf16_rounded(vf x)
{
    return (vf)bf16_round(x);
}

INLINE vf bf16_fma(vf a, vf b, vf c)
{
    c = vf_fma((vf)((vu)a & 0xffff0000u), (vf)((vu)b & 0xffff0000u), c);
    return vf_fma((vf)((vu)a << 16), (vf)((vu)b << 16), c);
}

#endif

#endif

/* kernels/cpu/simd/q4.c - 4-bit codes to fp32, W at a time.
 *
 * The 16 values sit in registers and a lane permutation looks them up (AVX-512: one;
 * AVX2: two and a choice). kernels/nf4.h fixes the layout: high nibble first. */
#include "kernels/cpu/simd/simd.h"
#include "kernels/nf4.h"

struct q4 V(q4_open)(const struct weight_spec *spec, const void *data)
{
    const struct q4_layout l = q4_layout(spec);
    const uint8_t *bytes = data;
    struct q4 q = {
        .spec = spec,
        .block_log2 = __builtin_ctz((unsigned)spec->block),
        .codes = bytes + l.codes,
        .absmax = bytes + l.absmax,
        .table = spec->quant == QUANT_FP4 ? fp4_table : nf4_table,
    };
    if (spec->double_quant) {
        q.absmax2 = (const float *)(const void *)(bytes + l.absmax2);
        q.map = dynamic_map_signed();
        memcpy(&q.offset, bytes + l.offset, sizeof(q.offset));
    }
    return q;
}

INLINE float block_absmax(const struct q4 *q, size_t block)
{
    if (!q->spec->double_quant)
        return ((const float *)q->absmax)[block];
    float product = q->map[((const uint8_t *)q->absmax)[block]] * q->absmax2[block / 256];
    /* Two roundings, as in nf4.c: a fused multiply-add would differ in the last bit. */
    __asm__("" : "+m"(product));
    return product + q->offset;
}

INLINE float one(const struct q4 *q, size_t i, float absmax)
{
    const int code = i & 1 ? q->codes[i / 2] & 15 : q->codes[i / 2] >> 4;
    return q4_rounded(q->spec->rounded, q->table[code] * absmax);
}

#if CPU_WIDTH == 16

typedef __m512 table_regs;

INLINE table_regs load_table(const float *table)
{
    return _mm512_loadu_ps(table);
}

INLINE vf look_up(table_regs table, const uint8_t *codes)
{
    __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)codes);
    __m128i low = _mm_set1_epi8(15), high = _mm_and_si128(_mm_srli_epi16(x, 4), low);
    __m128i nibbles = _mm_unpacklo_epi8(high, _mm_and_si128(x, low));
    return (vf)_mm512_permutexvar_ps(_mm512_cvtepu8_epi32(nibbles), table);
}

#elif CPU_WIDTH == 8

typedef struct {
    __m256 lower, upper;
} table_regs;

INLINE table_regs load_table(const float *table)
{
    return (table_regs){_mm256_loadu_ps(table), _mm256_loadu_ps(table + 8)};
}

INLINE vf look_up(table_regs table, const uint8_t *codes)
{
    int32_t four;
    memcpy(&four, codes, sizeof(four));
    __m128i x = _mm_cvtsi32_si128(four);
    __m128i low = _mm_set1_epi8(15), high = _mm_and_si128(_mm_srli_epi16(x, 4), low);
    __m256i index = _mm256_cvtepu8_epi32(_mm_unpacklo_epi8(high, _mm_and_si128(x, low)));
    __m256 a = _mm256_permutevar8x32_ps(table.lower, index);
    __m256 b = _mm256_permutevar8x32_ps(table.upper, index);
    /* The index's bit 3, moved to the sign, chooses. */
    return (vf)_mm256_blendv_ps(a, b, (__m256)_mm256_slli_epi32(index, 28));
}

#else

typedef const float *table_regs;

INLINE table_regs load_table(const float *table)
{
    return table;
}

INLINE vf look_up(table_regs table, const uint8_t *codes)
{
    vf v;
    for (int i = 0; i < W / 2; i++) {
        v[2 * i] = table[codes[i] >> 4];
        v[2 * i + 1] = table[codes[i] & 15];
    }
    return v;
}

#endif

INLINE vf rounded(enum dtype t, vf x)
{
    return t == DT_BF16 ? (vf)bf16_round(x) : t == DT_F16 ? half_round(x) : x;
}

/* For one `t` each, so that the loop has no question in it. */
INLINE void range(const struct q4 *q, size_t begin, size_t count, float *dst,
                  enum dtype t)
{
    const table_regs table = load_table(q->table);
    const size_t size = (size_t)q->spec->block, end = begin + count;
    size_t block = begin >> q->block_log2, next = (block + 1) * size;
    for (size_t i = begin; i < end; block++, next += size) {
        const size_t stop = next < end ? next : end;
        const float absmax = block_absmax(q, block);
        if (i & 1 && i < stop)
            *dst++ = one(q, i++, absmax);
        for (; i + W <= stop; i += W, dst += W)
            vf_store(dst, rounded(t, look_up(table, q->codes + i / 2) * absmax));
        for (; i < stop; i++)
            *dst++ = one(q, i, absmax);
    }
}

void V(q4_range)(const struct q4 *q, size_t begin, size_t count, float *dst)
{
    if (q->spec->rounded == DT_F16)
        range(q, begin, count, dst, DT_F16);
    else if (q->spec->rounded == DT_BF16)
        range(q, begin, count, dst, DT_BF16);
    else
        range(q, begin, count, dst, DT_F32);
}

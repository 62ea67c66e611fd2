/* kernels/cpu/simd/q4.c - 4-bit codes to fp32, W at a time: along a row, or as columns of a
 * panel. For the latter words of eight codes are turned, not numbers: an eighth of the work.
 *
 * The 16 values sit in registers and a lane permutation looks them up (AVX-512: one;
 * AVX2: two and a choice; NEON: one for each byte of 16 values, which then go together).
 * kernels/nf4.h fixes the layout: high nibble first. */
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

/* look_up: VECTORS of them from the codes that follow one another. */
#ifdef CPU_NEON
enum { VECTORS = 4 };
#else
enum { VECTORS = 1 };
#endif

#if CPU_WIDTH == 16

typedef __m512 table_regs;

INLINE table_regs load_table(const float *table)
{
    return _mm512_loadu_ps(table);
}

INLINE void look_up(table_regs table, const uint8_t *codes, vf v[VECTORS])
{
    __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)codes);
    __m128i low = _mm_set1_epi8(15), high = _mm_and_si128(_mm_srli_epi16(x, 4), low);
    __m128i nibbles = _mm_unpacklo_epi8(high, _mm_and_si128(x, low));
    v[0] = (vf)_mm512_permutexvar_ps(_mm512_cvtepu8_epi32(nibbles), table);
}

#elif CPU_WIDTH == 8

typedef struct {
    __m256 lower, upper;
} table_regs;

INLINE table_regs load_table(const float *table)
{
    return (table_regs){_mm256_loadu_ps(table), _mm256_loadu_ps(table + 8)};
}

INLINE void look_up(table_regs table, const uint8_t *codes, vf v[VECTORS])
{
    int32_t four;
    memcpy(&four, codes, sizeof(four));
    __m128i x = _mm_cvtsi32_si128(four);
    __m128i low = _mm_set1_epi8(15), high = _mm_and_si128(_mm_srli_epi16(x, 4), low);
    __m256i index = _mm256_cvtepu8_epi32(_mm_unpacklo_epi8(high, _mm_and_si128(x, low)));
    __m256 a = _mm256_permutevar8x32_ps(table.lower, index);
    __m256 b = _mm256_permutevar8x32_ps(table.upper, index);
    /* The index's bit 3, moved to the sign, chooses. */
    v[0] = (vf)_mm256_blendv_ps(a, b, (__m256)_mm256_slli_epi32(index, 28));
}

#elif defined(CPU_NEON)

typedef struct {
    uint8x16x4_t bytes; /* all first bytes, all second ones, .. */
    uint8x16x4_t values;
} table_regs;

INLINE table_regs load_table(const float *table)
{
    const uint8_t *bytes = (const uint8_t *)table;
    return (table_regs){vld4q_u8(bytes), vld1q_u8_x4(bytes)};
}

INLINE void look_up(table_regs table, const uint8_t *codes, vf v[VECTORS])
{
    const uint8x8_t x = vld1_u8(codes), high = vshr_n_u8(x, 4),
                    low = vand_u8(x, vdup_n_u8(15));
    const uint8x16_t index = vcombine_u8(vzip1_u8(high, low), vzip2_u8(high, low));
    const uint8x16_t a = vqtbl1q_u8(table.bytes.val[0], index),
                     b = vqtbl1q_u8(table.bytes.val[1], index);
    const uint8x16_t c = vqtbl1q_u8(table.bytes.val[2], index),
                     d = vqtbl1q_u8(table.bytes.val[3], index);
    const uint16x8_t lower[2] = {(uint16x8_t)vzip1q_u8(a, b),
                                 (uint16x8_t)vzip2q_u8(a, b)};
    const uint16x8_t upper[2] = {(uint16x8_t)vzip1q_u8(c, d),
                                 (uint16x8_t)vzip2q_u8(c, d)};
    for (int i = 0; i < 2; i++) {
        v[2 * i] = (vf)vzip1q_u16(lower[i], upper[i]);
        v[2 * i + 1] = (vf)vzip2q_u16(lower[i], upper[i]);
    }
}

#else

typedef const float *table_regs;

INLINE table_regs load_table(const float *table)
{
    return table;
}

INLINE void look_up(table_regs table, const uint8_t *codes, vf v[VECTORS])
{
    for (int i = 0; i < W / 2; i++) {
        v[0][2 * i] = table[codes[i] >> 4];
        v[0][2 * i + 1] = table[codes[i] & 15];
    }
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
        for (; i + VECTORS * W <= stop; i += VECTORS * W, dst += VECTORS * W) {
            vf v[VECTORS];
            look_up(table, q->codes + i / 2, v);
#pragma GCC unroll 4
            for (int k = 0; k < VECTORS; k++)
                vf_store(dst + k * W, rounded(t, v[k] * absmax));
        }
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

/* ---- panels ---- */

/* One value per lane: the lowest 4 bits of each. */
INLINE vf look_up_lanes(const table_regs *table, vu codes)
{
#if CPU_WIDTH == 16
    return (vf)_mm512_permutexvar_ps((__m512i)codes, *table);
#elif CPU_WIDTH == 8
    const __m256 a = _mm256_permutevar8x32_ps(table->lower, (__m256i)codes);
    const __m256 b = _mm256_permutevar8x32_ps(table->upper, (__m256i)codes);
    return (vf)_mm256_blendv_ps(a, b, (__m256)(codes << 28));
#elif defined(CPU_NEON)
    const vu bytes = (codes & 15) * 0x04040404u + 0x03020100u;
    return (vf)vqtbl4q_u8(table->values, (uint8x16_t)bytes);
#else
    vf v;
    for (int i = 0; i < W; i++)
        v[i] = (*table)[codes[i] & 15];
    return v;
#endif
}

/* bf16_pairs; where the processor rounds, it takes for zero what its products do. */
INLINE vf word_pairs(vf lower, vf upper)
{
#ifdef __AVX512BF16__
    const __m512i turn = _mm512_add_epi32(
        _mm512_set1_epi32(0x00100000),
        _mm512_mullo_epi32((__m512i)(vi){LANES}, _mm512_set1_epi32(0x00010001)));
    return (vf)_mm512_permutexvar_epi16(turn, (__m512i)bf16_words(lower, upper));
#else
    return bf16_pairs(lower, upper);
#endif
}

/* Half a panel, W columns: rows [row, row + rows) of the weight. */
struct half {
    const struct q4_panel *p;
    int row, rows;
    float *dst;
    table_regs table;
};

static vf absmax_of(const struct half *h, int block)
{
    const struct q4 *q = h->p->q;
    const size_t blocks = (size_t)q->spec->cols >> q->block_log2;
    float a[W] = {0};
    for (int r = 0; r < h->rows; r++)
        a[r] = block_absmax(q, (h->row + r) * blocks + (size_t)block);
    return vf_load(a);
}

/* Of the elements [k, k + 8) of each row, which stand in a lane of `codes`, those from
 * `begin` to `end`: the high nibble of a byte comes first. */
INLINE void eight(const struct half *h, vu codes, vf absmax, int k, int begin, int end,
                  enum dtype t)
{
    const struct q4_panel *p = h->p;
    vf v[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        v[i] = rounded(t, look_up_lanes(&h->table, codes >> 4 * (i ^ 1)) * absmax);
    float *dst = h->dst + (int64_t)(p->bf16 ? (k - p->k0) / 2 : k - p->k0) * NR;
    if (p->bf16)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            if (2 * i >= begin && 2 * i < end)
                vf_store(dst + i * NR,
                         word_pairs(v[2 * i], 2 * i + 1 < end ? v[2 * i + 1] : (vf){0}));
    if (!p->bf16)
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            if (i >= begin && i < end)
                vf_store(dst + i * NR, v[i]);
}

/* Codes of 8 W elements a row, from k on, turned: element 8 i and on of each row in v[i]. */
INLINE void load_codes(const struct half *h, int k, int words, vf v[W])
{
    enum { AHEAD = 512 };
    const size_t row_bytes = (size_t)h->p->q->spec->cols / 2;
    const uint8_t *at = h->p->q->codes + h->row * row_bytes + k / 2;
    /* behind a row's end: the panel that is next */
    const size_t ahead = (size_t)k / 2 + AHEAD < row_bytes
                             ? AHEAD
                             : AHEAD + (size_t)(h->p->next_row - 1) * row_bytes;
    for (int r = 0; r < W; r++, at += row_bytes) {
        v[r] = r < h->rows ? vf_get((const float *)(const void *)at, words) : (vf){0};
        __builtin_prefetch(at + ahead, 0, 3);
    }
    vf_transpose(v);
}

INLINE void half_panel(const struct half *h, enum dtype t)
{
    const struct q4_panel *p = h->p;
    const int end = p->k0 + p->k, log = p->q->block_log2;
    int block = -1;
    vf absmax = {0};
    for (int k = p->k0 & ~7; k < end; k += 8 * W) {
        vf v[W];
        const int words = min_int(W, (end - k + 7) / 8);
        load_codes(h, k, words, v);
        for (int i = 0; i < words; i++) {
            const int at = k + 8 * i;
            if (at >> log != block)
                absmax = absmax_of(h, block = at >> log);
            if (at >= p->k0 && at + 8 <= end)
                eight(h, (vu)v[i], absmax, at, 0, 8, t);
            else
                eight(h, (vu)v[i], absmax, at, p->k0 - at, end - at, t);
        }
    }
}

int V(q4_fits)(const struct weight_spec *spec)
{
    return spec->cols % spec->block == 0;
}

void V(q4_panel)(const struct q4_panel *p)
{
    for (int i = 0; i < 2 && i * W < p->rows; i++) {
        const struct half h = {.p = p,
                               .row = p->row + i * W,
                               .rows = min_int(W, p->rows - i * W),
                               .dst = p->dst + i * W,
                               .table = load_table(p->q->table)};
        if (p->q->spec->rounded == DT_F16)
            half_panel(&h, DT_F16);
        else if (p->q->spec->rounded == DT_BF16)
            half_panel(&h, DT_BF16);
        else
            half_panel(&h, DT_F32);
    }
}

/* kernels/cpu/simd/pack.c - operands in the order in which a tile reads them. */
#include "kernels/cpu/simd/simd.h"
#include "kernels/half.h"

void V(pack_transpose)(float *dst, size_t stride, const float *src, int64_t ld, int rows,
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

void V(pack_copy)(float *dst, size_t stride, const float *src, int64_t ld, int cols,
                  int k)
{
    if (cols >= W)
        for (int i = 0; i < k; i++)
            vf_store(dst + i * stride, vf_load(src + i * ld));
    else
        for (int i = 0; i < k; i++)
            vf_store(dst + i * stride, vf_load_n(src + i * ld, cols));
}

/* ---- bf16 ---- */

/* n <= 2 W numbers as words; zero beyond. */
INLINE vf words_at(const float *src, int n)
{
    if (n >= 2 * W)
        return bf16_words(vf_load(src), vf_load(src + W));
    return bf16_words(vf_load_n(src, min_int(n, W)),
                      n > W ? vf_load_n(src + W, n - W) : (vf){0});
}

void V(bf16_copy)(float *dst, int64_t dst_ld, const float *src, int64_t src_ld, int rows,
                  int cols)
{
    for (int i = 0; i < rows; i++)
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            vf_put(dst + i * dst_ld + c, bf16_rounded(vf_get(src + i * src_ld + c, n)), n,
                   0);
        }
}

void V(bf16_row)(float *dst, const float *src, int k)
{
    for (int i = 0; i < k; i += 2 * W, dst += W)
        vf_put(dst, words_at(src + i, min_int(2 * W, k - i)), min_int(W, (k - i + 1) / 2),
               0);
}

void V(bf16_rows_turned)(float *dst, size_t step, const float *src, int64_t ld, int rows,
                         int k)
{
    for (int begin = 0; begin < k; begin += 2) {
        vf lower = vf_load_n(src + begin * ld, rows), upper = {0};
        if (begin + 1 < k)
            upper = vf_load_n(src + (begin + 1) * ld, rows);
        const vf words = bf16_pairs(lower, upper);
        for (int r = 0; r < rows; r++)
            dst[r * step + begin / 2] = words[r];
    }
}

/* dst[word][NR]: up to W rows turned. */
static void pairs_transpose(float *dst, const float *src, int64_t ld, int rows, int k)
{
    for (int begin = 0; begin < k; begin += 2 * W) {
        const int count = min_int(2 * W, k - begin);
        vf v[W];
        for (int r = 0; r < W; r++)
            v[r] = r < rows ? words_at(src + r * ld + begin, count) : (vf){0};
        vf_transpose(v);
        for (int i = 0; i < (count + 1) / 2; i++)
            vf_store(dst + (size_t)(begin / 2 + i) * NR, v[i]);
    }
}

/* The same of up to W columns, numbers of which lie side by side. */
static void pairs_copy(float *dst, const float *src, int64_t ld, int cols, int k)
{
    for (int i = 0; i < k; i += 2) {
        const vf lower = vf_get(src + i * ld, cols);
        const vf upper = i + 1 < k ? vf_get(src + (i + 1) * ld, cols) : (vf){0};
        vf_store(dst + (size_t)(i / 2) * NR, bf16_pairs(lower, upper));
    }
}

/* ---- 16 bits ---- */

/* Numbers that are such: what falls away is zero. */
INLINE void narrow(enum dtype stored, vf v, uint16_t *dst)
{
#if CPU_WIDTH == 16
    const __m256i x = stored == DT_F16
                          ? _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT)
                          : _mm512_cvtepi32_epi16((__m512i)((vu)v >> 16));
    _mm256_storeu_si256((__m256i *)(void *)dst, x);
#else
    const vu upper = (vu)v >> 16;
    for (int i = 0; i < W; i++)
        dst[i] = stored == DT_F16 ? half_of_float(v[i]) : (uint16_t)upper[i];
#endif
}

/* Through a piece of a panel in fp32. */
static void pack_stored(const struct panel *p)
{
    enum { PIECE = 64 };
    float piece[PIECE * NR] __attribute__((aligned(64)));
    for (int k = 0; k < p->k; k += PIECE) {
        struct panel part = *p;
        uint16_t *dst = (uint16_t *)(void *)p->dst + (size_t)k * NR;
        part.dst = piece;
        part.src = p->src + (p->by_k ? k * p->ld : k);
        part.k = min_int(PIECE, p->k - k);
        part.stored = DT_F32;
        memset(piece, 0, sizeof(piece));
        V(pack_panel)(&part);
        for (int i = 0; i < part.k * NR; i += W)
            narrow(p->stored, vf_load(piece + i), dst + i);
    }
}

INLINE vf widened(enum dtype stored, const uint16_t *src)
{
    return stored == DT_F16 ? vf_of_half(src) : vf_of_bf16(src);
}

void V(widen)(enum dtype stored, const void *src, int n, float *dst)
{
    const uint16_t *from = src;
    if (stored == DT_F16)
        for (int i = 0; i < n; i += W)
            vf_store(dst + i, vf_of_half(from + i));
    else
        for (int i = 0; i < n; i += W)
            vf_store(dst + i, vf_of_bf16(from + i));
}

void V(pack_panel)(const struct panel *p)
{
    if (p->stored != DT_F32) {
        pack_stored(p);
        return;
    }
    for (int half = 0; half < 2; half++) {
        const int begin = half * W, cols = begin < p->cols ? left(p->cols, begin) : 0;
        float *dst = p->dst + begin;
        if (!cols) /* a tile with so few columns does not read this half */
            continue;
        const float *src = p->src + (p->by_k ? begin : begin * p->ld);
        if (p->bf16)
            (p->by_k ? pairs_copy : pairs_transpose)(dst, src, p->ld, cols, p->k);
        else
            (p->by_k ? V(pack_copy) : V(pack_transpose))(dst, NR, src, p->ld, cols, p->k);
    }
}

/* ---- from panels of the transpose ---- */

/* Numbers [k, k + n) of column c of B: of a row, or of half a row of words. */
INLINE vf turned_column(const struct turned *t, int c, int k, int n)
{
    if (t->stored != DT_F32) {
        const uint16_t *halves = (const uint16_t *)(const void *)t->panel;
        uint16_t some[W] = {0};
        halves += (size_t)c * NR + k % NR;
        memcpy(some, halves, (size_t)n * sizeof(*some));
        return widened(t->stored, n == W ? halves : some);
    }
    if (!t->bf16)
        return vf_get(t->panel + (size_t)c * NR + k % NR, n);
    const vu words = (vu)vf_get(t->panel + (size_t)(c / 2) * NR + k % NR, n);
    return (vf)(c % 2 ? words & 0xffff0000u : words << 16);
}

/* Rows [k, k + n) of up to W columns from c on, n <= W. */
static void turn_block(const struct turned *t, int k, int n, int c, float *dst)
{
    const int cols = left(t->cols, c);
    vf v[W];
    for (int r = 0; r < W; r++)
        v[r] = r < cols ? turned_column(t, c + r, k, n) : (vf){0};
    vf_transpose(v);
    if (t->bf16)
        for (int i = 0; i < n; i += 2)
            vf_store(dst + (size_t)(i / 2) * NR, bf16_pairs(v[i], v[i + 1]));
    else
        for (int i = 0; i < n; i++)
            vf_store(dst + (size_t)i * NR, v[i]);
}

void V(pack_turned)(const struct turned *t)
{
    for (int c = 0; c < t->cols; c += W)
        for (int k = t->k0, n; k < t->k1; k += n) {
            const int row = (k - t->k0) / (t->bf16 ? 2 : 1);
            n = min_int(W, t->k1 - k);
            turn_block(t, k, n, c,
                       t->dst + (size_t)(c / NR) * t->step + (size_t)row * NR + c % NR);
        }
}

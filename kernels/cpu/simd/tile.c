/* kernels/cpu/simd/tile.c - the inner kernel of every product: a tile in registers.
 *
 * One function per height 1..MR and width of one or two vectors, all from one template,
 * so that an edge costs only the work it has, and so that an element's sum is the same
 * chain of operations wherever it lies (Goto and van de Geijn 2008 for the scheme). */
#include "kernels/cpu/simd/simd.h"

/* ---- a number or a word of a product's left side, for all lanes of the right one ---- */

#ifdef CPU_NEON

/* It stays alone and products take it from lane 0: to load it into all lanes would take
 * a turn of the units that multiply (LD1R in Arm's guide to the Neoverse N1: one of L,
 * one of V). GCC 12 keeps it so where the other lane is said to be 0. */
typedef float32x2_t vf_one;

INLINE vf_one vf_one_load(const void *p)
{
    return (float32x2_t){*(const float *)p, 0};
}

INLINE vf_one bf16_one_load(const void *p)
{
    return vf_one_load(p);
}

INLINE vf vf_fma_one(vf_one a, vf b, vf c)
{
    return (vf)vfmaq_lane_f32((float32x4_t)c, (float32x4_t)b, a, 0);
}

INLINE vf bf16_fma_one(vf_one a, vf b, vf c)
{
#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
    return (vf)vbfdotq_lane_f32((float32x4_t)c, vreinterpretq_bf16_f32((float32x4_t)b),
                                vreinterpret_bf16_f32(a), 0);
#else
    const uint32x2_t bits = vreinterpret_u32_f32(a), upper = vdup_n_u32(0xffff0000u);
    c = vf_fma_one(vreinterpret_f32_u32(vand_u32(bits, upper)), (vf)((vu)b & 0xffff0000u),
                   c);
    return vf_fma_one(vreinterpret_f32_u32(vshl_n_u32(bits, 16)), (vf)((vu)b << 16), c);
#endif
}

#else

typedef vf vf_one;

INLINE vf_one vf_one_load(const void *p)
{
    return vf_splat(*(const float *)p);
}

INLINE vf_one bf16_one_load(const void *p)
{
    return bf16_splat(p);
}

INLINE vf vf_fma_one(vf_one a, vf b, vf c)
{
    return vf_fma(a, b, c);
}

INLINE vf bf16_fma_one(vf_one a, vf b, vf c)
{
    return bf16_fma(a, b, c);
}

#endif

/* ---- the tile ---- */

/* What the left side looks like; see simd.h. */
enum left { BY_K, BY_K_ROUNDING, BY_ROWS, BY_ROWS_BF16 };

/* Row i of the left side at a[i / 3] + i % 3 * step: few enough pointers to stay in
 * registers, and what an address can add for nothing. */
enum { POINTERS = (MR + 2) / 3 };

/* acc[i][v] += A[i, k] * B[k, v], k one word. */
INLINE void step_row(enum left kind, const void *a, vf b0, vf b1, int vectors, vf acc[2])
{
    if (kind == BY_ROWS_BF16) {
        const vf_one x = bf16_one_load(a);
        acc[0] = bf16_fma_one(x, b0, acc[0]);
        if (vectors > 1)
            acc[1] = bf16_fma_one(x, b1, acc[1]);
        return;
    }
    const vf_one x = vf_one_load(a);
    acc[0] = vf_fma_one(x, b0, acc[0]);
    if (vectors > 1)
        acc[1] = vf_fma_one(x, b1, acc[1]);
}

/* What will be needed is asked for while there is arithmetic to hide it: a row of C with
 * each of the first steps, and a bit of what lies ahead with every one. All at once at
 * the start of a tile they took the places in which a core waits for its next cache, and
 * A and B queued behind them: on 256 x 576 x 49,152, whose C is far away, one thread,
 * 74 % of the fp32 and 76 % of the bf16 peak became 92 % and 90 %. */
struct wanted {
    const float *c, *end, *ahead;
};

INLINE void ask(struct wanted *w, const struct tile *t, int vectors)
{
    if (w->c != w->end) {
        __builtin_prefetch(w->c, 1);
        if (vectors > 1)
            __builtin_prefetch(w->c + W, 1);
        w->c += t->ldc;
    }
    __builtin_prefetch(w->ahead);
    w->ahead += t->ahead_step;
}

/* The sums. */
INLINE void multiply(int m, int vectors, enum left kind, const struct tile *t,
                     vf acc[MR][2])
{
    const char *a[POINTERS];
    const float *b = t->b;
    const size_t step = t->a_step * sizeof(float), b_step = t->b_step;
    struct wanted wanted = {t->c, t->c + m * t->ldc, t->ahead ? t->ahead : b};
#pragma GCC unroll 14
    for (int i = 0; i < m; i++)
        acc[i][0] = acc[i][1] = (vf){0};
#pragma GCC unroll 5
    for (int i = 0; i < POINTERS; i++)
        a[i] = (const char *)t->a + (kind <= BY_K_ROUNDING ? 0 : 3 * i * step);
    for (int k = t->k; k > 0; k--) {
        vf b0 = vf_load(b), b1 = vectors > 1 ? vf_load(b + W) : b0;
        if (kind == BY_K_ROUNDING)
            b0 = bf16_rounded(b0), b1 = bf16_rounded(b1);
        ask(&wanted, t, vectors);
#pragma GCC unroll 14
        for (int i = 0; i < m; i++)
            step_row(kind,
                     kind <= BY_K_ROUNDING ? a[0] + i * sizeof(float)
                                           : a[i / 3] + i % 3 * step,
                     b0, b1, vectors, acc[i]);
#pragma GCC unroll 5
        for (int i = 0; i < POINTERS; i++)
            a[i] += kind <= BY_K_ROUNDING ? step : sizeof(float);
        b += b_step;
    }
}

/* C row part: scale * sum + base, base being C, the bias, both or nothing. */
INLINE void finish(const struct tile *t, float *c, const float *bias, vf sum, int n)
{
    const vf scale = vf_splat(t->scale);
    vf base = {0};
    if (bias)
        base = vf_get(bias, n);
    if (t->add)
        base = base + vf_get(c, n);
    sum = vf_fma(sum, scale, base);
    if (n == W)
        vf_store(c, sum);
    else
        vf_store_n(c, sum, n);
}

INLINE void run(int m, int vectors, enum left kind, const struct tile *in)
{
    vf acc[MR][2];
    multiply(m, vectors, kind, in, acc);
    const struct tile t = *in; /* which what is stored does not reach */
    const int last = t.n - (vectors - 1) * W;
#pragma GCC unroll 14
    for (int i = 0; i < m; i++) {
        float *c = t.c + (size_t)i * t.ldc;
        if (vectors > 1)
            finish(&t, c, t.bias, acc[i][0], W);
        finish(&t, c + (vectors - 1) * W, t.bias ? t.bias + (vectors - 1) * W : NULL,
               acc[i][vectors - 1], last);
    }
}

#if MR == 14
#define HEIGHTS(X)                                                                       \
    X(1)                                                                                 \
    X(2)                                                                                 \
    X(3)                                                                                 \
    X(4)                                                                                 \
    X(5)                                                                                 \
    X(6)                                                                                 \
    X(7)                                                                                 \
    X(8)                                                                                 \
    X(9)                                                                                 \
    X(10)                                                                                \
    X(11)                                                                                \
    X(12)                                                                                \
    X(13)                                                                                \
    X(14)
#elif MR == 6
#define HEIGHTS(X)                                                                       \
    X(1)                                                                                 \
    X(2)                                                                                 \
    X(3)                                                                                 \
    X(4)                                                                                 \
    X(5)                                                                                 \
    X(6)
#else
#define HEIGHTS(X)                                                                       \
    X(1)                                                                                 \
    X(2)                                                                                 \
    X(3)                                                                                 \
    X(4)
#endif

#define TILE(m, name, vectors, kind)                                                     \
    static void name##_##m(const struct tile *t)                                         \
    {                                                                                    \
        run(m, vectors, kind, t);                                                        \
    }
#define X(m)                                                                             \
    TILE(m, by_k_narrow, 1, BY_K)                                                        \
    TILE(m, by_k_wide, 2, BY_K)                                                          \
    TILE(m, rounding_narrow, 1, BY_K_ROUNDING)                                           \
    TILE(m, rounding_wide, 2, BY_K_ROUNDING)                                             \
    TILE(m, rows_narrow, 1, BY_ROWS)                                                     \
    TILE(m, rows_wide, 2, BY_ROWS)                                                       \
    TILE(m, bf16_narrow, 1, BY_ROWS_BF16)                                                \
    TILE(m, bf16_wide, 2, BY_ROWS_BF16)
HEIGHTS(X)
#undef X

static void (*const tiles[MR][8])(const struct tile *) = {
#define X(m)                                                                             \
    {by_k_narrow_##m, by_k_wide_##m, rounding_narrow_##m, rounding_wide_##m,             \
     rows_narrow_##m, rows_wide_##m, bf16_narrow_##m,     bf16_wide_##m},
    HEIGHTS(X)
#undef X
};

void V(tile)(int m, const struct tile *t)
{
    tiles[m - 1][t->n > W](t);
}

void V(tile_rounding)(int m, const struct tile *t)
{
    tiles[m - 1][2 + (t->n > W)](t);
}

void V(tile_rows)(int m, const struct tile *t)
{
    tiles[m - 1][4 + (t->n > W)](t);
}

void V(tile_bf16)(int m, const struct tile *t)
{
    tiles[m - 1][6 + (t->n > W)](t);
}

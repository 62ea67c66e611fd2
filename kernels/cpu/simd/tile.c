/* kernels/cpu/simd/tile.c - the inner kernel of every product: a tile in registers.
 *
 * One function per height 1..MR and width of one or two vectors, all from one template,
 * so that an edge costs only the work it has, and so that an element's sum is the same
 * chain of operations wherever it lies (Goto and van de Geijn 2008 for the scheme). */
#include "kernels/cpu/simd/simd.h"

/* The sums: acc[i][v] += A[i, k] * B[k, v]. */
INLINE void multiply(int m, int vectors, int by_rows, const struct tile *t, vf acc[MR][2])
{
    const float *a = t->a, *b = t->b;
    const size_t a_step = by_rows ? 1 : t->a_step, b_step = t->b_step;
    const int a_row = by_rows ? NR : 1;
#pragma GCC unroll 14
    for (int i = 0; i < m; i++)
        acc[i][0] = acc[i][1] = (vf){0};
    for (int k = t->k; k > 0; k--) {
        vf b0 = vf_load(b), b1 = vectors > 1 ? vf_load(b + W) : b0;
#pragma GCC unroll 14
        for (int i = 0; i < m; i++) {
            vf x = vf_splat(a[i * a_row]);
            acc[i][0] = vf_fma(x, b0, acc[i][0]);
            if (vectors > 1)
                acc[i][1] = vf_fma(x, b1, acc[i][1]);
        }
        a += a_step;
        b += b_step;
    }
}

/* C row part: scale * sum + base, base being C, the bias, both or nothing. */
INLINE void finish(const struct tile *t, float *c, const float *bias, vf sum, int n)
{
    vf scale = vf_splat(t->scale), base = {0};
    if (n == W) {
        if (bias)
            base = vf_load(bias);
        if (t->add)
            base = base + vf_load(c);
        vf_store(c, vf_fma(sum, scale, base));
        return;
    }
    if (bias)
        base = vf_load_n(bias, n);
    if (t->add)
        base = base + vf_load_n(c, n);
    vf_store_n(c, vf_fma(sum, scale, base), n);
}

INLINE void run(int m, int vectors, int by_rows, const struct tile *t)
{
    vf acc[MR][2];
    multiply(m, vectors, by_rows, t, acc);
    const float *bias = t->bias;
    const int last = t->n - (vectors - 1) * W;
#pragma GCC unroll 14
    for (int i = 0; i < m; i++) {
        float *c = t->c + (size_t)i * t->ldc;
        if (vectors > 1)
            finish(t, c, bias, acc[i][0], W);
        finish(t, c + (vectors - 1) * W, bias ? bias + (vectors - 1) * W : NULL,
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

#define X(m)                                                                             \
    static void tile_##m##_narrow(const struct tile *t)                                  \
    {                                                                                    \
        run(m, 1, 0, t);                                                                 \
    }                                                                                    \
    static void tile_##m##_wide(const struct tile *t)                                    \
    {                                                                                    \
        run(m, 2, 0, t);                                                                 \
    }                                                                                    \
    static void rows_##m##_narrow(const struct tile *t)                                  \
    {                                                                                    \
        run(m, 1, 1, t);                                                                 \
    }                                                                                    \
    static void rows_##m##_wide(const struct tile *t)                                    \
    {                                                                                    \
        run(m, 2, 1, t);                                                                 \
    }
HEIGHTS(X)
#undef X

static void (*const tiles[MR][4])(const struct tile *) = {
#define X(m) {tile_##m##_narrow, tile_##m##_wide, rows_##m##_narrow, rows_##m##_wide},
    HEIGHTS(X)
#undef X
};

void tile_run(int m, const struct tile *t)
{
    tiles[m - 1][t->n > W](t);
}

void tile_run_rows(int m, const struct tile *t)
{
    tiles[m - 1][2 + (t->n > W)](t);
}

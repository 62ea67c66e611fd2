/* kernels/cpu/simd/narrow.c - products with one side of at most 16: low-rank adapters
 * and small heads.
 *
 * A wide tile would be mostly empty and packing would cost more than multiplying. `dot`
 * (x A^T with a small rank) takes vectors along the inner dimension straight from both
 * matrices and sums their lanes in a fixed tree. `narrow` (gradients of A and B) streams
 * the tall operand once: rows of the short side are broadcast against NR columns of the
 * long one, both already in the order that a tile reads. With bf16 the short side is
 * rounded once, the tall one as it is read; products of such numbers are exact, so sums
 * are fp32's. As words for V(gemm) the two cost 1.6 and 1.5 to 3 times as much (1,024 x
 * 576, rank 8: packing what is read once). */
#include "kernels/cpu/simd/simd.h"

/* ---- dot ---- */

/* Rows x columns of sums in flight: 24, 12, 12 of the registers. */
enum { DOT_ROWS = 3, DOT_COLS = W == 16 ? 8 : 4 };

/* Sums of the lanes of v[0..cols) in lanes 0..cols-1. */
INLINE vf sum_lanes(const vf v[DOT_COLS], int cols)
{
    vf sum = v[0];
    if (cols > 1)
        sum = vf_pairs(v[0], v[1]);
    if (cols > 2)
        sum = vf_pairs(sum, vf_pairs(v[2], v[3]));
    if (cols > 4)
        sum = vf_pairs(sum, vf_pairs(vf_pairs(v[4], v[5]), vf_pairs(v[6], v[7])));
#pragma GCC unroll 4
    for (int lanes = W / cols; lanes > 1; lanes /= 2)
        sum = vf_pairs(sum, sum);
    return sum;
}

INLINE void dot_step(int rows, int cols, bool rounds, const float *a, int64_t a_ld,
                     const float *b, int64_t b_ld, int n, vf acc[DOT_ROWS][DOT_COLS])
{
    vf x[DOT_ROWS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        x[r] = n == W ? vf_load(a + r * a_ld) : vf_load_n(a + r * a_ld, n);
        if (rounds)
            x[r] = bf16_rounded(x[r]);
    }
#pragma GCC unroll 8
    for (int c = 0; c < cols; c++) {
        vf w = n == W ? vf_load(b + c * b_ld) : vf_load_n(b + c * b_ld, n);
        vf_keep(w); /* one load for all rows: loads are what this loop is short of */
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            acc[r][c] = vf_fma(x[r], w, acc[r][c]);
    }
}

INLINE void dot_tile(int rows, int cols, bool rounds, const struct gemm *g, int64_t row,
                     int col)
{
    const float *a = g->a + row * g->a_ld;
    const float *b = (const float *)g->b + col * g->b_ld;
    vf acc[DOT_ROWS][DOT_COLS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int c = 0; c < cols; c++)
            acc[r][c] = (vf){0};
    int k = 0;
    for (; k + W <= g->k; k += W)
        dot_step(rows, cols, rounds, a + k, g->a_ld, b + k, g->b_ld, W, acc);
    if (k < g->k)
        dot_step(rows, cols, rounds, a + k, g->a_ld, b + k, g->b_ld, g->k - k, acc);
    vf scale = vf_splat(g->scale), bias = {0};
    if (g->bias)
        bias = vf_load_n(g->bias + col, cols);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        float *c = g->c + (row + r) * g->ldc + col;
        vf base = g->add ? bias + vf_load_n(c, cols) : bias;
        vf_store_n(c, vf_fma(sum_lanes(acc[r], cols), scale, base), cols);
    }
}

#define DOT_SIZE(rows, cols)                                                             \
    static void dot_##rows##_##cols(const struct gemm *g, int64_t row, int col)          \
    {                                                                                    \
        dot_tile(rows, cols, false, g, row, col);                                        \
    }                                                                                    \
    static void dot_bf16_##rows##_##cols(const struct gemm *g, int64_t row, int col)     \
    {                                                                                    \
        dot_tile(rows, cols, true, g, row, col);                                         \
    }
DOT_SIZE(3, 1)
DOT_SIZE(3, 2)
DOT_SIZE(3, 4)
DOT_SIZE(1, 1)
DOT_SIZE(1, 2)
DOT_SIZE(1, 4)
#if CPU_WIDTH == 16
DOT_SIZE(3, 8)
DOT_SIZE(1, 8)
#define DOT_SIZES(name)                                                                  \
    {                                                                                    \
        name##_1, name##_2, name##_4, name##_8                                           \
    }
#else
#define DOT_SIZES(name)                                                                  \
    {                                                                                    \
        name##_1, name##_2, name##_4                                                     \
    }
#endif

/* [bf16][three rows][log2 of the columns] */
static void (*const dots[2][2][4])(const struct gemm *, int64_t, int) = {
    {DOT_SIZES(dot_1), DOT_SIZES(dot_3)},
    {DOT_SIZES(dot_bf16_1), DOT_SIZES(dot_bf16_3)},
};

/* Item i is rows [3 i, 3 i + 3). */
static void dot_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct gemm *g = ctx;
    const bool bf16 = g->compute == DT_BF16;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const int64_t row = (int64_t)i * DOT_ROWS, rows = g->m - row;
        for (int col = 0; col < g->n;) {
            int log = W == 16 ? 3 : 2;
            while (1 << log > g->n - col)
                log--;
            if (rows >= DOT_ROWS)
                dots[bf16][1][log](g, row, col);
            else
                for (int r = 0; r < rows; r++)
                    dots[bf16][0][log](g, row + r, col);
            col += 1 << log;
        }
    }
}

void V(dot)(const struct gemm *g)
{
    par(dot_rows, g, ceil_div(g->m, DOT_ROWS), (size_t)g->k * (DOT_ROWS + g->n / 4));
}

/* ---- narrow ---- */

/* A panel's rows lie far apart: they are asked for that many rows before their turn
 * (SmolLM2-135M, all linear layers, 14 % of this op's time). */
enum { NARROW_BLOCK = 384, AHEAD = 24 };

struct narrow {
    const struct gemm *g;
    int transposed, strips;
    float *last;    /* the last panel, packed because its rows end within a vector */
    const float *a; /* of g, or a rounded copy */
    int64_t a_ld;
};

/* Strip of C times one panel, over all rows; into C or into `turned`, [m][NR]. */
static void narrow_tile(const struct narrow *w, int strip, int panel, float *turned)
{
    const struct gemm *g = w->g;
    const int row0 = g->m * strip / w->strips;
    const int rows = g->m * (strip + 1) / w->strips - row0;
    const int col = panel * NR, cols = min_int(NR, g->n - col);
    const int packed = cols % W != 0, block = even_step(g->k, NARROW_BLOCK);
    const float *b = packed ? w->last : (const float *)g->b + col;
    struct tile t = {
        .a_step = (size_t)w->a_ld,
        .b_step = packed ? NR : (size_t)g->b_ld,
        .ahead_step = packed ? NR : (size_t)g->b_ld,
        .n = cols,
        .c = turned ? turned + row0 * NR : g->c + row0 * g->ldc + col,
        .ldc = turned ? NR : (size_t)g->ldc,
        .scale = g->scale,
    };
    for (int k = 0; k < g->k; k += block) {
        t.a = w->a + k * w->a_ld + row0;
        t.b = b + k * t.b_step;
        t.ahead = t.b + AHEAD * t.b_step;
        t.k = min_int(block, g->k - k);
        t.add = k > 0 || (!turned && g->add);
        (g->compute == DT_BF16 ? V(tile_rounding) : V(tile))(rows, &t);
    }
}

static void turn(const struct gemm *g, int col, const float *turned)
{
    const int cols = min_int(NR, g->n - col);
    for (int j = 0; j < cols; j++) {
        float *c = g->c + (col + j) * g->ldc;
        for (int i = 0; i < g->m; i++)
            c[i] = g->add ? c[i] + turned[i * NR + j] : turned[i * NR + j];
    }
}

static void narrow_panels(void *ctx, size_t begin, size_t end, int thread)
{
    const struct narrow *w = ctx;
    (void)thread;
    for (size_t j = begin; j < end; j++) {
        float turned[NARROW * NR] __attribute__((aligned(64)));
        for (int s = 0; s < w->strips; s++)
            narrow_tile(w, s, (int)j, w->transposed ? turned : NULL);
        if (w->transposed)
            turn(w->g, (int)j * NR, turned);
    }
}

size_t V(narrow_bytes)(const struct gemm *g)
{
    return (size_t)g->k * (NR + (g->compute == DT_BF16 ? NARROW : 0)) * sizeof(float);
}

void V(narrow)(const struct gemm *g, int transposed, void *workspace)
{
    struct narrow w = {g, transposed, (int)ceil_div(g->m, MR), workspace, g->a, g->a_ld};
    const int panels = (int)ceil_div(g->n, NR), col = (panels - 1) * NR;
    const float *b = g->b;
    if ((g->n - col) % W)
        for (int half = 0; half < 2 && col + half * W < g->n; half++)
            V(pack_copy)
    (w.last + half * W, NR, b + col + half * W, g->b_ld, left(g->n, col + half * W),
     g->k);
    if (g->compute == DT_BF16) {
        float *copy = w.last + (size_t)g->k * NR;
        V(bf16_copy)(copy, NARROW, g->a, g->a_ld, g->k, g->m);
        w.a = copy;
        w.a_ld = NARROW;
    }
    par(narrow_panels, &w, panels, (size_t)g->k * NR * w.strips);
}

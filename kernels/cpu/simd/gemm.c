/* kernels/cpu/simd/gemm.c - products of any size from packed operands.
 *
 * C = A B in two passes over the pool. First A is packed into strips of up to MR rows and
 * B, unless it came packed, into panels of NR columns; then groups of strips times groups
 * of panels are handed out as tasks. The inner dimension is cut into chunks (what is
 * packed at a time) and those into blocks of about KC (what a tile sums up before it goes
 * to C): both depend on k alone, so C's bits depend neither on m nor on the threads. Long
 * A is worked off in slabs, which bounds the workspace.
 *
 * 4-bit weights are unpacked panel by panel by the thread that needs them: its task is
 * one panel times all strips, so every code is looked up once per slab. */
#include "kernels/cpu/simd/simd.h"

enum {
    KC = 384,
    CHUNK = 4 * KC,
    SLAB = 80 * MR,
    UNPACK = 256, /* 4-bit: elements of a row unpacked before they are transposed */
};

/* One slab and chunk of a product. */
struct part {
    const struct gemm *g;
    int row0, rows, strips;
    int k0, k, block; /* chunk, and the step of its blocks */
    int panels;
    float *a;       /* [strip][k][W] */
    const float *b; /* panel p's row k0 at b + p * panel_step */
    size_t panel_step;
    float *own_b;   /* where to pack B; NULL when there is nothing to pack */
    float *scratch; /* 4-bit: per thread, a panel and rows to transpose */
    size_t scratch_step;
    int row_groups, col_groups;
    struct q4 q4;
};

static int is_q4(const struct gemm *g)
{
    return g->b_kind == B_Q4_ROWS || g->b_kind == B_Q4_COLS;
}

static int strip_row(const struct part *p, int strip)
{
    return (int)((int64_t)p->rows * strip / p->strips);
}

/* ---- packing ---- */

static void pack_strip(const struct part *p, int strip)
{
    const struct gemm *g = p->g;
    const int begin = strip_row(p, strip), rows = strip_row(p, strip + 1) - begin;
    const int64_t row = p->row0 + begin;
    float *dst = p->a + (size_t)strip * p->k * W;
    if (g->a_by_k)
        pack_copy(dst, W, g->a + p->k0 * g->a_ld + row, g->a_ld, rows, p->k);
    else
        pack_transpose(dst, W, g->a + row * g->a_ld + p->k0, g->a_ld, rows, p->k);
}

static void pack_panel(const struct part *p, int panel)
{
    const struct gemm *g = p->g;
    const float *b = g->b;
    float *dst = p->own_b + (size_t)panel * p->k * NR;
    for (int half = 0; half < 2; half++, dst += W) {
        const int col = panel * NR + half * W;
        const int cols = col < g->n ? left(g->n, col) : 0;
        if (!cols)
            continue; /* a tile with so few columns does not read this half */
        if (g->b_kind == B_ROWS)
            pack_transpose(dst, NR, b + col * g->b_ld + p->k0, g->b_ld, cols, p->k);
        else
            pack_copy(dst, NR, b + p->k0 * g->b_ld + col, g->b_ld, cols, p->k);
    }
}

static void pack_items(void *ctx, size_t begin, size_t end, int thread)
{
    const struct part *p = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        if (i < (size_t)p->strips)
            pack_strip(p, (int)i);
        else
            pack_panel(p, (int)i - p->strips);
}

/* ---- 4-bit panels ---- */

/* The weight is n x k: rows become columns. */
static void unpack_rows(const struct part *p, int panel, float *dst, float *rows)
{
    const struct gemm *g = p->g;
    for (int half = 0; half < 2; half++, dst += W) {
        const int col = panel * NR + half * W;
        const int cols = col < g->n ? left(g->n, col) : 0;
        for (int k = 0; cols && k < p->k; k += UNPACK) {
            const int count = min_int(UNPACK, p->k - k);
            for (int r = 0; r < cols; r++)
                q4_range(&p->q4, (size_t)(col + r) * g->k + p->k0 + k, count,
                         rows + r * UNPACK);
            pack_transpose(dst + (size_t)k * NR, NR, rows, UNPACK, cols, count);
        }
    }
}

/* The weight is k x n: a panel's rows are stretches of the weight's rows. */
static void unpack_cols(const struct part *p, int panel, float *dst)
{
    const struct gemm *g = p->g;
    const int col = panel * NR, cols = min_int(NR, g->n - col);
    for (int k = 0; k < p->k; k++, dst += NR) {
        q4_range(&p->q4, (size_t)(p->k0 + k) * g->n + col, cols, dst);
        for (int c = cols; c < NR; c++)
            dst[c] = 0;
    }
}

/* ---- multiplying ---- */

static void multiply(const struct part *p, const float *b, int panel, int strip0,
                     int strip1, int k)
{
    const struct gemm *g = p->g;
    const int col = panel * NR, first = p->k0 + k == 0;
    struct tile t = {
        .a_step = W,
        .b = b + (size_t)k * NR,
        .b_step = NR,
        .k = min_int(p->block, p->k - k),
        .n = min_int(NR, g->n - col),
        .ldc = (size_t)g->ldc,
        .scale = g->scale,
        .bias = g->bias && first ? g->bias + col : NULL,
        .add = g->add || !first,
    };
    for (int s = strip0; s < strip1; s++) {
        const int row = strip_row(p, s);
        t.a = p->a + ((size_t)s * p->k + k) * W;
        t.c = g->c + (p->row0 + row) * g->ldc + col;
        tile_run(strip_row(p, s + 1) - row, &t);
    }
}

static void multiply_groups(void *ctx, size_t begin, size_t end, int thread)
{
    const struct part *p = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const int rg = (int)(i % p->row_groups), cg = (int)(i / p->row_groups);
        const int strip0 = p->strips * rg / p->row_groups;
        const int strip1 = p->strips * (rg + 1) / p->row_groups;
        const int panel0 = p->panels * cg / p->col_groups;
        const int panel1 = p->panels * (cg + 1) / p->col_groups;
        for (int k = 0; k < p->k; k += p->block)
            for (int j = panel0; j < panel1; j++)
                multiply(p, p->b + j * p->panel_step, j, strip0, strip1, k);
    }
}

static void multiply_q4(void *ctx, size_t begin, size_t end, int thread)
{
    const struct part *p = ctx;
    float *panel = p->scratch + thread * p->scratch_step;
    for (size_t j = begin; j < end; j++) {
        if (p->g->b_kind == B_Q4_ROWS)
            unpack_rows(p, (int)j, panel, panel + (size_t)p->k * NR);
        else
            unpack_cols(p, (int)j, panel);
        for (int k = 0; k < p->k; k += p->block)
            multiply(p, panel, (int)j, 0, p->strips, k);
    }
}

/* Enough tasks to even out threads that are held up, each worth its while and small
 * enough for a core's cache. */
static void divide(struct part *p)
{
    const double flops = 2.0 * p->rows * p->g->n * p->k;
    const double wanted =
        flops / 1e6 < 16 * pool_threads() ? flops / 1e6 : 16 * pool_threads();
    p->row_groups = (int)ceil_div(p->strips, 10);
    p->col_groups = (int)(wanted / p->row_groups) + 1;
    p->col_groups = min_int(p->col_groups, p->panels);
}

static void run_part(struct part *p)
{
    const struct gemm *g = p->g;
    const int packs = p->strips + (p->own_b && p->row0 == 0 ? p->panels : 0);
    par(pack_items, p, packs, (size_t)p->k * W);
    if (is_q4(g)) {
        par(multiply_q4, p, p->panels, (size_t)p->k * NR * (1 + p->rows / 16));
        return;
    }
    divide(p);
    const size_t tasks = (size_t)p->row_groups * p->col_groups;
    par(multiply_groups, p, tasks,
        (size_t)((double)p->rows * g->n * p->k / (double)tasks / 16));
}

/* Where the parts of the workspace lie, in floats. */
struct room {
    size_t a, b, scratch_step, all;
};

static struct room room_for(const struct gemm *g)
{
    const size_t k = g->k < CHUNK ? g->k : CHUNK;
    const size_t rows = g->m < SLAB ? g->m : SLAB;
    struct room r = {.a = ceil_div(rows, MR) * k * W};
    if (g->b_kind == B_ROWS || g->b_kind == B_COLS)
        r.b = ceil_div(g->n, NR) * k * NR;
    if (is_q4(g))
        r.scratch_step = k * NR + (size_t)UNPACK * W;
    r.all = r.a + r.b + r.scratch_step * (size_t)pool_size();
    return r;
}

size_t gemm_bytes(const struct gemm *g)
{
    return room_for(g).all * sizeof(float);
}

void gemm_run(const struct gemm *g, void *workspace)
{
    const struct room room = room_for(g);
    const int packs_b = room.b != 0, chunk = even_step(g->k, CHUNK);
    const int slab = even_step(g->m, SLAB);
    struct part p = {
        .g = g,
        .panels = (int)ceil_div(g->n, NR),
        .a = workspace,
        .scratch_step = room.scratch_step,
    };
    p.own_b = packs_b ? p.a + room.a : NULL;
    p.scratch = p.a + room.a + room.b;
    if (is_q4(g))
        p.q4 = q4_open(g->spec, g->b);
    for (p.k0 = 0; p.k0 < g->k; p.k0 += chunk) {
        p.k = min_int(chunk, g->k - p.k0);
        p.block = even_step(p.k, KC);
        p.panel_step = (size_t)(packs_b ? p.k : g->k) * NR;
        p.b = packs_b ? p.own_b : (const float *)g->b + (size_t)p.k0 * NR;
        for (p.row0 = 0; p.row0 < g->m; p.row0 += slab) {
            p.rows = min_int(slab, g->m - p.row0);
            p.strips = (int)ceil_div(p.rows, MR);
            run_part(&p);
        }
    }
}

/* kernels/cpu/simd/gemm.c - products of any size from packed operands.
 *
 * C = A B: groups of strips (up to MR rows of A) times groups of panels (NR columns of B)
 * are handed out as tasks. B comes packed or is packed into panels first. A is read where
 * it lies, along its rows; where it has to be rounded, or lies so that its rows would
 * push one another out of the cache, a task copies the rows that it works on. The
 * inner dimension is cut into chunks (what is packed at a time) and those into blocks of
 * about KC (what a tile sums up before it goes to C): both depend on k alone, so C's bits
 * depend neither on m nor on the threads. What is packed of a long A is packed in slabs,
 * which bounds the workspace.
 *
 * A task's rows of a chunk fit its core's cache; it takes panel by panel, strip by strip
 * and for each all blocks, so that a tile of C is at hand from block to block, and what
 * comes next is asked for within the tiles (tile.c). Before, a block went over all panels
 * (C left the cache between blocks), and the next panel was asked for between tiles:
 * MiniLM's shapes in fp32 87 to 95 %, bert-base's 85 to 93 %, SmolLM2's 88 to 93 % of the
 * peak, one thread, Zen 5; AVX2 there 91 to 94 %.
 *
 * With bf16 operands everything below counts in words of two: k is half as long, an
 * element of A or of a panel is the pair of k and k + 1.
 *
 * Dropped: packing A into strips beforehand always (reading rows in place, with the next
 * panel fetched meanwhile, brought MiniLM's LoRA step from 66.5 % to 75 % of the peak,
 * two threads), and rounding all of A to bf16 in a pass of its own (a task rounds the
 * rows that it needs; 340 to 355 GFLOP/s on MiniLM's shapes).
 *
 * 4-bit weights are unpacked panel by panel by the thread that needs them: its task is
 * one panel times all strips, so every code is looked up once per slab. */
#include "kernels/cpu/simd/simd.h"

enum {
    CHUNK = K_CHUNK,
    SLAB = 80 * MR,
    GROUP = 10,             /* most strips of a task */
    GROUP_WORDS = 64 << 10, /* of A in a task: what a core's cache holds beside panels */
    WIDENED = 3,  /* as much of A, where each task widens the panels that it reads */
    UNPACK = 256, /* 4-bit: elements of a row unpacked before they are transposed */
    LINE = 16,    /* words of a cache line */
};

/* Where a tile finds A: where it is; copied by the task, or for 4-bit weights, whose
 * tasks all need all of it, beforehand; or stored by k, as strips. */
enum left { IN_PLACE, TASK_ROWS, SHARED_ROWS, STRIPS };

/* One slab and chunk of a product. */
struct part {
    const struct gemm *g;
    int bf16;
    enum dtype stored; /* of B's panels; DT_F32 also where they are packed here */
    int row0, rows, strips;
    int k0, k, block; /* chunk, and the step of its blocks */
    int panels;
    enum left left;
    float *own_a;   /* packed here, unless a task does it */
    const float *a; /* rows, `a_step` apart; or strips, [strip][k][STRIP_STEP] */
    size_t a_step;
    const float *b;              /* panel p's row k0 at b + p * panel_step */
    size_t panel_step, row_step; /* floats, also where panels are of 16 bits */
    float *own_b;                /* where to pack B; NULL when there is nothing to pack */
    float *scratch; /* per thread; 4-bit: a panel and rows to transpose; TASK_ROWS; and */
    size_t scratch_step, wide; /* from `wide` on a panel, widened */
    int row_groups, col_groups;
    struct q4 q4;
};

static int is_q4(const struct gemm *g)
{
    return g->b_kind == B_Q4_ROWS || g->b_kind == B_Q4_COLS;
}

/* DT_F32 where B's panels are not to be widened. */
static enum dtype stored(const struct gemm *g)
{
    const int ready = g->b_kind == B_PANELS || g->b_kind == B_TURNED;
    return ready && g->compute != DT_BF16 ? g->spec->stored : DT_F32;
}

/* Words along k, of which elements [0, g->k) are there. */
static int depth(const struct gemm *g)
{
    return g->compute == DT_BF16 ? (int)ceil_div(g->k, 2) : g->k;
}

/* Elements from word k0 on in k words. */
static int elements(const struct part *p, int k0, int k)
{
    return p->bf16 ? min_int(2 * k, p->g->k - 2 * k0) : k;
}

/* Rows a multiple of 4 KiB apart all fall on the same few lines of a core's cache. */
static enum left left_of(const struct gemm *g)
{
    if (g->a_by_k && g->compute != DT_BF16)
        return STRIPS;
    if (g->compute != DT_BF16 && g->a_ld % 1024)
        return IN_PLACE;
    return is_q4(g) ? SHARED_ROWS : TASK_ROWS;
}

/* Distance of own rows: whole lines, an odd number of them. */
static size_t own_step(int k)
{
    return (round_up((size_t)k, 2 * LINE)) + LINE;
}

/* Strips of a task. */
static int group_of(const struct gemm *g)
{
    const int more = stored(g) == DT_F32 ? 1 : WIDENED;
    const int fit = more * GROUP_WORDS / (MR * even_step(depth(g), CHUNK));
    return fit < 2 ? 2 : min_int(fit, more * GROUP);
}

static int strip_row(const struct part *p, int strip)
{
    return (int)((int64_t)p->rows * strip / p->strips);
}

/* ---- packing ---- */

/* Rows [begin, begin + rows) of the slab, words [k0, k0 + k) of the chunk. */
static void pack_rows(const struct part *p, int begin, int rows, int k0, int k,
                      float *dst, size_t step)
{
    const struct gemm *g = p->g;
    const int64_t row = p->row0 + begin, at = (p->k0 + k0) * (p->bf16 ? 2 : 1);
    const int count = elements(p, p->k0 + k0, k);
    if (g->a_by_k) {
        for (int r = 0; r < rows; r += W)
            V(bf16_rows_turned)
        (dst + r * step, step, g->a + at * g->a_ld + row + r, g->a_ld, left(rows, r),
         count);
        return;
    }
    for (int r = 0; r < rows; r++) {
        const float *src = g->a + (row + r) * g->a_ld + at;
        if (p->bf16)
            V(bf16_row)(dst + r * step, src, count);
        else
            memcpy(dst + r * step, src, (size_t)k * sizeof(*dst));
    }
}

static void pack_strip(const struct part *p, int strip)
{
    const struct gemm *g = p->g;
    const int begin = strip_row(p, strip), rows = strip_row(p, strip + 1) - begin;
    if (p->left != STRIPS) {
        pack_rows(p, begin, rows, 0, p->k, p->own_a + begin * p->a_step, p->a_step);
        return;
    }
    float *dst = p->own_a + (size_t)strip * p->k * STRIP_STEP;
    const float *src = g->a + p->k0 * g->a_ld + p->row0 + begin;
    for (int r = 0; r < rows; r += W)
        V(pack_copy)(dst + r, STRIP_STEP, src + r, g->a_ld, left(rows, r), p->k);
}

static void pack_panel(const struct part *p, int panel)
{
    const struct gemm *g = p->g;
    const int col = panel * NR, cols = min_int(NR, g->n - col);
    const int64_t k0 = p->bf16 ? 2 * p->k0 : p->k0;
    const float *b = g->b;
    V(pack_panel)
    (&(struct panel){
        .dst = p->own_b + (size_t)panel * p->k * NR,
        .src = g->b_kind == B_ROWS ? b + col * g->b_ld + k0 : b + k0 * g->b_ld + col,
        .ld = g->b_ld,
        .by_k = g->b_kind == B_COLS,
        .cols = cols,
        .k = elements(p, p->k0, p->k),
        .bf16 = p->bf16,
    });
}

/* Panels of B^T that the chunk's rows stand in: what is packed at a time of B_TURNED. */
static int first_turned(const struct part *p)
{
    return p->k0 * (p->bf16 ? 2 : 1) / NR;
}

static int count_of_b(const struct part *p)
{
    if (p->g->b_kind != B_TURNED)
        return p->panels;
    const int end = p->k0 * (p->bf16 ? 2 : 1) + elements(p, p->k0, p->k);
    return (int)ceil_div(end, NR) - first_turned(p);
}

static void pack_turned(const struct part *p, int item)
{
    const struct gemm *g = p->g;
    const int unit = p->bf16 ? 2 : 1, begin = p->k0 * unit,
              panel = first_turned(p) + item;
    const int k0 = panel * NR < begin ? begin : panel * NR;
    V(pack_turned)
    (&(struct turned){
        .dst = p->own_b + (size_t)((k0 - begin) / unit) * NR,
        .step = (size_t)p->k * NR,
        .panel = (const float *)g->b + panel * panel_floats(g->spec, g->n),
        .cols = g->n,
        .k0 = k0,
        .k1 = min_int((panel + 1) * NR, begin + elements(p, p->k0, p->k)),
        .bf16 = p->bf16,
        .stored = stored(g),
    });
}

static void pack_items(void *ctx, size_t begin, size_t end, int thread)
{
    const struct part *p = ctx;
    const size_t strips = p->left >= SHARED_ROWS ? p->strips : 0;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        if (i < strips)
            pack_strip(p, (int)i);
        else
            (p->g->b_kind == B_TURNED ? pack_turned : pack_panel)(p, (int)(i - strips));
}

/* ---- 4-bit panels ---- */

/* The weight is n x k: rows become columns. */
static void unpack_rows(const struct part *p, int panel, float *dst, float *rows)
{
    const struct gemm *g = p->g;
    const int col = panel * NR, cols = min_int(NR, g->n - col);
    const int k0 = p->bf16 ? 2 * p->k0 : p->k0, all = elements(p, p->k0, p->k);
    if (V(q4_fits)(g->spec)) {
        V(q4_panel)
        (&(struct q4_panel){.q = &p->q4,
                            .row = col,
                            .rows = cols,
                            .k0 = k0,
                            .k = all,
                            .bf16 = p->bf16,
                            .next_row = NR,
                            .dst = dst});
        return;
    }
    for (int k = 0; k < all; k += UNPACK) {
        const int count = min_int(UNPACK, all - k);
        for (int r = 0; r < cols; r++)
            V(q4_range)
        (&p->q4, (size_t)(col + r) * g->k + k0 + k, count, rows + r * UNPACK);
        V(pack_panel)
        (&(struct panel){
            .dst = dst + (size_t)(p->bf16 ? k / 2 : k) * NR,
            .src = rows,
            .ld = UNPACK,
            .cols = cols,
            .k = count,
            .bf16 = p->bf16,
        });
    }
}

/* The weight is k x n: a panel's rows are stretches of the weight's rows. */
static void unpack_cols(const struct part *p, int panel, float *dst)
{
    const struct gemm *g = p->g;
    const int col = panel * NR, cols = min_int(NR, g->n - col);
    const int k0 = p->bf16 ? 2 * p->k0 : p->k0, all = elements(p, p->k0, p->k);
    float two[2][NR] = {{0}};
    for (int k = 0; k < all; k++) {
        float *row = p->bf16 ? two[k & 1] : dst + (size_t)k * NR;
        V(q4_range)(&p->q4, (size_t)(k0 + k) * g->n + col, cols, row);
        for (int c = cols; c < NR; c++)
            row[c] = 0;
        if (!p->bf16 || (k % 2 == 0 && k + 1 < all))
            continue;
        for (int c = 0; c < NR; c += W)
            vf_store(
                dst + (size_t)(k / 2) * NR + c,
                bf16_pairs(vf_load(two[0] + c), k % 2 ? vf_load(two[1] + c) : (vf){0}));
    }
}

/* ---- multiplying ---- */

/* Strips of A: `rows`, or as strips in p->a, from the chunk's first word on. */
struct block {
    const float *rows;
    size_t step;
    int row0, strip0, strip1;
};

/* Where the words of a strip begin, whose first row is `row`. */
static const float *strip_at(const struct part *p, const struct block *a, int strip,
                             int row)
{
    return p->left == STRIPS ? p->a + (size_t)strip * p->k * STRIP_STEP
                             : a->rows + (row - a->row0) * a->step;
}

/* One strip of `rows`; C's tile stays in the first cache from block to block. */
static void multiply_strip(const struct part *p, const float *at, int rows,
                           const float *b, struct tile *t)
{
    for (int k = 0; k < p->k; k += p->block) {
        t->k = min_int(p->block, p->k - k);
        t->b = b + (size_t)k * NR;
        t->add = p->g->add || p->k0 + k;
        t->a = at + (p->left == STRIPS ? (size_t)k * STRIP_STEP : (size_t)k);
        if (p->left == STRIPS)
            V(tile)(rows, t);
        else
            (p->bf16 ? V(tile_bf16) : V(tile_rows))(rows, t);
        t->bias = NULL;
        t->ahead += t->ahead_step * t->k;
    }
}

/* Strips times a panel. Each asks for its share of the next panel, or, where that is not
 * there yet, for the strip after it. */
static void multiply(const struct part *p, const struct block *a, const float *b,
                     const float *next, int panel)
{
    const struct gemm *g = p->g;
    const int col = panel * NR, strips = a->strip1 - a->strip0;
    struct tile t = {
        .a_step = a->step,
        .b_step = NR,
        .n = min_int(NR, g->n - col),
        .ldc = (size_t)g->ldc,
        .scale = g->scale,
        .ahead_step = next ? ceil_div(p->row_step, strips) : MR * a->step / p->k,
    };
    for (int s = a->strip0, row = strip_row(p, s), end; s < a->strip1; s++, row = end) {
        const float *at = strip_at(p, a, s, row);
        end = strip_row(p, s + 1);
        t.c = g->c + (p->row0 + row) * g->ldc + col;
        t.bias = g->bias && !p->k0 ? g->bias + col : NULL;
        t.ahead = next ? next : s + 1 < a->strip1 ? strip_at(p, a, s + 1, end) : at;
        next += next ? t.ahead_step * p->k : 0;
        multiply_strip(p, at, end - row, b, &t);
    }
}

/* Rows of the strips, copied to `own` where they have to be. */
static struct block block_of(const struct part *p, int strip0, int strip1, float *own)
{
    const int row0 = strip_row(p, strip0);
    struct block a = {p->a, STRIP_STEP, row0, strip0, strip1};
    if (p->left == TASK_ROWS) {
        a.rows = own;
        a.step = own_step(p->k);
        pack_rows(p, row0, strip_row(p, strip1) - row0, 0, p->k, own, a.step);
    } else if (p->left != STRIPS) {
        a.rows += row0 * p->a_step;
        a.step = p->a_step;
    }
    return a;
}

/* The chunk's part of a panel, as a tile reads it. */
static const float *set_panel(const struct part *p, const float *panel, int thread)
{
    float *wide = p->scratch + thread * p->scratch_step + p->wide;
    if (p->stored == DT_F32)
        return panel;
    V(widen)(p->stored, panel, p->k * NR, wide);
    return wide;
}

static void multiply_groups(void *ctx, size_t begin, size_t end, int thread)
{
    const struct part *p = ctx;
    for (size_t i = begin; i < end; i++) {
        const int rg = (int)(i % p->row_groups), cg = (int)(i / p->row_groups);
        const int panel0 = p->panels * cg / p->col_groups;
        const int panel1 = p->panels * (cg + 1) / p->col_groups;
        const struct block a = block_of(p, p->strips * rg / p->row_groups,
                                        p->strips * (rg + 1) / p->row_groups,
                                        p->scratch + thread * p->scratch_step);
        for (int j = panel0; j < panel1; j++) {
            const float *b = p->b + j * p->panel_step;
            multiply(p, &a, set_panel(p, b, thread),
                     j + 1 < panel1 ? b + p->panel_step : NULL, j);
        }
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
        const struct block a = block_of(p, 0, p->strips, NULL);
        multiply(p, &a, panel, NULL, (int)j);
    }
}

/* Tasks of GROUP strips, and of part of the columns where that gives too few of them (or
 * a number that leaves threads idle at the end), each worth its while. */
static void divide(struct part *p)
{
    const int threads = pool_threads();
    const double flops = 2.0 * p->rows * p->g->n * p->k;
    const int most = flops < 16e6 * threads ? (int)(flops / 1e6) + 1 : 16 * threads;
    const int wanted = min_int(4 * threads, most);
    p->row_groups = (int)ceil_div(p->strips, group_of(p->g));
    p->col_groups = (int)ceil_div(wanted, p->row_groups);
    while (p->row_groups * p->col_groups % threads &&
           p->row_groups * (p->col_groups + 1) <= most)
        p->col_groups++;
    p->col_groups = min_int(p->col_groups, p->panels);
}

static void run_part(struct part *p)
{
    const struct gemm *g = p->g;
    const int packs = (p->left >= SHARED_ROWS ? p->strips : 0) +
                      (p->own_b && p->row0 == 0 ? count_of_b(p) : 0);
    if (packs)
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

/* Where the parts of the workspace lie, in words. */
struct room {
    size_t a, b, wide, scratch_step, all;
};

static struct room room_for(const struct gemm *g)
{
    const int words = depth(g), k = min_int(words, CHUNK);
    const int rows = min_int(g->m, SLAB);
    const enum left left = left_of(g);
    struct room r = {0};
    if (left == SHARED_ROWS)
        r.a = round_up(rows * own_step(k), LINE);
    else if (left == STRIPS)
        r.a = ceil_div(rows, MR) * k * STRIP_STEP;
    if (g->b_kind != B_PANELS && !is_q4(g))
        r.b = ceil_div(g->n, NR) * k * NR;
    if (is_q4(g))
        r.scratch_step = k * NR + (size_t)UNPACK * NR;
    else if (left == TASK_ROWS)
        r.scratch_step = (size_t)min_int(rows, group_of(g) * MR) * own_step(k);
    r.wide = r.scratch_step;
    if (g->b_kind == B_PANELS && stored(g) != DT_F32)
        r.scratch_step += (size_t)k * NR;
    r.all = r.a + r.b + r.scratch_step * (size_t)pool_size();
    return r;
}

size_t V(gemm_bytes)(const struct gemm *g)
{
    return room_for(g).all * sizeof(float);
}

void V(gemm)(const struct gemm *g, void *workspace)
{
    const struct room room = room_for(g);
    const int packs_b = room.b != 0, words = depth(g), chunk = even_step(words, CHUNK);
    struct part p = {
        .g = g,
        .bf16 = g->compute == DT_BF16,
        .panels = (int)ceil_div(g->n, NR),
        .left = left_of(g),
        .own_a = workspace,
        .scratch_step = room.scratch_step,
        .wide = room.wide,
        .stored = g->b_kind == B_PANELS ? stored(g) : DT_F32,
    };
    p.row_step = p.stored == DT_F32 ? NR : NR / 2;
    const int slab = p.left >= SHARED_ROWS ? even_step(g->m, SLAB) : g->m;
    p.own_b = packs_b ? p.own_a + room.a : NULL;
    p.scratch = p.own_a + room.a + room.b;
    if (is_q4(g))
        p.q4 = V(q4_open)(g->spec, g->b);
    for (p.k0 = 0; p.k0 < words; p.k0 += chunk) {
        p.k = min_int(chunk, words - p.k0);
        p.block = even_step(p.k, KC);
        p.panel_step = (packs_b ? p.k : words) * p.row_step;
        p.b = packs_b ? p.own_b : (const float *)g->b + p.k0 * p.row_step;
        for (p.row0 = 0; p.row0 < g->m; p.row0 += slab) {
            p.rows = min_int(slab, g->m - p.row0);
            p.strips = (int)ceil_div(p.rows, MR);
            p.a_step = p.left == SHARED_ROWS ? own_step(p.k) : (size_t)g->a_ld;
            p.a = p.left >= SHARED_ROWS ? p.own_a : g->a + p.row0 * g->a_ld + p.k0;
            run_part(&p);
        }
    }
}

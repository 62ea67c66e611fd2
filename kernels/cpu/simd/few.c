/* kernels/cpu/simd/few.c - products of a few rows with a frozen weight: decoding.
 *
 * What takes the time is reading the weight once, so nothing else may: panels are read
 * where they lie, two side by side where there are so few rows that one would wait for its
 * own sums, what comes next is asked for meanwhile, and no row is copied. 4-bit weights are
 * unpacked a piece at a time, which stays in the core's first cache. Sums are
 * gemm.c's, bit for bit: the same chain of multiply-adds over the same blocks of k. */
#include "kernels/cpu/simd/simd.h"

enum {
    WIDE = 3,     /* most rows that take two panels at a time */
    AHEAD = 2048, /* bytes that are asked for beforehand */
    LINE = 64,
    PIECE = 128, /* 4 bits: elements of a row unpacked at a time */
    SCRATCH = 2 * PIECE * NR,
    VECTORS = 2 * FEW > 4 * WIDE ? 2 * FEW : 4 * WIDE, /* of sums, at most */
};

/* How a panel's numbers lie: fp32, or 16 bits to be widened, or words of two bf16 that
 * both sides are rounded to. */
enum form { FORM_F32, FORM_BF16, FORM_F16, FORM_WORDS, FORMS };

INLINE size_t row_bytes(enum form form)
{
    return form == FORM_BF16 || form == FORM_F16 ? NR * 2 : NR * 4;
}

/* sums[row][vector] += A B, of one or two panels. */
struct strip {
    const float *a;
    size_t a_step;
    const char *b;
    size_t b_step; /* bytes from panel to panel */
    int k;         /* words */
    float *sums;
};

INLINE vf read_b(enum form form, const char *row, int half)
{
    const uint16_t *halves = (const uint16_t *)(const void *)row + half * W;
    if (form == FORM_BF16)
        return vf_of_bf16(halves);
    if (form == FORM_F16)
        return vf_of_half(halves);
    return vf_load((const float *)(const void *)row + half * W);
}

INLINE vf multiply_add(enum form form, const float *a, vf b, vf sum)
{
    return form == FORM_WORDS ? bf16_fma(bf16_splat(a), b, sum)
                              : vf_fma(vf_splat(*a), b, sum);
}

INLINE void multiply(int m, int panels, enum form form, const struct strip *s)
{
    vf acc[FEW][4];
    const float *a = s->a;
    const char *b = s->b;
    const size_t bytes = row_bytes(form);
#pragma GCC unroll 8
    for (int i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int v = 0; v < 2 * panels; v++)
            acc[i][v] = vf_load(s->sums + (i * 2 * panels + v) * W);
    for (int k = 0; k < s->k; k++, a++, b += bytes)
#pragma GCC unroll 4
        for (int v = 0; v < 2 * panels; v++) {
            const char *row = b + (v / 2 ? s->b_step : 0);
            const vf x = read_b(form, row, v % 2);
            if (v % 2 * bytes / 2 % LINE == 0)
                __builtin_prefetch(row + AHEAD + v % 2 * bytes / 2, 0, 3);
#pragma GCC unroll 8
            for (int i = 0; i < m; i++)
                acc[i][v] = multiply_add(form, a + i * s->a_step, x, acc[i][v]);
        }
#pragma GCC unroll 8
    for (int i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int v = 0; v < 2 * panels; v++)
            vf_store(s->sums + (i * 2 * panels + v) * W, acc[i][v]);
}

#define STRIP(m, panels, name, form)                                                     \
    static void name##_##m##_##panels(const struct strip *s)                             \
    {                                                                                    \
        multiply(m, panels, form, s);                                                    \
    }
#define SIZES(X, ...)                                                                    \
    X(1, 1, __VA_ARGS__)                                                                 \
    X(2, 1, __VA_ARGS__)                                                                 \
    X(3, 1, __VA_ARGS__)                                                                 \
    X(4, 1, __VA_ARGS__)                                                                 \
    X(1, 2, __VA_ARGS__)                                                                 \
    X(2, 2, __VA_ARGS__)                                                                 \
    X(3, 2, __VA_ARGS__)
#if CPU_WIDTH == 16
#define MORE_SIZES(X, ...)                                                               \
    X(5, 1, __VA_ARGS__)                                                                 \
    X(6, 1, __VA_ARGS__)                                                                 \
    X(7, 1, __VA_ARGS__)                                                                 \
    X(8, 1, __VA_ARGS__)
#else
#define MORE_SIZES(X, ...)
#endif
#define EACH_FORM(X)                                                                     \
    X(f32, FORM_F32)                                                                     \
    X(bf16, FORM_BF16)                                                                   \
    X(f16, FORM_F16)                                                                     \
    X(words, FORM_WORDS)
#define X(name, form)                                                                    \
    SIZES(STRIP, name, form)                                                             \
    MORE_SIZES(STRIP, name, form)
EACH_FORM(X)
#undef X

/* [form][two panels][rows - 1] */
static void (*const strips[FORMS][2][FEW])(const struct strip *) = {
#define ENTRY(m, panels, name) [panels - 1][m - 1] = name##_##m##_##panels,
#define X(name, form)          [form] = {SIZES(ENTRY, name) MORE_SIZES(ENTRY, name)},
    EACH_FORM(X)
#undef X
};

/* ---- one product ---- */

struct few {
    const struct gemm *g;
    enum form form;
    const float *a; /* rows, rounded where they have to be */
    size_t a_step;
    int words; /* along k */
    int panels, together;
    struct q4 q4;
    float *scratch; /* 4 bits: pieces of panels, for each thread */
};

/* Vector v of row i of C, from column `col` on. */
struct place {
    const struct few *f;
    int col, panels;
    float *values; /* [row][vector] */
};

static int lanes(const struct place *p, int v)
{
    const int rest = p->f->g->n - p->col - v * W;
    return rest < 0 ? 0 : min_int(rest, W);
}

/* What the sums are added to, as tile.c has it. */
static void begin(const struct place *p)
{
    const struct gemm *g = p->f->g;
    for (int i = 0; i < g->m; i++)
        for (int v = 0; v < 2 * p->panels; v++) {
            const int col = p->col + v * W, n = lanes(p, v);
            vf base = {0};
            if (n && g->bias)
                base = vf_get(g->bias + col, n);
            if (n && g->add)
                base = base + vf_get(g->c + i * g->ldc + col, n);
            vf_store(p->values + (i * 2 * p->panels + v) * W, base);
        }
}

static void end(const struct place *p)
{
    const struct gemm *g = p->f->g;
    for (int i = 0; i < g->m; i++)
        for (int v = 0; v < 2 * p->panels; v++)
            vf_put(g->c + i * g->ldc + p->col + v * W,
                   vf_load(p->values + (i * 2 * p->panels + v) * W), lanes(p, v), 0);
}

/* values = scale * sums + values */
static void add_sums(const struct place *p, const float *sums, int first)
{
    const vf scale = vf_splat(p->f->g->scale), zero = {0};
    for (int i = 0; i < p->f->g->m * 2 * p->panels; i++) {
        const vf base = vf_load(p->values + i * W);
        vf_store(p->values + i * W,
                 vf_fma(vf_load(sums + i * W), scale, first ? base : zero + base));
    }
}

static int is_q4(const struct gemm *g)
{
    return g->b_kind == B_Q4_ROWS;
}

/* Where the panels' words [k, ..) lie, and how many of them do: all up to `end`, or of 4
 * bits a piece. */
static void place_b(const struct few *f, int panel, int panels, int k, int end,
                    float *scratch, struct strip *s)
{
    const struct gemm *g = f->g;
    const size_t row = row_bytes(f->form), step = row * (size_t)f->words;
    s->k = end - k;
    s->b = (const char *)g->b + (size_t)panel * step + (size_t)k * row;
    s->b_step = step;
    if (!is_q4(g))
        return;
    const int unit = f->form == FORM_WORDS ? 2 : 1, piece = PIECE / unit;
    s->k = min_int(end, (k / piece + 1) * piece) - k;
    s->b = (const char *)scratch;
    s->b_step = (size_t)piece * row;
    for (int i = 0; i < panels; i++)
        V(q4_panel)
    (&(struct q4_panel){.q = &f->q4,
                        .row = (panel + i) * NR,
                        .rows = min_int(NR, g->n - (panel + i) * NR),
                        .k0 = k * unit,
                        .k = min_int(s->k * unit, g->k - k * unit),
                        .bf16 = unit == 2,
                        .next_row = NR * f->together,
                        .dst = scratch + i * piece * NR});
}

/* Panels [panel, panel + panels). */
static void run_panels(const struct few *f, int panel, int panels, float *scratch)
{
    float sums[VECTORS * W], values[VECTORS * W];
    const struct gemm *g = f->g;
    const struct place p = {f, panel * NR, panels, values};
    struct strip s = {.a_step = f->a_step, .sums = sums};
    const int chunk = even_step(f->words, K_CHUNK);
    begin(&p);
    for (int k0 = 0; k0 < f->words; k0 += chunk) {
        const int k1 = min_int(k0 + chunk, f->words), block = even_step(k1 - k0, KC);
        for (int k = k0; k < k1; k += block) {
            memset(sums, 0, sizeof(sums));
            for (int at = k, to = min_int(k + block, k1); at < to; at += s.k) {
                s.a = f->a + at;
                place_b(f, panel, panels, at, to, scratch, &s);
                strips[f->form][panels - 1][g->m - 1](&s);
            }
            add_sums(&p, sums, k == 0);
        }
    }
    end(&p);
}

static void run_items(void *ctx, size_t from, size_t to, int thread)
{
    const struct few *f = ctx;
    float *scratch = f->scratch + thread * SCRATCH;
    for (size_t i = from; i < to; i++) {
        const int panel = (int)i * f->together, rest = f->panels - panel;
        run_panels(f, panel, min_int(f->together, rest), scratch);
    }
}

int V(few_takes)(const struct gemm *g)
{
    return g->m <= FEW && (g->b_kind == B_PANELS || (is_q4(g) && V(q4_fits)(g->spec)));
}

size_t V(few_bytes)(const struct gemm *g)
{
    const size_t rows = FEW * round_up(ceil_div(g->k, 2), 2 * NR);
    const size_t pieces = (size_t)pool_size() * SCRATCH;
    return ((g->compute == DT_BF16 ? rows : 0) + (is_q4(g) ? pieces : 0)) * sizeof(float);
}

void V(few)(const struct gemm *g, void *workspace)
{
    struct few f = {
        .g = g,
        .form = is_q4(g)                     ? FORM_F32
                : g->spec->stored == DT_BF16 ? FORM_BF16
                : g->spec->stored == DT_F16  ? FORM_F16
                                             : FORM_F32,
        .a = g->a,
        .a_step = (size_t)g->a_ld,
        .words = g->k,
        .panels = (int)ceil_div(g->n, NR),
        .together = g->m <= WIDE ? 2 : 1,
    };
    f.scratch = workspace;
    if (is_q4(g))
        f.q4 = V(q4_open)(g->spec, g->b);
    if (g->compute == DT_BF16) {
        f.form = FORM_WORDS;
        f.words = (int)ceil_div(g->k, 2);
        f.a = workspace;
        f.a_step = round_up(f.words, 2 * NR);
        f.scratch += FEW * f.a_step;
        for (int i = 0; i < g->m; i++)
            V(bf16_row)((float *)workspace + i * f.a_step, g->a + i * g->a_ld, g->k);
    }
    par(run_items, &f, ceil_div(f.panels, f.together), (size_t)f.words * NR * f.together);
}

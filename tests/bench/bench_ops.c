/* tests/bench/bench_ops.c - speed of the CPU backend's ops, op by op.
 *
 *   bench_ops [variant ...]     (default: the widest that runs here)
 *   BENCH_OPS=attention         only ops whose line has that text
 *
 * Products are set against the machine's own multiply-add peak: a loop of independent
 * multiply-adds in the variant's width on all threads, measured in the same run and next
 * to each product, because other work on the machine takes its share of both. Each figure
 * is the best of several rounds. Attention counts its products only; element-wise ops are
 * in elements per second. */
#include "kernels/cpu/cpu.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/rng.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS        25
#define ROUND_SECONDS 0.004

/* With one thread its own time, which other processes do not stretch. */
static double now(void)
{
    struct timespec t;
    clock_gettime(pool_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the peak ---- */

enum { PEAK_STEPS = 50000, PEAK_CHAINS = 12 };

/* Twelve independent chains hide the latency of a multiply-add. */
#define PEAK(name, isa, lanes)                                                           \
    __attribute__((target(isa),                                                          \
                   optimize("O3,fp-contract=fast"))) static double peak_##name(void)     \
    {                                                                                    \
        typedef float v __attribute__((vector_size(lanes * 4)));                         \
        v a[PEAK_CHAINS], b = (v){0} + 0.999f, c = (v){0} + 1e-3f;                       \
        _Pragma("GCC unroll 12") for (int i = 0; i < PEAK_CHAINS; i++) a[i] =            \
            (v){0} + (float)i;                                                           \
        for (int n = 0; n < PEAK_STEPS; n++)                                             \
            _Pragma("GCC unroll 12") for (int i = 0; i < PEAK_CHAINS; i++) a[i] =        \
                a[i] * b + c;                                                            \
        double sum = 0;                                                                  \
        _Pragma("GCC unroll 12") for (int i = 0; i < PEAK_CHAINS; i++) sum += a[i][0];   \
        return sum;                                                                      \
    }
#ifdef __aarch64__
PEAK(neon, "+simd", 4)
#else
PEAK(generic, "sse2", 4)
PEAK(avx2, "avx2,fma", 8)
PEAK(avx512, "avx512f,fma", 16)
#endif

static const struct peak {
    const char *variant;
    double (*loop)(void);
    int lanes;
} peaks[] = {
#ifdef __aarch64__
    {"neonbf16", peak_neon, 4},
    {"neon", peak_neon, 4},
    {"generic", peak_neon, 4},
#else
    {"avx512bf16", peak_avx512, 16},
    {"avx512", peak_avx512, 16},
    {"avx2", peak_avx2, 8},
    {"generic", peak_generic, 4},
#endif
};

static void run_peak(void *ctx, size_t begin, size_t end, int thread)
{
    const struct peak *p = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        if (isnan(p->loop()))
            abort(); /* never: keeps the loop from being left out */
}

/* GFLOP/s of all threads. */
static double measure_peak(const struct peak *p)
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        pool_run(run_peak, (void *)p, (size_t)pool_threads(), 1);
        double flops = 2.0 * PEAK_STEPS * PEAK_CHAINS * p->lanes * pool_threads();
        best = fmax(best, flops / (now() - start) / 1e9);
    }
    return best;
}

/* ---- ops ---- */

static float *numbers(size_t n)
{
    const struct philox_key key = rng_key(1, "bench");
    float *p = mem_try_aligned(n * sizeof(*p));
    if (!p) {
        fprintf(stderr, "bench_ops: not enough memory\n");
        exit(71);
    }
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(rng_uniform(&key, 0, i) - 0.5);
    return p;
}

/* What the environment asks for. */
static int is_wanted(const char *name)
{
    const char *text = getenv("BENCH_OPS");
    return !text || strstr(name, text);
}

static struct tensor matrix(int rows, int cols)
{
    return (struct tensor){numbers((size_t)rows * cols), DT_F32, rows, cols, cols, NULL};
}

static void release(struct op_args *args)
{
    for (int i = 0; i < OP_MAX_IN; i++)
        mem_free_aligned(args->in[i].data);
    for (int i = 0; i < OP_MAX_OUT; i++)
        mem_free_aligned(args->out[i].data);
    mem_free_aligned(args->workspace);
}

/* Seconds of one call, the best round. */
static double time_op(const struct backend *b, enum op op, struct op_args *args)
{
    args->workspace = mem_try_aligned(b->workspace_bytes(b->device, op, args) + 64);
    double best = INFINITY;
    long calls = 1;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (long i = 0; i < calls; i++)
            b->ops[op](args);
        double seconds = (now() - start) / (double)calls;
        best = fmin(best, seconds);
        if (round == 0)
            calls = 1 + (long)(ROUND_SECONDS / seconds);
    }
    return best;
}

static void report_flops(const struct peak *p, const char *name, double flops,
                         double seconds)
{
    double peak = measure_peak(p), rate = flops / seconds / 1e9;
    printf("  %-40s %9.1f us %8.1f GFLOP/s  %5.1f %% of %.0f\n", name, seconds * 1e6,
           rate, 100 * rate / peak, peak);
}

static void report_elements(const char *name, double elements, double seconds)
{
    printf("  %-40s %9.1f us %8.2f Gelem/s\n", name, seconds * 1e6,
           elements / seconds / 1e9);
}

enum weight_form { PLAIN, PACKED, NF4 };

static const struct product {
    enum op op;
    int rows, in, out;
    enum weight_form form;
    const char *what;
} products[] = {
    {OP_linear, 320, 384, 384, PACKED, "linear"},
    {OP_linear, 320, 384, 1536, PACKED, "linear"},
    {OP_linear, 320, 1536, 384, PACKED, "linear"},
    {OP_linear_dx, 320, 384, 384, PACKED, "linear_dx"},
    {OP_linear_dx, 320, 384, 1536, PACKED, "linear_dx"},
    {OP_linear, 1024, 768, 768, PACKED, "linear"},
    {OP_linear, 1024, 768, 3072, PACKED, "linear"},
    {OP_linear, 32, 384, 384, PACKED, "linear, few rows"},
    {OP_linear, 320, 384, 1536, NF4, "linear nf4"},
    {OP_linear_dx, 320, 384, 1536, NF4, "linear_dx nf4"},
    {OP_linear, 320, 384, 1536, PLAIN, "linear, plain weight"},
    {OP_linear_dw, 320, 384, 1536, PLAIN, "linear_dw"},
    {OP_linear_dw, 320, 384, 384, PLAIN, "linear_dw"},
    {OP_linear, 320, 384, 8, PLAIN, "shrink x A^T"},
    {OP_linear, 320, 384, 16, PLAIN, "shrink x A^T"},
    {OP_linear, 1024, 768, 8, PLAIN, "shrink x A^T"},
    {OP_linear, 320, 8, 384, PLAIN, "expand u B^T"},
    {OP_linear, 1024, 8, 768, PLAIN, "expand u B^T"},
    {OP_linear_dx, 320, 8, 384, PLAIN, "du = dy B"},
    {OP_linear_dx, 320, 384, 8, PLAIN, "dx = du A"},
    {OP_linear_dw, 320, 384, 8, PLAIN, "dA = du^T x"},
    {OP_linear_dw, 1024, 768, 8, PLAIN, "dA = du^T x"},
    {OP_linear_dw, 320, 8, 384, PLAIN, "dB = dy^T u"},
    {OP_linear_dw, 1024, 8, 768, PLAIN, "dB = dy^T u"},
};

static struct tensor weight(const struct backend *b, const struct product *p,
                            struct weight_spec *spec)
{
    struct tensor w = matrix(p->out, p->in);
    if (p->form == PLAIN)
        return w;
    *spec = (struct weight_spec){
        .rows = p->out,
        .cols = p->in,
        .quant = p->form == NF4 ? QUANT_NF4 : QUANT_NONE,
        .block = 64,
        .double_quant = 1,
        .dx_panels = 1,
        .compute = DT_F32,
    };
    void *prepared = mem_try_aligned(b->weight_bytes(spec));
    backend_prepare(b, spec, w.data, prepared, NULL);
    mem_free_aligned(w.data);
    w.data = prepared;
    w.dtype = DT_PREPARED;
    w.spec = spec;
    return w;
}

static void bench_product(const struct backend *b, const struct peak *peak,
                          const struct product *p)
{
    char name[80];
    snprintf(name, sizeof(name), "%s  rows %d in %d out %d", p->what, p->rows, p->in,
             p->out);
    if (!is_wanted(name))
        return;
    struct weight_spec spec;
    struct op_args args = {.attr.scale = 1};
    struct tensor x = matrix(p->rows, p->in), y = matrix(p->rows, p->out);
    struct tensor w = weight(b, p, &spec);
    if (p->op == OP_linear) {
        args.in[0] = x, args.in[1] = w, args.out[0] = y;
    } else if (p->op == OP_linear_dx) {
        args.in[0] = y, args.in[1] = w, args.out[0] = x;
    } else {
        args.in[0] = y, args.in[1] = x, args.out[0] = w;
    }
    double seconds = time_op(b, p->op, &args);
    report_flops(peak, name, op_flops(p->op, &args), seconds);
    release(&args);
}

static const struct heads {
    int tokens, sequences, heads, dim;
    float p;
    int window; /* causal, 0: neither */
    float softcap;
    int kv_heads; /* 0: as many */
} attentions[] = {
    {320, 32, 12, 32, 0, 0, 0, 0},   {320, 8, 12, 32, 0, 0, 0, 0},
    {320, 8, 12, 32, 0.1f, 0, 0, 0}, {1024, 16, 12, 32, 0, 0, 0, 0},
    {1024, 8, 12, 64, 0, 0, 0, 0},   {1024, 8, 12, 64, 0.1f, 0, 0, 0},
    {1024, 2, 12, 64, 0, 0, 0, 0},   {1024, 4, 9, 64, 0, 256, 0, 3},
    {1024, 1, 4, 64, 0, 256, 0, 0},  {4096, 1, 4, 64, 0, 256, 0, 0},
    {4096, 1, 4, 64, 0, 4096, 0, 0}, {16384, 1, 4, 64, 0, 256, 0, 0},
    {4096, 1, 4, 64, 0, 256, 50, 0},
};

static void bench_attention(const struct backend *b, const struct peak *peak,
                            const struct heads *h)
{
    const int d = h->heads * h->dim, kv = (h->kv_heads ? h->kv_heads : h->heads) * h->dim;
    char name[80], window[40] = "";
    if (h->window)
        snprintf(window, sizeof(window), ", window %d%s", h->window,
                 h->softcap > 0 ? ", cap" : "");
    snprintf(name, sizeof(name), "attention  %d x %d tokens, %d x %d, p %.1f%s",
             h->sequences, h->tokens / h->sequences, h->heads, h->dim, h->p, window);
    if (!is_wanted(name))
        return;
    struct op_args f = {.attr = {.scale = 0.2f,
                                 .heads = h->heads,
                                 .kv_heads = h->kv_heads,
                                 .p = h->p,
                                 .causal = h->window > 0,
                                 .window = h->window,
                                 .softcap = h->softcap}};
    int32_t *first = mem_try_aligned((size_t)(h->sequences + 1) * sizeof(*first));
    for (int i = 0; i <= h->sequences; i++)
        first[i] = (int32_t)((int64_t)h->tokens * i / h->sequences);
    for (int i = 0; i < 3; i++)
        f.in[i] = matrix(h->tokens, i ? kv : d);
    f.in[3] = (struct tensor){first, DT_I32, h->sequences + 1, 1, 1, NULL};
    f.out[0] = matrix(h->tokens, d);
    f.out[1] = matrix(h->tokens, h->heads);
    report_flops(peak, name, op_flops(OP_attention, &f), time_op(b, OP_attention, &f));
    struct op_args g = {.attr = f.attr, .in = {matrix(h->tokens, d)}};
    memcpy(g.in + 1, f.in, 3 * sizeof(f.in[0]));
    g.in[4] = f.out[0];
    g.in[5] = f.out[1];
    g.in[6] = f.in[3];
    for (int i = 0; i < 3; i++)
        g.out[i] = matrix(h->tokens, i ? kv : d);
    snprintf(name, sizeof(name), "    backward");
    report_flops(peak, name, op_flops(OP_attention_bwd, &g),
                 time_op(b, OP_attention_bwd, &g));
    release(&g);
    mem_free_aligned(f.workspace);
}

static const struct elementwise {
    enum op op;
    int rows, cols;
    enum act act;
    const char *what;
} elementwise[] = {
    {OP_act, 320, 1536, ACT_gelu, "gelu"},
    {OP_act_bwd, 320, 1536, ACT_gelu, "gelu backward"},
    {OP_act, 320, 1536, ACT_tanh, "tanh"},
    {OP_dropout, 320, 384, 0, "dropout"},
    {OP_add, 320, 384, 0, "add"},
    {OP_layernorm, 320, 384, 0, "layernorm"},
    {OP_layernorm_bwd, 320, 384, 0, "layernorm backward"},
    {OP_colsum, 320, 384, 0, "colsum"},
    {OP_cross_entropy, 32, 2, 0, "cross_entropy"},
    {OP_sumsq, 1, 300000, 0, "sumsq"},
    {OP_adamw, 1, 300000, 0, "adamw"},
    {OP_adamw, 384, 8, 0, "adamw"},
};

static void bench_elementwise(const struct backend *b, const struct elementwise *e)
{
    char name[80];
    snprintf(name, sizeof(name), "%s  %d x %d", e->what, e->rows, e->cols);
    if (!is_wanted(name))
        return;
    struct op_args args = {.attr = {.act = e->act,
                                    .p = 0.1f,
                                    .eps = 1e-5f,
                                    .beta1 = 0.9f,
                                    .beta2 = 0.999f,
                                    .lr = 1e-5f,
                                    .grad_scale = 1,
                                    .t = 3}};
    for (int i = 0; i < op_info[e->op].n_in; i++)
        args.in[i] = matrix(e->rows, e->cols);
    for (int i = 0; i < op_info[e->op].n_out; i++)
        args.out[i] = matrix(e->rows, e->cols);
    if (e->op == OP_cross_entropy)
        memset(args.in[1].data, 0, (size_t)e->rows * e->cols * sizeof(float));
    if (e->op == OP_adamw) /* second moments are not negative */
        memset(args.out[2].data, 0, (size_t)e->rows * e->cols * sizeof(float));
    report_elements(name, (double)e->rows * e->cols, time_op(b, e->op, &args));
    release(&args);
}

static void bench_variant(const struct backend *b)
{
    const struct peak *peak = peaks;
    while (strcmp(peak->variant, b->variant))
        peak++;
    printf("%s, %d threads\n", b->variant, pool_threads());
    for (size_t i = 0; i < ARRAY_LEN(products); i++)
        bench_product(b, peak, &products[i]);
    for (size_t i = 0; i < ARRAY_LEN(attentions); i++)
        bench_attention(b, peak, &attentions[i]);
    for (size_t i = 0; i < ARRAY_LEN(elementwise); i++)
        bench_elementwise(b, &elementwise[i]);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        const struct backend *b = cpu_backend();
        if (!b) {
            fprintf(stderr, "bench_ops: %s\n", cpu_backend_reason());
            return 69;
        }
        bench_variant(b);
    }
    for (int i = 1; i < argc; i++) {
        const struct backend *b = cpu_backend_variant(argv[i]);
        if (!b) {
            fprintf(stderr, "bench_ops: variant '%s' does not run here\n", argv[i]);
            return 69;
        }
        bench_variant(b);
    }
    return 0;
}

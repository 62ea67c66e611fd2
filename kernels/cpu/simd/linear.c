/* kernels/cpu/simd/linear.c - y = x W^T + b and its two gradients: which product to
 * use. */
#include "kernels/cpu/simd/simd.h"

static int is_prepared(const struct tensor *w)
{
    return w->dtype == DT_PREPARED;
}

static int is_quantised(const struct tensor *w)
{
    return is_prepared(w) && w->spec->quant != QUANT_NONE;
}

/* A prepared weight knows its format; a trainable one is fp32 and the node tells what to
 * round it to. */
static enum dtype compute_of(const struct op_args *args, const struct tensor *w)
{
    return is_prepared(w) ? w->spec->compute : args->attr.compute;
}

/* A plain weight with a side so small that narrow.c is for it. */
static int is_narrow(const struct gemm *g)
{
    return g->n <= NARROW && (g->b_kind == B_ROWS || g->b_kind == B_COLS);
}

/* Words of a row of B as V(dot) gets it: in the workspace, turned or rounded. */
static int64_t dot_step(const struct gemm *g)
{
    return (int64_t)round_up(g->k, W);
}

static size_t dot_bytes(const struct gemm *g)
{
    return (size_t)dot_step(g) * NARROW * sizeof(float);
}

/* ---- y = x W^T ---- */

static struct gemm forward(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *w = &args->in[1], *y = &args->out[0];
    struct gemm g = {
        .m = x->rows,
        .n = w->rows,
        .k = w->cols,
        .a = x->data,
        .a_ld = x->ld,
        .b_kind = B_ROWS,
        .b = w->data,
        .b_ld = w->ld,
        .spec = w->spec,
        .compute = compute_of(args, w),
        .c = y->data,
        .ldc = y->ld,
        .scale = args->attr.scale,
        .bias = args->in[2].data,
        .add = adds(args, 0),
    };
    if (is_quantised(w))
        g.b_kind = B_Q4_ROWS;
    else if (is_prepared(w))
        g.b_kind = B_PANELS;
    return g;
}

static void narrow_forward(struct gemm *g, float *rounded)
{
    if (g->compute == DT_BF16) {
        V(bf16_copy)(rounded, dot_step(g), g->b, g->b_ld, g->n, g->k);
        g->b = rounded;
        g->b_ld = dot_step(g);
    }
    V(dot)(g);
}

void V(linear)(const struct op_args *args)
{
    struct gemm g = forward(args);
    if (is_narrow(&g))
        narrow_forward(&g, args->workspace);
    else if (V(few_takes)(&g))
        V(few)(&g, args->workspace);
    else
        V(gemm)(&g, args->workspace);
}

size_t V(linear_bytes)(const struct op_args *shapes)
{
    const struct gemm g = forward(shapes);
    if (is_narrow(&g))
        return g.compute == DT_BF16 ? dot_bytes(&g) : 0;
    const size_t many = V(gemm_bytes)(&g), few = V(few_bytes)(&g);
    return few > many ? few : many;
}

/* ---- dx = dy W ---- */

static struct gemm backward(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0], *w = &args->in[1], *dx = &args->out[0];
    struct gemm g = {
        .m = dy->rows,
        .n = w->cols,
        .k = w->rows,
        .a = dy->data,
        .a_ld = dy->ld,
        .b_kind = B_COLS,
        .b = w->data,
        .b_ld = w->ld,
        .spec = w->spec,
        .compute = compute_of(args, w),
        .c = dx->data,
        .ldc = dx->ld,
        .scale = args->attr.scale,
        .add = adds(args, 0),
    };
    if (is_quantised(w))
        g.b_kind = B_Q4_COLS;
    else if (is_prepared(w))
        g.b_kind = w->spec->dx_panels ? B_PANELS : B_TURNED;
    return g;
}

/* A narrow W is turned into the workspace, then each dx is a dot product. */
static void narrow_backward(struct gemm *g, float *turned)
{
    const int64_t ld = dot_step(g);
    const float *w = g->b;
    for (int k = 0; k < g->k; k += W)
        V(pack_transpose)
    (turned + k, (size_t)ld, w + k * g->b_ld, g->b_ld, left(g->k, k), g->n);
    if (g->compute == DT_BF16)
        V(bf16_copy)(turned, ld, turned, ld, g->n, g->k);
    g->b = turned;
    g->b_ld = ld;
    V(dot)(g);
}

void V(linear_dx)(const struct op_args *args)
{
    struct gemm g = backward(args);
    if (g.b_kind == B_PANELS)
        g.b = V(weight_backward_panels)(g.spec, g.b);
    if (is_narrow(&g))
        narrow_backward(&g, args->workspace);
    else
        V(gemm)(&g, args->workspace);
}

size_t V(linear_dx_bytes)(const struct op_args *shapes)
{
    const struct gemm g = backward(shapes);
    return is_narrow(&g) ? dot_bytes(&g) : V(gemm_bytes)(&g);
}

/* ---- dW = dy^T x ---- */

static struct gemm gradient(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0], *x = &args->in[1], *dw = &args->out[0];
    return (struct gemm){
        .m = dy->cols,
        .n = x->cols,
        .k = x->rows,
        .a = dy->data,
        .a_ld = dy->ld,
        .a_by_k = 1,
        .b_kind = B_COLS,
        .b = x->data,
        .b_ld = x->ld,
        .c = dw->data,
        .ldc = dw->ld,
        .scale = args->attr.scale,
        .add = adds(args, 0),
        .compute = args->attr.compute,
    };
}

/* dW^T = x^T dy, stored turned back. */
static struct gemm swapped(const struct gemm *g)
{
    struct gemm s = *g;
    s.m = g->n;
    s.n = g->m;
    s.a = g->b;
    s.a_ld = g->b_ld;
    s.b = g->a;
    s.b_ld = g->a_ld;
    return s;
}

void V(linear_dw)(const struct op_args *args)
{
    const struct gemm g = gradient(args), s = swapped(&g);
    if (g.m <= NARROW)
        V(narrow)(&g, 0, args->workspace);
    else if (g.n <= NARROW)
        V(narrow)(&s, 1, args->workspace);
    else
        V(gemm)(&g, args->workspace);
}

size_t V(linear_dw_bytes)(const struct op_args *shapes)
{
    const struct gemm g = gradient(shapes);
    const int narrow = g.m <= NARROW || g.n <= NARROW;
    return narrow ? V(narrow_bytes)(&g) : V(gemm_bytes)(&g);
}

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

/* The choice may depend on the weight only: a row's bits must not change with m. */
static int takes_dot(const struct gemm *g)
{
    return g->b_kind == B_ROWS && g->n <= NARROW;
}

void V(linear)(const struct op_args *args)
{
    struct gemm g = forward(args);
    if (takes_dot(&g))
        dot_run(&g);
    else
        gemm_run(&g, args->workspace);
}

size_t V(linear_bytes)(const struct op_args *shapes)
{
    struct gemm g = forward(shapes);
    return takes_dot(&g) ? 0 : gemm_bytes(&g);
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
        .c = dx->data,
        .ldc = dx->ld,
        .scale = args->attr.scale,
        .add = adds(args, 0),
    };
    if (is_quantised(w))
        g.b_kind = B_Q4_COLS;
    else if (is_prepared(w))
        g.b_kind = B_PANELS;
    return g;
}

/* A narrow W is turned into the workspace, then each dx is a dot product. */
static void narrow_backward(struct gemm *g, float *turned)
{
    const int64_t ld = (int64_t)round_up(g->k, W);
    const float *w = g->b;
    for (int k = 0; k < g->k; k += W)
        pack_transpose(turned + k, (size_t)ld, w + k * g->b_ld, g->b_ld, left(g->k, k),
                       g->n);
    g->b = turned;
    g->b_ld = ld;
    dot_run(g);
}

void V(linear_dx)(const struct op_args *args)
{
    struct gemm g = backward(args);
    if (g.b_kind == B_PANELS)
        g.b = weight_backward_panels(g.spec, g.b);
    if (g.b_kind == B_COLS && g.n <= NARROW)
        narrow_backward(&g, args->workspace);
    else
        gemm_run(&g, args->workspace);
}

size_t V(linear_dx_bytes)(const struct op_args *shapes)
{
    struct gemm g = backward(shapes);
    size_t bytes = gemm_bytes(&g);
    if (g.b_kind == B_COLS && g.n <= NARROW)
        bytes = round_up(g.k, W) * NARROW * sizeof(float);
    return bytes;
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
    struct gemm g = gradient(args), s = swapped(&g);
    if (g.m <= NARROW)
        narrow_run(&g, 0, args->workspace);
    else if (s.m <= NARROW)
        narrow_run(&s, 1, args->workspace);
    else
        gemm_run(&g, args->workspace);
}

size_t V(linear_dw_bytes)(const struct op_args *shapes)
{
    struct gemm g = gradient(shapes);
    if (g.m <= NARROW || g.n <= NARROW)
        return narrow_bytes(g.k);
    return gemm_bytes(&g);
}

/* kernels/cpu/simd/elementwise.c - act, gated_act, dropout, scale, add, copy, zero. Work is divided
 * by rows. */
#include "kernels/half.h"
#include "kernels/cpu/simd/simd.h"
#include "kernels/cpu/simd/philox.h"
#include "kernels/cpu/simd/vmath.h"

/* ---- activations ---- */

/* Hendrycks and Gimpel 2016, the exact form: x Phi(x). */
INLINE vf gelu(vf x)
{
    vf pdf;
    return x * vf_normal_cdf(x, &pdf);
}

INLINE vf relu(vf x)
{
    return vf_max((vf){0}, x);
}

/* Phi(x) + x phi(x) */
INLINE vf gelu_slope(vf x)
{
    vf pdf, cdf = vf_normal_cdf(x, &pdf);
    return vf_fma(x, pdf, cdf);
}

INLINE vf relu_slope(vf x)
{
    return vf_if_less((vf){0}, x, vf_splat(1), (vf){0});
}

INLINE vf tanh_slope(vf x)
{
    vf y = vf_tanh(x);
    return 1.0f - y * y;
}

INLINE vf sigmoid(vf x)
{
    return 1.0f / (1.0f + vf_exp(-x));
}

/* The same by tanh: x (1 + tanh(z / 2)) / 2 = x sigmoid(z) with this z. Beyond 12 the
 * value is x or 0 to the last bit, and the cube may overflow. */
INLINE vf gelu_angle(vf x)
{
    x = vf_min(vf_splat(12), vf_max(vf_splat(-12), x));
    return x * vf_fma(x * x, vf_splat(0.07135481f), vf_splat(1.5957691f));
}

INLINE vf gelu_tanh(vf x)
{
    return x * sigmoid(gelu_angle(x));
}

/* s + x z' s (1 - s), where 1 - s would cancel. */
INLINE vf gelu_tanh_slope(vf x)
{
    const vf near = vf_min(vf_splat(12), vf_max(vf_splat(-12), x)), z = gelu_angle(x);
    const vf e = vf_exp_falling((vf){0} - vf_abs(z)), r = 1.0f / (1.0f + e);
    const vf s = vf_if_less(z, (vf){0}, e * r, r);
    const vf rise = vf_fma(near * near, vf_splat(0.2140644f), vf_splat(1.5957691f));
    return vf_fma(near * rise, e * r * r, s);
}

INLINE vf swish(vf x)
{
    return x * sigmoid(x);
}

INLINE vf swish_slope(vf x)
{
    vf s = sigmoid(x);
    return s * vf_fma(x, 1.0f - s, vf_splat(1));
}

#define ROWS(name, expression)                                                           \
    static void name(void *ctx, size_t begin, size_t end, int thread)                    \
    {                                                                                    \
        const struct op_args *args = ctx;                                                \
        const int cols = args->out[0].cols, add = adds(args, 0);                         \
        (void)thread;                                                                    \
        for (size_t r = begin; r < end; r++) {                                           \
            const float *a = row_of(&args->in[0], r);                                    \
            const float *b = args->in[1].data ? row_of(&args->in[1], r) : a;             \
            float *y = row_of(&args->out[0], r);                                         \
            for (int c = 0; c < cols; c += W) {                                          \
                const int n = left(cols, c);                                             \
                vf va = vf_get(a + c, n), vb = vf_get(b + c, n);                         \
                (void)vb;                                                                \
                vf_put(y + c, expression, n, add);                                       \
            }                                                                            \
        }                                                                                \
    }

ROWS(act_gelu, gelu(va))
ROWS(act_gelu_tanh, gelu_tanh(va))
ROWS(act_relu, relu(va))
ROWS(act_tanh, vf_tanh(va))
ROWS(act_swish, swish(va))
ROWS(act_bwd_gelu, va *gelu_slope(vb))
ROWS(act_bwd_gelu_tanh, va *gelu_tanh_slope(vb))
ROWS(act_bwd_relu, va *relu_slope(vb))
ROWS(act_bwd_tanh, va *tanh_slope(vb))
ROWS(act_bwd_swish, va *swish_slope(vb))
ROWS(gated_gelu, gelu(va) * vb)
ROWS(gated_gelu_tanh, gelu_tanh(va) * vb)
ROWS(gated_relu, relu(va) * vb)
ROWS(gated_tanh, vf_tanh(va) * vb)
ROWS(gated_swish, swish(va) * vb)
ROWS(scale_rows, va * args->attr.scale)
ROWS(add_rows, va + vb)
ROWS(copy_rows, va)

static const pool_fn act_fns[ACT_COUNT] = {
#define X(name) act_##name,
    ACTS(X)
#undef X
};

static const pool_fn act_bwd_fns[ACT_COUNT] = {
#define X(name) act_bwd_##name,
    ACTS(X)
#undef X
};

static const pool_fn gated_fns[ACT_COUNT] = {
#define X(name) gated_##name,
    ACTS(X)
#undef X
};

/* Both gradients of a row; the expressions are of gate. */
#define GATED_BWD(name, value, slope)                                                    \
    static void gated_bwd_##name(void *ctx, size_t begin, size_t end, int thread)        \
    {                                                                                    \
        const struct op_args *args = ctx;                                                \
        const int cols = args->in[0].cols;                                               \
        (void)thread;                                                                    \
        for (size_t r = begin; r < end; r++) {                                           \
            const float *dys = row_of(&args->in[0], r),                                  \
                        *gates = row_of(&args->in[1], r);                                \
            const float *ups = row_of(&args->in[2], r);                                  \
            for (int c = 0; c < cols; c += W) {                                          \
                const int n = left(cols, c);                                             \
                vf dy = vf_get(dys + c, n), gate = vf_get(gates + c, n);                 \
                if (args->out[0].data)                                                   \
                    vf_put(row_of(&args->out[0], r) + c,                                 \
                           dy * vf_get(ups + c, n) * slope(gate), n, adds(args, 0));     \
                if (args->out[1].data)                                                   \
                    vf_put(row_of(&args->out[1], r) + c, dy * value(gate), n,            \
                           adds(args, 1));                                               \
            }                                                                            \
        }                                                                                \
    }

GATED_BWD(gelu, gelu, gelu_slope)
GATED_BWD(gelu_tanh, gelu_tanh, gelu_tanh_slope)
GATED_BWD(relu, relu, relu_slope)
GATED_BWD(tanh, vf_tanh, tanh_slope)
GATED_BWD(swish, swish, swish_slope)

static const pool_fn gated_bwd_fns[ACT_COUNT] = {
#define X(name) gated_bwd_##name,
    ACTS(X)
#undef X
};

static void by_rows(pool_fn fn, const struct op_args *args, int cost)
{
    par(fn, args, args->out[0].rows, (size_t)args->out[0].cols * cost);
}

void V(act)(const struct op_args *args)
{
    by_rows(act_fns[args->attr.act], args, 2);
}

void V(act_bwd)(const struct op_args *args)
{
    by_rows(act_bwd_fns[args->attr.act], args, 3);
}

void V(gated_act)(const struct op_args *args)
{
    by_rows(gated_fns[args->attr.act], args, 3);
}

void V(gated_act_bwd)(const struct op_args *args)
{
    par(gated_bwd_fns[args->attr.act], args, args->in[0].rows,
        (size_t)args->in[0].cols * 5);
}

void V(add)(const struct op_args *args)
{
    by_rows(add_rows, args, 1);
}

void V(scale)(const struct op_args *args)
{
    by_rows(scale_rows, args, 1);
}

static uint16_t *half_row(const struct tensor *t, size_t r)
{
    return (uint16_t *)t->data + r * t->ld;
}

/* A row of an odd number does not begin with a word. */
static void narrow_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const int cols = args->out[0].cols, words = cols % 2 ? 0 : cols;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = row_of(&args->in[0], r);
        uint16_t *y = half_row(&args->out[0], r);
        V(bf16_row)((float *)(void *)y, x, words);
        for (int c = words; c < cols; c++)
            y[c] = bf16_of_float(x[c]);
    }
}

static void widen_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const int cols = args->out[0].cols, add = adds(args, 0);
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const uint16_t *x = half_row(&args->in[0], r);
        float *y = row_of(&args->out[0], r);
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            vf_put(y + c, bf16_widen(x + c, n), n, add);
        }
    }
}

void V(copy)(const struct op_args *args)
{
    const bool to = args->out[0].dtype == DT_BF16, from = args->in[0].dtype == DT_BF16;
    by_rows(to ? narrow_rows : from ? widen_rows : copy_rows, args, 1);
}

static void zero_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct tensor *out = ctx;
    const size_t size = dtype_bytes(out->dtype);
    (void)thread;
    for (size_t r = begin; r < end; r++)
        memset((char *)out->data + r * out->ld * size, 0, out->cols * size);
}

void V(zero)(const struct op_args *args)
{
    const struct tensor *out = &args->out[0];
    if (!adds(args, 0))
        par(zero_rows, out, out->rows, out->cols);
}

/* ---- dropout ---- */

/* Lane l of the generator is columns 4 l .. 4 l + 3; interleaving its words brings W such
 * groups into column order. */
static void dropout_row(const struct mask_stream *m, const float *x, float *y,
                        uint32_t row, int cols, int add)
{
    const vu lane = {LANES};
    const vu token = m->token_base + row - (vu){0};
    for (int c = 0; c < cols; c += 4 * W) {
        vu w[4];
        philox_words(m, token, lane + (uint32_t)c / 4, w);
        vu low02 = vec_low(w[0], w[2]), high02 = vec_high(w[0], w[2]);
        vu low13 = vec_low(w[1], w[3]), high13 = vec_high(w[1], w[3]);
        const vu ordered[4] = {vec_low(low02, low13), vec_high(low02, low13),
                               vec_low(high02, high13), vec_high(high02, high13)};
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const int begin = c + i * W;
            if (begin >= cols)
                break;
            const int n = left(cols, begin);
            vf v = vf_get(x + begin, n) * m->scale;
            vf_put(y + begin, mask_apply(m, ordered[i], v), n, add);
        }
    }
}

static void dropout_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const struct mask_stream m = mask_stream(&args->step, &args->attr);
    (void)thread;
    for (size_t r = begin; r < end; r++)
        dropout_row(&m, row_of(&args->in[0], r), row_of(&args->out[0], r), (uint32_t)r,
                    args->out[0].cols, adds(args, 0));
}

void V(dropout)(const struct op_args *args)
{
    if (args->attr.p > 0)
        by_rows(dropout_rows, args, 2);
    else if (args->in[0].data != args->out[0].data || adds(args, 0))
        by_rows(copy_rows, args, 1);
}

/* kernels/ref/elementwise.c - activations (gated too), dropout, scale, add, copy,
 * rounding, zero. */
#include "kernels/ref/ref.h"
#include "kernels/half.h"
#include "kernels/dropout.h"
#include <math.h>

static double normal_cdf(double x)
{
    return 0.5 * (1 + erf(x * M_SQRT1_2));
}

static double normal_pdf(double x)
{
    return exp(-0.5 * x * x) * (0.5 * M_2_SQRTPI * M_SQRT1_2);
}

static double gelu(double x)
{
    return x * normal_cdf(x);
}

static double gelu_slope(double x)
{
    return normal_cdf(x) + x * normal_pdf(x);
}

/* sqrt(2 / pi) (x + 0.044715 x^3) */
static double gelu_angle(double x)
{
    return M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x);
}

static double gelu_tanh(double x)
{
    return x * (0.5 + 0.5 * tanh(gelu_angle(x)));
}

static double gelu_tanh_slope(double x)
{
    const double y = tanh(gelu_angle(x));
    const double rise = M_2_SQRTPI * M_SQRT1_2 * (1 + 3 * 0.044715 * x * x);
    return 0.5 + 0.5 * y + 0.5 * x * (1 - y * y) * rise;
}

static double relu(double x)
{
    return x < 0 ? 0 : x; /* NaN passes */
}

static double relu_slope(double x)
{
    return x > 0;
}

static double tanh_slope(double x)
{
    double y = tanh(x);
    return 1 - y * y;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double swish(double x)
{
    return x * sigmoid(x);
}

static double swish_slope(double x)
{
    double s = sigmoid(x);
    return s * (1 + x * (1 - s));
}

static const struct {
    double (*value)(double), (*slope)(double);
} acts[ACT_COUNT] = {
    [ACT_gelu] = {gelu, gelu_slope},    [ACT_gelu_tanh] = {gelu_tanh, gelu_tanh_slope},
    [ACT_relu] = {relu, relu_slope},    [ACT_tanh] = {tanh, tanh_slope},
    [ACT_swish] = {swish, swish_slope},
};

void ref_act(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->out[0];
    for (int64_t r = 0; r < y->rows; r++)
        for (int c = 0; c < y->cols; c++)
            ref_put(args, 0, ref_row(y, r) + c,
                    acts[args->attr.act].value(ref_row(x, r)[c]));
}

void ref_act_bwd(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0], *x = &args->in[1], *dx = &args->out[0];
    for (int64_t r = 0; r < dx->rows; r++)
        for (int c = 0; c < dx->cols; c++)
            ref_put(args, 0, ref_row(dx, r) + c,
                    ref_row(dy, r)[c] * acts[args->attr.act].slope(ref_row(x, r)[c]));
}

void ref_gated_act(const struct op_args *args)
{
    const struct tensor *gate = &args->in[0], *up = &args->in[1], *y = &args->out[0];
    for (int64_t r = 0; r < y->rows; r++)
        for (int c = 0; c < y->cols; c++)
            ref_put(args, 0, ref_row(y, r) + c,
                    acts[args->attr.act].value(ref_row(gate, r)[c]) * ref_row(up, r)[c]);
}

void ref_gated_act_bwd(const struct op_args *args)
{
    const struct tensor *in = args->in, *out = args->out;
    for (int64_t r = 0; r < in[0].rows; r++)
        for (int c = 0; c < in[0].cols; c++) {
            const double dy = ref_row(&in[0], r)[c], gate = ref_row(&in[1], r)[c],
                         up = ref_row(&in[2], r)[c];
            if (out[0].data)
                ref_put(args, 0, ref_row(&out[0], r) + c,
                        dy * up * acts[args->attr.act].slope(gate));
            if (out[1].data)
                ref_put(args, 1, ref_row(&out[1], r) + c,
                        dy * acts[args->attr.act].value(gate));
        }
}

void ref_dropout(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->out[0];
    const struct op_attr *attr = &args->attr;
    double scale = 1 / (1 - (double)attr->p);
    for (int64_t r = 0; r < y->rows; r++)
        for (int c = 0; c < y->cols; c++) {
            int keep = dropout_keep(&args->step, attr->site, attr->p, r, c);
            ref_put(args, 0, ref_row(y, r) + c, keep ? ref_row(x, r)[c] * scale : 0);
        }
}

void ref_add(const struct op_args *args)
{
    const struct tensor *a = &args->in[0], *b = &args->in[1], *y = &args->out[0];
    for (int64_t r = 0; r < y->rows; r++)
        for (int c = 0; c < y->cols; c++)
            ref_put(args, 0, ref_row(y, r) + c,
                    (double)ref_row(a, r)[c] + ref_row(b, r)[c]);
}

void ref_scale(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->out[0];
    for (int64_t r = 0; r < y->rows; r++)
        for (int c = 0; c < y->cols; c++)
            ref_put(args, 0, ref_row(y, r) + c,
                    (double)args->attr.scale * ref_row(x, r)[c]);
}

void ref_copy(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->out[0];
    for (int64_t r = 0; r < y->rows; r++)
        for (int c = 0; c < y->cols; c++) {
            const float v =
                x->dtype == DT_BF16
                    ? bf16_to_float(((const uint16_t *)x->data)[r * x->ld + c])
                    : ref_row(x, r)[c];
            if (y->dtype == DT_BF16)
                ((uint16_t *)y->data)[r * y->ld + c] = bf16_of_float(v);
            else
                ref_put(args, 0, ref_row(y, r) + c, v);
        }
}

void ref_round_bf16(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->out[0];
    for (int64_t r = 0; r < y->rows; r++)
        for (int c = 0; c < y->cols; c++)
            ref_put(args, 0, ref_row(y, r) + c,
                    bf16_to_float(bf16_of_float(ref_row(x, r)[c])));
}

void ref_zero(const struct op_args *args)
{
    ref_clear(args, 0);
}

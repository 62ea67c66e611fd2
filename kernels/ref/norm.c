/* kernels/ref/norm.c - layer normalisation (Ba et al. 2016) and RMSNorm (Zhang and
 * Sennrich 2019).
 *
 * With h = (x - mean) rstd and g = dy gamma:  dx = rstd (g - mean(g) - h mean(g h)).
 * RMSNorm is without the mean:  h = x rstd,  dx = rstd (g - h mean(g h)). */
#include "kernels/ref/ref.h"
#include <math.h>

void ref_layernorm(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->out[0];
    const float *gamma = args->in[1].data, *beta = args->in[2].data;
    int d = x->cols;
    for (int64_t t = 0; t < x->rows; t++) {
        const float *xt = ref_row(x, t);
        double mean = 0, var = 0;
        for (int c = 0; c < d; c++)
            mean += xt[c];
        mean /= d;
        for (int c = 0; c < d; c++)
            var += (xt[c] - mean) * (xt[c] - mean);
        double rstd = 1 / sqrt(var / d + args->attr.eps);
        for (int c = 0; c < d; c++)
            ref_put(args, 0, ref_row(y, t) + c,
                    (xt[c] - mean) * rstd * gamma[c] + beta[c]);
        if (args->out[1].data) {
            ref_row(&args->out[1], t)[0] = (float)mean;
            ref_row(&args->out[1], t)[1] = (float)rstd;
        }
    }
}

static void input_gradient(const struct op_args *args, int64_t t)
{
    const float *dy = ref_row(&args->in[0], t), *x = ref_row(&args->in[1], t);
    const float *gamma = args->in[2].data, *stats = ref_row(&args->in[3], t);
    double mean = stats[0], rstd = stats[1], sum_g = 0, sum_gh = 0;
    int d = args->in[1].cols;
    for (int c = 0; c < d; c++) {
        double g = (double)dy[c] * gamma[c];
        sum_g += g;
        sum_gh += g * (x[c] - mean) * rstd;
    }
    float *dx = ref_row(&args->out[0], t);
    for (int c = 0; c < d; c++) {
        double g = (double)dy[c] * gamma[c], h = (x[c] - mean) * rstd;
        ref_put(args, 0, dx + c, rstd * (g - sum_g / d - h * sum_gh / d));
    }
}

static void parameter_gradients(const struct op_args *args, int c)
{
    double dgamma = 0, dbeta = 0;
    for (int64_t t = 0; t < args->in[0].rows; t++) {
        double dy = ref_row(&args->in[0], t)[c], x = ref_row(&args->in[1], t)[c];
        const float *stats = ref_row(&args->in[3], t);
        dgamma += dy * (x - stats[0]) * stats[1];
        dbeta += dy;
    }
    if (args->out[1].data)
        ref_put(args, 1, (float *)args->out[1].data + c, dgamma);
    if (args->out[2].data)
        ref_put(args, 2, (float *)args->out[2].data + c, dbeta);
}

void ref_layernorm_bwd(const struct op_args *args)
{
    if (args->out[0].data)
        for (int64_t t = 0; t < args->in[0].rows; t++)
            input_gradient(args, t);
    if (args->out[1].data || args->out[2].data)
        for (int c = 0; c < args->in[0].cols; c++)
            parameter_gradients(args, c);
}

/* Head h of row t of a tensor with heads of d columns. */
static float *head_at(const struct tensor *x, int64_t t, int h, int d)
{
    return ref_row(x, t) + h * d;
}

static double factor(const struct op_args *args, const struct tensor *gamma, int c)
{
    return (double)ref_row(gamma, 0)[c] + args->attr.offset;
}

static void rms_head(const struct op_args *args, int64_t t, int h)
{
    const struct tensor *gamma = &args->in[1];
    const int d = gamma->cols;
    const float *x = head_at(&args->in[0], t, h, d);
    const double rstd = 1 / sqrt(ref_dot(x, x, d) / d + args->attr.eps);
    for (int c = 0; c < d; c++)
        ref_put(args, 0, head_at(&args->out[0], t, h, d) + c,
                x[c] * rstd * factor(args, gamma, c));
    if (args->out[1].data)
        ref_row(&args->out[1], t)[h] = (float)rstd;
}

void ref_rmsnorm(const struct op_args *args)
{
    const int heads = args->in[0].cols / args->in[1].cols;
    for (int64_t t = 0; t < args->in[0].rows; t++)
        for (int h = 0; h < heads; h++)
            rms_head(args, t, h);
}

static void rms_input_gradient(const struct op_args *args, int64_t t, int h)
{
    const struct tensor *gamma = &args->in[2];
    const int d = gamma->cols;
    const float *dy = head_at(&args->in[0], t, h, d), *x = head_at(&args->in[1], t, h, d);
    const double rstd = ref_row(&args->in[3], t)[h];
    double sum_gh = 0;
    for (int c = 0; c < d; c++)
        sum_gh += dy[c] * factor(args, gamma, c) * x[c] * rstd;
    for (int c = 0; c < d; c++)
        ref_put(args, 0, head_at(&args->out[0], t, h, d) + c,
                rstd * (dy[c] * factor(args, gamma, c) - x[c] * rstd * sum_gh / d));
}

static double rms_weight_gradient(const struct op_args *args, int heads, int c)
{
    const int d = args->in[2].cols;
    double sum = 0;
    for (int64_t t = 0; t < args->in[0].rows; t++)
        for (int h = 0; h < heads; h++)
            sum += (double)head_at(&args->in[0], t, h, d)[c] *
                   head_at(&args->in[1], t, h, d)[c] * ref_row(&args->in[3], t)[h];
    return sum;
}

void ref_rmsnorm_bwd(const struct op_args *args)
{
    const int d = args->in[2].cols, heads = args->in[0].cols / d;
    for (int64_t t = 0; args->out[0].data && t < args->in[0].rows; t++)
        for (int h = 0; h < heads; h++)
            rms_input_gradient(args, t, h);
    for (int c = 0; args->out[1].data && c < d; c++)
        ref_put(args, 1, (float *)args->out[1].data + c,
                rms_weight_gradient(args, heads, c));
}

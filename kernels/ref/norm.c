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

void ref_rmsnorm(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->out[0];
    const float *gamma = args->in[1].data;
    for (int64_t t = 0; t < x->rows; t++) {
        const float *xt = ref_row(x, t);
        const double square = ref_dot(xt, xt, x->cols) / x->cols;
        const double rstd = 1 / sqrt(square + args->attr.eps);
        for (int c = 0; c < x->cols; c++)
            ref_put(args, 0, ref_row(y, t) + c, xt[c] * rstd * gamma[c]);
        if (args->out[1].data)
            ref_row(&args->out[1], t)[0] = (float)rstd;
    }
}

static void rms_input_gradient(const struct op_args *args, int64_t t)
{
    const float *dy = ref_row(&args->in[0], t), *x = ref_row(&args->in[1], t);
    const float *gamma = args->in[2].data;
    const double rstd = ref_row(&args->in[3], t)[0];
    const int d = args->in[1].cols;
    double sum_gh = 0;
    for (int c = 0; c < d; c++)
        sum_gh += (double)dy[c] * gamma[c] * x[c] * rstd;
    for (int c = 0; c < d; c++)
        ref_put(args, 0, ref_row(&args->out[0], t) + c,
                rstd * ((double)dy[c] * gamma[c] - x[c] * rstd * sum_gh / d));
}

void ref_rmsnorm_bwd(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0], *dgamma = &args->out[1];
    for (int64_t t = 0; args->out[0].data && t < dy->rows; t++)
        rms_input_gradient(args, t);
    for (int c = 0; dgamma->data && c < dy->cols; c++) {
        double sum = 0;
        for (int64_t t = 0; t < dy->rows; t++)
            sum += (double)ref_row(dy, t)[c] * ref_row(&args->in[1], t)[c] *
                   ref_row(&args->in[3], t)[0];
        ref_put(args, 1, (float *)dgamma->data + c, sum);
    }
}

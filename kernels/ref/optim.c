/* kernels/ref/optim.c - optimiser steps and the gradient's square norm.
 *
 * AdamW: Loshchilov and Hutter 2019, in the order of torch.optim.AdamW. */
#include "kernels/ref/ref.h"
#include <math.h>

void ref_sumsq(const struct op_args *args)
{
    const struct tensor *x = &args->in[0];
    double *out = args->out[0].data;
    double total = 0, block = 0;
    int64_t n = 0;
    for (int64_t r = 0; r < x->rows; r++)
        for (int c = 0; c < x->cols; c++) {
            double v = ref_row(x, r)[c];
            block += v * v;
            if (++n % 4096)
                continue;
            total += block;
            block = 0;
        }
    total += block;
    *out = ref_accumulates(args, 0) ? *out + total : total;
}

void ref_adamw(const struct op_args *args)
{
    const struct op_attr *a = &args->attr;
    const struct tensor *g = &args->in[0];
    double beta1 = a->beta1, beta2 = a->beta2;
    double step_size = a->lr / (1 - pow(beta1, (double)a->t));
    double root_correction = sqrt(1 - pow(beta2, (double)a->t));
    double keep = 1 - (double)a->lr * a->weight_decay;
    for (int64_t r = 0; r < g->rows; r++) {
        float *p = ref_row(&args->out[0], r), *m = ref_row(&args->out[1], r);
        float *v = ref_row(&args->out[2], r);
        for (int c = 0; c < g->cols; c++) {
            double gc = (double)ref_row(g, r)[c] * a->grad_scale;
            m[c] = (float)(beta1 * m[c] + (1 - beta1) * gc);
            v[c] = (float)(beta2 * v[c] + (1 - beta2) * gc * gc);
            double denominator = sqrt(v[c]) / root_correction + a->eps;
            p[c] = (float)(p[c] * keep - step_size * m[c] / denominator);
        }
    }
}

void ref_sgd(const struct op_args *args)
{
    const struct op_attr *a = &args->attr;
    const struct tensor *g = &args->in[0];
    for (int64_t r = 0; r < g->rows; r++) {
        float *p = ref_row(&args->out[0], r);
        for (int c = 0; c < g->cols; c++) {
            double gc =
                (double)ref_row(g, r)[c] * a->grad_scale + (double)a->weight_decay * p[c];
            p[c] = (float)(p[c] - a->lr * gc);
        }
    }
}

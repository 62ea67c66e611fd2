/* kernels/ref/optim.c - optimiser steps and the gradient's square norm.
 *
 * AdamW: Loshchilov and Hutter 2019, in the order of torch.optim.AdamW. */
#include "kernels/half.h"
#include "kernels/dynamic8.h"
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

static double moment(const struct tensor *t, int64_t r, int c)
{
    return t->dtype == DT_BF16 ? bf16_to_float(((const uint16_t *)t->data)[r * t->ld + c])
                               : ref_row(t, r)[c];
}

static void put_moment(const struct tensor *t, int64_t r, int c, double x)
{
    if (t->dtype == DT_BF16)
        ((uint16_t *)t->data)[r * t->ld + c] = bf16_of_float((float)x);
    else
        ref_row(t, r)[c] = (float)x;
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
        float *p = ref_row(&args->out[0], r);
        for (int c = 0; c < g->cols; c++) {
            double gc = (double)ref_row(g, r)[c] * a->grad_scale;
            double m = beta1 * moment(&args->out[1], r, c) + (1 - beta1) * gc;
            double v = beta2 * moment(&args->out[2], r, c) + (1 - beta2) * gc * gc;
            double denominator = sqrt(v) / root_correction + a->eps;
            p[c] = (float)(p[c] * keep - step_size * m / denominator);
            put_moment(&args->out[1], r, c, m);
            put_moment(&args->out[2], r, c, v);
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

/* One element's moments and parameter, the moments not yet rounded. */
static void adam_element(const struct op_attr *a, double g, float *p, double *m,
                         double *v)
{
    double correction = sqrt(1 - pow(a->beta2, (double)a->t));
    double step_size = a->lr * correction / (1 - pow(a->beta1, (double)a->t));
    *m = a->beta1 * *m + (1 - (double)a->beta1) * g;
    *v = a->beta2 * *v + (1 - (double)a->beta2) * g * g;
    double x = *p - step_size * *m / (sqrt(*v) + correction * a->eps);
    *p = (float)(x * (1 - (double)a->lr * a->weight_decay));
}

/* Elements [begin, end), one block: moments out of their codes and back. */
static void adam_block(const struct op_args *args, int64_t begin, int64_t end)
{
    const float *g = args->in[0].data, *map1 = dynamic_map_signed(),
                *map2 = dynamic_map_unsigned();
    float *p = args->out[0].data;
    uint8_t *m8 = args->out[1].data, *v8 = args->out[2].data;
    float *max1 = (float *)args->out[3].data + begin / 256;
    float *max2 = (float *)args->out[4].data + begin / 256;
    double m[256], v[256], top1 = 0, top2 = 0;
    for (int64_t i = begin; i < end; i++) {
        double *mi = &m[i - begin], *vi = &v[i - begin];
        *mi = map1[m8[i]] * (double)*max1;
        *vi = map2[v8[i]] * (double)*max2;
        adam_element(&args->attr, (double)g[i] * args->attr.grad_scale, &p[i], mi, vi);
        top1 = fmax(top1, fabs(*mi));
        top2 = fmax(top2, *vi);
    }
    *max1 = (float)top1;
    *max2 = (float)top2;
    for (int64_t i = begin; i < end; i++) {
        m8[i] = dynamic_nearest_signed(map1, (float)(top1 > 0 ? m[i - begin] / top1 : 0));
        v8[i] = dynamic_nearest(map2, (float)(top2 > 0 ? v[i - begin] / top2 : 0));
    }
}

void ref_adamw_8bit(const struct op_args *args)
{
    const int64_t n = (int64_t)args->in[0].rows * args->in[0].cols;
    const float *g = args->in[0].data;
    float *p = args->out[0].data, *m = args->out[1].data, *v = args->out[2].data;
    if (args->out[1].dtype == DT_U8) {
        for (int64_t i = 0; i < n; i += 256)
            adam_block(args, i, i + 256 < n ? i + 256 : n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        double mi = m[i], vi = v[i];
        adam_element(&args->attr, (double)g[i] * args->attr.grad_scale, &p[i], &mi, &vi);
        m[i] = (float)mi;
        v[i] = (float)vi;
    }
}

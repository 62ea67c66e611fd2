/* kernels/ref/loss.c - cross entropy over labels, with class weights and label smoothing
 * (Szegedy et al. 2016) as torch has them; rows with a negative label count nothing.
 * Losses against numbers. */
#include "kernels/ref/ref.h"
#include <assert.h>
#include <math.h>

static double log_sum_exp(const float *x, int n)
{
    double max = -INFINITY, sum = 0;
    for (int c = 0; c < n; c++)
        max = fmax(max, x[c]);
    for (int c = 0; c < n; c++)
        sum += exp(x[c] - max);
    return max + log(sum);
}

static double weight_of(const struct op_args *args, int c)
{
    const struct tensor *w = &args->in[2];
    return w->data ? ref_row(w, 0)[c] : 1;
}

void ref_cross_entropy(const struct op_args *args)
{
    const struct tensor *logits = &args->in[0];
    double e = args->attr.smoothing;
    for (int64_t i = 0; i < logits->rows; i++) {
        const float *x = ref_row(logits, i);
        int32_t label = ref_index(&args->in[1], i);
        assert(label < logits->cols);
        double lse = log_sum_exp(x, logits->cols), loss = 0;
        if (label >= 0)
            loss = (1 - e) * weight_of(args, label) * (lse - x[label]);
        for (int c = 0; c < logits->cols && label >= 0 && e > 0; c++)
            loss += e / logits->cols * weight_of(args, c) * (lse - x[c]);
        ref_put(args, 0, ref_row(&args->out[0], i), loss);
    }
}

void ref_cross_entropy_bwd(const struct op_args *args)
{
    const struct tensor *logits = &args->in[0];
    double e = args->attr.smoothing, all = 0;
    for (int c = 0; c < logits->cols; c++)
        all += weight_of(args, c);
    for (int64_t i = 0; i < logits->rows; i++) {
        const float *x = ref_row(logits, i);
        int32_t label = ref_index(&args->in[1], i);
        double lse = log_sum_exp(x, logits->cols);
        for (int c = 0; c < logits->cols; c++) {
            double p = exp(x[c] - lse), d = 0;
            if (label >= 0)
                d = (1 - e) * weight_of(args, label) * (p - (c == label)) +
                    e / logits->cols * (p * all - weight_of(args, c));
            ref_put(args, 0, ref_row(&args->out[0], i) + c, args->step.loss_scale * d);
        }
    }
}

static double loss_value(enum target_loss loss, double x, double y)
{
    return loss == LOSS_mse ? (x - y) * (x - y)
                            : fmax(x, 0) - x * y + log1p(exp(-fabs(x)));
}

static double loss_slope(enum target_loss loss, double x, double y)
{
    return loss == LOSS_mse ? 2 * (x - y) : 1 / (1 + exp(-x)) - y;
}

void ref_target_loss(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->in[1];
    for (int64_t i = 0; i < x->rows; i++) {
        double sum = 0;
        for (int c = 0; c < x->cols; c++)
            sum += loss_value(args->attr.loss, ref_row(x, i)[c], ref_row(y, i)[c]);
        ref_put(args, 0, ref_row(&args->out[0], i), sum / x->cols);
    }
}

void ref_target_loss_bwd(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->in[1];
    for (int64_t i = 0; i < x->rows; i++)
        for (int c = 0; c < x->cols; c++) {
            const double d =
                loss_slope(args->attr.loss, ref_row(x, i)[c], ref_row(y, i)[c]);
            ref_put(args, 0, ref_row(&args->out[0], i) + c,
                    args->step.loss_scale * d / x->cols);
        }
}

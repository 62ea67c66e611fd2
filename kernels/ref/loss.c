/* kernels/ref/loss.c - cross entropy over labels, with label smoothing (Szegedy et al.
 * 2016) as torch has it; rows with a negative label count nothing. */
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

void ref_cross_entropy(const struct op_args *args)
{
    const struct tensor *logits = &args->in[0];
    double e = args->attr.smoothing;
    for (int64_t i = 0; i < logits->rows; i++) {
        const float *x = ref_row(logits, i);
        int32_t label = ref_index(&args->in[1], i);
        assert(label < logits->cols);
        double lse = log_sum_exp(x, logits->cols), mean = 0;
        for (int c = 0; c < logits->cols; c++)
            mean += (double)x[c] / logits->cols;
        double loss = (1 - e) * (lse - x[label < 0 ? 0 : label]);
        if (e > 0)
            loss += e * (lse - mean);
        ref_put(args, 0, ref_row(&args->out[0], i), label < 0 ? 0 : loss);
    }
}

void ref_cross_entropy_bwd(const struct op_args *args)
{
    const struct tensor *logits = &args->in[0];
    double e = args->attr.smoothing;
    for (int64_t i = 0; i < logits->rows; i++) {
        const float *x = ref_row(logits, i);
        int32_t label = ref_index(&args->in[1], i);
        double lse = log_sum_exp(x, logits->cols);
        for (int c = 0; c < logits->cols; c++) {
            double target = (1 - e) * (c == label) + e / logits->cols;
            double d = label < 0 ? 0 : exp(x[c] - lse) - target;
            ref_put(args, 0, ref_row(&args->out[0], i) + c, args->step.loss_scale * d);
        }
    }
}

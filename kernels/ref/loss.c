/* kernels/ref/loss.c - cross entropy over labels; rows with a negative label count
 * nothing. */
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
    for (int64_t i = 0; i < logits->rows; i++) {
        const float *x = ref_row(logits, i);
        int32_t label = ref_index(&args->in[1], i);
        assert(label < logits->cols);
        double loss = label < 0 ? 0 : log_sum_exp(x, logits->cols) - x[label];
        ref_put(args, 0, ref_row(&args->out[0], i), loss);
    }
}

void ref_cross_entropy_bwd(const struct op_args *args)
{
    const struct tensor *logits = &args->in[0];
    for (int64_t i = 0; i < logits->rows; i++) {
        const float *x = ref_row(logits, i);
        int32_t label = ref_index(&args->in[1], i);
        double lse = log_sum_exp(x, logits->cols);
        for (int c = 0; c < logits->cols; c++) {
            double d = label < 0 ? 0 : exp(x[c] - lse) - (c == label);
            ref_put(args, 0, ref_row(&args->out[0], i) + c, args->step.loss_scale * d);
        }
    }
}

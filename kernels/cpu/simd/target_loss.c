/* kernels/cpu/simd/target_loss.c - losses against numbers (mean squared error, binary
 * cross entropy of logits). A few columns per sequence: plain loops in double do. */
#include "kernels/cpu/simd/simd.h"
#include <math.h>

static double loss_value(enum target_loss loss, double x, double y)
{
    return loss == LOSS_mse ? (x - y) * (x - y)
                            : fmax(x, 0) - x * y + log1p(exp(-fabs(x)));
}

/* exp of what is not above 0, so that nothing overflows. */
static double sigmoid(double x)
{
    const double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

static double loss_slope(enum target_loss loss, double x, double y)
{
    return loss == LOSS_mse ? 2 * (x - y) : sigmoid(x) - y;
}

static void loss_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const int cols = args->in[0].cols;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = row_of(&args->in[0], r), *y = row_of(&args->in[1], r);
        float *out = row_of(&args->out[0], r);
        double sum = 0;
        for (int c = 0; c < cols; c++)
            sum += loss_value(args->attr.loss, x[c], y[c]);
        *out = (float)(adds(args, 0) ? *out + sum / cols : sum / cols);
    }
}

void V(target_loss)(const struct op_args *args)
{
    par(loss_rows, args, args->in[0].rows, (size_t)args->in[0].cols * 16);
}

static void gradient_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const int cols = args->in[0].cols;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = row_of(&args->in[0], r), *y = row_of(&args->in[1], r);
        float *dx = row_of(&args->out[0], r);
        for (int c = 0; c < cols; c++) {
            const double d =
                args->step.loss_scale * loss_slope(args->attr.loss, x[c], y[c]) / cols;
            dx[c] = (float)(adds(args, 0) ? dx[c] + d : d);
        }
    }
}

void V(target_loss_bwd)(const struct op_args *args)
{
    par(gradient_rows, args, args->in[0].rows, (size_t)args->in[0].cols * 16);
}

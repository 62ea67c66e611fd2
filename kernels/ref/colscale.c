/* kernels/ref/colscale.c - a factor and perhaps an offset per column. */
#include "kernels/ref/ref.h"

void ref_colscale(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->out[0];
    const float *scale = args->in[1].data, *bias = args->in[2].data;
    for (int64_t r = 0; r < y->rows; r++)
        for (int c = 0; c < y->cols; c++)
            ref_put(args, 0, ref_row(y, r) + c,
                    (double)ref_row(x, r)[c] * scale[c] + (bias ? bias[c] : 0));
}

static void scale_gradient(const struct op_args *args, int c)
{
    double sum = 0;
    for (int64_t r = 0; r < args->in[0].rows; r++)
        sum += (double)ref_row(&args->in[0], r)[c] * ref_row(&args->in[1], r)[c];
    ref_put(args, 1, (float *)args->out[1].data + c, sum);
}

void ref_colscale_bwd(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0], *dx = &args->out[0];
    const float *scale = args->in[2].data;
    if (args->out[1].data)
        for (int c = 0; c < dy->cols; c++)
            scale_gradient(args, c);
    if (dx->data)
        for (int64_t r = 0; r < dy->rows; r++)
            for (int c = 0; c < dy->cols; c++)
                ref_put(args, 0, ref_row(dx, r) + c,
                        (double)ref_row(dy, r)[c] * scale[c]);
}

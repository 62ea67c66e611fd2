/* kernels/cpu/simd/colscale.c - a factor and perhaps an offset per column. The factor's
 * gradient is a sum over rows: divided by columns, in row order, in blocks of ROW_BLOCK,
 * as in norm.c. And DoRA's factor, from the norms of the rows of an adapted weight. */
#include "kernels/cpu/simd/simd.h"

enum { ROW_BLOCK = 64 };

static void scale_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const float *scale = args->in[1].data, *bias = args->in[2].data;
    const int cols = args->out[0].cols, add = adds(args, 0);
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = row_of(&args->in[0], r);
        float *y = row_of(&args->out[0], r);
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            const vf offset = bias ? vf_get(bias + c, n) : (vf){0};
            vf_put(y + c, vf_fma(vf_get(x + c, n), vf_get(scale + c, n), offset), n, add);
        }
    }
}

void V(colscale)(const struct op_args *args)
{
    par(scale_rows, args, args->out[0].rows, (size_t)args->out[0].cols * 2);
}

static void backward_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const float *scale = args->in[2].data;
    const int cols = args->in[0].cols, add = adds(args, 0);
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *dy = row_of(&args->in[0], r);
        float *dx = row_of(&args->out[0], r);
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            const vf product = vf_fma(vf_get(dy + c, n), vf_get(scale + c, n), (vf){0});
            vf_put(dx + c, product, n, add);
        }
    }
}

/* Item j is columns [j W, j W + W). */
static void scale_columns(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const struct tensor *dy = &args->in[0], *x = &args->in[1];
    (void)thread;
    for (size_t j = begin; j < end; j++) {
        const int c = (int)j * W, n = left(dy->cols, c);
        vf total = {0};
        for (int block = 0; block < dy->rows; block += ROW_BLOCK) {
            const int stop = min_int(dy->rows, block + ROW_BLOCK);
            vf sum = {0};
            for (int r = block; r < stop; r++)
                sum = vf_fma(vf_get(row_of(dy, r) + c, n), vf_get(row_of(x, r) + c, n),
                             sum);
            total += sum;
        }
        vf_put((float *)args->out[1].data + c, total, n, adds(args, 1));
    }
}

void V(colscale_bwd)(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0];
    if (args->out[1].data)
        par(scale_columns, args, ceil_div(dy->cols, W), (size_t)dy->rows * W * 2);
    if (args->out[0].data)
        par(backward_rows, args, dy->rows, (size_t)dy->cols * 2);
}

/* ---- DoRA: two large terms of opposite sign may meet in the sum, so it is kept in
 * double ---- */

static void norm_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const struct tensor *p = &args->in[1], *g = &args->in[2], *b = &args->in[3];
    const float *w2 = args->in[0].data;
    const double s = args->attr.scale;
    float *out = args->out[0].data;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const float *bi = row_of(b, i);
        double square = w2[i];
        for (int k = 0; k < b->cols; k++) {
            const float *gk = row_of(g, k);
            double inner = 0;
            for (int l = 0; l < b->cols; l++)
                inner += (double)gk[l] * bi[l];
            square += s * bi[k] * (2 * row_of(p, k)[i] + s * inner);
        }
        out[i] = (float)(1 / sqrt(square)) + (adds(args, 0) ? out[i] : 0);
    }
}

void V(dora_norm)(const struct op_args *args)
{
    const size_t rank = args->in[3].cols;
    par(norm_rows, args, args->out[0].cols, rank * (rank + 2));
}

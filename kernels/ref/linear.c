/* kernels/ref/linear.c - y = x W^T and its two gradients; bias gradient. */
#include "kernels/ref/ref.h"
#include "kernels/half.h"
#include <assert.h>
#include <math.h>
#include <string.h>

/* The weight as plain fp32 with a row stride: itself, or unpacked into the workspace. */
static const float *plain_weight(const struct op_args *args, int64_t *ld)
{
    const struct tensor *w = &args->in[1];
    *ld = w->dtype == DT_PREPARED ? w->cols : w->ld;
    if (w->dtype != DT_PREPARED || w->spec->quant == QUANT_NONE)
        return w->data;
    ref_backend()->weight_unpack(NULL, w->spec, w->data, args->workspace);
    return args->workspace;
}

/* What products are made of: the number, or the nearest bf16 (ties to even). */
static int is_bf16(const struct op_args *args)
{
    const struct tensor *w = &args->in[1];
    return (w->dtype == DT_PREPARED ? w->spec->compute : args->attr.compute) == DT_BF16;
}

static double operand(float x, int bf16)
{
    return bf16 ? bf16_to_float(bf16_of_float(x)) : x;
}

static double dot(const float *a, const float *b, int n, int bf16)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += operand(a[i], bf16) * operand(b[i], bf16);
    return sum;
}

void ref_linear(const struct op_args *args)
{
    const struct tensor *x = &args->in[0], *y = &args->out[0];
    const float *bias = args->in[2].data;
    int64_t ld;
    const float *w = plain_weight(args, &ld);
    assert(x->cols == args->in[1].cols && y->cols == args->in[1].rows);
    for (int64_t t = 0; t < x->rows; t++)
        for (int o = 0; o < y->cols; o++) {
            double sum = dot(ref_row(x, t), w + o * ld, x->cols, is_bf16(args));
            ref_put(args, 0, ref_row(y, t) + o,
                    args->attr.scale * sum + (bias ? bias[o] : 0));
        }
}

/* Sums over rows go column block by column block, so that they run in row order over
 * memory in order. */
enum { BLOCK = 256 };

/* dst[c] = scale * sum over i of coef[i * coef_ld] * rows[i][c], for one output row. */
static void weighted_row_sum(const struct op_args *args, float *dst, const float *coef,
                             int64_t coef_ld, const float *rows, int64_t ld, int64_t n,
                             int cols)
{
    const int bf16 = is_bf16(args);
    double sum[BLOCK];
    for (int begin = 0; begin < cols; begin += BLOCK) {
        int width = cols - begin < BLOCK ? cols - begin : BLOCK;
        for (int c = 0; c < width; c++)
            sum[c] = 0;
        for (int64_t i = 0; i < n; i++) {
            double k = operand(coef[i * coef_ld], bf16);
            const float *row = rows + i * ld + begin;
            for (int c = 0; c < width; c++)
                sum[c] += k * operand(row[c], bf16);
        }
        for (int c = 0; c < width; c++)
            ref_put(args, 0, dst + begin + c, args->attr.scale * sum[c]);
    }
}

void ref_linear_dx(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0], *dx = &args->out[0];
    int64_t ld;
    const float *w = plain_weight(args, &ld);
    assert(dy->cols == args->in[1].rows && dx->cols == args->in[1].cols);
    for (int64_t t = 0; t < dy->rows; t++)
        weighted_row_sum(args, ref_row(dx, t), ref_row(dy, t), 1, w, ld, dy->cols,
                         dx->cols);
}

void ref_linear_dw(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0], *x = &args->in[1], *dw = &args->out[0];
    assert(dw->rows == dy->cols && dw->cols == x->cols);
    for (int64_t o = 0; o < dw->rows; o++)
        weighted_row_sum(args, ref_row(dw, o), (const float *)dy->data + o, dy->ld,
                         x->data, x->ld, x->rows, x->cols);
}

void ref_colsum(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0];
    for (int c = 0; c < dy->cols; c++) {
        double sum = 0;
        for (int64_t t = 0; t < dy->rows; t++)
            sum += ref_row(dy, t)[c];
        ref_put(args, 0, (float *)args->out[0].data + c, sum);
    }
}

/* kernels/cpu/simd/norm.c - layer normalisation (Ba et al. 2016), RMSNorm (Zhang and
 * Sennrich 2019), which is without the mean, and sums over rows.
 *
 * Rows are independent. Sums over rows (dgamma, dbeta, colsum) are divided by columns and
 * run in row order, in blocks of ROW_BLOCK whose sums are added up: less rounding than
 * one long chain, and the same bits for any number of threads. */
#include "kernels/cpu/simd/simd.h"

enum { ROW_BLOCK = 64 };

static float row_sum(const float *x, int cols)
{
    vf a = {0}, b = {0}, c = {0}, d = {0};
    int i = 0;
    for (; i + 4 * W <= cols; i += 4 * W) {
        a += vf_load(x + i);
        b += vf_load(x + i + W);
        c += vf_load(x + i + 2 * W);
        d += vf_load(x + i + 3 * W);
    }
    for (; i < cols; i += W)
        a += vf_get(x + i, left(cols, i));
    return vf_sum((a + b) + (c + d));
}

static float row_variance(const float *x, int cols, float mean)
{
    vf a = {0}, b = {0}, m = vf_splat(mean);
    int i = 0;
    for (; i + 2 * W <= cols; i += 2 * W) {
        vf u = vf_load(x + i) - m, v = vf_load(x + i + W) - m;
        a = vf_fma(u, u, a);
        b = vf_fma(v, v, b);
    }
    for (; i < cols; i += W) {
        const int n = left(cols, i);
        /* Lanes beyond the end must not count: there, x is mean too. */
        vf u = vf_get(x + i, n) - (n == W ? m : vf_load_n((const float *)&m, n));
        a = vf_fma(u, u, a);
    }
    return vf_sum(a + b) / (float)cols;
}

static void layernorm_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const float *gamma = args->in[1].data, *beta = args->in[2].data;
    const int cols = args->in[0].cols, add = adds(args, 0);
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = row_of(&args->in[0], r);
        float *y = row_of(&args->out[0], r);
        const float mean = row_sum(x, cols) / (float)cols;
        const float rstd = 1 / sqrtf(row_variance(x, cols, mean) + args->attr.eps);
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            vf hat = (vf_get(x + c, n) - mean) * rstd;
            vf_put(y + c, vf_fma(hat, vf_get(gamma + c, n), vf_get(beta + c, n)), n, add);
        }
        if (args->out[1].data) {
            float *stats = row_of(&args->out[1], r);
            stats[0] = mean;
            stats[1] = rstd;
        }
    }
}

void V(layernorm)(const struct op_args *args)
{
    par(layernorm_rows, args, args->in[0].rows, (size_t)args->in[0].cols * 3);
}

/* With g = dy gamma and xhat = (x - mean) rstd:
 * dx = rstd (g - mean(g) - xhat mean(g xhat)). */
static void backward_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const float *gamma = args->in[2].data;
    const int cols = args->in[0].cols, add = adds(args, 0);
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *dy = row_of(&args->in[0], r), *x = row_of(&args->in[1], r);
        const float *stats = row_of(&args->in[3], r);
        float *dx = row_of(&args->out[0], r);
        vf sum_g = {0}, sum_gx = {0};
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            vf g = vf_get(dy + c, n) * vf_get(gamma + c, n);
            sum_g += g;
            sum_gx = vf_fma(g, (vf_get(x + c, n) - stats[0]) * stats[1], sum_gx);
        }
        const float mean_g = vf_sum(sum_g) / (float)cols;
        const float mean_gx = vf_sum(sum_gx) / (float)cols;
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            vf hat = (vf_get(x + c, n) - stats[0]) * stats[1];
            vf g = vf_get(dy + c, n) * vf_get(gamma + c, n) - mean_g;
            vf_put(dx + c, vf_fma(hat, vf_splat(-mean_gx), g) * stats[1], n, add);
        }
    }
}

/* Item j is columns [j W, j W + W). */
static void weight_columns(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const struct tensor *dy = &args->in[0], *x = &args->in[1], *stats = &args->in[3];
    float *dgamma = args->out[1].data, *dbeta = args->out[2].data;
    (void)thread;
    for (size_t j = begin; j < end; j++) {
        const int c = (int)j * W, n = left(dy->cols, c);
        vf gamma = {0}, beta = {0};
        for (int block = 0; block < dy->rows; block += ROW_BLOCK) {
            const int stop = min_int(dy->rows, block + ROW_BLOCK);
            vf g = {0}, b = {0};
            for (int r = block; r < stop; r++) {
                vf d = vf_get(row_of(dy, r) + c, n);
                const float *s = row_of(stats, r);
                g = vf_fma(d, (vf_get(row_of(x, r) + c, n) - s[0]) * s[1], g);
                b += d;
            }
            gamma += g;
            beta += b;
        }
        if (dgamma)
            vf_put(dgamma + c, gamma, n, adds(args, 1));
        if (dbeta)
            vf_put(dbeta + c, beta, n, adds(args, 2));
    }
}

void V(layernorm_bwd)(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0];
    if (args->out[0].data)
        par(backward_rows, args, dy->rows, (size_t)dy->cols * 4);
    if (args->out[1].data || args->out[2].data)
        par(weight_columns, args, ceil_div(dy->cols, W), (size_t)dy->rows * W * 2);
}

static void colsum_columns(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const struct tensor *dy = &args->in[0];
    (void)thread;
    for (size_t j = begin; j < end; j++) {
        const int c = (int)j * W, n = left(dy->cols, c);
        vf total = {0};
        for (int block = 0; block < dy->rows; block += ROW_BLOCK) {
            const int stop = min_int(dy->rows, block + ROW_BLOCK);
            vf sum = {0};
            for (int r = block; r < stop; r++)
                sum += vf_get(row_of(dy, r) + c, n);
            total += sum;
        }
        vf_put((float *)args->out[0].data + c, total, n, adds(args, 0));
    }
}

void V(colsum)(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0];
    par(colsum_columns, args, ceil_div(dy->cols, W), (size_t)dy->rows * W);
}

/* --- RMSNorm --- */

static float mean_square(const float *x, int cols)
{
    vf a = {0}, b = {0};
    int i = 0;
    for (; i + 2 * W <= cols; i += 2 * W) {
        vf u = vf_load(x + i), v = vf_load(x + i + W);
        a = vf_fma(u, u, a);
        b = vf_fma(v, v, b);
    }
    for (; i < cols; i += W) {
        vf u = vf_get(x + i, left(cols, i));
        a = vf_fma(u, u, a);
    }
    return vf_sum(a + b) / (float)cols;
}

/* A row here is one head of gamma's columns: `heads` of them lie in a row of the tensors. */
INLINE float *head_of(const struct tensor *t, size_t row, int heads, int cols)
{
    return row_of(t, (int64_t)(row / heads)) + row % heads * cols;
}

static void rms_forward_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const float *gamma = args->in[1].data, offset = args->attr.offset;
    const int cols = args->in[1].cols, heads = args->in[0].cols / cols;
    const int add = adds(args, 0);
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = head_of(&args->in[0], r, heads, cols);
        float *y = head_of(&args->out[0], r, heads, cols);
        const float rstd = 1 / sqrtf(mean_square(x, cols) + args->attr.eps);
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            vf_put(y + c, vf_get(x + c, n) * rstd * (vf_get(gamma + c, n) + offset), n,
                   add);
        }
        if (args->out[1].data)
            *head_of(&args->out[1], r, heads, 1) = rstd;
    }
}

void V(rmsnorm)(const struct op_args *args)
{
    const int cols = args->in[1].cols;
    par(rms_forward_rows, args, (size_t)args->in[0].rows * (args->in[0].cols / cols),
        (size_t)cols * 2);
}

/* With g = dy gamma and h = x rstd: dx = rstd (g - h mean(g h)). */
static void rms_backward_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const float *gamma = args->in[2].data, offset = args->attr.offset;
    const int cols = args->in[2].cols, heads = args->in[0].cols / cols;
    const int add = adds(args, 0);
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *dy = head_of(&args->in[0], r, heads, cols);
        const float *x = head_of(&args->in[1], r, heads, cols);
        const float rstd = *head_of(&args->in[3], r, heads, 1);
        float *dx = head_of(&args->out[0], r, heads, cols);
        vf sum = {0};
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            vf g = vf_get(dy + c, n) * (vf_get(gamma + c, n) + offset);
            sum = vf_fma(g, vf_get(x + c, n) * rstd, sum);
        }
        const float mean = vf_sum(sum) / (float)cols;
        for (int c = 0; c < cols; c += W) {
            const int n = left(cols, c);
            vf g = vf_get(dy + c, n) * (vf_get(gamma + c, n) + offset);
            vf h = vf_get(x + c, n) * rstd;
            vf_put(dx + c, vf_fma(h, vf_splat(-mean), g) * rstd, n, add);
        }
    }
}

/* Item j is columns [j W, j W + W) of gamma. */
static void rms_weight_columns(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const struct tensor *dy = &args->in[0], *x = &args->in[1], *stats = &args->in[3];
    const int cols = args->in[2].cols, heads = dy->cols / cols, rows = dy->rows * heads;
    (void)thread;
    for (size_t j = begin; j < end; j++) {
        const int c = (int)j * W, n = left(cols, c);
        vf gamma = {0};
        for (int block = 0; block < rows; block += ROW_BLOCK) {
            const int stop = min_int(rows, block + ROW_BLOCK);
            vf g = {0};
            for (int r = block; r < stop; r++)
                g = vf_fma(vf_get(head_of(dy, r, heads, cols) + c, n),
                           vf_get(head_of(x, r, heads, cols) + c, n) *
                               *head_of(stats, r, heads, 1),
                           g);
            gamma += g;
        }
        vf_put((float *)args->out[1].data + c, gamma, n, adds(args, 1));
    }
}

void V(rmsnorm_bwd)(const struct op_args *args)
{
    const int cols = args->in[2].cols;
    const size_t rows = (size_t)args->in[0].rows * (args->in[0].cols / cols);
    if (args->out[0].data)
        par(rms_backward_rows, args, rows, (size_t)cols * 4);
    if (args->out[1].data)
        par(rms_weight_columns, args, ceil_div(cols, W), rows * W * 2);
}

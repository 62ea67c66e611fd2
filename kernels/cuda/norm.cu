/* kernels/cuda/norm.cu - layer normalisation (Ba et al. 2016) and RMSNorm (Zhang and
 * Sennrich 2019), one warp per row.
 *
 * With h = (x - mean) rstd and g = dy gamma:  dx = rstd (g - mean(g) - h mean(g h)).
 * RMSNorm is without the mean:  h = x rstd,  dx = rstd (g - h mean(g h)). */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/segments.cuh"

#define ROW_BLOCK dim3(WARP, WARPS)

struct row_op {
    static dim3 block(void)
    {
        return ROW_BLOCK;
    }
};

struct layernorm_op : row_op {
    static dim3 grid(const struct op_args *args)
    {
        return dim3(blocks_of(args->in[0].rows, WARPS));
    }
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        const int64_t t = (int64_t)block * WARPS + threadIdx.y;
        const int d = a.in[0].cols, lane = threadIdx.x;
        if (t >= a.in[0].rows)
            return;
        const float *x = row(a.in[0], t);
        const float *gamma = (const float *)a.in[1].data,
                    *beta = (const float *)a.in[2].data;
        float sum = 0, squares = 0;
        for (int c = lane; c < d; c += WARP)
            sum += x[c];
        const float mean = warp_sum(sum) / d;
        for (int c = lane; c < d; c += WARP)
            squares += (x[c] - mean) * (x[c] - mean);
        const float rstd = 1 / sqrtf(warp_sum(squares) / d + a.attr.eps);
        for (int c = lane; c < d; c += WARP)
            put(a, 0, row(a.out[0], t) + c, (x[c] - mean) * rstd * gamma[c] + beta[c]);
        if (lane == 0 && a.out[1].data) {
            row(a.out[1], t)[0] = mean;
            row(a.out[1], t)[1] = rstd;
        }
    }
};

SEGMENT_OP(layernorm, layernorm_op)

__global__ static void layernorm_dx(KERNEL_ARGS)
{
    const int64_t t = (int64_t)blockIdx.x * WARPS + threadIdx.y;
    const int d = a.in[1].cols, lane = threadIdx.x;
    if (t >= a.in[1].rows)
        return;
    const float *dy = row(a.in[0], t), *x = row(a.in[1], t);
    const float *gamma = (const float *)a.in[2].data, *stats = row(a.in[3], t);
    const float mean = stats[0], rstd = stats[1];
    float sum_g = 0, sum_gh = 0;
    for (int c = lane; c < d; c += WARP) {
        const float g = dy[c] * gamma[c];
        sum_g += g;
        sum_gh += g * (x[c] - mean) * rstd;
    }
    const float mean_g = warp_sum(sum_g) / d, mean_gh = warp_sum(sum_gh) / d;
    for (int c = lane; c < d; c += WARP) {
        const float g = dy[c] * gamma[c], h = (x[c] - mean) * rstd;
        put(a, 0, row(a.out[0], t) + c, rstd * (g - mean_g - h * mean_gh));
    }
}

__global__ static void layernorm_dgamma(KERNEL_ARGS)
{
    const int c = column_of_warp();
    const float sum = column_sum(a.in[0].rows, a.in[0].cols, [&](int r, int k) {
        const float *stats = row(a.in[3], r);
        return row(a.in[0], r)[k] * (row(a.in[1], r)[k] - stats[0]) * stats[1];
    });
    if (threadIdx.x == 0 && c < a.in[0].cols)
        put(a, 1, row(a.out[1], 0) + c, sum);
}

__global__ static void layernorm_dbeta(KERNEL_ARGS)
{
    const int c = column_of_warp();
    const float sum = column_sum(a.in[0].rows, a.in[0].cols,
                                 [&](int r, int k) { return row(a.in[0], r)[k]; });
    if (threadIdx.x == 0 && c < a.in[0].cols)
        put(a, 2, row(a.out[2], 0) + c, sum);
}

void cuda_layernorm_bwd(const struct op_args *args)
{
    const unsigned columns = blocks_of(args->in[0].cols, WARP);
    if (args->out[0].data)
        LAUNCH(layernorm_dx, blocks_of(args->in[0].rows, WARPS), ROW_BLOCK, *args);
    if (args->out[1].data)
        LAUNCH(layernorm_dgamma, columns, COLUMN_BLOCK, *args);
    if (args->out[2].data)
        LAUNCH(layernorm_dbeta, columns, COLUMN_BLOCK, *args);
}

/* A row here is one head of gamma's columns: `heads` of them lie in a row of the tensors. */
__device__ static float *head_of(const struct tensor &t, int64_t r, int heads, int d)
{
    return row(t, r / heads) + r % heads * d;
}

/* Blocks for all heads of all rows of x. */
static unsigned head_blocks(const struct tensor *x, const struct tensor *gamma)
{
    return blocks_of((int64_t)x->rows * (x->cols / gamma->cols), WARPS);
}

struct rmsnorm_op : row_op {
    static dim3 grid(const struct op_args *args)
    {
        return dim3(head_blocks(&args->in[0], &args->in[1]));
    }
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        const int64_t t = (int64_t)block * WARPS + threadIdx.y;
        const int d = a.in[1].cols, heads = a.in[0].cols / d, lane = threadIdx.x;
        if (t >= (int64_t)a.in[0].rows * heads)
            return;
        const float *x = head_of(a.in[0], t, heads, d),
                    *gamma = (const float *)a.in[1].data;
        float squares = 0;
        for (int c = lane; c < d; c += WARP)
            squares += x[c] * x[c];
        const float rstd = 1 / sqrtf(warp_sum(squares) / d + a.attr.eps);
        for (int c = lane; c < d; c += WARP)
            put(a, 0, head_of(a.out[0], t, heads, d) + c,
                x[c] * rstd * (gamma[c] + a.attr.offset));
        if (lane == 0 && a.out[1].data)
            *head_of(a.out[1], t, heads, 1) = rstd;
    }
};

SEGMENT_OP(rmsnorm, rmsnorm_op)

__global__ static void rmsnorm_dx(KERNEL_ARGS)
{
    const int64_t t = (int64_t)blockIdx.x * WARPS + threadIdx.y;
    const int d = a.in[2].cols, heads = a.in[1].cols / d, lane = threadIdx.x;
    if (t >= (int64_t)a.in[1].rows * heads)
        return;
    const float *dy = head_of(a.in[0], t, heads, d), *x = head_of(a.in[1], t, heads, d);
    const float *gamma = (const float *)a.in[2].data;
    const float rstd = *head_of(a.in[3], t, heads, 1), offset = a.attr.offset;
    float sum_gh = 0;
    for (int c = lane; c < d; c += WARP)
        sum_gh += dy[c] * (gamma[c] + offset) * x[c] * rstd;
    const float mean_gh = warp_sum(sum_gh) / d;
    for (int c = lane; c < d; c += WARP)
        put(a, 0, head_of(a.out[0], t, heads, d) + c,
            rstd * (dy[c] * (gamma[c] + offset) - x[c] * rstd * mean_gh));
}

__global__ static void rmsnorm_dgamma(KERNEL_ARGS)
{
    const int c = column_of_warp(), d = a.in[2].cols, heads = a.in[0].cols / d;
    const float sum = column_sum(a.in[0].rows * heads, d, [&](int r, int k) {
        return head_of(a.in[0], r, heads, d)[k] * head_of(a.in[1], r, heads, d)[k] *
               *head_of(a.in[3], r, heads, 1);
    });
    if (threadIdx.x == 0 && c < d)
        put(a, 1, row(a.out[1], 0) + c, sum);
}

void cuda_rmsnorm_bwd(const struct op_args *args)
{
    if (args->out[0].data)
        LAUNCH(rmsnorm_dx, head_blocks(&args->in[1], &args->in[2]), ROW_BLOCK, *args);
    if (args->out[1].data)
        LAUNCH(rmsnorm_dgamma, blocks_of(args->in[2].cols, WARP), COLUMN_BLOCK, *args);
}

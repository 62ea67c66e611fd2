/* kernels/cuda/linear.cu - y = x W^T + b and its two gradients; sums over rows.
 *
 * cuBLAS has the products, but for forward ones with a narrow weight (CUDA_NARROW; those
 * of adapters and heads): there each sum is made in one order, however many rows there
 * are, and for many adapters in one launch (segments.cuh). */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/segments.cuh"
#include "kernels/cuda/sizes.h"

/* ---- narrow weights ---- */

__device__ static const float *weight_row(const struct tensor &w, int r)
{
    return (const float *)w.data + r * (w.dtype == DT_PREPARED ? w.cols : w.ld);
}

/* Rounded at each step, so that no compiler makes one of two. */
__device__ static void finish(const struct op_args &a, int r, int c, float sum)
{
    float *y = row(a.out[0], r) + c;
    float v = __fmul_rn(a.attr.scale, sum);
    if (a.accumulate & 1)
        v = __fadd_rn(*y, v);
    if (a.in[2].data)
        v = __fadd_rn(v, ((const float *)a.in[2].data)[c]);
    *y = v;
}

/* Sums over a warp of PAIRS values of each lane: lanes 2 i and 2 i + 1 get that of value i.
 * At each step a lane gives away half of what it has left. */
enum { PAIRS = WARP / 2 };
__device__ static float sums_of_pairs(float v[PAIRS])
{
    for (int n = PAIRS; n > 1; n /= 2) {
        const bool upper = threadIdx.x & n;
        for (int i = 0; i < n / 2; i++) {
            const float given = upper ? v[i] : v[i + n / 2];
            const float kept = upper ? v[i + n / 2] : v[i];
            v[i] = __fadd_rn(kept, __shfl_xor_sync(ALL_LANES, given, n));
        }
    }
    return __fadd_rn(v[0], __shfl_xor_sync(ALL_LANES, v[0], 1));
}

/* Few outputs: a warp for a tile of ROWS rows and OUTS of them, its lanes along x. */
struct dots {
    enum { ROWS = 4, OUTS = PAIRS / ROWS };
    static dim3 grid(const struct op_args *args)
    {
        const struct tensor *y = &args->out[0];
        return dim3(blocks_of(
            (int64_t)blocks_of(y->rows, ROWS) * blocks_of(y->cols, OUTS), WARPS));
    }
    static dim3 block(void)
    {
        return dim3(WARP, WARPS);
    }
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        const struct tensor &y = a.out[0];
        const int across = (y.cols + OUTS - 1) / OUTS, lane = threadIdx.x;
        const int tile = block * WARPS + threadIdx.y;
        const int r0 = tile / across * ROWS, c0 = tile % across * OUTS;
        const float *x[ROWS], *w[OUTS];
        float sum[ROWS * OUTS] = {};
        if (r0 >= y.rows)
            return;
        for (int i = 0; i < ROWS; i++) /* behind the last: the last again */
            x[i] = row(a.in[0], min(r0 + i, y.rows - 1));
        for (int j = 0; j < OUTS; j++)
            w[j] = weight_row(a.in[1], min(c0 + j, y.cols - 1));
        for (int k = lane; k < a.in[0].cols; k += WARP)
            for (int i = 0; i < ROWS; i++)
                for (int j = 0; j < OUTS; j++)
                    sum[i * OUTS + j] = fmaf(x[i][k], w[j][k], sum[i * OUTS + j]);
        const float all = sums_of_pairs(sum);
        const int r = r0 + lane / 2 / OUTS, c = c0 + lane / 2 % OUTS;
        if (lane % 2 == 0 && r < y.rows && c < y.cols)
            finish(a, r, c, all);
    }
};

/* Few inputs: a thread for a column of ROWS rows. */
struct spread {
    enum { ROWS = 8 };
    static dim3 grid(const struct op_args *args)
    {
        const struct tensor *y = &args->out[0];
        return dim3(blocks_of(y->rows, ROWS) * blocks_of(y->cols, THREADS));
    }
    static dim3 block(void)
    {
        return dim3(THREADS);
    }
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        const struct tensor &y = a.out[0];
        const int across = (y.cols + THREADS - 1) / THREADS;
        const int r0 = block / across * ROWS, c = block % across * THREADS + threadIdx.x;
        const float *x[ROWS];
        float sum[ROWS] = {};
        if (c >= y.cols)
            return;
        for (int i = 0; i < ROWS; i++)
            x[i] = row(a.in[0], min(r0 + i, y.rows - 1));
        const float *w = weight_row(a.in[1], c);
        for (int k = 0; k < a.in[0].cols; k++)
            for (int i = 0; i < ROWS; i++)
                sum[i] = fmaf(x[i][k], w[k], sum[i]);
        for (int i = 0; i < ROWS && r0 + i < y.rows; i++)
            finish(a, r0 + i, c, sum[i]);
    }
};

static void linear_narrow(const struct op_args *args, size_t count)
{
    if (args->out[0].cols <= CUDA_NARROW)
        start<dots>(args, count);
    else
        start<spread>(args, count);
}

/* ---- all others ---- */

static const struct blas *blas_of(const struct op_args *args)
{
    return &((const struct cuda_device *)args->device)->blas;
}

/* The weight as fp32 in the device's memory: itself, or behind cuBLAS's workspace. */
static struct factor plain_weight(const struct op_args *args)
{
    const struct tensor *w = &args->in[1];
    if (w->dtype != DT_PREPARED)
        return (struct factor){(const float *)w->data, w->ld, false};
    if (w->spec->quant == QUANT_NONE)
        return (struct factor){(const float *)w->data, w->cols, false};
    float *plain = (float *)((char *)args->workspace + blas_of(args)->workspace_bytes);
    cuda_dequantize(w->spec, w->data, 0, (size_t)w->rows * w->cols, plain);
    return (struct factor){plain, w->cols, false};
}

static struct factor factor_of(const struct tensor *t)
{
    return (struct factor){(const float *)t->data, t->ld, false};
}

static struct factor turned(struct factor f)
{
    f.transposed = !f.transposed;
    return f;
}

static void product(const struct op_args *args, int inner, struct factor a,
                    struct factor b)
{
    const struct tensor *out = &args->out[0];
    blas_product(blas_of(args), out->rows, out->cols, inner, args->attr.scale, a, b,
                 args->accumulate & 1, (float *)out->data, out->ld, args->workspace);
}

__global__ static void add_bias(KERNEL_ARGS)
{
    const float *bias = (const float *)a.in[2].data;
    for_elements(a.out[0],
                 [&](unsigned r, unsigned c) { row(a.out[0], r)[c] += bias[c]; });
}

static void linear_wide(const struct op_args *args)
{
    const struct tensor *x = &args->in[0];
    product(args, x->cols, factor_of(x), turned(plain_weight(args)));
    if (args->in[2].data)
        LAUNCH(add_bias, element_blocks(&args->out[0]), THREADS, *args);
}

void cuda_many_linear(const struct op_args *args, size_t count)
{
    for (size_t i = 0, n; i < count; i += n) {
        n = cuda_sizes_narrow(&args[i].in[1]) ? segments_alike(args + i, count - i) : 1;
        if (cuda_sizes_narrow(&args[i].in[1]))
            linear_narrow(args + i, n);
        else
            linear_wide(&args[i]);
    }
}

void cuda_linear(const struct op_args *args)
{
    cuda_many_linear(args, 1);
}

void cuda_linear_dx(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0];
    product(args, dy->cols, factor_of(dy), plain_weight(args));
}

void cuda_linear_dw(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0], *x = &args->in[1];
    product(args, x->rows, turned(factor_of(dy)), factor_of(x));
}

__global__ static void colsum(KERNEL_ARGS)
{
    const int c = column_of_warp();
    const float sum = column_sum(a.in[0].rows, a.in[0].cols,
                                 [&](int r, int k) { return row(a.in[0], r)[k]; });
    if (threadIdx.x == 0 && c < a.in[0].cols)
        put(a, 0, row(a.out[0], 0) + c, sum);
}

void cuda_colsum(const struct op_args *args)
{
    LAUNCH(colsum, blocks_of(args->in[0].cols, WARP), COLUMN_BLOCK, *args);
}

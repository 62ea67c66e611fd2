/* kernels/cuda/linear.cu - y = x W^T + b and its two gradients; sums over rows. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

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

void cuda_linear(const struct op_args *args)
{
    const struct tensor *x = &args->in[0];
    product(args, x->cols, factor_of(x), turned(plain_weight(args)));
    if (args->in[2].data)
        LAUNCH(add_bias, element_blocks(&args->out[0]), THREADS, *args);
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

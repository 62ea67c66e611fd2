/* kernels/cuda/elementwise.cu - activations (gated too), dropout, sums, factors, copies. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/philox.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/segments.cuh"

/* ------------------------------------------------------------------- activations */

__device__ static float normal_cdf(float x)
{
    return 0.5f * erfcf(-x * 0.70710678f);
}

__device__ static float normal_pdf(float x)
{
    return expf(-0.5f * x * x) * 0.39894228f;
}

__device__ static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* x (1 + tanh(z / 2)) / 2 = x sigmoid(z) with this z, gelu by tanh. Beyond 12 the value
 * is x or 0 to the last bit, and the cube may overflow. */
__device__ static float gelu_angle(float x)
{
    x = x > 12 ? 12 : x < -12 ? -12 : x;
    return x * (1.5957691f + 0.07135481f * x * x);
}

__device__ static float gelu_tanh_slope(float x)
{
    const float z = gelu_angle(x), near = x > 12 ? 12 : x < -12 ? -12 : x;
    return sigmoid(z) +
           near * (1.5957691f + 0.2140644f * near * near) * sigmoid(z) * sigmoid(-z);
}

__device__ static float act_value(enum act act, float x)
{
    switch (act) {
    case ACT_gelu:
        return x * normal_cdf(x);
    case ACT_gelu_tanh:
        return x * sigmoid(gelu_angle(x));
    case ACT_relu:
        return x < 0 ? 0 : x; /* NaN passes */
    case ACT_tanh:
        return tanhf(x);
    case ACT_swish:
        return x * sigmoid(x);
    default:
        return NAN;
    }
}

__device__ static float act_slope(enum act act, float x)
{
    switch (act) {
    case ACT_gelu:
        return normal_cdf(x) + x * normal_pdf(x);
    case ACT_gelu_tanh:
        return gelu_tanh_slope(x);
    case ACT_relu:
        return x > 0 ? 1 : 0;
    case ACT_tanh: {
        /* 1 - tanh^2 without its cancellation */
        const float e = expf(-2 * fabsf(x)), sum = 1 + e;
        return 4 * e / (sum * sum);
    }
    case ACT_swish: {
        const float s = sigmoid(x);
        return s * (1 + x * sigmoid(-x));
    }
    default:
        return NAN;
    }
}

struct act_op : elementwise {
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        for_elements(a.out[0], block, [&](unsigned r, unsigned c) {
            put(a, 0, row(a.out[0], r) + c, act_value(a.attr.act, row(a.in[0], r)[c]));
        });
    }
};

__global__ static void act_bwd(KERNEL_ARGS)
{
    for_elements(a.out[0], [&](unsigned r, unsigned c) {
        const float slope = act_slope(a.attr.act, row(a.in[1], r)[c]);
        put(a, 0, row(a.out[0], r) + c, row(a.in[0], r)[c] * slope);
    });
}

SEGMENT_OP(act, act_op)

void cuda_act_bwd(const struct op_args *args)
{
    LAUNCH(act_bwd, element_blocks(&args->out[0]), THREADS, *args);
}

struct gated_act_op : elementwise {
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        for_elements(a.out[0], block, [&](unsigned r, unsigned c) {
            put(a, 0, row(a.out[0], r) + c,
                act_value(a.attr.act, row(a.in[0], r)[c]) * row(a.in[1], r)[c]);
        });
    }
};

__global__ static void gated_act_bwd(KERNEL_ARGS)
{
    for_elements(a.in[0], [&](unsigned r, unsigned c) {
        const float dy = row(a.in[0], r)[c], gate = row(a.in[1], r)[c];
        if (a.out[0].data)
            put(a, 0, row(a.out[0], r) + c,
                dy * row(a.in[2], r)[c] * act_slope(a.attr.act, gate));
        if (a.out[1].data)
            put(a, 1, row(a.out[1], r) + c, dy * act_value(a.attr.act, gate));
    });
}

SEGMENT_OP(gated_act, gated_act_op)

void cuda_gated_act_bwd(const struct op_args *args)
{
    LAUNCH(gated_act_bwd, element_blocks(&args->in[0]), THREADS, *args);
}

/* ----------------------------------------------------------------------- dropout */

/* One thread per four columns, which share a counter. */
__global__ static void dropout(KERNEL_ARGS, const struct mask_stream m)
{
    const struct tensor &x = a.in[0], &y = a.out[0];
    const unsigned groups = ((unsigned)y.cols + 3) / 4;
    const unsigned i = blockIdx.x * THREADS + threadIdx.x;
    const unsigned r = i / groups, group = i % groups;
    if (r >= (unsigned)y.rows)
        return;
    uint32_t word[4];
    mask_words(m, r, group, word);
    for (int k = 0; k < 4 && (int)(4 * group + k) < y.cols; k++) {
        const unsigned c = 4 * group + k;
        const float factor = mask_factor(m, word[k]);
        put(a, 0, row(y, r) + c, factor > 0 ? row(x, r)[c] * factor : 0);
    }
}

void cuda_dropout(const struct op_args *args)
{
    const struct tensor *y = &args->out[0];
    LAUNCH(dropout, blocks_of((int64_t)y->rows * ((y->cols + 3) / 4), THREADS), THREADS,
           *args, mask_stream(*args));
}

/* ------------------------------------------------------- sums, factors, copies */

struct scale_op : elementwise {
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        for_elements(a.out[0], block, [&](unsigned r, unsigned c) {
            put(a, 0, row(a.out[0], r) + c, a.attr.scale * row(a.in[0], r)[c]);
        });
    }
};

struct add_op : elementwise {
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        for_elements(a.out[0], block, [&](unsigned r, unsigned c) {
            put(a, 0, row(a.out[0], r) + c, row(a.in[0], r)[c] + row(a.in[1], r)[c]);
        });
    }
};

struct copy_op : elementwise {
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        const struct tensor &x = a.in[0], &y = a.out[0];
        for_elements(y, block, [&](unsigned r, unsigned c) {
            const float v = x.dtype == DT_BF16
                                ? from_bf16(((const uint16_t *)x.data)[r * x.ld + c])
                                : row(x, r)[c];
            if (y.dtype == DT_BF16)
                ((uint16_t *)y.data)[r * y.ld + c] = to_bf16(v);
            else
                put(a, 0, row(y, r) + c, v);
        });
    }
};

struct round_bf16_op : elementwise {
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        for_elements(a.out[0], block, [&](unsigned r, unsigned c) {
            put(a, 0, row(a.out[0], r) + c, from_bf16(to_bf16(row(a.in[0], r)[c])));
        });
    }
};

SEGMENT_OP(round_bf16, round_bf16_op)

SEGMENT_OP(scale, scale_op)

SEGMENT_OP(add, add_op)

SEGMENT_OP(copy, copy_op)

void cuda_zero(const struct op_args *args)
{
    clear_output(args, 0);
}

struct colscale_op : elementwise {
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        const float *factor = (const float *)a.in[1].data,
                    *bias = (const float *)a.in[2].data;
        for_elements(a.out[0], block, [&](unsigned r, unsigned c) {
            const float y = row(a.in[0], r)[c] * factor[c] + (bias ? bias[c] : 0);
            put(a, 0, row(a.out[0], r) + c, y);
        });
    }
};

__global__ static void colscale_dx(KERNEL_ARGS)
{
    const float *factor = (const float *)a.in[2].data;
    for_elements(a.out[0], [&](unsigned r, unsigned c) {
        put(a, 0, row(a.out[0], r) + c, row(a.in[0], r)[c] * factor[c]);
    });
}

__global__ static void colscale_dscale(KERNEL_ARGS)
{
    const int c = column_of_warp();
    const float sum = column_sum(a.in[0].rows, a.in[0].cols, [&](int r, int k) {
        return row(a.in[0], r)[k] * row(a.in[1], r)[k];
    });
    if (threadIdx.x == 0 && c < a.in[0].cols)
        put(a, 1, row(a.out[1], 0) + c, sum);
}

SEGMENT_OP(colscale, colscale_op)

void cuda_colscale_bwd(const struct op_args *args)
{
    if (args->out[0].data)
        LAUNCH(colscale_dx, element_blocks(&args->out[0]), THREADS, *args);
    if (args->out[1].data)
        LAUNCH(colscale_dscale, blocks_of(args->in[0].cols, WARP), COLUMN_BLOCK, *args);
}

/* kernels/cuda/cached.cu - keys and values that stay from run to run, and attention over
 * them: a warp for one head of one new token, with a running maximum and sum as in
 * attention.cu. */
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/segments.cuh"

/* The sequence of token t: the last that does not begin after it. */
__device__ static int sequence_number(const struct tensor &seq, int t)
{
    int low = 0, high = seq.rows - 1;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (index_at(seq, middle) <= t)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* op_attr_cache_row, for the device. */
__device__ static int64_t cache_row(const struct op_attr &attr, int slot, int kv_head)
{
    const int heads = attr.kv_heads ? attr.kv_heads : attr.heads;
    return ((int64_t)slot * heads + kv_head) * attr.capacity;
}

__device__ static float cached(const struct tensor &cache, int64_t row, int c)
{
    const int64_t at = row * cache.ld + c;
    if (cache.dtype != DT_BF16)
        return ((const float *)cache.data)[at];
    return from_bf16(((const uint16_t *)cache.data)[at]);
}

struct cache_store_op {
    static dim3 grid(const struct op_args *args)
    {
        return element_blocks(&args->in[0]);
    }
    static dim3 block(void)
    {
        return dim3(THREADS);
    }
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        const struct tensor &x = a.in[0], &cache = a.out[0];
        for_elements(x, block, [&](unsigned t, unsigned c) {
            const int n = sequence_number(a.in[1], (int)t), dim = cache.cols;
            const int64_t r = cache_row(a.attr, index_at(a.in[2], n), (int)c / dim) +
                              index_at(a.in[3], n) + (int)t - index_at(a.in[1], n);
            const int64_t at = r * cache.ld + (int)c % dim;
            if (cache.dtype == DT_BF16)
                ((uint16_t *)cache.data)[at] = to_bf16(row(x, t)[c]);
            else
                ((float *)cache.data)[at] = row(x, t)[c];
        });
    }
};

SEGMENT_OP(cache_store, cache_store_op)

__device__ static float score_of(const struct op_args &a, const float *q, int64_t r)
{
    float sum[4] = {0, 0, 0, 0};
    for (int c = 0; c < a.in[1].cols; c++)
        sum[c % 4] += q[c] * cached(a.in[1], r, c);
    const float score = a.attr.scale * ((sum[0] + sum[1]) + (sum[2] + sum[3]));
    const float cap = a.attr.softcap;
    return cap > 0 ? cap * tanhf(score / cap) : score;
}

/* Warp (x, y) of the grid: token x, head y. */
template <int COLUMNS> struct cached_attention_op {
    static dim3 grid(const struct op_args *args)
    {
        return dim3(blocks_of(args->in[0].rows, ATTENTION_WARPS), args->attr.heads);
    }
    static dim3 block(void)
    {
        return ATTENTION_BLOCK;
    }
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        SHARED(float, weights, ATTENTION_WARPS *WARP);
        const int t = block * ATTENTION_WARPS + threadIdx.y, head = blockIdx.y;
        const int lane = threadIdx.x, dim = a.in[1].cols;
        const int group = a.attr.kv_heads ? a.attr.heads / a.attr.kv_heads : 1;
        float *weight = weights + threadIdx.y * WARP;
        if (t >= a.in[0].rows)
            return;
        const int n = sequence_number(a.in[3], t);
        const int64_t first = cache_row(a.attr, index_at(a.in[4], n), head / group);
        const int end = index_at(a.in[5], n) + t - index_at(a.in[3], n) + 1;
        const int seen = a.attr.window && end > a.attr.window ? a.attr.window : end;
        const float *q = row(a.in[0], t) + head * dim;
        float max = -INFINITY, total = 0, sum[COLUMNS] = {};

        for (int begin = end - seen; begin < end; begin += WARP) {
            const int j = begin + lane, count = min(WARP, end - begin);
            const float score = j < end ? score_of(a, q, first + j) : -INFINITY;
            const float new_max = fmaxf(max, warp_max(score));
            const float p = expf(score - new_max), shrink = expf(max - new_max);
            total = total * shrink + p; /* of this lane */
            max = new_max;
            weight[lane] = p;
            __syncwarp(ALL_LANES);
            for (int i = 0; i < COLUMNS; i++) {
                const int c = i * WARP + lane;
                float part = 0;
                for (int k = 0; c < dim && k < count; k++)
                    part += weight[k] * cached(a.in[2], first + begin + k, c);
                sum[i] = sum[i] * shrink + part;
            }
            __syncwarp(ALL_LANES); /* `weight` is written again */
        }
        total = warp_sum(total);
        for (int i = 0; i < COLUMNS; i++)
            if (i * WARP + lane < dim)
                put(a, 0, row(a.out[0], t) + head * dim + i * WARP + lane,
                    sum[i] / total);
    }
};

void cuda_many_cached_attention(const struct op_args *args, size_t count)
{
    for (size_t i = 0, n; i < count; i += n) {
        n = segments_alike(args + i, count - i);
#define START(columns) start<cached_attention_op<columns>>(args + i, n)
        FOR_DIM(args[i].in[1].cols, START);
#undef START
    }
}

void cuda_cached_attention(const struct op_args *args)
{
    cuda_many_cached_attention(args, 1);
}

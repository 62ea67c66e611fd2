/* kernels/cuda/attention.cu - softmax attention over packed sequences, forward: a running
 * maximum and sum per query (Dao et al. 2022). */
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/segments.cuh"

/* Warp (x, y) of the grid: token x, head y. Each lane has COLUMNS of a head. */
template <int COLUMNS> struct attention_op {
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
        const struct attention at = attention_open(a, 0, 3);
        SHARED(float, weights, ATTENTION_WARPS *WARP);
        const int t = block * ATTENTION_WARPS + threadIdx.y, head = blockIdx.y;
        const int lane = threadIdx.x, column = head * at.dim;
        const int kv_column = head / at.group * at.dim;
        float *weight = weights + threadIdx.y * WARP;
        if (t >= at.q.rows)
            return;
        const struct sequence s = sequence_of(at, t);
        const struct span keys = seen(at, s, t);
        const float *q = row(at.q, t) + column;
        float max = -INFINITY, total = 0, sum[COLUMNS] = {};

        for (int begin = keys.first; begin < keys.end; begin += WARP) {
            const int j = begin + lane, count = min(WARP, keys.end - begin);
            float score = -INFINITY;
            if (j < keys.end)
                score =
                    capped(at, at.scale * dot(q, key_row(at, s, j, kv_column), at.dim));
            const float new_max = fmaxf(max, warp_max(score));
            const float p = expf(score - new_max), shrink = expf(max - new_max);
            total = total * shrink + p; /* of this lane */
            max = new_max;
            weight[lane] = j < keys.end ? p * mask_of(at, t, head, j) : 0;
            __syncwarp(ALL_LANES);
            for (int i = 0; i < COLUMNS; i++) {
                const int c = i * WARP + lane;
                float part = 0;
                for (int k = 0; c < at.dim && k < count; k++)
                    part += weight[k] * value_row(at, s, begin + k, kv_column)[c];
                sum[i] = sum[i] * shrink + part;
            }
            __syncwarp(ALL_LANES); /* `weight` is written again */
        }
        total = warp_sum(total);
        for (int i = 0; i < COLUMNS; i++)
            if (i * WARP + lane < at.dim)
                put(a, 0, row(a.out[0], t) + column + i * WARP + lane, sum[i] / total);
        if (lane == 0 && a.out[1].data)
            row(a.out[1], t)[head] = max + logf(total);
    }
};

void cuda_many_attention(const struct op_args *args, size_t count)
{
    for (size_t i = 0, n; i < count; i += n) {
        const int dim = args[i].in[0].cols / args[i].attr.heads;
        n = segments_alike(args + i, count - i);
#define START(columns) start<attention_op<columns>>(args + i, n)
        FOR_DIM(dim, START);
#undef START
    }
}

void cuda_attention(const struct op_args *args)
{
    cuda_many_attention(args, 1);
}

/* kernels/cuda/attention_bwd.cu - the gradients of attention. Probabilities come again
 * from the saved log-sum-exp (Dao et al. 2022). With P the probabilities, M the dropout
 * mask over 1 - p:
 *   dV = (P M)^T dO,  dS = P (M (dO V^T) - rowsum(dO O)),  dQ = scale dS K,
 *   dK = scale dS^T Q, where scores S = c tanh(R / c) are capped with
 *   dS (1 - (S / c)^2) for dS.
 * Sums over keys belong to a query and are made by its warp, sums over queries to a
 * key. */
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/cuda.cuh"

/* Inputs of the op that are not part of struct attention. */
enum { D_O = 0, O = 4, LSE = 5 };

/* What a query and a key have to do with each other, seen from the loss. */
struct pair {
    float masked_p, dscore;
};

__device__ static struct pair pair_of(const struct op_args &a, const struct attention &at,
                                      int t, int head, int j, const float *key,
                                      const float *value, float d_sum)
{
    const int column = head * at.dim;
    const float score = capped(at, at.scale * dot(row(at.q, t) + column, key, at.dim));
    const float p = expf(score - row(a.in[LSE], t)[head]), m = mask_of(at, t, head, j);
    const float dp = m * dot(row(a.in[D_O], t) + column, value, at.dim);
    const float y = at.softcap > 0 ? score / at.softcap : 0;
    return {p * m, p * (dp - d_sum) * (1 - y * y)};
}

/* rowsum(dO O) per token and head. */
__global__ static void output_sums(KERNEL_ARGS, int heads, int dim, float *d_sums)
{
    const int i = blockIdx.x * THREADS + threadIdx.x, t = i / heads, head = i % heads;
    if (t < a.in[O].rows)
        d_sums[i] =
            dot(row(a.in[D_O], t) + head * dim, row(a.in[O], t) + head * dim, dim);
}

/* Warp (x, y): token x, head y. */
template <int COLUMNS>
__global__ static void query_gradient(KERNEL_ARGS,
                                      const __grid_constant__ struct attention at,
                                      const float *d_sums)
{
    SHARED(float, weights, ATTENTION_WARPS *WARP);
    const int t = blockIdx.x * ATTENTION_WARPS + threadIdx.y, head = blockIdx.y;
    const int lane = threadIdx.x, column = head * at.dim;
    const int kv_column = head / at.group * at.dim;
    float *weight = weights + threadIdx.y * WARP;
    if (t >= at.q.rows)
        return;
    const struct sequence s = sequence_of(at, t);
    const struct span keys = seen(at, s, t);
    const float d_sum = d_sums[t * (int)gridDim.y + head];
    float dq[COLUMNS] = {};

    for (int begin = keys.first; begin < keys.end; begin += WARP) {
        const int j = begin + lane, count = min(WARP, keys.end - begin);
        weight[lane] = 0;
        if (j < keys.end)
            weight[lane] = pair_of(a, at, t, head, j, key_row(at, s, j, kv_column),
                                   value_row(at, s, j, kv_column), d_sum)
                               .dscore;
        __syncwarp(ALL_LANES);
        for (int i = 0; i < COLUMNS; i++) {
            const int c = i * WARP + lane;
            float part = 0; /* of these keys: one chain of additions over all was off by
                               5e-6 at 65,600 keys */
            for (int k = 0; c < at.dim && k < count; k++)
                part += weight[k] * key_row(at, s, begin + k, kv_column)[c];
            dq[i] += part;
        }
        __syncwarp(ALL_LANES);
    }
    for (int i = 0; i < COLUMNS; i++)
        if (i * WARP + lane < at.dim)
            put(a, 0, row(a.out[0], t) + column + i * WARP + lane, at.scale * dq[i]);
}

/* Is prefix key j still in the window of token t? */
__device__ static bool sees_prefix(const struct attention &at, int t, int j)
{
    return !at.window || j >= seen(at, sequence_of(at, t), t).first;
}

/* Warp (x, y): key x, head y of keys, for all heads that it serves. Keys are all own tokens, or (of_prefix) the prefix rows,
 * which every token of every sequence sees. */
template <int COLUMNS>
__global__ static void key_gradient(KERNEL_ARGS,
                                    const __grid_constant__ struct attention at,
                                    const float *d_sums, int of_prefix)
{
    SHARED(float, scores, ATTENTION_WARPS *WARP);
    SHARED(float, probabilities, ATTENTION_WARPS *WARP);
    const int x = blockIdx.x * ATTENTION_WARPS + threadIdx.y;
    const int lane = threadIdx.x, heads = gridDim.y * at.group;
    const int kv_column = blockIdx.y * at.dim;
    float *dscore = scores + threadIdx.y * WARP, *p = probabilities + threadIdx.y * WARP;
    if (x >= (of_prefix ? at.prefix : at.k.rows))
        return;
    struct sequence s = {0, at.q.rows};
    if (!of_prefix)
        s = sequence_of(at, x);
    const int j = of_prefix ? x : at.prefix + x - s.first;
    const int first = at.causal && !of_prefix ? x : s.first;
    const int last = s.first + s.tokens;
    const int end =
        at.window && !of_prefix && at.window < last - x ? x + at.window : last;
    const float *key = key_row(at, s, j, kv_column),
                *value = value_row(at, s, j, kv_column);
    float dk[COLUMNS] = {}, dv[COLUMNS] = {};

    for (int g = 0; g < at.group; g++)
        for (int begin = first; begin < end; begin += WARP) {
            const int head = blockIdx.y * at.group + g, column = head * at.dim;
            const int t = begin + lane, count = min(WARP, end - begin);
            struct pair pair = {0, 0};
            if (t < end && (!of_prefix || sees_prefix(at, t, j)))
                pair = pair_of(a, at, t, head, j, key, value, d_sums[t * heads + head]);
            dscore[lane] = pair.dscore;
            p[lane] = pair.masked_p;
            __syncwarp(ALL_LANES);
            for (int i = 0; i < COLUMNS; i++) {
                const int c = i * WARP + lane;
                for (int k = 0; c < at.dim && k < count; k++) {
                    dk[i] += dscore[k] * row(at.q, begin + k)[column + c];
                    dv[i] += p[k] * row(a.in[D_O], begin + k)[column + c];
                }
            }
            __syncwarp(ALL_LANES);
        }
    const int k_out = of_prefix ? 3 : 1, v_out = of_prefix ? 4 : 2;
    for (int i = 0; i < COLUMNS; i++) {
        const int c = kv_column + i * WARP + lane;
        if (i * WARP + lane >= at.dim)
            continue;
        if (a.out[k_out].data)
            put(a, k_out, row(a.out[k_out], x) + c, at.scale * dk[i]);
        if (a.out[v_out].data)
            put(a, v_out, row(a.out[v_out], x) + c, dv[i]);
    }
}

static dim3 grid_of(int rows, int heads)
{
    return dim3(blocks_of(rows, ATTENTION_WARPS), heads);
}

void cuda_attention_bwd(const struct op_args *args)
{
    const struct attention at = attention_open(*args, 1, 6);
    const int heads = args->attr.heads;
    const struct tensor *out = args->out;
    float *d_sums = (float *)args->workspace;
    LAUNCH(output_sums, blocks_of((int64_t)at.q.rows * heads, THREADS), THREADS, *args,
           heads, at.dim, d_sums);
#define QUERIES(columns)                                                                 \
    LAUNCH(query_gradient<columns>, grid_of(at.q.rows, heads), ATTENTION_BLOCK, *args,   \
           at, d_sums)
    if (out[0].data)
        FOR_DIM(at.dim, QUERIES);
#undef QUERIES
#define KEYS(columns)                                                                    \
    LAUNCH(key_gradient<columns>, grid_of(at.k.rows, heads / at.group), ATTENTION_BLOCK, \
           *args, at, d_sums, 0)
    if (out[1].data || out[2].data)
        FOR_DIM(at.dim, KEYS);
#undef KEYS
#define PREFIXES(columns)                                                                \
    LAUNCH(key_gradient<columns>, grid_of(at.prefix, heads / at.group), ATTENTION_BLOCK, \
           *args, at, d_sums, 1)
    if (at.prefix > 0 && (out[3].data || out[4].data))
        FOR_DIM(at.dim, PREFIXES);
#undef PREFIXES
}

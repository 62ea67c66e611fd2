/* kernels/cuda/attention.cuh - how both passes of attention see a sequence.
 *
 * One warp works for one query (or one key) of one head: its lanes take 32 keys (or
 * queries) at a time for the scores, then 32 columns at a time for the sums, so that no
 * table of tokens by tokens is ever stored. Key j of a sequence is prefix row j while
 * j < prefix, then the sequence's own token j - prefix. */
#ifndef KERNELS_CUDA_ATTENTION_CUH
#define KERNELS_CUDA_ATTENTION_CUH

#include "kernels/cuda/philox.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/dropout.h"

enum { HEAD_DIM_MAX = 512, ATTENTION_WARPS = 4 };
#define ATTENTION_BLOCK dim3(WARP, ATTENTION_WARPS)

struct attention {
    struct tensor q, k, v, pk, pv, seq;
    int dim, prefix, causal, dropout;
    int group; /* heads of queries that share one of keys and values */
    float scale, softcap;
    int window;
    struct mask_stream mask;
};

struct sequence {
    int first, tokens;
};

/* The sequence of token t: the last that does not begin after it. */
__device__ inline struct sequence sequence_of(const struct attention &at, int t)
{
    int low = 0, high = at.seq.rows - 1;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (index_at(at.seq, middle) <= t)
            low = middle;
        else
            high = middle;
    }
    const int first = index_at(at.seq, low);
    return {first, index_at(at.seq, low + 1) - first};
}

__device__ inline const float *key_row(const struct attention &at,
                                       const struct sequence &s, int j, int column)
{
    return (j < at.prefix ? row(at.pk, j) : row(at.k, s.first + j - at.prefix)) + column;
}

__device__ inline const float *value_row(const struct attention &at,
                                         const struct sequence &s, int j, int column)
{
    return (j < at.prefix ? row(at.pv, j) : row(at.v, s.first + j - at.prefix)) + column;
}

/* Keys first .. end - 1 are seen by token t. */
struct span {
    int first, end;
};

__device__ inline struct span seen(const struct attention &at, const struct sequence &s,
                                   int t)
{
    const int end = at.prefix + (at.causal ? t - s.first + 1 : s.tokens);
    return {at.window && end > at.window ? end - at.window : 0, end};
}

__device__ inline float capped(const struct attention &at, float score)
{
    return at.softcap > 0 ? at.softcap * tanhf(score / at.softcap) : score;
}

/* Four sums side by side round less, and wait less for one another. */
__device__ inline float dot(const float *a, const float *b, int n)
{
    float sum[4] = {0, 0, 0, 0};
    for (int c = 0; c < n; c++)
        sum[c % 4] += a[c] * b[c];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

__device__ inline float mask_of(const struct attention &at, int t, int head, int j)
{
    return at.dropout ? mask_at(at.mask, t, DROPOUT_COL(head, j)) : 1.0f;
}

/* Does `with(n)` for the least n of 1, 2, 4, .. with dim <= 32 n: how many columns of a
 * head each lane keeps in registers. */
#define FOR_DIM(dim, with)                                                               \
    do {                                                                                 \
        if ((dim) <= 32)                                                                 \
            with(1);                                                                     \
        else if ((dim) <= 64)                                                            \
            with(2);                                                                     \
        else if ((dim) <= 128)                                                           \
            with(4);                                                                     \
        else if ((dim) <= 256)                                                           \
            with(8);                                                                     \
        else                                                                             \
            with(16);                                                                    \
    } while (0)

/* From the op's arguments; q is where its q k v stand among the inputs. */
__host__ __device__ inline struct attention attention_open(const struct op_args &a, int q,
                                                           int seq)
{
    const struct tensor *in = a.in;
    struct attention at;
    at.q = in[q];
    at.k = in[q + 1];
    at.v = in[q + 2];
    at.seq = in[seq];
    at.pk = in[seq + 1];
    at.pv = in[seq + 2];
    at.dim = in[q].cols / a.attr.heads;
    at.prefix = at.pk.data ? at.pk.rows : 0;
    at.causal = a.attr.causal;
    at.group = in[q].cols / in[q + 1].cols;
    at.dropout = a.attr.p > 0;
    at.scale = a.attr.scale;
    at.softcap = a.attr.softcap;
    at.window = a.attr.window;
    at.mask = mask_stream(a);
    return at;
}

#endif

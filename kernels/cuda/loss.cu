/* kernels/cuda/loss.cu - cross entropy over labels with class weights and label
 * smoothing (Szegedy et al. 2016), one block per row; rows with a negative label count
 * nothing. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

enum { ROW_THREADS = 128 };

__device__ static float log_sum_exp(const float *x, int n)
{
    float max = -INFINITY, sum = 0;
    for (int c = threadIdx.x; c < n; c += ROW_THREADS)
        max = fmaxf(max, x[c]);
    max = block_max(max);
    for (int c = threadIdx.x; c < n; c += ROW_THREADS)
        sum += expf(x[c] - max);
    return max + logf(block_sum(sum));
}

/* All classes count one where there are no weights. */
__device__ static float weight_of(const struct op_args &a, int c)
{
    return a.in[2].data ? row(a.in[2], 0)[c] : 1.0f;
}

__global__ static void cross_entropy(KERNEL_ARGS)
{
    const int i = blockIdx.x, n = a.in[0].cols, label = index_at(a.in[1], i);
    const float *x = row(a.in[0], i), e = a.attr.smoothing;
    const float lse = log_sum_exp(x, n);
    float sum = 0;
    for (int c = threadIdx.x; c < n; c += ROW_THREADS)
        sum += weight_of(a, c) * (lse - x[c]);
    const float uniform = block_sum(sum) / n;
    if (threadIdx.x > 0)
        return;
    float loss = 0;
    if (label >= 0)
        loss = (1 - e) * weight_of(a, label) * (lse - x[label]);
    if (label >= 0 && e > 0)
        loss += e * uniform;
    put(a, 0, row(a.out[0], i), loss);
}

__global__ static void cross_entropy_bwd(KERNEL_ARGS)
{
    const int i = blockIdx.x, n = a.in[0].cols, label = index_at(a.in[1], i);
    const float *x = row(a.in[0], i), e = a.attr.smoothing;
    const float lse = log_sum_exp(x, n);
    float all = 0;
    for (int c = threadIdx.x; c < n; c += ROW_THREADS)
        all += weight_of(a, c);
    all = block_sum(all);
    for (int c = threadIdx.x; c < n; c += ROW_THREADS) {
        const float p = expf(x[c] - lse);
        float d = 0;
        if (label >= 0)
            d = (1 - e) * weight_of(a, label) * (p - (c == label ? 1.0f : 0.0f)) +
                e / n * (p * all - weight_of(a, c));
        put(a, 0, row(a.out[0], i) + c, a.step.loss_scale * d);
    }
}

void cuda_cross_entropy(const struct op_args *args)
{
    LAUNCH(cross_entropy, (unsigned)args->in[0].rows, ROW_THREADS, *args);
}

void cuda_cross_entropy_bwd(const struct op_args *args)
{
    LAUNCH(cross_entropy_bwd, (unsigned)args->in[0].rows, ROW_THREADS, *args);
}

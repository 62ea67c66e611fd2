/* kernels/cuda/loss.cu - cross entropy over labels with label smoothing (Szegedy et al.
 * 2016), one block per row; rows with a negative label count nothing. */
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

__global__ static void cross_entropy(KERNEL_ARGS)
{
    const int i = blockIdx.x, n = a.in[0].cols, label = index_at(a.in[1], i);
    const float *x = row(a.in[0], i), e = a.attr.smoothing;
    const float lse = log_sum_exp(x, n);
    float sum = 0;
    for (int c = threadIdx.x; c < n; c += ROW_THREADS)
        sum += x[c];
    const float mean = block_sum(sum) / n;
    if (threadIdx.x > 0)
        return;
    float loss = (1 - e) * (lse - x[label < 0 ? 0 : label]);
    if (e > 0)
        loss += e * (lse - mean);
    put(a, 0, row(a.out[0], i), label < 0 ? 0 : loss);
}

__global__ static void cross_entropy_bwd(KERNEL_ARGS)
{
    const int i = blockIdx.x, n = a.in[0].cols, label = index_at(a.in[1], i);
    const float *x = row(a.in[0], i), e = a.attr.smoothing;
    const float lse = log_sum_exp(x, n);
    for (int c = threadIdx.x; c < n; c += ROW_THREADS) {
        const float target = (c == label ? 1 - e : 0) + e / n;
        const float d = label < 0 ? 0 : expf(x[c] - lse) - target;
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

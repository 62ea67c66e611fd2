/* kernels/cuda/loss.cu - cross entropy over labels with class weights and label
 * smoothing (Szegedy et al. 2016), one block per row; rows with a negative label count
 * nothing. Losses against numbers: one thread per row, there are few columns. */
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

__device__ static float loss_value(enum target_loss loss, float x, float y)
{
    return loss == LOSS_mse ? (x - y) * (x - y)
                            : fmaxf(x, 0.0f) - x * y + log1pf(expf(-fabsf(x)));
}

__device__ static float loss_slope(enum target_loss loss, float x, float y)
{
    const float e = expf(-fabsf(x));
    return loss == LOSS_mse ? 2 * (x - y) : (x < 0 ? e : 1.0f) / (1 + e) - y;
}

__global__ static void target_loss(KERNEL_ARGS)
{
    const int64_t i = blockIdx.x * (int64_t)ROW_THREADS + threadIdx.x;
    if (i >= a.in[0].rows)
        return;
    const float *x = row(a.in[0], i), *y = row(a.in[1], i);
    float sum = 0;
    for (int c = 0; c < a.in[0].cols; c++)
        sum += loss_value(a.attr.loss, x[c], y[c]);
    put(a, 0, row(a.out[0], i), sum / a.in[0].cols);
}

__global__ static void target_loss_bwd(KERNEL_ARGS)
{
    const int64_t i = blockIdx.x * (int64_t)ROW_THREADS + threadIdx.x;
    if (i >= a.in[0].rows)
        return;
    const float *x = row(a.in[0], i), *y = row(a.in[1], i);
    for (int c = 0; c < a.in[0].cols; c++)
        put(a, 0, row(a.out[0], i) + c,
            a.step.loss_scale * loss_slope(a.attr.loss, x[c], y[c]) / a.in[0].cols);
}

void cuda_target_loss(const struct op_args *args)
{
    LAUNCH(target_loss, (unsigned)((args->in[0].rows + ROW_THREADS - 1) / ROW_THREADS),
           ROW_THREADS, *args);
}

void cuda_target_loss_bwd(const struct op_args *args)
{
    LAUNCH(target_loss_bwd,
           (unsigned)((args->in[0].rows + ROW_THREADS - 1) / ROW_THREADS), ROW_THREADS,
           *args);
}

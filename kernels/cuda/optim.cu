/* kernels/cuda/optim.cu - optimiser steps and the gradient's square norm.
 *
 * AdamW: Loshchilov and Hutter 2019, in the order of torch.optim.AdamW. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/sizes.h"

enum { BLOCK = CUDA_SUMSQ_BLOCK };

/* ----------------------------------------------------------------- sum of squares */

__global__ static void sumsq_blocks(const struct tensor x, double *sums)
{
    const int64_t n = (int64_t)x.rows * x.cols, first = (int64_t)blockIdx.x * BLOCK;
    double sum = 0;
    for (int64_t i = first + threadIdx.x; i < first + BLOCK && i < n; i += THREADS) {
        const double v = row(x, i / x.cols)[i % x.cols];
        sum += v * v;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

__global__ static void sumsq_total(const double *sums, int count, double *out, int add)
{
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += THREADS)
        sum += sums[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        *out = add ? *out + sum : sum;
}

void cuda_sumsq(const struct op_args *args)
{
    const struct tensor *x = &args->in[0];
    const unsigned blocks = blocks_of((int64_t)x->rows * x->cols, BLOCK);
    double *sums = (double *)args->workspace;
    LAUNCH(sumsq_blocks, blocks, THREADS, *x, sums);
    LAUNCH(sumsq_total, 1, THREADS, sums, (int)blocks, (double *)args->out[0].data,
           (int)(args->accumulate & 1));
}

/* --------------------------------------------------------------------------- steps */

/* Constants of one step, rounded once from double. */
struct adamw_step {
    float beta1, rest1, beta2, rest2, keep, step_size, root_correction;
};

__device__ static void adamw_element(const struct adamw_step &s, float eps, float g,
                                     float *p, float *m, float *v)
{
    *m = s.beta1 * *m + s.rest1 * g;
    *v = s.beta2 * *v + s.rest2 * g * g;
    const float denominator = sqrtf(*v) / s.root_correction + eps;
    *p = *p * s.keep - s.step_size * *m / denominator;
}

__global__ static void adamw(KERNEL_ARGS, const struct adamw_step s)
{
    for_elements(a.in[0], [&](unsigned r, unsigned c) {
        const float g = row(a.in[0], r)[c] * a.attr.grad_scale;
        adamw_element(s, a.attr.eps, g, row(a.out[0], r) + c, row(a.out[1], r) + c,
                      row(a.out[2], r) + c);
    });
}

/* Moments in bf16. */
__global__ static void adamw_halves(KERNEL_ARGS, const struct adamw_step s)
{
    for_elements(a.in[0], [&](unsigned r, unsigned c) {
        uint16_t *m16 = (uint16_t *)a.out[1].data + r * a.out[1].ld + c;
        uint16_t *v16 = (uint16_t *)a.out[2].data + r * a.out[2].ld + c;
        const float g = row(a.in[0], r)[c] * a.attr.grad_scale;
        float m = from_bf16(*m16), v = from_bf16(*v16);
        adamw_element(s, a.attr.eps, g, row(a.out[0], r) + c, &m, &v);
        *m16 = to_bf16(m);
        *v16 = to_bf16(v);
    });
}

void cuda_adamw(const struct op_args *args)
{
    const struct op_attr *at = &args->attr;
    const double beta1 = at->beta1, beta2 = at->beta2, t = (double)at->t;
    struct adamw_step s;
    s.beta1 = at->beta1;
    s.rest1 = (float)(1 - beta1);
    s.beta2 = at->beta2;
    s.rest2 = (float)(1 - beta2);
    s.keep = (float)(1 - (double)at->lr * at->weight_decay);
    s.step_size = (float)(at->lr / (1 - pow(beta1, t)));
    s.root_correction = (float)sqrt(1 - pow(beta2, t));
    if (args->out[1].dtype == DT_BF16)
        LAUNCH(adamw_halves, element_blocks(&args->in[0]), THREADS, *args, s);
    else
        LAUNCH(adamw, element_blocks(&args->in[0]), THREADS, *args, s);
}

__global__ static void sgd(KERNEL_ARGS)
{
    for_elements(a.in[0], [&](unsigned r, unsigned c) {
        float *p = row(a.out[0], r) + c;
        const float g = row(a.in[0], r)[c] * a.attr.grad_scale + a.attr.weight_decay * *p;
        *p -= a.attr.lr * g;
    });
}

void cuda_sgd(const struct op_args *args)
{
    LAUNCH(sgd, element_blocks(&args->in[0]), THREADS, *args);
}

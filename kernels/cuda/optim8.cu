/* kernels/cuda/optim8.cu - AdamW with moments in 8 bits, see ops.def: a block of 256
 * elements is a block of 256 threads. */
#include <string.h>
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

/* Constants of one step, rounded once from double; both maps of dynamic8.h. */
struct adam8_step {
    float beta1, rest1, beta2, rest2, keep, step_size, eps;
    float map1[256], map2[256];
};

/* dynamic_nearest of kernels/dynamic8.h. */
__device__ static int nearest(const float *map, float x)
{
    int low = 0; /* greatest entry <= x, or the first */
    for (int step = 128; step > 0; step /= 2)
        low += x >= map[low + step] ? step : 0;
    const int high = low < 255 ? low + 1 : 255;
    return x - map[low] > map[high] - x ? high : low;
}

/* dynamic_nearest_signed: a negative number does not become 0. */
__device__ static int nearest_signed(const float *map, float x)
{
    const int code = nearest(map, x);
    return x < 0 && map[code] >= 0 ? code - 1 : code;
}

__device__ static void update(const struct adam8_step &s, float g, float *p, float *m,
                              float *v)
{
    *m = s.beta1 * *m + s.rest1 * g;
    *v = s.beta2 * *v + s.rest2 * g * g;
    *p = (*p - *m / (sqrtf(*v) + s.eps) * s.step_size) * s.keep;
}

__global__ static void adamw_plain(KERNEL_ARGS, int64_t n,
                                   const __grid_constant__ struct adam8_step s)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < n)
        update(s, row(a.in[0], 0)[i] * a.attr.grad_scale, row(a.out[0], 0) + i,
               row(a.out[1], 0) + i, row(a.out[2], 0) + i);
}

__global__ static void adamw_codes(KERNEL_ARGS, int64_t n,
                                   const __grid_constant__ struct adam8_step s)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    uint8_t *m8 = (uint8_t *)a.out[1].data, *v8 = (uint8_t *)a.out[2].data;
    float *max1 = row(a.out[3], 0) + blockIdx.x, *max2 = row(a.out[4], 0) + blockIdx.x;
    float m = 0, v = 0;
    if (i < n) {
        m = s.map1[m8[i]] * *max1;
        v = s.map2[v8[i]] * *max2;
        update(s, row(a.in[0], 0)[i] * a.attr.grad_scale, row(a.out[0], 0) + i, &m, &v);
    }
    const float top1 = block_max(fabsf(m)), top2 = block_max(v); /* all have read max1 */
    if (threadIdx.x == 0) {
        *max1 = top1;
        *max2 = top2;
    }
    if (i < n) {
        m8[i] = (uint8_t)nearest_signed(s.map1, top1 > 0 ? m / top1 : 0);
        v8[i] = (uint8_t)nearest(s.map2, top2 > 0 ? v / top2 : 0);
    }
}

void cuda_adamw_8bit(const struct op_args *args)
{
    const struct op_attr *at = &args->attr;
    const double beta1 = at->beta1, beta2 = at->beta2, t = (double)at->t;
    const double correction = sqrt(1 - pow(beta2, t));
    const int64_t n = (int64_t)args->in[0].rows * args->in[0].cols;
    struct adam8_step s;
    s.beta1 = at->beta1;
    s.rest1 = (float)(1 - beta1);
    s.beta2 = at->beta2;
    s.rest2 = (float)(1 - beta2);
    s.keep = (float)(1 - (double)at->lr * at->weight_decay);
    s.step_size = (float)(at->lr * correction / (1 - pow(beta1, t)));
    s.eps = (float)(correction * at->eps);
    memcpy(s.map1, cuda_host->dynamic_map, sizeof s.map1);
    memcpy(s.map2, cuda_host->dynamic_map_unsigned, sizeof s.map2);
    if (args->out[1].dtype == DT_U8)
        LAUNCH(adamw_codes, blocks_of(n, THREADS), THREADS, *args, n, s);
    else
        LAUNCH(adamw_plain, blocks_of(n, THREADS), THREADS, *args, n, s);
}

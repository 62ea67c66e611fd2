/* kernels/cuda/device.cuh - what every .cu file starts with: how a kernel is written and
 * started, and the two words it needs about tensors.
 *
 * The files are compiled twice: by nvcc for GPUs, and by g++ for the host, where
 * kernels/cuda/emul stands in for <cuda_runtime.h> and <cublas_v2.h>. So that both work,
 * they keep to these rules:
 *   - kernels start through LAUNCH, never by <<<>>>; shared memory is had through SHARED;
 *   - of warp operations only those that end in _sync, with the full mask, by all lanes;
 *     every thread of a block reaches every barrier;
 *   - no inline PTX, no cooperative groups, no textures.
 * A kernel takes `struct op_args` by value, as the op got it; data pointers point to the
 * device's memory. All work goes to the default stream, in order.
 *
 * No kernel adds with atomics, and none splits a sum by how many rows there are: the same
 * call gives the same bits again. */
#ifndef KERNELS_CUDA_DEVICE_CUH
#define KERNELS_CUDA_DEVICE_CUH

#include <cuda_runtime.h>
#include <math.h>
#include "kernels/backend.h"

/* Ends the process: what fails here is a broken device or a bug, and ops return
 * nothing. */
void cuda_must(cudaError_t status, const char *what);
/* Kernels and products so far (backend.launches). */
void cuda_count_launch(void);

#ifdef __CUDACC__
#define SHARED(type, name, count)              __shared__ type name[count]
#define START_KERNEL(kernel, grid, block, ...) kernel<<<grid, block>>>(__VA_ARGS__)
#endif
#define LAUNCH(kernel, grid, block, ...)                                                 \
    do {                                                                                 \
        const dim3 grid_ = (grid);                                                       \
        if (grid_.x > 0 && grid_.y > 0) {                                                \
            cuda_count_launch();                                                         \
            START_KERNEL(kernel, grid_, (block), __VA_ARGS__);                           \
            cuda_must(cudaGetLastError(), #kernel);                                      \
        }                                                                                \
    } while (0)

/* A kernel's arguments stay where the launch put them. */
#define KERNEL_ARGS const __grid_constant__ struct op_args a

enum { WARP = 32, WARPS = 8, THREADS = 256, EACH = 4 };

static inline unsigned blocks_of(int64_t n, int per_block)
{
    return (unsigned)((n + per_block - 1) / per_block);
}

__device__ inline float *row(const struct tensor &t, int64_t r)
{
    return (float *)t.data + r * t.ld;
}

/* Entry i of an index vector. */
__device__ inline int32_t index_at(const struct tensor &t, int64_t i)
{
    return ((const int32_t *)t.data)[i * t.ld];
}

/* Writes one element of output i, or adds to it. */
__device__ inline void put(const struct op_args &a, int i, float *element, float value)
{
    *element = a.accumulate >> i & 1 ? *element + value : value;
}

/* To the nearest bf16, ties to even; what is no number stays none. */
__device__ inline uint16_t to_bf16(float x)
{
    union {
        float f;
        uint32_t bits;
    } u;
    u.f = x;
    if (x != x)
        return (uint16_t)(u.bits >> 16 | 0x40);
    return (uint16_t)((u.bits + 0x7fff + (u.bits >> 16 & 1)) >> 16);
}

__device__ inline float from_bf16(uint16_t x)
{
    union {
        float f;
        uint32_t bits;
    } u;
    u.bits = (uint32_t)x << 16;
    return u.f;
}

/* f(r, c) for each element of t that is this block's; there are element_blocks(t) blocks
 * of THREADS. */
template <class F>
__device__ inline void for_elements(const struct tensor &t, unsigned block, F f)
{
    const unsigned n = (unsigned)t.rows * (unsigned)t.cols, cols = (unsigned)t.cols;
    const unsigned first = block * (THREADS * EACH) + threadIdx.x;
    for (unsigned i = first; i < first + THREADS * EACH && i < n; i += THREADS)
        f(i / cols, i % cols);
}

template <class F> __device__ inline void for_elements(const struct tensor &t, F f)
{
    for_elements(t, blockIdx.x, f);
}

/* At most 2^31 elements, 8 GiB. */
dim3 element_blocks(const struct tensor *t);

/* Sets an output to zero unless it is added to. */
void clear_output(const struct op_args *args, int i);

#endif

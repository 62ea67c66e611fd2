/* kernels/cuda/reduce.cuh - sums and maxima over a warp, a block, a column. Every thread
 * of the warp or block takes part and gets the result; the order is fixed by the shape
 * of the block alone. */
#ifndef KERNELS_CUDA_REDUCE_CUH
#define KERNELS_CUDA_REDUCE_CUH

#include "kernels/cuda/device.cuh"

#define ALL_LANES 0xffffffffu

template <class T> __device__ inline T warp_sum(T v)
{
    for (int step = WARP / 2; step > 0; step /= 2)
        v += __shfl_xor_sync(ALL_LANES, v, step);
    return v;
}

__device__ inline float warp_max(float v)
{
    for (int step = WARP / 2; step > 0; step /= 2)
        v = fmaxf(v, __shfl_xor_sync(ALL_LANES, v, step));
    return v;
}

/* The block is a line of at most 32 whole warps. */
template <class T> __device__ inline T block_sum(T v)
{
    SHARED(T, part, WARP);
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int warps = blockDim.x / WARP;
    v = warp_sum(v);
    if (lane == 0)
        part[warp] = v;
    __syncthreads();
    v = warp_sum(lane < warps ? part[lane] : T(0));
    __syncthreads(); /* `part` may be used again */
    return v;
}

__device__ inline float block_max(float v)
{
    SHARED(float, part, WARP);
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int warps = blockDim.x / WARP;
    v = warp_max(v);
    if (lane == 0)
        part[warp] = v;
    __syncthreads();
    v = warp_max(lane < warps ? part[lane] : -INFINITY);
    __syncthreads();
    return v;
}

/* Sums down the rows, for 32 columns per block of COLUMN_BLOCK threads: value(r, c) is
 * asked for rows 0 .. rows - 1 by the threads of column c, and the warp threadIdx.y gets
 * the sum of column column_of_warp(). */
#define COLUMN_BLOCK dim3(WARP, WARP)

__device__ inline int column_of_warp(void)
{
    return blockIdx.x * WARP + threadIdx.y;
}

template <class F> __device__ inline float column_sum(int rows, int cols, F value)
{
    SHARED(float, part, WARP *(WARP + 1));
    const int c = blockIdx.x * WARP + threadIdx.x;
    float sum = 0;
    for (int r = threadIdx.y; c < cols && r < rows; r += WARP)
        sum += value(r, c);
    part[threadIdx.y * (WARP + 1) + threadIdx.x] = sum;
    __syncthreads();
    sum = warp_sum(part[threadIdx.x * (WARP + 1) + threadIdx.y]);
    __syncthreads();
    return sum;
}

#endif

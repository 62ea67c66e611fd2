/* kernels/cuda/emul/cuda_runtime.h - stands in for CUDA's header of that name when the
 * .cu files are compiled by g++ for the host.
 *
 * A kernel runs block after block on the calling thread; within a block every CUDA thread
 * is a fiber with a stack of its own, which runs until it waits at a barrier. Streams do
 * not exist: what is launched has happened. It is no GPU and shows nothing about speed or
 * about the GPU's memory model; it shows that the sources compute what they should, and
 * it ends the process with a message (kernel, block, thread, file and line) when
 *   - a thread waits where others of its block or warp never come, or at another place,
 *     or has left the kernel before;
 *   - a warp operation names other than all lanes;
 *   - memory around a device buffer was written (SIGSEGV behind it, by a guard page);
 * and it makes wrong what is wrong but often goes well:
 *   - shared memory holds NaN when a block begins, device memory when it is new;
 *   - PEFTLAB_EMUL_SEED (0: natural order) shuffles the order of blocks, warps and lanes,
 *     so that results change where a barrier is missing;
 *   - PEFTLAB_EMUL_PROTECT=1 takes device memory away from the host between calls
 *     (slow). */
#ifndef KERNELS_CUDA_EMUL_CUDA_RUNTIME_H
#define KERNELS_CUDA_EMUL_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __grid_constant__

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c)
    {
    }
};

/* Those of the running fiber. */
extern struct uint3 threadIdx, blockIdx;
extern struct dim3 blockDim, gridDim;

/* ---- launches, shared memory ---- */

void emul_run(const char *kernel, struct dim3 grid, struct dim3 block,
              void (*thread)(void *context), void *context);

template <class... P, class... A>
void emul_launch(const char *name, void (*kernel)(P...), struct dim3 grid,
                 struct dim3 block, A... arguments)
{
    auto thread = [&] { kernel(arguments...); };
    emul_run(
        name, grid, block,
        [](void *context) { (*static_cast<decltype(thread) *>(context))(); }, &thread);
}

#define START_KERNEL(kernel, grid, block, ...)                                           \
    emul_launch(#kernel, kernel, grid, block, __VA_ARGS__)

/* The block's array for one place in the source. */
void *emul_shared(const void *site, size_t bytes);
#define SHARED(type, name, count)                                                        \
    static const char name##_site = 0;                                                   \
    type *const name =                                                                   \
        static_cast<type *>(emul_shared(&name##_site, sizeof(type) * (count)))

/* ---- barriers, shuffles ---- */

void emul_sync_block(const char *file, int line);
void emul_sync_warp(unsigned mask, const char *file, int line);
/* Gives `value` to the warp and gets that of another lane; at most 8 bytes. */
void emul_shuffle(unsigned mask, void *value, size_t bytes, int lane, const char *file,
                  int line);
int emul_lane(void);

template <class T>
inline T emul_shuffled(unsigned mask, T value, int lane, const char *file, int line)
{
    emul_shuffle(mask, &value, sizeof value, lane, file, line);
    return value;
}

#define __syncthreads()      emul_sync_block(__FILE__, __LINE__)
#define __syncwarp(mask)     emul_sync_warp(mask, __FILE__, __LINE__)
#define __shfl_sync(m, v, l) emul_shuffled(m, v, (l)&31, __FILE__, __LINE__)
#define __shfl_xor_sync(m, v, x)                                                         \
    emul_shuffled(m, v, (emul_lane() ^ (x)) & 31, __FILE__, __LINE__)

/* ------------------------------------------------------------------------- arithmetic */

static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)(((uint64_t)a * b) >> 32);
}
static inline float __fmul_rn(float a, float b)
{
    return a * b;
}
static inline uint32_t __float_as_uint(float x)
{
    return __builtin_bit_cast(uint32_t, x);
}

static inline float __uint_as_float(uint32_t bits)
{
    return __builtin_bit_cast(float, bits);
}

static inline float __fadd_rn(float a, float b)
{
    return a + b;
}
static inline int min(int a, int b)
{
    return a < b ? a : b;
}

/* ---------------------------------------------------------------------- the runtime */

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorNoDevice = 100
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
typedef void *cudaStream_t;

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int major, minor;
};

const char *cudaGetErrorString(cudaError_t status);
cudaError_t cudaGetLastError(void);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaMalloc(void **p, size_t bytes);
cudaError_t cudaFree(void *p);
cudaError_t cudaMemset(void *p, int value, size_t bytes);
cudaError_t cudaMemset2DAsync(void *p, size_t pitch, int value, size_t width,
                              size_t height, cudaStream_t stream);
cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind);

#endif

/* kernels/cuda/segments.cuh - several calls of one op in one launch.
 *
 * Each adapter of a mixed batch has nodes of its own, and for a few rows of each a launch
 * costs more than the work. Calls that differ in nothing but where their tensors lie and
 * in rows (those of adapters that were made alike) become segments of one launch: a block
 * looks up whose it is, and then does what it does in a call by itself, in the same order,
 * so that the bits are the same. The table goes with the launch, by value: nothing is
 * uploaded, and nobody waits.
 *
 * An op that can do this is a struct F with
 *   static dim3 grid(const struct op_args *), static dim3 block(void), and
 *   __device__ static void run(const struct op_args &a, unsigned block),
 * where `block` counts along x among those of its call, and y is the same for all calls
 * (its blockIdx.y is read as usual). SEGMENT_OP makes of it the op and its version for many;
 * cuda.cuh lists them. `a.step` is of single calls only. */
#ifndef KERNELS_CUDA_SEGMENTS_CUH
#define KERNELS_CUDA_SEGMENTS_CUH

#include <string.h>
#include "kernels/cuda/device.cuh"

enum { SEGMENTS = 32, SEGMENT_IN = 7, SEGMENT_OUT = 2 };

struct segment {
    void *in[SEGMENT_IN], *out[SEGMENT_OUT];
    int32_t in_rows[SEGMENT_IN], out_rows[SEGMENT_OUT];
    unsigned first; /* of its blocks, along x */
};

/* What all have in common, and what each has alone. */
struct segments {
    struct tensor in[SEGMENT_IN], out[SEGMENT_OUT];
    struct op_attr attr;
    unsigned accumulate;
    int count;
    struct segment of[SEGMENTS];
};
/* What a launch may take along on every GPU and by every nvcc. */
static_assert(sizeof(struct segments) <= 4096, "a table goes by value");

/* The last that does not begin behind this block; one without rows has none. */
__device__ inline const struct segment &segment_of(const struct segments &s,
                                                   unsigned block)
{
    int low = 0, high = s.count;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (s.of[middle].first <= block)
            low = middle;
        else
            high = middle;
    }
    return s.of[low];
}

__device__ inline void segment_args(const struct segments &s, const struct segment &own,
                                    struct op_args &a)
{
    a.accumulate = s.accumulate;
    a.attr = s.attr;
    for (int k = 0; k < SEGMENT_IN; k++) {
        a.in[k] = s.in[k];
        a.in[k].data = own.in[k];
        a.in[k].rows = own.in_rows[k];
    }
    for (int k = 0; k < SEGMENT_OUT; k++) {
        a.out[k] = s.out[k];
        a.out[k].data = own.out[k];
        a.out[k].rows = own.out_rows[k];
    }
}

template <class F> __global__ static void one(KERNEL_ARGS)
{
    F::run(a, blockIdx.x);
}

template <class F>
__global__ static void many(const __grid_constant__ struct segments table)
{
    const struct segment &own = segment_of(table, blockIdx.x);
    struct op_args a;
    segment_args(table, own, a);
    F::run(a, blockIdx.x - own.first);
}

/* ---- on the host (module.cu) ---- */

/* How many of the first of these can be segments of one launch; at least 1. */
size_t segments_alike(const struct op_args *args, size_t count);
/* All but `first` of each. */
void segments_fill(struct segments *s, const struct op_args *args, size_t count);

template <class F> static void start_segments(const struct op_args *args, size_t count)
{
    struct segments s;
    unsigned blocks = 0;
    segments_fill(&s, args, count);
    for (size_t i = 0; i < count; i++) {
        s.of[i].first = blocks;
        blocks += F::grid(&args[i]).x;
    }
    LAUNCH(many<F>, dim3(blocks, F::grid(&args[0]).y), F::block(), s);
}

template <class F> static void start(const struct op_args *args, size_t count)
{
    for (size_t i = 0, n; i < count; i += n) {
        n = segments_alike(args + i, count - i);
        if (n > 1)
            start_segments<F>(args + i, n);
        else
            LAUNCH(one<F>, F::grid(&args[i]), F::block(), args[i]);
    }
}

#define SEGMENT_OP(op, F)                                                                \
    void cuda_##op(const struct op_args *args)                                           \
    {                                                                                    \
        start<F>(args, 1);                                                               \
    }                                                                                    \
    void cuda_many_##op(const struct op_args *args, size_t count)                        \
    {                                                                                    \
        start<F>(args, count);                                                           \
    }

/* Most ops: one thread for EACH elements of the output. */
struct elementwise {
    static dim3 grid(const struct op_args *args)
    {
        return element_blocks(&args->out[0]);
    }
    static dim3 block(void)
    {
        return dim3(THREADS);
    }
};

#endif

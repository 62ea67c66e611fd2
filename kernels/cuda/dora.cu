/* kernels/cuda/dora.cu - norms of the rows of an adapted weight, one thread per row. Two
 * large terms of opposite sign may meet in the sum, so it is kept in double. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/segments.cuh"

struct dora_norm_op {
    static dim3 grid(const struct op_args *args)
    {
        return dim3(blocks_of(args->out[0].cols, THREADS));
    }
    static dim3 block(void)
    {
        return dim3(THREADS);
    }
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        const int i = block * THREADS + threadIdx.x, rank = a.in[3].cols;
        if (i >= a.out[0].cols)
            return;
        const float *b = row(a.in[3], i);
        const double s = a.attr.scale;
        double square = row(a.in[0], 0)[i];
        for (int k = 0; k < rank; k++) {
            const float *g = row(a.in[2], k);
            double inner = 0;
            for (int l = 0; l < rank; l++)
                inner += (double)g[l] * b[l];
            square += s * b[k] * (2 * row(a.in[1], k)[i] + s * inner);
        }
        put(a, 0, row(a.out[0], 0) + i, (float)(1 / sqrt(square)));
    }
};

SEGMENT_OP(dora_norm, dora_norm_op)

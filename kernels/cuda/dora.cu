/* kernels/cuda/dora.cu - norms of the rows of an adapted weight, one thread per row. Two
 * large terms of opposite sign may meet in the sum, so it is kept in double. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/device.cuh"

__global__ static void dora_norm(KERNEL_ARGS)
{
    const int i = blockIdx.x * THREADS + threadIdx.x, rank = a.in[3].cols;
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

void cuda_dora_norm(const struct op_args *args)
{
    LAUNCH(dora_norm, blocks_of(args->out[0].cols, THREADS), THREADS, *args);
}

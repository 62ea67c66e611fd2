/* kernels/cpu/simd/peak.c - the machine's fp32 ceiling in this variant: independent
 * chains of multiply-adds in registers, on all threads. */
#include "kernels/cpu/simd/simd.h"
#include <time.h>

/* Two units with four cycles of latency need eight chains; with the factor and the
 * addend they must fit sixteen registers. */
enum { CHAINS = 12, LOOPS = 40000, ROUNDS = 12 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void burn(void *ctx, size_t begin, size_t end, int thread)
{
    float *sums = ctx;
    (void)thread;
    for (size_t piece = begin; piece < end; piece++) {
        vf x[CHAINS], factor = vf_splat(0.999f), addend = vf_splat(0.001f * (float)piece);
        for (int k = 0; k < CHAINS; k++)
            x[k] = vf_splat((float)k);
        for (int i = 0; i < LOOPS; i++) {
#pragma GCC unroll 12
            for (int k = 0; k < CHAINS; k++)
                x[k] = vf_fma(x[k], factor, addend);
        }
        for (int k = 1; k < CHAINS; k++)
            x[0] += x[k];
        sums[piece] = (float)vf_sum(x[0]); /* or the loop would be left out */
    }
}

double V(peak_flops_per_s)(void *device)
{
    (void)device;
    enum { MAX_PIECES = 1024 };
    static float sums[MAX_PIECES];
    const size_t pieces = (size_t)min_int(4 * pool_threads(), MAX_PIECES);
    double best = 1e30;
    for (int r = 0; r < ROUNDS; r++) {
        const double start = seconds();
        pool_run(burn, sums, pieces, 1);
        const double took = seconds() - start;
        if (took < best)
            best = took;
    }
    return 2.0 * W * CHAINS * LOOPS * (double)pieces / best;
}

/* kernels/cpu/simd/dora.c - norms of the rows of an adapted weight. Two large terms of
 * opposite sign may meet in the sum, so it is kept in double. */
#include "kernels/cpu/simd/simd.h"

static void norm_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const struct tensor *p = &args->in[1], *g = &args->in[2], *b = &args->in[3];
    const float *w2 = args->in[0].data;
    const double s = args->attr.scale;
    float *out = args->out[0].data;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const float *bi = row_of(b, i);
        double square = w2[i];
        for (int k = 0; k < b->cols; k++) {
            const float *gk = row_of(g, k);
            double inner = 0;
            for (int l = 0; l < b->cols; l++)
                inner += (double)gk[l] * bi[l];
            square += s * bi[k] * (2 * row_of(p, k)[i] + s * inner);
        }
        out[i] = (float)(1 / sqrt(square)) + (adds(args, 0) ? out[i] : 0);
    }
}

void V(dora_norm)(const struct op_args *args)
{
    const size_t rank = args->in[3].cols;
    par(norm_rows, args, args->out[0].cols, rank * (rank + 2));
}

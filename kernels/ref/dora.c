/* kernels/ref/dora.c - norms of the rows of an adapted weight. */
#include "kernels/ref/ref.h"
#include <math.h>

void ref_dora_norm(const struct op_args *args)
{
    const struct tensor *p = &args->in[1], *g = &args->in[2], *b = &args->in[3];
    const float *w2 = args->in[0].data;
    const double s = args->attr.scale;
    for (int i = 0; i < args->out[0].cols; i++) {
        const float *bi = ref_row(b, i);
        double square = w2[i];
        for (int k = 0; k < b->cols; k++)
            square += 2 * s * bi[k] * ref_row(p, k)[i] +
                      s * s * bi[k] * ref_dot(ref_row(g, k), bi, b->cols);
        ref_put(args, 0, (float *)args->out[0].data + i, 1 / sqrt(square));
    }
}

/* kernels/ref/rope.c - rotary position embeddings (Su et al. 2021), halves rotated. */
#include "kernels/ref/ref.h"
#include <math.h>

/* The frequencies of the sequence that token t is in. */
static const float *frequencies(const struct op_args *args, int64_t t)
{
    const struct tensor *seq = &args->in[2];
    if (!seq->data)
        return ref_row(&args->in[1], 0);
    int64_t s = 0;
    while (ref_index(seq, s + 1) <= t)
        s++;
    const int64_t n = ref_index(&args->in[0], ref_index(seq, s + 1) - 1) + 1;
    return ref_row(&args->in[1], op_attr_rope_row(&args->attr, (int)n, args->in[1].rows));
}

void ref_rope_table(const struct op_args *args)
{
    const int n = args->in[1].cols;
    for (int64_t t = 0; t < args->out[0].rows; t++) {
        const float *f = frequencies(args, t);
        float *row = ref_row(&args->out[0], t);
        for (int i = 0; i < n; i++) {
            const float angle = (float)ref_index(&args->in[0], t) * f[i];
            ref_put(args, 0, row + i, args->attr.scale * cos(angle));
            ref_put(args, 0, row + n + i, args->attr.scale * sin(angle));
        }
    }
}

static void rotate(const struct op_args *args, const float *table, int n, const float *x,
                   float *y)
{
    for (int i = 0; i < n; i++) {
        const double a = x[i], b = x[n + i], cosine = table[i];
        const double sine = args->attr.inverse ? -table[n + i] : table[n + i];
        ref_put(args, 0, y + i, a * cosine - b * sine);
        ref_put(args, 0, y + n + i, b * cosine + a * sine);
    }
}

void ref_rope(const struct op_args *args)
{
    const int heads = args->attr.heads, width = args->in[0].cols / heads;
    const int n = args->in[1].cols / 2;
    for (int64_t t = 0; t < args->in[0].rows; t++)
        for (int h = 0; h < heads; h++) {
            const float *x = ref_row(&args->in[0], t) + h * width;
            float *y = ref_row(&args->out[0], t) + h * width;
            rotate(args, ref_row(&args->in[1], t), n, x, y);
            for (int c = 2 * n; c < width; c++)
                ref_put(args, 0, y + c, x[c]);
        }
}

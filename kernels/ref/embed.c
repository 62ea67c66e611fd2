/* kernels/ref/embed.c - rows looked up in tables, and gradients scattered back in row
 * order: embed, gather. */
#include "kernels/ref/ref.h"
#include <assert.h>

/* The table row that token t picks; NULL where the table is absent. */
static float *lookup(const struct tensor *table, const struct tensor *index, int64_t t)
{
    if (!table->data)
        return NULL;
    int32_t i = ref_index(index, t);
    assert(i >= 0 && i < table->rows);
    return ref_row(table, i);
}

void ref_embed(const struct op_args *args)
{
    const struct tensor *in = args->in, *y = &args->out[0];
    for (int64_t t = 0; t < y->rows; t++) {
        const float *word = lookup(&in[3], &in[0], t);
        const float *pos = lookup(&in[4], &in[1], t);
        const float *type = lookup(&in[5], &in[2], t);
        for (int c = 0; c < y->cols; c++) {
            double sum = (double)word[c] + pos[c] + (type ? type[c] : 0);
            ref_put(args, 0, ref_row(y, t) + c, sum);
        }
    }
}

void ref_embed_bwd(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0];
    for (int i = 0; i < 3; i++) {
        ref_clear(args, i);
        for (int64_t t = 0; args->out[i].data && t < dy->rows; t++)
            ref_add_row(lookup(&args->out[i], &args->in[1 + i], t), ref_row(dy, t),
                        dy->cols);
    }
}

void ref_gather(const struct op_args *args)
{
    const struct tensor *y = &args->out[0];
    for (int64_t i = 0; i < y->rows; i++) {
        const float *x = lookup(&args->in[0], &args->in[1], i);
        for (int c = 0; c < y->cols; c++)
            ref_put(args, 0, ref_row(y, i) + c, x[c]);
    }
}

void ref_gather_bwd(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0];
    ref_clear(args, 0);
    for (int64_t i = 0; i < dy->rows; i++)
        ref_add_row(lookup(&args->out[0], &args->in[1], i), ref_row(dy, i), dy->cols);
}

/* kernels/ref/embed.c - rows looked up in tables, and gradients scattered back in row
 * order: embed, gather. */
#include "kernels/ref/ref.h"
#include "kernels/half.h"
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

/* Of the word table, or of the prompt where the id is negative. */
static float *token_row(const struct tensor *word, const struct tensor *prompt,
                        const struct tensor *ids, int64_t t)
{
    int32_t i = ref_index(ids, t);
    if (i >= 0)
        return lookup(word, ids, t);
    assert(!prompt->data || -1 - i < prompt->rows);
    return prompt->data ? ref_row(prompt, -1 - i) : NULL;
}

void ref_embed(const struct op_args *args)
{
    const struct tensor *in = args->in, *y = &args->out[0];
    const bool bf16 = in[3].dtype == DT_PREPARED && in[3].spec->compute == DT_BF16;
    for (int64_t t = 0; t < y->rows; t++) {
        const float *word = token_row(&in[3], &in[6], &in[0], t);
        const bool rounds = bf16 && ref_index(&in[0], t) >= 0;
        const float *pos = lookup(&in[4], &in[1], t);
        const float *type = lookup(&in[5], &in[2], t);
        for (int c = 0; c < y->cols; c++) {
            const double w = rounds ? bf16_to_float(bf16_of_float(word[c])) : word[c];
            double sum = w + (pos ? pos[c] : 0) + (type ? type[c] : 0);
            ref_put(args, 0, ref_row(y, t) + c, sum);
        }
    }
}

void ref_embed_bwd(const struct op_args *args)
{
    const struct tensor *dy = &args->in[0], *out = args->out;
    for (int i = 0; i < 4; i++)
        ref_clear(args, i);
    for (int64_t t = 0; t < dy->rows; t++) {
        float *const rows[] = {token_row(&out[0], &out[3], &args->in[1], t),
                               lookup(&out[1], &args->in[2], t),
                               lookup(&out[2], &args->in[3], t)};
        for (int i = 0; i < 3; i++)
            if (rows[i])
                ref_add_row(rows[i], ref_row(dy, t), dy->cols);
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

/* kernels/ref/cached.c - keys and values that stay from run to run, and attention over
 * them; see ops.def for where they lie. */
#include "kernels/half.h"
#include "kernels/ref/ref.h"
#include <assert.h>
#include <math.h>

enum { HEAD_DIM_MAX = 512 };

static double cached(const struct tensor *cache, int64_t row, int c)
{
    const int64_t at = row * cache->ld + c;
    return cache->dtype == DT_BF16 ? bf16_to_float(((const uint16_t *)cache->data)[at])
                                   : ((const float *)cache->data)[at];
}

static void store_row(const struct tensor *cache, int64_t row, const float *x)
{
    for (int c = 0; c < cache->cols; c++)
        if (cache->dtype == DT_BF16)
            ((uint16_t *)cache->data)[row * cache->ld + c] = bf16_of_float(x[c]);
        else
            ref_row(cache, row)[c] = x[c];
}

void ref_cache_store(const struct op_args *args)
{
    const struct tensor *in = args->in, *cache = &args->out[0];
    const int heads = in[0].cols / cache->cols;
    for (int n = 0; n + 1 < in[1].rows; n++)
        for (int t = ref_index(&in[1], n); t < ref_index(&in[1], n + 1); t++) {
            const int at = ref_index(&in[3], n) + t - ref_index(&in[1], n);
            assert(at < args->attr.capacity);
            for (int h = 0; h < heads; h++)
                store_row(cache,
                          op_attr_cache_row(&args->attr, ref_index(&in[2], n), h) + at,
                          ref_row(&in[0], t) + h * cache->cols);
        }
}

/* One head of one query: `end` keys from row `first` of the cache on. */
static void attend(const struct op_args *args, const float *q, int64_t first, int end,
                   float *out)
{
    const struct tensor *keys = &args->in[1], *values = &args->in[2];
    const struct op_attr *attr = &args->attr;
    const int begin = op_attr_first_key(attr, end), dim = keys->cols;
    double sum[HEAD_DIM_MAX] = {0}, max = -INFINITY, total = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int j = begin; j < end; j++) {
            double score = 0;
            for (int c = 0; c < dim; c++)
                score += q[c] * cached(keys, first + j, c);
            score *= attr->scale;
            if (attr->softcap > 0)
                score = attr->softcap * tanh(score / attr->softcap);
            max = fmax(max, score); /* of all in the first pass */
            const double p = exp(score - max);
            for (int c = 0; pass && c < dim; c++)
                sum[c] += p * cached(values, first + j, c);
            total += pass ? p : 0;
        }
    for (int c = 0; c < dim; c++)
        ref_put(args, 0, out + c, sum[c] / total);
}

void ref_cached_attention(const struct op_args *args)
{
    const struct tensor *in = args->in, *seq = &in[3];
    const int dim = in[1].cols, group = op_attr_group(&args->attr);
    assert(dim <= HEAD_DIM_MAX);
    for (int n = 0; n + 1 < seq->rows; n++)
        for (int t = ref_index(seq, n); t < ref_index(seq, n + 1); t++)
            for (int h = 0; h < args->attr.heads; h++)
                attend(args, ref_row(&in[0], t) + h * dim,
                       op_attr_cache_row(&args->attr, ref_index(&in[4], n), h / group),
                       ref_index(&in[5], n) + t - ref_index(seq, n) + 1,
                       ref_row(&args->out[0], t) + h * dim);
}

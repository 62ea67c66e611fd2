/* kernels/cpu/simd/cached.c - keys and values that stay from run to run, and attention
 * over them.
 *
 * The same tiles as attention.c: a block of queries turned to [dim][QUERIES], scores as
 * [key][QUERIES], softmax down the keys. Its queries are those of all heads that share one
 * head of keys, token by token, so that keys are read once for all of them: a token that
 * is decoded alone is a block of `group` lanes. Keys and values lie one after the other
 * for each head; a copy is made where they are bf16 or no whole number of vectors wide.
 *
 * A lane's sums go over the keys in order, and what it must not see adds 0, so that its
 * bits depend neither on the block nor on how a prompt was cut. */
#include "kernels/cpu/simd/attention.h"

/* ---- storing ---- */

static void store_row(const struct tensor *cache, int64_t row, const float *x)
{
    if (cache->dtype != DT_BF16) {
        memcpy(row_of(cache, row), x, (size_t)cache->cols * sizeof *x);
        return;
    }
    uint16_t *dst = (uint16_t *)cache->data + row * cache->ld;
    for (int c = 0; c < cache->cols; c += W) {
        const int n = left(cache->cols, c);
        const vu upper = bf16_round(vf_get(x + c, n)) >> 16;
        for (int i = 0; i < n; i++)
            dst[c + i] = (uint16_t)upper[i];
    }
}

static void store_sequences(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const struct tensor *in = args->in, *cache = &args->out[0];
    const int heads = in[0].cols / cache->cols;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const int n = (int)i / heads, h = (int)i % heads, first = index_of(&in[1], n);
        const int64_t row = op_attr_cache_row(&args->attr, index_of(&in[2], n), h) +
                            index_of(&in[3], n) - first;
        for (int t = first; t < index_of(&in[1], n + 1); t++)
            store_row(cache, row + t, row_of(&in[0], t) + h * cache->cols);
    }
}

void V(cache_store)(const struct op_args *args)
{
    const struct tensor *in = args->in;
    const size_t items = (size_t)in[2].rows * (in[0].cols / args->out[0].cols);
    if (items)
        par(store_sequences, args, items, (size_t)in[0].rows * in[0].cols / items);
}

/* ---- attention ---- */

/* A thread's scratch. */
struct scratch {
    float *keys, *values, *rows, *query, *score;
};

/* Of queries [q, q + count) of a sequence's, token by token. */
struct block {
    const struct op_args *args;
    int first, past; /* the sequence's first token; keys before it */
    int group, column, dim;
    int q, count;
};

static bool is_copied(const struct tensor *cache)
{
    return cache->dtype == DT_BF16 || cache->cols % W;
}

static int span_of_block(const struct op_attr *attr, int keys)
{
    return attr->window ? min_int(keys, min_int(attr->window, keys) + QUERIES) : keys;
}

static size_t carve(struct scratch *s, float *base, const struct op_args *args)
{
    const size_t span = (size_t)span_of_block(&args->attr, args->attr.capacity);
    const int dim = args->in[1].cols;
    const size_t copy = is_copied(&args->in[1]) ? span * padded(dim) : 0;
    size_t used = 0;
    s->keys = take(base, &used, copy);
    s->values = take(base, &used, copy);
    s->rows = take(base, &used, (size_t)QUERIES * padded(dim));
    s->query = take(base, &used, (size_t)QUERIES * dim);
    s->score = take(base, &used, QUERIES * span);
    return used;
}

static void widen(const uint16_t *src, int n, float *dst)
{
    vu v = {0};
    for (int i = 0; i < n; i++)
        v[i] = (uint32_t)src[i] << 16;
    vf_store(dst, (vf)v);
}

/* Rows [row, row + count) of a cache where whole vectors can be read. */
static struct rows read_cache(const struct tensor *cache, int64_t row, int count,
                              float *copy)
{
    const struct rows none = {0};
    const size_t step = (size_t)padded(cache->cols);
    if (cache->dtype != DT_BF16)
        return gathered(rows_at(cache, row, 0), count, none, 0, cache->cols, copy);
    for (int r = 0; r < count; r++)
        for (int c = 0; c < cache->cols; c += W)
            widen((const uint16_t *)cache->data + (row + r) * cache->ld + c,
                  left(cache->cols, c), copy + r * step + c);
    return (struct rows){copy, step};
}

/* The head of queries i, in q's columns or o's. */
static float *query_row(const struct block *b, const struct tensor *t, int i)
{
    return row_of(t, b->first + (b->q + i) / b->group) + b->column +
           (b->q + i) % b->group * b->dim;
}

/* Keys that query i of the block sees: up to this one. */
static int end_of(const struct block *b, int i)
{
    return b->past + (b->q + min_int(i, b->count - 1)) / b->group + 1;
}

/* In and out: columns of scores [key][QUERIES] of W queries from lane `lane` on, the first row
 * that of key `first`. Out: probabilities. */
static void softmax(const struct block *b, int lane, int first, int keys, float *s)
{
    const struct op_attr *attr = &b->args->attr;
    const float cap = attr->softcap;
    vf max = vf_splat(-INFINITY), sum = {0}, end = {0}, begin = {0};
    for (int l = 0; l < W; l++) {
        end[l] = (float)(end_of(b, lane + l) - first);
        begin[l] = (float)(op_attr_first_key(attr, end_of(b, lane + l)) - first);
    }
    for (int j = 0; j < keys; j++) {
        vf v = vf_load(s + (size_t)j * QUERIES);
        const vf key = vf_splat((float)j), hidden = vf_splat(-INFINITY);
        if (cap > 0)
            v = vf_tanh(v * (1 / cap)) * cap;
        v = vf_if_less(key, begin, hidden, vf_if_less(key, end, v, hidden));
        vf_store(s + (size_t)j * QUERIES, v);
        max = vf_max(max, v);
    }
    for (int j = 0; j < keys; j++) {
        const vf p = vf_exp_falling(vf_load(s + (size_t)j * QUERIES) - max);
        vf_store(s + (size_t)j * QUERIES, p);
        sum += p;
    }
    const vf factor = 1.0f / sum;
    for (int j = 0; j < keys; j++)
        vf_store(s + (size_t)j * QUERIES, vf_load(s + (size_t)j * QUERIES) * factor);
}

static void attend(const struct block *b, int64_t cache_row, float *base)
{
    const struct tensor *in = b->args->in, *o = &b->args->out[0];
    struct scratch s;
    struct fetch none = {.count = 0};
    carve(&s, base, b->args);
    const int first = op_attr_first_key(&b->args->attr, end_of(b, 0));
    const int keys = end_of(b, b->count - 1) - first, step = padded(b->dim);
    const struct rows k = read_cache(&in[1], cache_row + first, keys, s.keys);
    const struct rows v = read_cache(&in[2], cache_row + first, keys, s.values);
    for (int i = 0; i < b->count; i++)
        memcpy(s.rows + (size_t)i * step, query_row(b, &in[0], i),
               (size_t)b->dim * sizeof(float));
    turn_block((struct rows){s.rows, (size_t)step}, b->count, b->dim, s.query);
    scores(k, keys, keys, s.query, b->count, b->dim, b->args->attr.scale, s.score, &none);
    for (int i = 0; i < b->count; i += W)
        softmax(b, i, first, keys, s.score + i);
    mix_keys(s.score, keys, keys, b->count, v, b->dim,
             (struct rows){s.rows, (size_t)step}, 0, &none);
    for (int i = 0; i < b->count; i++) {
        float *dst = query_row(b, o, i);
        for (int c = 0; c < b->dim; c += W)
            vf_put(dst + c, vf_load_n(s.rows + (size_t)i * step + c, left(b->dim, c)),
                   left(b->dim, c), adds(b->args, 0));
    }
}

struct job {
    const struct op_args *args;
    size_t thread_floats;
    int heads, blocks; /* of keys; of the sequence with the most tokens */
};

/* Item: sequence, head of keys, block. */
static void run_blocks(void *ctx, size_t begin, size_t end, int thread)
{
    const struct job *job = ctx;
    const struct op_args *args = job->args;
    const struct tensor *in = args->in;
    const int group = op_attr_group(&args->attr), dim = in[1].cols;
    for (size_t i = begin; i < end; i++) {
        const int pair = (int)(i / job->blocks), n = pair / job->heads,
                  h = pair % job->heads;
        struct block b = {.args = args,
                          .first = index_of(&in[3], n),
                          .past = index_of(&in[5], n),
                          .group = group,
                          .column = h * group * dim,
                          .dim = dim,
                          .q = (int)(i % job->blocks) * QUERIES};
        b.count = min_int(QUERIES, (index_of(&in[3], n + 1) - b.first) * group - b.q);
        if (b.count > 0)
            attend(&b, op_attr_cache_row(&args->attr, index_of(&in[4], n), h),
                   (float *)args->workspace + thread * job->thread_floats);
    }
}

size_t V(cached_attention_bytes)(const struct op_args *shapes)
{
    struct scratch s;
    return carve(&s, NULL, shapes) * sizeof(float) * (size_t)pool_size();
}

void V(cached_attention)(const struct op_args *args)
{
    struct scratch s;
    const struct tensor *in = args->in;
    const int group = op_attr_group(&args->attr), heads = args->attr.heads / group;
    int longest = 0, keys = 0;
    for (int n = 0; n < in[4].rows; n++) {
        const int tokens = index_of(&in[3], n + 1) - index_of(&in[3], n);
        longest = tokens > longest ? tokens : longest;
        keys += index_of(&in[5], n) + tokens;
    }
    const struct job job = {args, carve(&s, NULL, args), heads,
                            (int)ceil_div((size_t)longest * group, QUERIES)};
    const size_t items = (size_t)in[4].rows * heads * job.blocks;
    if (items)
        par(run_blocks, &job, items,
            (size_t)keys / in[4].rows * in[1].cols * min_int(QUERIES, longest * group) /
                4);
}

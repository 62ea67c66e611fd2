/* kernels/cpu/simd/attention.c - softmax attention, forward. See attention.h.
 *
 * A block of queries is turned to [dim][QUERIES], so that its scores against a key are
 * rows of lanes and softmax over keys goes down a column: no sum across lanes. Keys and
 * values were packed per head once; they are read where they lie now (a copy is made only
 * for a prefix, or where a head is no whole number of vectors wide), and the next head's
 * rows are fetched while one is worked on. */
#include "kernels/cpu/simd/attention.h"

/* A thread's scratch. */
struct scratch {
    float *v_copy, *k_copy, *query, *score;
};

static size_t carve(struct scratch *s, float *base, int keys, int seen, int dim)
{
    const size_t copy = (size_t)keys * padded(dim), block = QUERIES;
    size_t used = 0;
    s->k_copy = take(base, &used, copy);
    s->v_copy = take(base, &used, copy);
    s->query = take(base, &used, block * dim);
    s->score = take(base, &used, block * seen);
    return used;
}

/* Caps and hides; the greatest score per lane. */
static vf final_scores(const struct op_args *args, float *s, int own, int keys)
{
    const float cap = args->attr.softcap;
    vf max = vf_splat(-INFINITY);
    for (int j = 0; j < keys; j++, own++) {
        vf v = vf_load(s + (size_t)j * QUERIES);
        const bool hide = is_partly_hidden(args, own);
        if (cap > 0)
            v = vf_tanh(v * (1 / cap)) * cap;
        if (hide)
            v = visible_score(args, own, v);
        if (cap > 0 || hide)
            vf_store(s + (size_t)j * QUERIES, v);
        max = vf_max(max, v);
    }
    return max;
}

/* In and out: column of scores [key][QUERIES] of W queries from `first` on, key 0 being the
 * span's first; probabilities come out, through the mask. Returns the log of the sum per
 * lane. */
static void softmax(const struct op_args *args, const struct head *h,
                    const struct mask_stream *mask, float *s, int first, struct span span,
                    float lse[W])
{
    const int all = span.end - span.first;
    const int keys = seen_keys(all, own_key(args, h, span, first), W);
    const vf max = final_scores(args, s, span.first - h->prefix - first, keys);
    vf sum = {0};
    for (int j = keys; j < all; j++)
        vf_store(s + (size_t)j * QUERIES, sum);
    for (int j = 0; j < keys; j++) {
        vf p = vf_exp_falling(vf_load(s + (size_t)j * QUERIES) - max);
        vf_store(s + (size_t)j * QUERIES, p);
        sum += p;
    }
    vf_store(lse, max + vf_log(sum));
    vf factor = 1.0f / sum;
    if (!mask) {
        for (int j = 0; j < keys; j++)
            vf_store(s + (size_t)j * QUERIES, vf_load(s + (size_t)j * QUERIES) * factor);
        return;
    }
    factor *= mask->scale;
    for (int j = 0; j < keys; j += 4) {
        vu word[4];
        mask_words(mask, h, first, span.first + j, word);
        for (int i = 0; i < 4 && j + i < keys; i++) {
            float *p = s + (size_t)(j + i) * QUERIES;
            vf_store(p, mask_apply(mask, word[i], vf_load(p) * factor));
        }
    }
}

static void forward(const struct op_args *args, int sequence, int index, float *base,
                    struct fetch *next)
{
    const struct tensor *in = args->in, *lse = &args->out[1];
    const struct head h = head_at(args, &in[0], &in[3], &in[4], sequence, index);
    struct scratch s;
    carve(&s, base, h.keys, span_max(args, h.keys), h.dim);
    const struct rows none = {0};
    const struct rows pk = h.prefix ? rows_at(&in[4], 0, h.kv_column) : none;
    const struct rows pv = h.prefix ? rows_at(&in[5], 0, h.kv_column) : none;
    const struct rows k = gathered(rows_at(&in[1], h.first, h.kv_column), h.tokens, pk,
                                   h.prefix, h.dim, s.k_copy);
    const struct rows v = gathered(rows_at(&in[2], h.first, h.kv_column), h.tokens, pv,
                                   h.prefix, h.dim, s.v_copy);
    const struct mask_stream mask = mask_stream(&args->step, &args->attr);
    for (int q = 0; q < h.tokens; q += QUERIES) {
        const int count = min_int(QUERIES, h.tokens - q);
        const struct span span = keys_seen(args, &h, q, count);
        const int keys = span.end - span.first, own = own_key(args, &h, span, q);
        turn_block(rows_at(&in[0], h.first + q, h.column), count, h.dim, s.query);
        scores(rows_from(k, span.first), keys, own, s.query, count, h.dim,
               args->attr.scale, s.score, next);
        for (int i = 0; i < count; i += W) {
            float out[W];
            softmax(args, &h, args->attr.p > 0 ? &mask : NULL, s.score + i, q + i, span,
                    out);
            for (int l = 0; lse->data && l < left(count, i); l++)
                row_of(lse, h.first + q + i + l)[index] = out[l];
        }
        mix_keys(s.score, keys, own, count, rows_from(v, span.first), h.dim,
                 rows_at(&args->out[0], h.first + q, h.column), adds(args, 0), next);
    }
}

static void fetch_head(struct fetch *f, const struct op_args *args, int sequence,
                       int index)
{
    const struct tensor *in = args->in;
    const struct head h = head_at(args, &in[0], &in[3], &in[4], sequence, index);
    fetch_add(f, &in[0], &h, h.column);
    for (int i = 1; i < 3 && index % op_attr_group(&args->attr) == 0; i++)
        fetch_add(f, &in[i], &h, h.kv_column);
    fetch_add(f, &args->out[0], &h, h.column);
    fetch_begin(f, &h, 2);
}

struct job {
    const struct op_args *args;
    size_t thread_floats;
};

static void heads(void *ctx, size_t begin, size_t end, int thread)
{
    const struct job *job = ctx;
    const struct op_args *args = job->args;
    const int n = args->attr.heads;
    float *scratch = (float *)args->workspace + thread * job->thread_floats;
    for (size_t i = begin; i < end; i++) {
        struct fetch next = {.count = 0};
        if (i + 1 < end)
            fetch_head(&next, args, (int)((i + 1) / n), (int)((i + 1) % n));
        forward(args, (int)(i / n), (int)(i % n), scratch, &next);
    }
}

/* The longest sequence may be all rows. */
static size_t thread_floats(const struct op_args *args)
{
    struct scratch s;
    const int prefix = args->in[4].data ? args->in[4].rows : 0;
    const int keys = prefix + args->in[0].rows;
    return carve(&s, NULL, keys, span_max(args, keys),
                 args->in[0].cols / args->attr.heads);
}

size_t V(attention_bytes)(const struct op_args *shapes)
{
    return thread_floats(shapes) * sizeof(float) * (size_t)pool_size();
}

void V(attention)(const struct op_args *args)
{
    const struct job job = {args, thread_floats(args)};
    const size_t sequences = args->in[3].rows > 1 ? args->in[3].rows - 1 : 0;
    const size_t rows = args->in[0].rows, heads_all = sequences * args->attr.heads;
    if (heads_all)
        par_heads(heads, &job, heads_all, rows * args->in[0].cols * 8 / heads_all);
}

/* kernels/cpu/simd/attention_bwd.c - softmax attention, backward. See attention.h.
 *
 * Probabilities come again from scores and the saved log-sum-exp (Dao et al. 2022). With
 * M the mask over 1 - p and D = rowsum(dO O):
 *   dV = (P M)^T dO,  dS = P (M (dO V^T) - D),  dQ = scale dS K,  dK = scale dS^T Q,
 * where scores S = c tanh(R / c) are capped with dS (1 - (S / c)^2) for dS.
 * A thread owns one head of keys of one sequence and adds to its rows of dk and dv, head
 * by head of those that it serves, block by block of queries; the first block that sees a
 * key writes. The gradients of prefix keys are sums over sequences: where they are asked
 * for, a thread takes one head of keys of all sequences, in order. */
#include "kernels/cpu/simd/attention.h"

enum { IN_DO, IN_Q, IN_K, IN_V, IN_O, IN_LSE, IN_SEQ, IN_PK, IN_PV };
enum { OUT_DQ, OUT_DK, OUT_DV, OUT_DPK, OUT_DPV };

struct scratch {
    float *k_copy, *v_copy, *q_copy, *do_copy;
    float *query, *d_out;   /* a block of queries, turned */
    float *score, *d_score; /* P M and scale dS, turned */
};

static size_t carve(struct scratch *s, float *base, int keys, int seen, int tokens,
                    int dim)
{
    const size_t block = QUERIES, row = (size_t)padded(dim);
    size_t used = 0;
    s->k_copy = take(base, &used, keys * row);
    s->v_copy = take(base, &used, keys * row);
    s->q_copy = take(base, &used, tokens * row);
    s->do_copy = take(base, &used, tokens * row);
    s->query = take(base, &used, block * dim);
    s->d_out = take(base, &used, block * dim);
    s->score = take(base, &used, block * seen);
    s->d_score = take(base, &used, block * seen);
    return used;
}

/* Per query of a block: log-sum-exp, and D. Lanes without a query get +inf, which makes
 * their probabilities zero. */
static void query_numbers(const struct op_args *args, const struct head *h, int q,
                          int count, float lse[QUERIES], float d[QUERIES])
{
    const struct rows o = rows_at(&args->in[IN_O], h->first + q, h->column);
    const struct rows d_o = rows_at(&args->in[IN_DO], h->first + q, h->column);
    for (int i = 0; i < QUERIES; i++) {
        lse[i] = INFINITY;
        d[i] = 0;
        if (i >= count)
            continue;
        lse[i] = row_of(&args->in[IN_LSE], h->first + q + i)[h->index];
        vf sum = {0};
        for (int c = 0; c < h->dim; c += W) {
            const int n = left(h->dim, c);
            sum = vf_fma(vf_get(o.p + i * o.step + c, n),
                         vf_get(d_o.p + i * d_o.step + c, n), sum);
        }
        d[i] = vf_sum(sum);
    }
}

/* Scores to P M, and dO V^T to scale dS, for W queries from `first` on; key 0 is the
 * span's first. */
static void softmax_bwd(const struct op_args *args, const struct head *h,
                        const struct mask_stream *mask, float *s, float *ds, int first,
                        struct span span, const float *lse, const float *d)
{
    const vf scale = vf_splat(args->attr.scale), vlse = vf_load(lse), vd_ = vf_load(d);
    const float cap = args->attr.softcap;
    const int all = span.end - span.first;
    const int keys = seen_keys(all, own_key(args, h, span, first), W);
    int own = span.first - h->prefix - first;
    vu word[4];
    for (int j = keys; j < all; j++) {
        vf_store(s + (size_t)j * QUERIES, (vf){0});
        vf_store(ds + (size_t)j * QUERIES, (vf){0});
    }
    for (int j = 0; j < keys; j++, own++) {
        float *ps = s + (size_t)j * QUERIES, *pds = ds + (size_t)j * QUERIES;
        vf x = vf_load(ps), dp = vf_load(pds), slope = scale;
        if (cap > 0) {
            const vf t = vf_tanh(x * (1 / cap));
            x = t * cap;
            slope = scale * (1.0f - t * t);
        }
        if (is_partly_hidden(args, own))
            x = visible_score(args, own, x);
        vf p = vf_exp_falling(x - vlse), masked = p;
        if (mask) {
            if (j % 4 == 0)
                mask_words(mask, h, first, span.first + j, word);
            masked = mask_apply(mask, word[j % 4], p * mask->scale);
            dp = mask_apply(mask, word[j % 4], dp * mask->scale);
        }
        vf_store(ps, masked);
        vf_store(pds, p * (dp - vd_) * slope);
    }
}

/* c[key] (+)= sum over queries that see it of block[key][query] * right[query]; the first
 * query's own key is number `own`. */
static void mix_queries(const float *block, int keys, int own, int count,
                        struct rows right, int dim, struct rows c, int add,
                        struct fetch *next)
{
    const int strips = (int)ceil_div(keys, MR);
    for (int col = 0; col < dim; col += NR)
        for (int s = 0; s < strips; s++) {
            const int key = keys * s / strips, end = keys * (s + 1) / strips;
            const int query = key > own ? key - own : 0;
            struct tile t = {
                .a = block + (size_t)key * QUERIES + query,
                .a_step = QUERIES,
                .b = right.p + query * right.step + col,
                .b_step = right.step,
                .k = count - query,
                .n = min_int(NR, dim - col),
                .c = c.p + key * c.step + col,
                .ldc = c.step,
                .scale = 1,
                .add = add,
            };
            fetch_ahead(next, &t);
            V(tile_rows)(end - key, &t);
        }
}

/* Virtual keys' part to one output, own keys' part to another; either may be absent. Own
 * keys from `fresh` on get their first part here. */
static void key_gradient(const struct op_args *args, const struct head *h,
                         const float *block, struct span span, int q, int fresh,
                         int count, struct rows right, int own, int prefix,
                         struct fetch *next)
{
    int key = span.first;
    const struct tensor *outs[] = {&args->out[prefix], &args->out[own], &args->out[own]};
    const int ends[] = {h->prefix, fresh, span.end};
    for (int i = 0; i < 3; i++) {
        const int end = min_int(ends[i], span.end);
        if (end <= key)
            continue;
        const int64_t row = i == 0 ? key : h->first + key - h->prefix;
        if (outs[i]->data)
            mix_queries(block + (size_t)(key - span.first) * QUERIES, end - key,
                        own_key(args, h, (struct span){key, end}, q), count, right,
                        h->dim, rows_at(outs[i], row, h->kv_column), i < 2, next);
        key = end;
    }
}

static void clear(const struct op_args *args, int output, int64_t first, int rows,
                  int column, int dim)
{
    if (adds(args, output) || !args->out[output].data)
        return;
    for (int r = 0; r < rows; r++)
        memset(row_of(&args->out[output], first + r) + column, 0, dim * sizeof(float));
}

static void backward(const struct op_args *args, int sequence, int index, float *base,
                     struct fetch *next)
{
    const struct tensor *in = args->in;
    const struct head h =
        head_at(args, &in[IN_Q], &in[IN_SEQ], &in[IN_PK], sequence, index);
    const struct rows none = {0};
    struct scratch s;
    carve(&s, base, h.keys, span_max(args, h.keys), h.tokens, h.dim);
    const struct rows pk = h.prefix ? rows_at(&in[IN_PK], 0, h.kv_column) : none;
    const struct rows pv = h.prefix ? rows_at(&in[IN_PV], 0, h.kv_column) : none;
    const struct rows k = gathered(rows_at(&in[IN_K], h.first, h.kv_column), h.tokens, pk,
                                   h.prefix, h.dim, s.k_copy);
    const struct rows v = gathered(rows_at(&in[IN_V], h.first, h.kv_column), h.tokens, pv,
                                   h.prefix, h.dim, s.v_copy);
    const struct rows q_rows = gathered(rows_at(&in[IN_Q], h.first, h.column), h.tokens,
                                        none, 0, h.dim, s.q_copy);
    const struct rows do_rows = gathered(rows_at(&in[IN_DO], h.first, h.column), h.tokens,
                                         none, 0, h.dim, s.do_copy);
    /* Of own keys from these on nothing is there to be added to: the first head of queries
     * that they serve begins, each key with the first block that sees it. */
    const bool begins = index % op_attr_group(&args->attr) == 0;
    int fresh_k = begins && !adds(args, OUT_DK) ? h.prefix : h.keys;
    int fresh_v = begins && !adds(args, OUT_DV) ? h.prefix : h.keys;
    const struct mask_stream mask = mask_stream(&args->step, &args->attr);
    for (int q = 0; q < h.tokens; q += QUERIES) {
        const int count = min_int(QUERIES, h.tokens - q);
        const struct span span = keys_seen(args, &h, q, count);
        const int keys = span.end - span.first, own = own_key(args, &h, span, q);
        const struct rows q_block = {q_rows.p + q * q_rows.step, q_rows.step};
        const struct rows do_block = {do_rows.p + q * do_rows.step, do_rows.step};
        float lse[QUERIES], d[QUERIES];
        /* Turned [key][query]: score = K Q^T -> P M, d_score = V dO^T -> scale dS. Both
         * serve twice: over keys for dQ, over queries for dK and dV. */
        query_numbers(args, &h, q, count, lse, d);
        turn_block(q_block, count, h.dim, s.query);
        turn_block(do_block, count, h.dim, s.d_out);
        scores(rows_from(k, span.first), keys, own, s.query, count, h.dim,
               args->attr.scale, s.score, next);
        scores(rows_from(v, span.first), keys, own, s.d_out, count, h.dim, 1, s.d_score,
               next);
        for (int i = 0; i < count; i += W)
            softmax_bwd(args, &h, args->attr.p > 0 ? &mask : NULL, s.score + i,
                        s.d_score + i, q + i, span, lse + i, d + i);
        if (args->out[OUT_DQ].data)
            mix_keys(s.d_score, keys, own, count, rows_from(k, span.first), h.dim,
                     rows_at(&args->out[OUT_DQ], h.first + q, h.column),
                     adds(args, OUT_DQ), next);
        key_gradient(args, &h, s.d_score, span, q, fresh_k, count, q_block, OUT_DK,
                     OUT_DPK, next);
        key_gradient(args, &h, s.score, span, q, fresh_v, count, do_block, OUT_DV,
                     OUT_DPV, next);
        fresh_k = fresh_k > span.end ? fresh_k : span.end;
        fresh_v = fresh_v > span.end ? fresh_v : span.end;
    }
}

static void fetch_head(struct fetch *f, const struct op_args *args, int sequence,
                       int index)
{
    const struct tensor *in = args->in, *out = args->out;
    const struct head h =
        head_at(args, &in[IN_Q], &in[IN_SEQ], &in[IN_PK], sequence, index);
    const struct tensor *own[] = {&in[IN_Q], &in[IN_DO], &in[IN_O], &out[OUT_DQ]};
    const struct tensor *shared[] = {&in[IN_K], &in[IN_V], &out[OUT_DK], &out[OUT_DV]};
    for (int i = 0; i < 4 && index % op_attr_group(&args->attr) == 0; i++)
        fetch_add(f, shared[i], &h, h.kv_column);
    for (int i = 0; i < 4; i++)
        fetch_add(f, own[i], &h, h.column);
    fetch_begin(f, &h, 5);
}

struct job {
    const struct op_args *args;
    size_t thread_floats;
    int sequences, in_order; /* in_order: an item is a head of keys, all sequences */
};

/* All heads that share head `kv` of keys; sequence `then`'s head `then_kv` comes next, or
 * none (-1). */
static void backward_group(const struct op_args *args, int sequence, int kv, int then,
                           int then_kv, float *base)
{
    const int group = op_attr_group(&args->attr), end = (kv + 1) * group;
    for (int index = kv * group; index < end; index++) {
        struct fetch next = {.count = 0};
        if (index + 1 < end)
            fetch_head(&next, args, sequence, index + 1);
        else if (then >= 0)
            fetch_head(&next, args, then, then_kv * group);
        backward(args, sequence, index, base, &next);
    }
}

static void heads(void *ctx, size_t begin, size_t end, int thread)
{
    const struct job *job = ctx;
    const struct op_args *args = job->args;
    const int n = args->attr.heads / op_attr_group(&args->attr);
    const int dim = args->in[IN_Q].cols / args->attr.heads;
    float *scratch = (float *)args->workspace + thread * job->thread_floats;
    for (size_t i = begin; i < end; i++) {
        if (!job->in_order) {
            const int then = i + 1 < end ? (int)((i + 1) / n) : -1;
            backward_group(args, (int)(i / n), (int)(i % n), then, (int)((i + 1) % n),
                           scratch);
            continue;
        }
        const int prefix = args->in[IN_PK].rows, column = (int)i * dim;
        clear(args, OUT_DPK, 0, prefix, column, dim);
        clear(args, OUT_DPV, 0, prefix, column, dim);
        for (int s = 0; s < job->sequences; s++)
            backward_group(args, s, (int)i, s + 1 < job->sequences ? s + 1 : -1, (int)i,
                           scratch);
    }
}

static size_t thread_floats(const struct op_args *args)
{
    struct scratch s;
    const int prefix = args->in[IN_PK].data ? args->in[IN_PK].rows : 0;
    const int tokens = args->in[IN_Q].rows, keys = prefix + tokens;
    return carve(&s, NULL, keys, span_max(args, keys), tokens,
                 args->in[IN_Q].cols / args->attr.heads);
}

size_t V(attention_bwd_bytes)(const struct op_args *shapes)
{
    return thread_floats(shapes) * sizeof(float) * (size_t)pool_size();
}

void V(attention_bwd)(const struct op_args *args)
{
    const struct tensor *seq = &args->in[IN_SEQ], *q = &args->in[IN_Q];
    struct job job = {
        .args = args,
        .thread_floats = thread_floats(args),
        .sequences = seq->rows > 1 ? seq->rows - 1 : 0,
        .in_order =
            args->in[IN_PK].data && (args->out[OUT_DPK].data || args->out[OUT_DPV].data),
    };
    const size_t items = (size_t)(args->attr.heads / op_attr_group(&args->attr)) *
                         (job.in_order ? 1 : job.sequences);
    if (items)
        par_heads(heads, &job, items, (size_t)q->rows * q->cols * 20 / items);
}

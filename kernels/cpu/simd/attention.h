/* kernels/cpu/simd/attention.h - what attention's two directions share.
 *
 * The unit of work is one head of one sequence, its queries in blocks of QUERIES. Scores
 * of a block are kept turned: S^T, [key][QUERIES], so that softmax runs down the keys
 * with a query per lane (no sums across lanes, every query for itself), dropout makes
 * four keys of W queries at a time, and the block is at once the k-major operand of P V
 * and dS K and, read along rows, that of P^T dO and dS^T Q. Scratch is per thread and
 * grows with keys, never with their square; the scores of a window with the window.
 *
 * Rows of 12 to 300 tokens are many short products (of depth dim, keys, QUERIES), so what
 * stands around them counts. One thread, Zen 4, share of the fp32 peak of 16 x 64 tokens,
 * 12 heads of 32, forward and backward: 47 and 44 % with AVX-512, 42 and 38 % with AVX2,
 * when the next head was asked for at once before each head (see struct fetch), dk and dv
 * were cleared and then added to, a block was one tile wide (with AVX2 16: dK and dV of
 * depth 16) and a tile loaded its own description again for each row that it stored; 64
 * and 67 %, 55 and 61 % without. What is left is about a fifth softmax and turning, and
 * the tiles' own 85 %. QUERIES 64: 1 to 3 % more, for twice the scratch; no. */
#ifndef KERNELS_CPU_SIMD_ATTENTION_H
#define KERNELS_CPU_SIMD_ATTENTION_H

#include "kernels/cpu/simd/simd.h"
#include "kernels/cpu/simd/philox.h"
#include "kernels/cpu/simd/vmath.h"
#include "kernels/dropout.h"

enum {
    QUERIES = 32, /* of a block: the depth of dK's and dV's products, some tiles wide */
    LINE = 16,    /* floats of a cache line */
};

/* Rows of one head: row i at p + i * step. */
struct rows {
    float *p;
    size_t step;
};

/* One head of one sequence. Virtual keys come first, then the sequence's own. */
struct head {
    int64_t first; /* its first token's row */
    int tokens, prefix, keys, dim;
    int column;    /* of the head's first feature */
    int kv_column; /* the same in keys and values, whose heads may be fewer */
    int index;
};

INLINE struct rows rows_at(const struct tensor *t, int64_t row, int column)
{
    return (struct rows){row_of(t, row) + column, (size_t)t->ld};
}

INLINE struct head head_at(const struct op_args *args, const struct tensor *q,
                           const struct tensor *seq, const struct tensor *pk,
                           int sequence, int index)
{
    struct head h = {
        .first = index_of(seq, sequence),
        .prefix = pk->data ? pk->rows : 0,
        .dim = q->cols / args->attr.heads,
        .index = index,
    };
    h.tokens = (int)(index_of(seq, sequence + 1) - h.first);
    h.keys = h.prefix + h.tokens;
    h.column = index * h.dim;
    h.kv_column = index / op_attr_group(&args->attr) * h.dim;
    return h;
}

INLINE struct rows rows_from(struct rows r, int row)
{
    return (struct rows){r.p + (size_t)row * r.step, r.step};
}

/* The next part of a thread's scratch, in whole cache lines; NULL when only counting. */
INLINE float *take(float *base, size_t *used, size_t floats)
{
    float *part = base ? base + *used : NULL;
    *used += round_up(floats, 16);
    return part;
}

/* Columns of a copy of rows: whole vectors. */
INLINE int padded(int dim)
{
    return (int)round_up(dim, W);
}

/* The rows as they are if whole vectors can be read from them, else a padded copy:
 * prefix rows, then own rows. */
INLINE struct rows gathered(struct rows own, int tokens, struct rows prefix,
                            int prefix_rows, int dim, float *copy)
{
    if (!prefix_rows && dim % W == 0)
        return own;
    const size_t step = (size_t)padded(dim);
    for (int c = 0; c < dim; c += W) {
        if (prefix_rows)
            V(pack_copy)
        (copy + c, step, prefix.p + c, (int64_t)prefix.step, left(dim, c), prefix_rows);
        V(pack_copy)
        (copy + (size_t)prefix_rows * step + c, step, own.p + c, (int64_t)own.step,
         left(dim, c), tokens);
    }
    return (struct rows){copy, step};
}

/* `count` <= QUERIES rows turned: dst[feature][QUERIES]. */
INLINE void turn_block(struct rows r, int count, int dim, float *dst)
{
    for (int i = 0; i < count; i += W)
        V(pack_transpose)
    (dst + i, QUERIES, r.p + i * r.step, (int64_t)r.step, left(count, i), dim);
}

/* What the next head will read and write, asked for by the tiles of this one, a row of
 * one line with each of their steps. A head is a few lines of each row, rows are far
 * apart: left alone, every line would be waited for; asked for all at once, they are in
 * the way of what is needed now. Tiles have `every` times as many steps as there are such
 * rows. */
struct fetch {
    struct rows parts[8];
    int count, rows, lines, every;
    int part, line, row, turn; /* what is next */
};

INLINE void fetch_add(struct fetch *f, const struct tensor *t, const struct head *h,
                      int column)
{
    if (t->data)
        f->parts[f->count++] = rows_at(t, h->first, column);
}

/* Where there are fewer rows than a tile has steps, all are asked for now. */
INLINE void fetch_begin(struct fetch *f, const struct head *h, int products)
{
    f->rows = h->tokens;
    f->lines = (int)ceil_div(h->dim, LINE);
    f->every = products * h->keys * LINE / (MR * NR * (f->count ? f->count : 1));
    for (; h->tokens < QUERIES && f->part < f->count; f->part++)
        for (int i = 0; i < f->rows; i++)
            for (int l = 0; l < f->lines; l++)
                __builtin_prefetch(
                    f->parts[f->part].p + i * f->parts[f->part].step + l * LINE, 0, 2);
}

/* For the steps of a tile. */
INLINE void fetch_ahead(struct fetch *f, struct tile *t)
{
    if (f->part == f->count || ++f->turn < f->every)
        return;
    const struct rows r = f->parts[f->part];
    t->ahead = r.p + f->row * r.step + f->line * LINE;
    t->ahead_step = r.step;
    f->turn = 0;
    f->row += t->k;
    if (f->row < f->rows)
        return;
    f->row = 0;
    if (++f->line < f->lines)
        return;
    f->line = 0;
    f->part++;
}

/* Of the first `lanes` queries of a block, how many of `keys` keys any sees: those up to
 * its own, the first query's being number `own`. */
INLINE int seen_keys(int keys, int own, int lanes)
{
    return min_int(keys, own + lanes);
}

/* dst[key][QUERIES] = scale * rows . block, all lanes of the vectors that `count` needs,
 * where a query of the tile sees the key. */
INLINE void scores(struct rows rows, int keys, int own, const float *block, int count,
                   int dim, float scale, float *dst, struct fetch *next)
{
    for (int lane = 0; lane < count; lane += NR) {
        const int seen = seen_keys(keys, own, lane + NR);
        const int strips = (int)ceil_div(seen, MR);
        struct tile t = {
            .a_step = rows.step,
            .b = block + lane,
            .b_step = QUERIES,
            .k = dim,
            .n = count - lane > W ? NR : W,
            .ldc = QUERIES,
            .scale = scale,
        };
        for (int s = 0; s < strips; s++) {
            const int begin = seen * s / strips, end = seen * (s + 1) / strips;
            t.a = rows.p + begin * rows.step;
            t.c = dst + (size_t)begin * QUERIES + lane;
            fetch_ahead(next, &t);
            V(tile_rows)(end - begin, &t);
        }
    }
}

/* c[query] (+)= sum over keys that it sees of block[key][query] * right[key]. */
INLINE void mix_keys(const float *block, int keys, int own, int count, struct rows right,
                     int dim, struct rows c, int add, struct fetch *next)
{
    const int strips = (int)ceil_div(count, MR);
    for (int col = 0; col < dim; col += NR)
        for (int s = 0; s < strips; s++) {
            const int begin = count * s / strips, end = count * (s + 1) / strips;
            struct tile t = {
                .a = block + begin,
                .a_step = QUERIES,
                .b = right.p + col,
                .b_step = right.step,
                .k = seen_keys(keys, own, end),
                .n = min_int(NR, dim - col),
                .c = c.p + begin * c.step + col,
                .ldc = c.step,
                .scale = 1,
                .add = add,
            };
            fetch_ahead(next, &t);
            V(tile)(end - begin, &t);
        }
}

/* Heads per call: whole runs of neighbours, but several times as many calls as
 * threads. */
static inline void par_heads(pool_fn fn, const void *ctx, size_t heads, size_t work)
{
    const size_t run = heads / (8 * (size_t)pool_threads());
    const size_t enough = ceil_div(16384, work ? work : 1);
    pool_run(fn, (void *)ctx, heads, run > enough ? run : enough);
}

/* The keys that any of a block's queries sees: first, a multiple of 4 as the mask of
 * dropout wants it, up to end - 1. */
struct span {
    int first, end;
};

INLINE struct span keys_seen(const struct op_args *args, const struct head *h, int q,
                             int count)
{
    if (!args->attr.causal)
        return (struct span){0, h->keys};
    return (struct span){op_attr_first_key(&args->attr, h->prefix + q + 1) & ~3,
                         h->prefix + q + count};
}

/* Which of the span's keys is query q's own; where all are seen, the end. */
INLINE int own_key(const struct op_args *args, const struct head *h, struct span span,
                   int q)
{
    return (args->attr.causal ? h->prefix + q : span.end) - span.first;
}

/* At most so many keys at a time. */
INLINE int span_max(const struct op_args *args, int keys)
{
    return args->attr.window
               ? min_int(keys, min_int(args->attr.window, keys) + QUERIES + 3)
               : keys;
}

/* What a lane's query (first + lane) sees: key `own` counted from the first lane's query
 * is not seen yet by lanes before it, and no more by those `window` behind. */
INLINE bool is_partly_hidden(const struct op_args *args, int own)
{
    const int window = args->attr.window;
    return args->attr.causal && (own > 0 || (window && window < W - own));
}

/* -inf where the query of a lane must not see the key. */
INLINE vf visible_score(const struct op_args *args, int own, vf s)
{
    const vf lane = {LANES}, hidden = vf_splat(-INFINITY);
    s = vf_if_less(lane, vf_splat((float)own), hidden, s);
    if (args->attr.window && args->attr.window < W - own)
        s = vf_if_less(vf_splat((float)(own + args->attr.window - 1)), lane, hidden, s);
    return s;
}

/* Words of the mask for keys [key & ~3, + 4) of the W queries from `first` on. */
INLINE void mask_words(const struct mask_stream *m, const struct head *h, int first,
                       int key, vu word[4])
{
    const vu lane = {LANES};
    const uint32_t row = m->token_base + (uint32_t)h->first + (uint32_t)first;
    philox_words(m, lane + row, (DROPOUT_COL(h->index, key) >> 2) - (vu){0}, word);
}

#endif

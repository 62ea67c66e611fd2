/* runner/features.c - see features.h. */
#include "runner/features.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/cache/checksum.h"
#include "runner/features/between_trials.h"
#include "runner/graph/cut.h"
#include "runner/session.h"
#include <stdlib.h>
#include <string.h>

/* Sharing less than this many FLOPs of a split is not worth a file. */
#define SHARED_LEAST 1e9
/* More is not computed in advance: meanwhile nothing else is done. */
#define FILL_MOST 5e12
#define FILL_ROWS 32 /* that a trial takes on at a time */

struct features {
    struct graph_reuse reuse; /* first */
    struct graph_cut cut;
    struct session *s;         /* borrowed */
    const struct graph *graph; /* whose cut it is */
    bool once;                 /* the trial goes through the split once: for others */
    bool shareable;
    double flops;              /* below the cut, of one pass over the split */
    size_t bytes;              /* of all rows */
    size_t *offset;            /* among them, of each tensor at the cut */
    size_t *first[ROWS_KINDS]; /* of each row, and behind the last */
    bool *there;               /* per row */
    bool *own;                 /* per row: computed in advance, and not used yet */
    bool filled;               /* its turn to compute in advance is over */
    struct cache_entry common; /* where trials share them */
    uint64_t *marks; /* there, behind the rows: sums of those that are whole, or 0; and
                        behind these the first row that nobody took on yet */
    size_t at;       /* in the arena, where they are the trial's own */
    const uint32_t *order; /* of the run at hand */
    int64_t begin, end;
};

/* --- planning --- */

/* How often a split goes through its graph, 2: more than once. */
static int64_t passes(const struct session *s, int split)
{
    const struct course *c = &s->course;
    const int64_t every = s->trial.eval_steps;
    switch (split) {
    case SPLIT_TRAIN:
        return c->updates > c->updates_per_epoch ? 2 : 1;
    case SPLIT_EVAL:
        return 1 + (every > 0 ? c->updates / every : 0);
    case SPLIT_GENERAL:
        return 2;
    default:
        return 1;
    }
}

/* A tensor's rows of one row of the split; of one that is assumed, of all that are. */
static size_t rows_of(const struct session *s, const struct dataset *d,
                      enum rows_kind kind, size_t row)
{
    const int32_t tokens =
        (d->rows ? d->rows[row].n : d->longest) + s->net.change.prompt_rows;
    switch (kind) {
    case ROWS_TOKENS:
        return (size_t)tokens;
    case ROWS_PICKED:
        return (size_t)(d->rows ? s->goal.task->kind->pick(&s->goal, &d->rows[row], 0,
                                                           tokens, NULL)
                                : goal_most_picks(&s->goal, tokens, 1));
    default:
        return 1;
    }
}

/* Of all rows; fills f->first for tensors of this kind, where there are rows. */
static size_t count_rows(struct features *f, const struct dataset *d, enum rows_kind kind)
{
    if (!d->rows)
        return d->count * rows_of(f->s, d, kind, 0);
    if (!f->first[kind]) {
        f->first[kind] = xcalloc(d->count + 1, sizeof *f->first[kind]);
        for (size_t r = 0; r < d->count; r++)
            f->first[kind][r + 1] = f->first[kind][r] + rows_of(f->s, d, kind, r);
    }
    return f->first[kind][d->count];
}

static void place(struct features *f, const struct dataset *d)
{
    f->offset = xcalloc(f->cut.count, sizeof *f->offset);
    for (size_t k = 0; k < f->cut.count; k++) {
        const struct g_tensor *t = &f->graph->tensors[f->cut.kept[k].tensor];
        f->offset[k] = f->bytes;
        f->bytes += mem_round_up(count_rows(f, d, t->rows_kind) * (size_t)t->cols *
                                 dtype_bytes(t->dtype));
    }
}

static void drop(struct features *f)
{
    graph_cut_release(&f->cut);
    for (int k = 0; k < ROWS_KINDS; k++)
        free(f->first[k]);
    if (f->common.data)
        cache_entry_release(&f->common);
    free(f->offset);
    free(f->there);
    free(f->own);
    free(f);
}

static void move(struct graph_reuse *r, size_t k, const struct tensor *t);

/* Of a usual run: what the cut is chosen by. */
static struct extent usual_rows(const struct session *s, const struct graph *g)
{
    const struct dataset *d = s->data[SPLIT_TRAIN];
    const struct extent *most = &g->budget;
    int32_t rows = most->of[ROWS_SEQUENCES], tokens = most->of[ROWS_TOKENS];
    if (d->rows && (size_t)rows * d->total_tokens / d->count < (size_t)tokens)
        tokens = (int32_t)((size_t)rows * d->total_tokens / d->count) + 1;
    return extent_of(tokens, rows, goal_most_picks(&s->goal, tokens, rows));
}

/* Below the cut, of the whole split; an extent counts in 32 bits. */
static double pass_flops(const struct features *f, const struct dataset *d)
{
    const struct session *s = f->s;
    const size_t tokens = d->total_tokens + (size_t)s->net.change.prompt_rows * d->count,
                 parts = tokens / INT32_MAX + 1;
    const int32_t rows = (int32_t)(d->count / parts), n = (int32_t)(tokens / parts);
    const struct extent part = extent_of(n, rows, goal_most_picks(&s->goal, n, rows));
    return (double)parts * graph_cut_flops(f->graph, &f->cut, &part);
}

/* NULL: nothing of the split is worth it. */
static struct features *find(struct session *s, int split, bool once)
{
    const struct graph *g = split == SPLIT_TRAIN ? &s->train_graph : &s->eval_graph;
    const struct dataset *d = s->data[split];
    if (!d || (split == SPLIT_TRAIN && s->course.endless))
        return NULL;
    struct features *f = xcalloc(1, sizeof *f);
    const struct extent usual = usual_rows(s, g);
    *f = (struct features){
        .reuse = {.cut = &f->cut, .move = move}, .s = s, .graph = g, .once = once};
    graph_cut_find(g, &usual, &f->cut);
    f->flops = pass_flops(f, d);
    f->shareable = f->cut.count && s->feature_cache &&
                   (f->flops >= SHARED_LEAST || str_eq(s->trial.cache_features, "on"));
    if (f->cut.count && (f->shareable || !once)) {
        place(f, d);
        return f;
    }
    drop(f);
    return NULL;
}

/* Those that the trial itself asks for again come first. */
static void plan_splits(struct session *s, bool once, size_t most)
{
    for (int i = 0; i < SPLIT_COUNT; i++) {
        struct features *f = (passes(s, i) < 2) == once ? find(s, i, once) : NULL;
        const struct dataset *d = s->data[i];
        if (!f)
            continue;
        if (s->planned[MEM_features] + f->bytes > most) {
            drop(f);
            continue;
        }
        if (d->rows) { /* else they are assumed: it will not run */
            f->there = xcalloc(d->count + 1, sizeof *f->there);
            f->own = xcalloc(d->count + 1, sizeof *f->own);
        }
        s->features[i] = f;
        s->planned[MEM_features] += f->bytes;
    }
}

void features_plan(struct session *s)
{
    const char *want = s->trial.cache_features;
    const size_t small = s->planned[MEM_activations] > FEATURES_SMALL
                             ? s->planned[MEM_activations]
                             : FEATURES_SMALL,
                 most = str_eq(want, "on") ? SIZE_MAX : small;
    if (!s->training || str_eq(want, "off"))
        return;
    if (features_lie_on_host(s))
        s->feature_cache = cache_open();
    plan_splits(s, false, most);
    plan_splits(s, true, most);
}

void features_open(struct session *s)
{
    uint64_t *sums = xcalloc(s->net.params.count + 1, sizeof *sums);
    size_t at = 0;
    for (int i = 0; i < SPLIT_COUNT; i++) {
        struct features *f = s->features[i];
        const size_t marks = f ? (s->data[i]->count + 1) * sizeof *f->marks : 0;
        if (!f)
            continue;
        if (f->shareable && features_take_common(s, i, f->graph, &f->cut,
                                                 f->bytes + marks, sums, &f->common)) {
            f->marks = (uint64_t *)((char *)f->common.data + f->bytes);
            s->allocated[MEM_features] += f->bytes;
            s->shared_bytes += f->bytes;
        } else if (f->once) {
            s->planned[MEM_features] -= f->bytes;
            features_forget(s, i);
        } else {
            f->at = at;
            at += f->bytes;
        }
    }
    free(sums);
}

bool features_give_up(struct session *s)
{
    if (!s->planned[MEM_features] || str_eq(s->trial.cache_features, "on"))
        return false;
    features_release(s);
    s->shared_bytes -= s->allocated[MEM_features];
    s->planned[MEM_features] = s->allocated[MEM_features] = 0;
    return true;
}

void features_forget(struct session *s, int split)
{
    if (s->features[split])
        drop(s->features[split]);
    s->features[split] = NULL;
}

void features_release(struct session *s)
{
    for (int i = 0; i < SPLIT_COUNT; i++)
        features_forget(s, i);
    cache_close(s->feature_cache);
    s->feature_cache = NULL;
}

/* --- running --- */

static char *home_of(const struct features *f)
{
    return f->marks ? (char *)f->common.data : (char *)f->s->arena[MEM_features] + f->at;
}

/* Of tensor k at the cut the rows of one row of the data, where they are kept. */
static struct tensor kept_rows(const struct features *f, size_t k, size_t row)
{
    const struct g_tensor *t = &f->graph->tensors[f->cut.kept[k].tensor];
    const size_t *first = f->first[t->rows_kind] + row,
                 width = (size_t)t->cols * dtype_bytes(t->dtype);
    return (struct tensor){.data = home_of(f) + f->offset[k] + first[0] * width,
                           .dtype = t->dtype,
                           .rows = (int32_t)(first[1] - first[0]),
                           .cols = t->cols,
                           .ld = t->cols};
}

/* The tensor has the rows of the data's rows one after the other, and so has its home, but
 * in the order of the file. */
static void move(struct graph_reuse *r, size_t k, const struct tensor *t)
{
    const struct features *f = (const struct features *)r;
    char *at = t->data;
    for (int64_t i = f->begin; i < f->end; i++) {
        const size_t n = f->order ? f->order[i] : (size_t)i;
        const struct tensor kept = kept_rows(f, k, n);
        struct tensor here = *t;
        here.rows = kept.rows;
        here.data = at;
        at += (size_t)here.rows * (size_t)here.cols * dtype_bytes(here.dtype);
        struct op_args a = {.in[0] = r->there ? kept : here,
                            .out[0] = r->there ? here : kept};
        if (here.rows && (r->there || !f->there[n]))
            graph_call(f->s->backend, &f->s->memory, OP_copy, &a);
    }
}

/* Never 0, which stands for a row that is not there. */
static uint64_t sum_of(const struct features *f, size_t row)
{
    uint64_t sum = row + 1;
    for (size_t k = 0; k < f->cut.count; k++) {
        const struct tensor t = kept_rows(f, k, row);
        sum = (sum << 7 | sum >> 57) ^
              cache_sum(t.data, (size_t)t.rows * (size_t)t.cols * dtype_bytes(t.dtype));
    }
    return sum ? sum : 1;
}

/* What another trial has kept counts once its bytes were seen to be whole. */
static bool is_there(struct features *f, size_t row)
{
    const uint64_t mark = f->there[row] || !f->marks
                              ? 0
                              : __atomic_load_n(&f->marks[row], __ATOMIC_ACQUIRE);
    f->there[row] |= mark && mark == sum_of(f, row);
    return f->there[row];
}

static void set_there(struct features *f, size_t row)
{
    if (f->marks && !f->there[row])
        __atomic_store_n(&f->marks[row], sum_of(f, row), __ATOMIC_RELEASE);
    f->there[row] = true;
}

static int32_t tokens_of(const struct features *f, const struct dataset *d, size_t row)
{
    return d->rows[row].n + f->s->net.change.prompt_rows;
}

/* As many rows of [begin, end) as one run takes, up to the first that is there; returns the
 * row behind them. */
static int64_t fill_batch(struct features *f, int split, int64_t begin, int64_t end)
{
    struct session *s = f->s;
    const struct extent *most = &f->graph->budget;
    int32_t tokens = 0;
    f->order = NULL;
    f->begin = f->end = begin;
    while (f->end < end && !is_there(f, (size_t)f->end)) {
        tokens += tokens_of(f, s->data[split], (size_t)f->end);
        if (tokens > most->of[ROWS_TOKENS] || f->end - begin == most->of[ROWS_SEQUENCES])
            break;
        f->end++;
    }
    if (f->end == begin)
        return begin + 1;
    f->reuse.there = false;
    const struct extent e = session_load_batch(s, split, NULL, begin, f->end);
    graph_cut_run(f->graph, &f->reuse, s->backend, &s->memory, &e);
    for (int64_t row = begin; row < f->end; row++) {
        set_there(f, (size_t)row);
        f->own[row] = true;
    }
    return f->end;
}

/* Trials that start together go through the same rows, often in the same order, and each
 * would compute all of them. So before the first run of a split they share out what nobody
 * took on before. Rows of one that was killed meanwhile are computed when they are needed. */
static void fill(struct features *f, int split)
{
    const struct session *s = f->s;
    const int64_t count = (int64_t)s->data[split]->count;
    uint64_t *next = &f->marks[count];
    int signal;
    f->filled = true;
    if (f->flops > FILL_MOST ||
        (split == SPLIT_TRAIN && s->course.updates < s->course.updates_per_epoch))
        return; /* maybe not all of them are needed */
    while (!proc_signals(&signal)) {
        const uint64_t begin = __atomic_fetch_add(next, FILL_ROWS, __ATOMIC_RELAXED);
        if (begin >= (uint64_t)count)
            break;
        const int64_t end =
            (int64_t)begin + FILL_ROWS < count ? (int64_t)begin + FILL_ROWS : count;
        for (int64_t row = (int64_t)begin; row < end;)
            row = fill_batch(f, split, row, end);
    }
}

void features_begin(struct session *s, int split, const uint32_t *order, int64_t begin,
                    int64_t end)
{
    struct features *f = s->goal.every_token ? NULL : s->features[split];
    s->memory.reuse = f ? &f->reuse : NULL;
    if (!f)
        return;
    if (f->marks && !f->filled)
        fill(f, split);
    f->order = order;
    f->begin = begin;
    f->end = end;
    f->reuse.there = true;
    for (int64_t i = begin; i < end; i++)
        f->reuse.there &= is_there(f, order ? order[i] : (size_t)i);
}

int32_t features_end(struct session *s, int split)
{
    struct features *f = (struct features *)s->memory.reuse;
    int32_t tokens = 0;
    s->memory.reuse = NULL;
    for (int64_t i = f ? f->begin : 0; f && i < f->end; i++) {
        const size_t row = f->order ? f->order[i] : (size_t)i;
        if (f->reuse.there && !f->own[row])
            tokens += tokens_of(f, s->data[split], row);
        set_there(f, row);
        f->own[row] = false;
    }
    return tokens;
}

double features_flops(const struct session *s, const struct extent *e)
{
    const struct features *f = s->features[SPLIT_TRAIN];
    return f ? graph_cut_flops(f->graph, &f->cut, e) : 0;
}

double features_shared(const struct session *s, double train, char id[SHA256_HEX])
{
    struct buf what = BUF_INIT;
    double flops = 0;
    for (int i = 0; i < SPLIT_COUNT; i++) {
        const struct features *f = s->features[i];
        if (!f || !f->shareable)
            continue;
        flops += i == SPLIT_TRAIN ? train : f->flops;
        features_tell_plan(s, i, f->graph, &f->cut, &what);
    }
    sha256_hex(buf_str(&what), what.len, id);
    buf_release(&what);
    return flops;
}

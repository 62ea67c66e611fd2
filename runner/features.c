/* runner/features.c - see features.h. */
#include "runner/features.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/graph/cut.h"
#include "runner/session.h"
#include <stdlib.h>
#include <string.h>

struct features {
    struct graph_reuse reuse; /* first */
    struct graph_cut cut;
    struct session *s;         /* borrowed */
    const struct graph *graph; /* whose cut it is */
    size_t *offset;            /* in the arena, of each tensor at the cut */
    size_t *first[ROWS_KINDS]; /* of each row, and behind the last */
    bool *there;               /* per row */
    const uint32_t *order;     /* of the run at hand */
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

/* Behind `at` bytes; returns where they end. */
static size_t place(struct features *f, const struct dataset *d, size_t at)
{
    f->offset = xcalloc(f->cut.count, sizeof *f->offset);
    for (size_t k = 0; k < f->cut.count; k++) {
        const struct g_tensor *t = &f->graph->tensors[f->cut.kept[k].tensor];
        f->offset[k] = at;
        at += mem_round_up(count_rows(f, d, t->rows_kind) * (size_t)t->cols *
                           dtype_bytes(t->dtype));
    }
    return at;
}

static void drop(struct features *f)
{
    graph_cut_release(&f->cut);
    for (int k = 0; k < ROWS_KINDS; k++)
        free(f->first[k]);
    free(f->offset);
    free(f->there);
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

static struct features *find(struct session *s, int split)
{
    const struct graph *g = split == SPLIT_TRAIN ? &s->train_graph : &s->eval_graph;
    const struct dataset *d = s->data[split];
    if (!d || passes(s, split) < 2 || (split == SPLIT_TRAIN && s->course.endless))
        return NULL;
    struct features *f = xcalloc(1, sizeof *f);
    const struct extent usual = usual_rows(s, g);
    *f = (struct features){.reuse = {.cut = &f->cut, .move = move}, .s = s, .graph = g};
    graph_cut_find(g, &usual, &f->cut);
    if (f->cut.count)
        return f;
    drop(f);
    return NULL;
}

void features_plan(struct session *s)
{
    const char *want = s->trial.cache_features;
    const size_t most = s->planned[MEM_activations] > FEATURES_SMALL
                            ? s->planned[MEM_activations]
                            : FEATURES_SMALL;
    for (int i = 0; i < SPLIT_COUNT && s->training && !str_eq(want, "off"); i++) {
        struct features *f = find(s, i);
        if (!f)
            continue;
        const size_t end = place(f, s->data[i], s->planned[MEM_features]);
        if (end > most && !str_eq(want, "on")) {
            drop(f);
            continue;
        }
        f->there = s->data[i]->rows ? xcalloc(s->data[i]->count + 1, sizeof *f->there)
                                    : NULL; /* assumed: it will not run */
        s->features[i] = f;
        s->planned[MEM_features] = end;
    }
}

bool features_give_up(struct session *s)
{
    if (!s->planned[MEM_features] || str_eq(s->trial.cache_features, "on"))
        return false;
    features_release(s);
    s->planned[MEM_features] = 0;
    return true;
}

void features_release(struct session *s)
{
    for (int i = 0; i < SPLIT_COUNT; i++) {
        if (s->features[i])
            drop(s->features[i]);
        s->features[i] = NULL;
    }
}

/* --- running --- */

/* The tensor has the rows of the data's rows one after the other, and so has the arena, but
 * in the order of the file. */
static void move(struct graph_reuse *r, size_t k, const struct tensor *t)
{
    struct features *f = (struct features *)r;
    const struct g_tensor *g = &f->graph->tensors[f->cut.kept[k].tensor];
    const size_t *first = f->first[g->rows_kind], row = (size_t)t->cols * sizeof(float);
    char *kept = (char *)f->s->arena[MEM_features] + f->offset[k], *at = t->data;
    for (int64_t i = f->begin; i < f->end; i++) {
        const size_t n = f->order ? f->order[i] : (size_t)i;
        struct tensor here = *t, there = *t;
        here.rows = there.rows = (int32_t)(first[n + 1] - first[n]);
        here.data = at;
        there.data = kept + first[n] * row;
        at += (size_t)here.rows * row;
        struct op_args a = {.in[0] = r->there ? there : here,
                            .out[0] = r->there ? here : there};
        if (here.rows)
            graph_call(f->s->backend, &f->s->memory, OP_copy, &a);
    }
}

void features_begin(struct session *s, int split, const uint32_t *order, int64_t begin,
                    int64_t end)
{
    struct features *f = s->goal.every_token ? NULL : s->features[split];
    s->memory.reuse = f ? &f->reuse : NULL;
    if (!f)
        return;
    f->order = order;
    f->begin = begin;
    f->end = end;
    f->reuse.there = true;
    for (int64_t i = begin; i < end && f->reuse.there; i++)
        f->reuse.there = f->there[order ? order[i] : (size_t)i];
}

bool features_end(struct session *s)
{
    struct features *f = (struct features *)s->memory.reuse;
    s->memory.reuse = NULL;
    for (int64_t i = f ? f->begin : 0; f && i < f->end; i++)
        f->there[f->order ? f->order[i] : (size_t)i] = true;
    return f && f->reuse.there;
}

void features_forget(struct session *s, int split)
{
    struct features *f = s->features[split];
    if (f)
        memset(f->there, 0, s->data[split]->count * sizeof *f->there);
}

double features_flops(const struct session *s, const struct extent *e)
{
    const struct features *f = s->features[SPLIT_TRAIN];
    return f ? graph_cut_flops(f->graph, &f->cut, e) : 0;
}

/* runner/graph/cut.c - see cut.h. */
#include "runner/graph/cut.h"
#include "lib/mem.h"
#include <stdlib.h>

/* Of a run's FLOPs: less is not worth the memory and a pass over it. */
#define CUT_LEAST 0.1

enum { NEVER = -1 };

struct search {
    const struct graph *g;
    size_t end;      /* the nodes looked at: forward, outside of chunks */
    bool *constant;  /* per node */
    bool *movable;   /* per node: constant, and may be left out */
    double *flops;   /* per node */
    int *first, *at; /* per root tensor: the first node that stays and has to do with it;
                        the last one left out that writes it; or NEVER */
};

static bool is_random(const struct g_node *n)
{
    return n->op == OP_dropout || n->attr.p > 0;
}

static bool is_constant_home(const struct graph *g, const struct g_tensor *t)
{
    switch (t->home) {
    case HOME_PARAM:
        return !g->params->items[t->param]->trainable;
    case HOME_ACTIVATION: /* until something else is written there */
    case HOME_BATCH:
        return true;
    default:
        return false;
    }
}

/* Whether a node leaves something of what was in its output: it adds, or writes a part. */
static bool is_partial(const struct graph *g, const struct g_node *n, int k)
{
    return n->accumulate >> k & 1 || g->tensors[n->out[k]].home == HOME_VIEW;
}

/* In the order of execution: a tensor is what was written there last. */
static void find_constants(struct search *f)
{
    const struct graph *g = f->g;
    bool *now = xcalloc(g->tensor_count + 1, sizeof *now);
    for (size_t t = 0; t < g->tensor_count; t++)
        now[t] = is_constant_home(g, &g->tensors[t]);
    for (size_t i = 0; i < f->end; i++) {
        const struct g_node *n = &g->nodes[i];
        bool constant = !is_random(n);
        for (int k = 0; k < OP_MAX_IN; k++)
            constant &= n->in[k] < 0 || now[graph_root(g, n->in[k])];
        for (int k = 0; k < OP_MAX_OUT; k++)
            constant &=
                n->out[k] < 0 || !is_partial(g, n, k) || now[graph_root(g, n->out[k])];
        for (int k = 0; k < OP_MAX_OUT; k++)
            if (n->out[k] >= 0)
                now[graph_root(g, n->out[k])] = constant;
        f->constant[i] = constant;
    }
    free(now);
}

static bool reads_activation(const struct graph *g, const struct g_node *n)
{
    for (int k = 0; k < OP_MAX_IN; k++)
        if (n->in[k] >= 0 && g->tensors[graph_root(g, n->in[k])].home == HOME_ACTIVATION)
            return true;
    return false;
}

/* Its outputs go by rows of the data. */
static bool goes_by_rows(const struct graph *g, const struct g_node *n)
{
    for (int k = 0; k < OP_MAX_OUT; k++)
        if (n->out[k] >= 0 &&
            g->tensors[graph_root(g, n->out[k])].rows_kind == ROWS_FIXED)
            return false;
    return true;
}

static void find_movable(struct search *f, const struct extent *mean)
{
    for (size_t i = 0; i < f->g->node_count; i++) {
        const struct g_node *n = &f->g->nodes[i];
        struct op_args a;
        graph_node_args(f->g, NULL, n, mean, 0, &a);
        f->flops[i] = op_flops(n->op, &a);
        f->movable[i] = f->constant[i] && goes_by_rows(f->g, n) &&
                        (f->flops[i] > 0 || reads_activation(f->g, n));
    }
}

/* Fills `first` and `at` for the cut in front of node `place`. */
static void look_at(struct search *f, size_t place)
{
    const struct graph *g = f->g;
    for (size_t t = 0; t < g->tensor_count; t++)
        f->first[t] = f->at[t] = NEVER;
    for (size_t i = 0; i < g->node_count; i++) {
        const struct g_node *n = &g->nodes[i];
        const bool stays = i >= place || !f->movable[i];
        for (int k = 0; k < OP_MAX_IN && stays; k++) {
            int *first = n->in[k] < 0 ? NULL : &f->first[graph_root(g, n->in[k])];
            if (first && *first == NEVER)
                *first = (int)i;
        }
        for (int k = 0; k < OP_MAX_OUT; k++) {
            if (n->out[k] < 0)
                continue;
            const int t = graph_root(g, n->out[k]);
            if (!stays)
                f->at[t] = (int)i;
            else if (f->first[t] == NEVER)
                f->first[t] = (int)i;
        }
    }
    if (g->logits >= 0 && f->first[graph_root(g, g->logits)] == NEVER)
        f->first[graph_root(g, g->logits)] = (int)g->node_count;
}

static bool is_at_cut(const struct search *f, size_t t)
{
    return f->at[t] != NEVER && f->first[t] != NEVER;
}

/* FLOPs saved per byte kept by the cut in front of node `place`; 0: it cannot be, since a
 * tensor would have to be put in place twice, or it is not worth it. */
static double worth(struct search *f, size_t place, const struct extent *mean,
                    double least)
{
    double flops = 0, bytes = 0;
    for (size_t i = 0; i < place; i++)
        flops += f->movable[i] ? f->flops[i] : 0;
    if (flops < least)
        return 0;
    look_at(f, place);
    for (size_t t = 0; t < f->g->tensor_count; t++) {
        const struct g_tensor *s = &f->g->tensors[t];
        if (!is_at_cut(f, t))
            continue;
        if (f->first[t] < f->at[t] || s->dtype != DT_F32 || s->home != HOME_ACTIVATION)
            return 0;
        bytes += (double)graph_rows(s, mean) * s->cols * (double)dtype_bytes(s->dtype);
    }
    return bytes > 0 ? flops / bytes : 0;
}

static int by_node(const void *a, const void *b)
{
    const struct cut_tensor *x = a, *y = b;
    return x->node < y->node ? -1 : x->node > y->node;
}

static bool is_read(const struct search *f, const struct g_node *n)
{
    for (int k = 0; k < OP_MAX_OUT; k++)
        if (n->out[k] >= 0 && f->first[graph_root(f->g, n->out[k])] != NEVER)
            return true;
    return false;
}

/* Constant nodes that stay only for others that are left out are left out as well:
 * backwards, so that who reads them has been seen before. */
static void leave_out_unread(struct search *f, size_t place, bool *skip)
{
    const struct graph *g = f->g;
    for (size_t t = 0; t < g->tensor_count; t++)
        f->first[t] = NEVER; /* from here on: read by a node that stays */
    for (size_t i = g->node_count; i-- > 0;) {
        const struct g_node *n = &g->nodes[i];
        if (i < place && f->constant[i] && !is_read(f, n))
            skip[i] = true;
        for (int k = 0; k < OP_MAX_IN && !skip[i]; k++)
            if (n->in[k] >= 0)
                f->first[graph_root(g, n->in[k])] = (int)i;
    }
}

/* Backwards from each tensor at the cut, where it is whole. Whoever writes to a tensor that
 * is read counts: one too many takes time, one too few is wrong. */
static void find_makers(const struct graph *g, struct graph_cut *c)
{
    bool *read = xcalloc(g->tensor_count + 1, sizeof *read);
    size_t k = c->count;
    for (size_t i = k ? c->kept[k - 1].node + 1 : 0; i-- > 0;) {
        const struct g_node *n = &g->nodes[i];
        for (; k > 0 && c->kept[k - 1].node == i; k--)
            read[c->kept[k - 1].tensor] = true;
        for (int o = 0; o < OP_MAX_OUT; o++)
            c->makes[i] |= n->out[o] >= 0 && read[graph_root(g, n->out[o])];
        for (int o = 0; o < OP_MAX_IN && c->makes[i]; o++)
            if (n->in[o] >= 0)
                read[graph_root(g, n->in[o])] = true;
    }
    free(read);
}

static void make(struct search *f, size_t place, struct graph_cut *out)
{
    const struct graph *g = f->g;
    look_at(f, place);
    out->skip = xcalloc(g->node_count + 1, sizeof *out->skip);
    out->kept = xcalloc(g->tensor_count + 1, sizeof *out->kept);
    for (size_t i = 0; i < place; i++)
        out->skip[i] = f->movable[i];
    for (size_t t = 0; t < g->tensor_count; t++)
        if (is_at_cut(f, t))
            out->kept[out->count++] = (struct cut_tensor){(int)t, (size_t)f->at[t]};
    qsort(out->kept, out->count, sizeof *out->kept, by_node);
    leave_out_unread(f, place, out->skip);
    out->makes = xcalloc(g->node_count + 1, sizeof *out->makes);
    find_makers(g, out);
}

void graph_cut_find(const struct graph *g, const struct extent *mean,
                    struct graph_cut *out)
{
    const size_t nodes = g->node_count + 1, tensors = g->tensor_count + 1;
    struct search f = {.g = g,
                       .end = g->forward_count,
                       .constant = xcalloc(nodes, sizeof *f.constant),
                       .movable = xcalloc(nodes, sizeof *f.movable),
                       .flops = xcalloc(nodes, sizeof *f.flops),
                       .first = xcalloc(tensors, sizeof *f.first),
                       .at = xcalloc(tensors, sizeof *f.at)};
    size_t best = 0;
    double most = 0, least = CUT_LEAST * graph_flops(g, mean);
    *out = (struct graph_cut){0};
    if (g->chunk_begin < g->chunk_end && g->chunk_begin < f.end)
        f.end = g->chunk_begin;
    find_constants(&f);
    find_movable(&f, mean);
    for (size_t place = 1; place <= f.end; place++) {
        const double w = f.movable[place - 1] ? worth(&f, place, mean, least) : 0;
        if (w > most) {
            most = w;
            best = place;
        }
    }
    if (best)
        make(&f, best, out);
    free(f.constant);
    free(f.movable);
    free(f.flops);
    free(f.first);
    free(f.at);
}

void graph_cut_release(struct graph_cut *c)
{
    free(c->skip);
    free(c->makes);
    free(c->kept);
    *c = (struct graph_cut){0};
}

double graph_cut_flops(const struct graph *g, const struct graph_cut *c,
                       const struct extent *e)
{
    double flops = 0;
    for (size_t i = 0; c->count && i < g->node_count; i++) {
        struct op_args a;
        graph_node_args(g, NULL, &g->nodes[i], e, 0, &a);
        flops += c->skip[i] ? op_flops(g->nodes[i].op, &a) : 0;
    }
    return flops;
}

void graph_cut_run(const struct graph *g, struct graph_reuse *r,
                   const struct backend *backend, const struct graph_memory *m,
                   const struct extent *e)
{
    const struct graph_cut *c = r->cut;
    for (size_t i = 0, k = 0; k < c->count; i++) {
        struct op_args a;
        graph_node_args(g, m, &g->nodes[i], e, 0, &a);
        if (c->makes[i])
            graph_call(backend, m, g->nodes[i].op, &a);
        for (; k < c->count && c->kept[k].node == i; k++) {
            const struct tensor t = graph_tensor(g, m, c->kept[k].tensor, e);
            r->move(r, k, &t);
        }
    }
}

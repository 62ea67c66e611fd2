/* runner/graph/plan.c - what a graph needs: dead nodes out, lifetimes, offsets in the
 * arena, workspace, FLOPs. */
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/graph/graph.h"
#include <stdlib.h>
#include <string.h>

int graph_root(const struct graph *g, int t)
{
    while (g->tensors[t].home == HOME_VIEW)
        t = g->tensors[t].parent;
    return t;
}

/* What a run leaves behind. */
static bool outlives(enum home home)
{
    return home == HOME_PARAM_GRAD || home == HOME_STATE;
}

/* Nodes that lead neither to the loss, the logits, a parameter's gradient nor a state:
 * backwards, so that whoever reads a node's output has been seen before it. Views count
 * as their root. */
static void drop_dead_nodes(struct graph *g)
{
    bool *needed = xcalloc(g->tensor_count, sizeof *needed);
    bool *live = xcalloc(g->node_count + 1, sizeof *live);
    needed[graph_root(g, g->logits)] = true;
    if (g->loss >= 0)
        needed[g->loss] = true;
    for (size_t i = g->node_count; i-- > 0;) {
        const struct g_node *n = &g->nodes[i];
        for (int k = 0; k < OP_MAX_OUT; k++)
            if (n->out[k] >= 0) {
                const int r = graph_root(g, n->out[k]);
                live[i] |= needed[r] || outlives(g->tensors[r].home);
            }
        if (!live[i])
            continue;
        for (int k = 0; k < OP_MAX_IN; k++)
            if (n->in[k] >= 0)
                needed[graph_root(g, n->in[k])] = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < g->node_count; i++)
        if (live[i])
            g->nodes[kept++] = g->nodes[i];
    g->node_count = kept;
    free(needed);
    free(live);
}

static void touch(struct graph *g, int t, int node)
{
    if (t < 0)
        return;
    struct g_tensor *s = &g->tensors[graph_root(g, t)];
    if (s->first < 0)
        s->first = node;
    s->last = node;
}

static void find_lifetimes(struct graph *g)
{
    for (size_t i = 0; i < g->node_count; i++) {
        for (int k = 0; k < OP_MAX_IN; k++)
            touch(g, g->nodes[i].in[k], (int)i);
        for (int k = 0; k < OP_MAX_OUT; k++)
            touch(g, g->nodes[i].out[k], (int)i);
    }
    /* The host reads both after the run. */
    g->tensors[graph_root(g, g->logits)].last = (int)g->node_count;
    if (g->loss >= 0)
        g->tensors[g->loss].last = (int)g->node_count;
}

static int32_t rows_at(const struct g_tensor *t, const struct extent *e)
{
    return t->rows + e->of[t->rows_kind];
}

/* owner[t]: the tensor whose memory t uses; itself unless an in-place op took over a
 * dying input. */
static void share_in_place(struct graph *g, int *owner)
{
    for (size_t i = 0; i < g->node_count; i++) {
        const struct g_node *n = &g->nodes[i];
        if (!op_info[n->op].in_place || n->accumulate & 1 || n->in[0] < 0)
            continue;
        struct g_tensor *a = &g->tensors[n->in[0]], *y = &g->tensors[n->out[0]];
        if (a->home != HOME_ACTIVATION || y->home != HOME_ACTIVATION ||
            a->bytes != y->bytes)
            continue;
        /* The input's memory may have been taken over before; its owner lives as long as
         * the last that uses it, which must be the node at hand. */
        struct g_tensor *o = &g->tensors[owner[n->in[0]]];
        if (o->last != (int)i || y->first != (int)i)
            continue;
        owner[n->out[0]] = owner[n->in[0]];
        o->last = y->last;
    }
}

struct block {
    int tensor, first, last;
    size_t bytes, offset;
};

static int by_size(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->tensor - y->tensor;
}

static int by_offset(const void *a, const void *b)
{
    const struct block *x = *(struct block *const *)a, *y = *(struct block *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Largest first, each at the lowest offset where nobody alive at the same time lies.
 * Returns the arena's size. */
static size_t place(struct block *blocks, size_t count)
{
    struct block **busy = xcalloc(count + 1, sizeof *busy);
    size_t total = 0;
    qsort(blocks, count, sizeof *blocks, by_size);
    for (size_t i = 0; i < count; i++) {
        struct block *b = &blocks[i];
        size_t n = 0, at = 0;
        for (size_t k = 0; k < i; k++)
            if (blocks[k].first <= b->last && b->first <= blocks[k].last)
                busy[n++] = &blocks[k];
        qsort(busy, n, sizeof *busy, by_offset);
        for (size_t k = 0; k < n && busy[k]->offset < at + b->bytes; k++)
            if (busy[k]->offset + busy[k]->bytes > at)
                at = busy[k]->offset + busy[k]->bytes;
        /* `at` is behind the last that overlaps or in the first gap that is large
         * enough. */
        b->offset = at;
        if (at + b->bytes > total)
            total = at + b->bytes;
    }
    free(busy);
    return total;
}

static void assign_offsets(struct graph *g)
{
    int *owner = xmalloc(g->tensor_count * sizeof *owner);
    struct block *blocks = xcalloc(g->tensor_count, sizeof *blocks);
    size_t count = 0;
    for (size_t t = 0; t < g->tensor_count; t++) {
        struct g_tensor *s = &g->tensors[t];
        owner[t] = (int)t;
        if (s->home == HOME_ACTIVATION)
            s->bytes = mem_round_up((size_t)rows_at(s, &g->budget) * (size_t)s->cols *
                                    dtype_bytes(s->dtype));
    }
    share_in_place(g, owner);
    for (size_t t = 0; t < g->tensor_count; t++) {
        const struct g_tensor *s = &g->tensors[t];
        if (s->home == HOME_ACTIVATION && s->first >= 0 && owner[t] == (int)t)
            blocks[count++] = (struct block){(int)t, s->first, s->last, s->bytes, 0};
    }
    g->activation_bytes = place(blocks, count);
    for (size_t i = 0; i < count; i++)
        g->tensors[blocks[i].tensor].offset = blocks[i].offset;
    for (size_t t = 0; t < g->tensor_count; t++)
        g->tensors[t].offset = g->tensors[owner[t]].offset;
    free(owner);
    free(blocks);
}

static struct tensor param_view(const struct param *p, const struct g_tensor *t)
{
    const bool prepared = t->dtype == DT_PREPARED;
    return (struct tensor){.data = t->home == HOME_PARAM_GRAD ? p->grad.data
                                   : prepared                 ? p->prepared.data
                                                              : p->value.data,
                           .dtype = t->dtype,
                           .rows = p->rows,
                           .cols = p->cols,
                           .ld = p->cols,
                           .spec = prepared ? &p->spec : NULL};
}

struct tensor graph_tensor(const struct graph *g, const struct graph_memory *m, int t,
                           const struct extent *e)
{
    static char present; /* stands for memory that is not there yet */
    const struct g_tensor *s = &g->tensors[t];
    struct tensor v = {NULL, s->dtype, rows_at(s, e), s->cols, s->cols, NULL};
    switch (s->home) {
    case HOME_ACTIVATION:
        v.data = m ? (char *)m->activations + s->offset : NULL;
        break;
    case HOME_PARAM:
    case HOME_PARAM_GRAD:
        v = param_view(g->params->items[s->param], s);
        break;
    case HOME_STATE:
        v.data = m ? (char *)m->state + g->states->items[s->state].offset : NULL;
        break;
    case HOME_BATCH:
        v.data = m ? (char *)m->batch + m->batch_offsets[s->slot] : NULL;
        break;
    case HOME_VIEW: {
        struct tensor p = graph_tensor(g, m, s->parent, e);
        v.data = (char *)p.data + (size_t)s->column * dtype_bytes(p.dtype);
        v.ld = p.ld;
        break;
    }
    }
    if (!v.data) /* when planning: an op asks by the pointer whether a tensor is given */
        v.data = &present;
    return v;
}

static void node_args(const struct graph *g, const struct graph_memory *m,
                      const struct g_node *n, const struct extent *e, struct op_args *a)
{
    *a = (struct op_args){.accumulate = n->accumulate, .attr = n->attr};
    for (int k = 0; k < op_info[n->op].n_in; k++)
        if (n->in[k] >= 0)
            a->in[k] = graph_tensor(g, m, n->in[k], e);
    for (int k = 0; k < op_info[n->op].n_out; k++)
        if (n->out[k] >= 0)
            a->out[k] = graph_tensor(g, m, n->out[k], e);
}

static int check_formats(const struct graph *g, const struct backend *b, struct err *err)
{
    for (size_t t = 0; t < g->tensor_count; t++)
        if (g->tensors[t].home == HOME_ACTIVATION &&
            !(b->activations >> g->tensors[t].dtype & 1))
            return err_set(err, ERR_CONFIG,
                           "backend '%s' does not keep activations in %s", b->name,
                           dtype_word(g->tensors[t].dtype));
    return 0;
}

int graph_plan(struct graph *g, const struct backend *backend, struct err *err)
{
    /* In this order: what is dropped lengthens no life, and sizes are those of the
     * budgets, so that one plan holds for every micro-batch within them. */
    drop_dead_nodes(g);
    int rc = check_formats(g, backend, err);
    if (rc)
        return rc;
    find_lifetimes(g);
    assign_offsets(g);
    for (size_t i = 0; i < g->node_count; i++) {
        struct op_args a;
        node_args(g, NULL, &g->nodes[i], &g->budget, &a);
        if ((rc = backend_takes(backend, g->nodes[i].op, &a, err)))
            return rc;
        const size_t need =
            mem_round_up(backend->workspace_bytes(backend->device, g->nodes[i].op, &a));
        if (need > g->workspace_bytes)
            g->workspace_bytes = need;
    }
    return 0;
}

double graph_flops(const struct graph *g, const struct extent *e)
{
    double flops = 0;
    for (size_t i = 0; i < g->node_count; i++) {
        struct op_args a;
        node_args(g, NULL, &g->nodes[i], e, &a);
        flops += op_flops(g->nodes[i].op, &a);
    }
    return flops;
}

int32_t graph_slot_rows(enum batch_slot slot, const struct extent *e)
{
    static const struct {
        enum rows_kind kind;
        int32_t extra;
    } shapes[SLOT_COUNT] = {
#define X(name, kind, extra) {kind, extra},
        BATCH_SLOTS(X)
#undef X
    };
    return shapes[slot].extra + e->of[shapes[slot].kind];
}

size_t graph_batch_bytes(const struct extent *budget, int32_t targets,
                         size_t offsets[SLOT_COUNT])
{
    size_t total = 0;
    /* All slots have 4-byte elements, ids and targets alike. */
    for (int s = 0; s < SLOT_COUNT; s++) {
        offsets[s] = total;
        total +=
            mem_round_up((size_t)graph_slot_rows((enum batch_slot)s, budget) *
                         sizeof(int32_t) * (size_t)(s == SLOT_targets ? targets : 1));
    }
    return total;
}

void graph_call(const struct backend *backend, const struct graph_memory *m, enum op op,
                struct op_args *args)
{
    args->workspace = m->workspace;
    if (!m->watch) {
        backend_call(backend, op, args);
        return;
    }
    backend->sync(backend->device);
    const double begin = clock_mono_s();
    backend_call(backend, op, args);
    backend->sync(backend->device);
    m->watch->ran(m->watch, op, args, clock_mono_s() - begin);
}

void graph_run(const struct graph *g, const struct backend *backend,
               const struct graph_memory *m, const struct extent *e,
               const struct op_step *step)
{
    for (size_t i = 0; i < g->node_count; i++) {
        struct op_args a;
        node_args(g, m, &g->nodes[i], e, &a);
        a.step = *step;
        if (m->watch)
            m->watch->node = &g->nodes[i];
        graph_call(backend, m, g->nodes[i].op, &a);
    }
    if (m->watch)
        m->watch->node = NULL;
}

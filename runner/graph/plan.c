/* runner/graph/plan.c - what a graph needs: dead nodes out, lifetimes, offsets in the
 * arena, workspace, FLOPs. */
#include "lib/mem.h"
#include "runner/graph/graph.h"
#include <assert.h>
#include <stdlib.h>

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
    if (g->logits >= 0)
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
    size_t kept = 0, forward = 0;
    for (size_t i = 0; i < g->node_count; i++) {
        if (live[i])
            g->nodes[kept++] = g->nodes[i];
        forward = i < g->forward_count ? kept : forward;
    }
    g->node_count = kept;
    g->forward_count = forward;
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
    s->last = node > s->last ? node : s->last;
}

/* Until when the inputs of a node are read: grafts (graft.h) run their own nodes, gathers
 * among them, just before the next that is no method's. */
static int read_until(const struct graph *g, size_t i)
{
    while (g->keeps_inputs && g->nodes[i].base < 0 && i + 1 < g->node_count &&
           g->nodes[i + 1].base < 0)
        i++;
    return (int)i;
}

static void find_lifetimes(struct graph *g)
{
    for (size_t i = 0; i < g->node_count; i++) {
        for (int k = 0; k < OP_MAX_IN; k++) {
            touch(g, g->nodes[i].in[k], (int)i);
            touch(g, g->nodes[i].in[k], read_until(g, i));
        }
        for (int k = 0; k < OP_MAX_OUT; k++)
            touch(g, g->nodes[i].out[k], (int)i);
    }
    /* The host reads both after the run; of chunked logits those of the last chunk
     * (where grafts are laid over, all rows are one), and in training their gradient takes
     * their place. */
    const bool chunked = g->chunk_begin < g->chunk_end && !g->keeps_inputs;
    if (g->logits >= 0 && (!chunked || g->mode != GRAPH_TRAIN))
        g->tensors[graph_root(g, g->logits)].last =
            (int)(chunked ? g->chunk_end - 1 : g->node_count);
    if (g->loss >= 0)
        g->tensors[g->loss].last = (int)g->node_count;
}

/* Nodes of a chunk stand together: the head and the loss are the last of the forward pass
 * and the first of the backward pass. */
static void find_chunk(struct graph *g)
{
    g->chunk_begin = 0;
    while (g->chunk_begin < g->node_count && !g->nodes[g->chunk_begin].chunked)
        g->chunk_begin++;
    g->chunk_end = g->chunk_begin;
    while (g->chunk_end < g->node_count && g->nodes[g->chunk_end].chunked)
        g->chunk_end++;
    for (size_t i = g->chunk_end; i < g->node_count; i++)
        assert(!g->nodes[i].chunked);
}

static bool is_chunked(const struct graph *g, size_t node)
{
    return node >= g->chunk_begin && node < g->chunk_end;
}

/* What a chunk needs of outside, and what it leaves there, is alive in all of them. A
 * chunk writes its own rows of that, or adds to a parameter's gradient. */
static void live_through_chunks(struct graph *g)
{
    const int begin = (int)g->chunk_begin, end = (int)g->chunk_end;
    for (size_t t = 0; t < g->tensor_count && begin < end; t++) {
        struct g_tensor *s = &g->tensors[t];
        if (s->first < 0 || s->first >= end || s->last < begin)
            continue;
        s->in_chunk = s->home == HOME_ACTIVATION && s->first >= begin && s->last < end;
        if (s->in_chunk)
            continue;
        s->first = s->first > begin ? begin : s->first;
        s->last = s->last < end ? end - 1 : s->last;
    }
    for (int i = begin; i < end; i++)
        for (int k = 0; k < OP_MAX_OUT; k++) {
            const int t = g->nodes[i].out[k] < 0 ? -1 : graph_root(g, g->nodes[i].out[k]);
            assert(t < 0 || g->tensors[t].in_chunk || outlives(g->tensors[t].home) ||
                   g->tensors[t].rows_kind == ROWS_PICKED);
        }
}

/* owner[t]: the tensor whose memory t uses; itself unless an in-place op took over a
 * dying input. */
static void share_in_place(struct graph *g, int *owner)
{
    for (size_t i = 0; i < g->node_count && !g->keeps_inputs; i++) {
        const struct g_node *n = &g->nodes[i];
        if (!op_info[n->op].in_place || n->accumulate & 1 || n->in[0] < 0)
            continue;
        struct g_tensor *a = &g->tensors[n->in[0]], *y = &g->tensors[n->out[0]];
        if (a->home != HOME_ACTIVATION || y->home != HOME_ACTIVATION ||
            a->bytes != y->bytes)
            continue;
        if (is_chunked(g, i) && !(a->in_chunk && y->in_chunk))
            continue; /* the next chunk is still to read it */
        /* The input's memory may have been taken over before; its owner lives as long as
         * the last that uses it, which must be the node at hand. */
        struct g_tensor *o = &g->tensors[owner[n->in[0]]];
        if (o->last != (int)i || y->first != (int)i)
            continue;
        owner[n->out[0]] = owner[n->in[0]];
        o->last = y->last;
    }
}

static int by_size(const void *a, const void *b)
{
    const struct graph_block *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->tensor - y->tensor;
}

static int by_offset(const void *a, const void *b)
{
    const struct graph_block *x = *(struct graph_block *const *)a,
                             *y = *(struct graph_block *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

size_t graph_place(struct graph_block *blocks, size_t count)
{
    struct graph_block **busy = xcalloc(count + 1, sizeof *busy);
    size_t total = 0;
    qsort(blocks, count, sizeof *blocks, by_size);
    for (size_t i = 0; i < count; i++) {
        struct graph_block *b = &blocks[i];
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
    const struct extent chunk = graph_chunk_extent(g, &g->budget);
    int *owner = xmalloc(g->tensor_count * sizeof *owner);
    struct graph_block *blocks = xcalloc(g->tensor_count, sizeof *blocks);
    size_t count = 0;
    for (size_t t = 0; t < g->tensor_count; t++) {
        struct g_tensor *s = &g->tensors[t];
        owner[t] = (int)t;
        if (s->home == HOME_ACTIVATION)
            s->bytes =
                mem_round_up((size_t)graph_rows(s, s->in_chunk ? &chunk : &g->budget) *
                             (size_t)s->cols * dtype_bytes(s->dtype));
    }
    share_in_place(g, owner);
    for (size_t t = 0; t < g->tensor_count; t++) {
        const struct g_tensor *s = &g->tensors[t];
        if (s->home == HOME_ACTIVATION && s->first >= 0 && owner[t] == (int)t)
            blocks[count++] =
                (struct graph_block){(int)t, s->first, s->last, s->bytes, 0};
    }
    g->activation_bytes = graph_place(blocks, count);
    for (size_t i = 0; i < count; i++)
        g->tensors[blocks[i].tensor].offset = blocks[i].offset;
    for (size_t t = 0; t < g->tensor_count; t++)
        g->tensors[t].offset = g->tensors[owner[t]].offset;
    free(owner);
    free(blocks);
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
    find_chunk(g);
    find_lifetimes(g);
    live_through_chunks(g);
    assign_offsets(g);
    const struct extent chunk = graph_chunk_extent(g, &g->budget);
    for (size_t i = 0; i < g->node_count; i++) {
        struct op_args a;
        graph_node_args(g, NULL, &g->nodes[i], is_chunked(g, i) ? &chunk : &g->budget, 0,
                        &a);
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
        graph_node_args(g, NULL, &g->nodes[i], e, 0, &a);
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

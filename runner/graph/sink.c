/* runner/graph/sink.c - gathers sink towards the tensors that they really need.
 *
 * An op of the table below works row by row: row i of its output comes from row i of the
 * inputs named there and from nothing else. So when the rows of an output are read
 * through one gather only, the op may as well run on the gathered rows:
 *     gather(f(x)) = f(gather(x))
 * Walking the list from its end, `needs` learns for each tensor which rows somebody
 * reads: all of them, or those of one index. What is read through an index and made by
 * such ops gets the rows of the index; in front of the first of them stand the gathers of
 * what goes into them from outside (a layer's attention output and its residual). An op
 * that is not in the table reads all rows, so a new op is safe. What nobody reads is left
 * out, or it would count as a reader.
 *
 * Numbers change in one way: a dropout mask is keyed by the row that the op sees. */
#include "lib/mem.h"
#include "runner/graph/graph.h"
#include <stdlib.h>

enum { NOBODY = -1, ALL_ROWS = -2 }; /* else the tensor of the index */

/* Bit k: input k is read row by row. */
static const unsigned row_inputs[OP_COUNT] = {
    [OP_layernorm] = 1, [OP_rmsnorm] = 1,   [OP_linear] = 1,
    [OP_act] = 1,       [OP_gated_act] = 3, [OP_dropout] = 1,
    [OP_scale] = 1,     [OP_add] = 3,       [OP_colscale] = 1,
};

unsigned graph_row_inputs(enum op op)
{
    return row_inputs[op];
}

struct sink {
    struct graph *g;
    const struct g_node *nodes; /* as they were recorded */
    size_t node_count, count;   /* tensors at that time */
    int *needs;                 /* per root tensor; see above */
    int *made;                  /* per root tensor: the node that makes it, -1 */
    int *twin; /* per tensor: the one to be read in its place: its gathered rows, or, of a
                  gather that became one with its input, that input; -1 */
};

static bool is_activation(const struct sink *s, int t)
{
    return s->g->tensors[graph_root(s->g, t)].home == HOME_ACTIVATION;
}

static void need(struct sink *s, int t, int rows)
{
    if (t < 0)
        return;
    int *have = &s->needs[graph_root(s->g, t)];
    *have = *have == NOBODY || *have == rows ? rows : ALL_ROWS;
}

/* The index that the node's output is read through, or ALL_ROWS. */
static int index_of(const struct sink *s, const struct g_node *n)
{
    const int root = n->out[0] >= 0 ? graph_root(s->g, n->out[0]) : -1;
    return root >= 0 && row_inputs[n->op] && is_activation(s, root) && s->needs[root] >= 0
               ? s->needs[root]
               : ALL_ROWS;
}

/* Made by an op of the table, for nobody (DoRA takes another product than the layer's). */
static bool is_dead(const struct sink *s, const struct g_node *n)
{
    return row_inputs[n->op] && is_activation(s, n->out[0]) &&
           s->needs[graph_root(s->g, n->out[0])] == NOBODY;
}

/* What other ops make is whole, also where an op of the table adds to it; so this comes
 * before anybody's needs. */
static void mark_whole(struct sink *s)
{
    for (size_t i = 0; i < s->node_count; i++)
        for (int k = 0; k < OP_MAX_OUT; k++) {
            const int t = s->nodes[i].out[k];
            if (t < 0)
                continue;
            if (!row_inputs[s->nodes[i].op])
                need(s, t, ALL_ROWS);
            if (s->made[graph_root(s->g, t)] < 0)
                s->made[graph_root(s->g, t)] = (int)i;
        }
}

static void learn_needs(struct sink *s)
{
    mark_whole(s);
    need(s, s->g->logits, ALL_ROWS);
    for (size_t i = s->node_count; i-- > 0;) {
        const struct g_node *n = &s->nodes[i];
        const int rows = index_of(s, n);
        if (is_dead(s, n))
            continue;
        for (int k = 0; k < OP_MAX_IN; k++)
            need(s, n->in[k],
                 n->op == OP_gather && k == 0 ? n->in[1]
                 : row_inputs[n->op] >> k & 1 ? rows
                                              : ALL_ROWS);
        for (int k = 0; k < OP_MAX_OUT && rows >= 0; k++)
            need(s, n->out[k], rows); /* statistics, which nobody reads yet */
    }
}

/* Nothing is known of the gathers that were put in since: they have no needs. */
static bool is_inside(const struct sink *s, int t)
{
    const int root = graph_root(s->g, t);
    return (size_t)root < s->count && is_activation(s, t) && s->needs[root] >= 0;
}

/* Tensors inside, and views of them, have the rows of their index. */
static void set_rows(struct sink *s)
{
    for (size_t t = 0; t < s->count; t++) {
        if (!is_inside(s, (int)t))
            continue;
        const struct g_tensor *index = &s->g->tensors[s->needs[graph_root(s->g, (int)t)]];
        s->g->tensors[t].rows_kind = index->rows_kind;
        s->g->tensors[t].rows = index->rows;
    }
}

/* Gathers the inputs from outside of node i that are there before node `first`. */
static void gather_inputs(struct sink *s, size_t i, size_t first)
{
    const struct g_node n = s->nodes[i];
    const int index = index_of(s, &n);
    for (int k = 0; k < OP_MAX_IN && index >= 0; k++) {
        const int t = n.in[k];
        if (t < 0 || !(row_inputs[n.op] >> k & 1) || is_inside(s, t) || s->twin[t] >= 0 ||
            s->made[graph_root(s->g, t)] >= (int)first)
            continue;
        s->g->segment = n.segment;
        s->twin[t] = g_gather(s->g, t, index);
    }
}

/* Where an index is met first, all gathers stand together: what they read whole may then
 * die. */
static void gather_all(struct sink *s, size_t first)
{
    const int index = index_of(s, &s->nodes[first]);
    for (size_t i = first; i < s->node_count; i++)
        if (index_of(s, &s->nodes[i]) == index)
            gather_inputs(s, i, first);
}

/* The gather's output and its input are one from now on. */
static void merge_with_input(struct sink *s, const struct g_node *n)
{
    s->twin[n->out[0]] = n->in[0];
    for (size_t t = 0; t < s->count; t++)
        if (s->g->tensors[t].home == HOME_VIEW && s->g->tensors[t].parent == n->out[0])
            s->g->tensors[t].parent = n->in[0];
    if (s->g->logits == n->out[0])
        s->g->logits = n->in[0];
}

static void rewrite(struct sink *s)
{
    struct graph *g = s->g;
    bool *met = xcalloc(s->count, sizeof *met);
    for (size_t i = 0; i < s->node_count; i++) {
        struct g_node n = s->nodes[i];
        const int index = index_of(s, &n);
        if (n.op == OP_gather && is_inside(s, n.in[0]))
            merge_with_input(s, &n);
        if (is_dead(s, &n) || (n.op == OP_gather && is_inside(s, n.in[0])))
            continue;
        if (index >= 0 && !met[index])
            gather_all(s, i);
        else if (index >= 0)
            gather_inputs(s, i, i);
        if (index >= 0)
            met[index] = true;
        for (int k = 0; k < OP_MAX_IN; k++) {
            const bool merged =
                n.in[k] >= 0 && s->twin[n.in[k]] >= 0 && is_inside(s, s->twin[n.in[k]]);
            if (merged ||
                (index >= 0 && row_inputs[n.op] >> k & 1 && s->twin[n.in[k]] >= 0))
                n.in[k] = s->twin[n.in[k]];
        }
        *graph_append(g, n.op) = n;
    }
    g->segment = -1;
    free(met);
}

void graph_sink_gathers(struct graph *g)
{
    struct sink s = {.g = g,
                     .nodes = g->nodes,
                     .node_count = g->node_count,
                     .count = g->tensor_count,
                     .needs = graph_ints(g->tensor_count, NOBODY),
                     .made = graph_ints(g->tensor_count, -1),
                     .twin = graph_ints(g->tensor_count, -1)};
    learn_needs(&s);
    set_rows(&s);
    g->nodes = NULL;
    g->node_count = g->node_cap = 0;
    rewrite(&s);
    free((void *)s.nodes);
    free(s.needs);
    free(s.made);
    free(s.twin);
}

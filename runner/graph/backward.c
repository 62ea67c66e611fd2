/* runner/graph/backward.c - reverse-mode differentiation of a recorded graph.
 *
 * One rule per op, in a table. A rule asks `into` where an input's gradient goes: the
 * first contribution to a tensor overwrites a new tensor, later ones add to it. An
 * addition passes its own gradient on without copying; `shares` counts how many tensors
 * still hold one gradient, and a shared one is copied before somebody adds to it.
 *
 * A rule asks `seen` for a tensor of the forward pass. What is cheap to make again from
 * tensors that are kept for other rules is not kept itself: the op is appended again where
 * its output is asked for first (Chen et al. 2016 call it dropping the results of low-cost
 * operations). So of a norm, an activation and what enters an adapter's dropout only the
 * input is there between the passes; the bits are the same.
 *
 * Everything else that is asked for is kept, as it is or in bf16 (graph.h). */
#include "lib/mem.h"
#include "runner/graph/graph.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NO_MAKER = -1 };

struct backward {
    struct graph *g;
    bool checkpointing;
    size_t n;          /* tensors of the forward pass */
    int *grad;         /* per forward tensor: its gradient, -1 none yet */
    int *copy;         /* per forward tensor: its recomputed twin, or itself */
    int *narrow;       /* per forward tensor: what keeps it in bf16, -1: nothing */
    int *maker;        /* per forward tensor: the one node that writes it, or NO_MAKER */
    int *shares;       /* per tensor: forward tensors that hold it as their gradient */
    size_t shares_cap; /* grows with the graph */
    int *param_grad;   /* per parameter, -1: none yet */
};

static int *shares_of(struct backward *b, int t)
{
    if ((size_t)t >= b->shares_cap) {
        size_t old = b->shares_cap;
        b->shares = xgrow(b->shares, &b->shares_cap, (size_t)t + 1, sizeof *b->shares);
        memset(b->shares + old, 0, (b->shares_cap - old) * sizeof *b->shares);
    }
    return &b->shares[t];
}

static int param_grad(struct backward *b, int t)
{
    struct graph *g = b->g;
    const int p = g->tensors[t].param;
    if (b->param_grad[p] < 0) {
        int d = graph_like(g, t);
        g->tensors[d].home = HOME_PARAM_GRAD;
        g->tensors[d].param = p;
        g->tensors[d].dtype = DT_F32;
        b->param_grad[p] = d;
    }
    return b->param_grad[p];
}

static bool wants(const struct backward *b, int t)
{
    return t >= 0 && b->g->tensors[t].needs_grad;
}

static void set_grad(struct backward *b, int t, int grad)
{
    b->grad[t] = grad;
    ++*shares_of(b, grad);
}

static int into(struct backward *b, int t, bool *add);

/* A view's gradient is a part of its parent's, which is zero where nobody writes. */
static int into_view(struct backward *b, int t, bool *add)
{
    struct graph *g = b->g;
    const struct g_tensor s = g->tensors[t];
    const int parent = into(b, s.parent, add);
    if (!*add)
        graph_append(g, OP_zero)->out[0] = parent;
    *add = true;
    int v = g_slice(g, parent, s.column, s.cols);
    g->tensors[v].rows = s.rows;
    return v;
}

static void append_copy(struct graph *g, int from, int to)
{
    struct g_node *n = graph_append(g, OP_copy);
    n->in[0] = from;
    n->out[0] = to;
}

/* Where the gradient of `t` is to be written; *add: to be added to what is there. */
static int into(struct backward *b, int t, bool *add)
{
    struct graph *g = b->g;
    const struct g_tensor s = g->tensors[t];
    *add = true;
    if (s.home == HOME_PARAM)
        return param_grad(b, t);
    if (s.home == HOME_VIEW)
        return into_view(b, t, add);
    if (b->grad[t] < 0) { /* the first contribution overwrites */
        *add = false;
        set_grad(b, t, graph_like(g, t));
    } else if (*shares_of(b, b->grad[t]) > 1) { /* copy before adding: others read it */
        const int old = b->grad[t];
        --*shares_of(b, old);
        set_grad(b, t, graph_like(g, t));
        append_copy(g, old, b->grad[t]);
    }
    return b->grad[t];
}

/* Appends a backward op; `wrt[i]` is the forward tensor whose gradient output i is.
 * `must` has a bit for each output that the op writes even if nobody wants it. */
static void emit(struct backward *b, enum op op, const int *in, int n_in, const int *wrt,
                 int n_out, unsigned must, struct op_attr attr)
{
    int out[OP_MAX_OUT];
    unsigned accumulate = 0;
    bool any = false;
    for (int i = 0; i < n_out; i++) {
        bool add = false;
        out[i] = -1;
        if (wants(b, wrt[i])) {
            out[i] = into(b, wrt[i], &add);
            any = true;
        } else if (must >> i & 1) {
            out[i] = graph_like(b->g, wrt[i]);
        }
        accumulate |= (unsigned)add << i;
    }
    if (!any)
        return;
    struct g_node *n = graph_append(b->g, op);
    memcpy(n->in, in, (size_t)n_in * sizeof *in);
    memcpy(n->out, out, (size_t)n_out * sizeof *out);
    n->accumulate = accumulate;
    n->attr = attr;
}

/* What a node of the forward pass reads and writes, in its place: twins. */
static void append_again(struct backward *b, const struct g_node *node);
static int seen(struct backward *b, int t);

/* Whether t is made anew rather than kept: by an op that costs next to nothing beside the
 * products around it, from inputs that its own rule or another's keeps. A dropout's rule
 * keeps nothing, attention's its output. Chunks are planned by themselves, segments
 * are made again as a whole. */
static bool is_made_again(const struct backward *b, int t)
{
    static const bool cheap[OP_COUNT] = {[OP_layernorm] = true,
                                         [OP_rmsnorm] = true,
                                         [OP_act] = true,
                                         [OP_gated_act] = true,
                                         [OP_dropout] = true};
    const int i = (size_t)t < b->n ? b->maker[t] : NO_MAKER;
    if (i == NO_MAKER)
        return false;
    const struct g_node *n = &b->g->nodes[i];
    if (!cheap[n->op] || n->chunked || b->g->chunked || !b->g->tensors[t].needs_grad ||
        (b->checkpointing && n->segment >= 0))
        return false;
    if (n->op != OP_dropout)
        return true;
    const int from = b->maker[n->in[0]];
    return (from != NO_MAKER && b->g->nodes[from].op == OP_attention) ||
           is_made_again(b, n->in[0]);
}

/* What grows with tokens and carries a gradient: no statistics, no angles. */
static bool is_kept_narrow(const struct backward *b, int t)
{
    const struct g_tensor *s = &b->g->tensors[t];
    return b->g->kept != DT_F32 && !b->g->chunked && s->home == HOME_ACTIVATION &&
           s->needs_grad && s->rows_kind != ROWS_FIXED;
}

/* The copy that it comes from is put into the forward pass at the end, see keep_narrow. */
static void widen(struct backward *b, int t)
{
    b->narrow[t] = graph_like(b->g, t);
    b->g->tensors[b->narrow[t]].dtype = b->g->kept;
    b->copy[t] = graph_like(b->g, t);
    append_copy(b->g, b->narrow[t], b->copy[t]);
}

/* A view of what its parent became. */
static int seen_view(struct backward *b, int t)
{
    const struct g_tensor s = b->g->tensors[t];
    const int parent = seen(b, s.parent);
    if (parent == s.parent)
        return t;
    const int v = g_slice(b->g, parent, s.column, s.cols);
    b->g->tensors[v].rows = s.rows;
    return v;
}

/* The forward tensor as backward ops may read it. */
static int seen(struct backward *b, int t)
{
    if (t < 0 || (size_t)t >= b->n)
        return t;
    if (b->g->tensors[t].home == HOME_VIEW)
        return seen_view(b, t);
    if (b->copy[t] == t && is_made_again(b, t))
        append_again(b, &b->g->nodes[b->maker[t]]);
    else if (b->copy[t] == t && is_kept_narrow(b, t))
        widen(b, t);
    return b->copy[t];
}

typedef void rule(struct backward *b, const struct g_node *n, int dy);

static void back_embed(struct backward *b, const struct g_node *n, int dy)
{
    const int in[] = {dy, n->in[0], n->in[1], n->in[2]};
    emit(b, OP_embed_bwd, in, 4, n->in + 3, 4, 0, n->attr);
}

/* In the rules a forward tensor is read through `seen`, so that with checkpointing it is
 * the recomputed one; what is written goes by the forward number. */
static void back_layernorm(struct backward *b, const struct g_node *n, int dy)
{
    const int in[] = {dy, seen(b, n->in[0]), n->in[1], seen(b, n->out[1])};
    emit(b, OP_layernorm_bwd, in, 4, n->in, 3, 0, n->attr);
}

static void back_rmsnorm(struct backward *b, const struct g_node *n, int dy)
{
    const int in[] = {dy, seen(b, n->in[0]), n->in[1], seen(b, n->out[1])};
    emit(b, OP_rmsnorm_bwd, in, 4, n->in, 2, 0, n->attr);
}

static void back_linear(struct backward *b, const struct g_node *n, int dy)
{
    /* (T, out) W (out, in) for x; dy^T x for W; column sums for the bias. Of a frozen
     * weight only the first is emitted, since nobody wants the others. */
    const int dx[] = {dy, n->in[1]},
              dw[] = {dy, wants(b, n->in[1]) ? seen(b, n->in[0]) : n->in[0]};
    emit(b, OP_linear_dx, dx, 2, n->in, 1, 0, n->attr);
    emit(b, OP_linear_dw, dw, 2, n->in + 1, 1, 0, n->attr);
    emit(b, OP_colsum, &dy, 1, n->in + 2, 1, 0, n->attr);
}

static void back_act(struct backward *b, const struct g_node *n, int dy)
{
    const int in[] = {dy, seen(b, n->in[0])};
    emit(b, OP_act_bwd, in, 2, n->in, 1, 0, n->attr);
}

static void back_gated_act(struct backward *b, const struct g_node *n, int dy)
{
    const int in[] = {dy, seen(b, n->in[0]), seen(b, n->in[1])};
    emit(b, OP_gated_act_bwd, in, 3, n->in, 2, 0, n->attr);
}

/* The other way round; positions have no gradient. */
static void back_rope(struct backward *b, const struct g_node *n, int dy)
{
    const int in[] = {dy, seen(b, n->in[1])};
    struct op_attr attr = n->attr;
    attr.inverse = !attr.inverse;
    emit(b, OP_rope, in, 2, n->in, 1, 0, attr);
}

/* The mask comes again from the same counter (attr.site), it is not kept. */
static void back_dropout(struct backward *b, const struct g_node *n, int dy)
{
    emit(b, OP_dropout, &dy, 1, n->in, 1, 0, n->attr);
}

static void back_scale(struct backward *b, const struct g_node *n, int dy)
{
    emit(b, OP_scale, &dy, 1, n->in, 1, 0, n->attr);
}

static void back_add(struct backward *b, const struct g_node *n, int dy)
{
    for (int i = 0; i < 2; i++) {
        const int t = n->in[i];
        if (!wants(b, t))
            continue;
        /* Only an activation without a gradient yet can borrow dy: views and parameters
         * have memory of their own, and what is there is added to. */
        if (b->g->tensors[t].home == HOME_ACTIVATION && b->grad[t] < 0)
            set_grad(b, t, dy);
        else
            emit(b, OP_copy, &dy, 1, &t, 1, 0, n->attr);
    }
}

static void back_colscale(struct backward *b, const struct g_node *n, int dy)
{
    /* x is needed for the factor's gradient alone: where that is frozen it need not live
     * until here. */
    const int x = wants(b, n->in[1]) ? seen(b, n->in[0]) : -1;
    const int in[] = {dy, x, n->in[1]};
    emit(b, OP_colscale_bwd, in, 3, n->in, 2, 0, n->attr);
    emit(b, OP_colsum, &dy, 1, n->in + 2, 1, 0, n->attr);
}

static void back_attention(struct backward *b, const struct g_node *n, int dy)
{
    const int in[] = {dy,
                      seen(b, n->in[0]),
                      seen(b, n->in[1]),
                      seen(b, n->in[2]),
                      seen(b, n->out[0]),
                      seen(b, n->out[1]),
                      n->in[3],
                      n->in[4],
                      n->in[5]};
    /* dq, dk, dv are written together (7), prefix keys and values where wanted. */
    const int wrt[] = {n->in[0], n->in[1], n->in[2], n->in[4], n->in[5]};
    emit(b, OP_attention_bwd, in, 9, wrt, 5, 7, n->attr);
}

static void back_gather(struct backward *b, const struct g_node *n, int dy)
{
    const int in[] = {dy, n->in[1]};
    emit(b, OP_gather_bwd, in, 2, n->in, 1, 0, n->attr);
}

static rule *const rules[OP_COUNT] = {
    [OP_embed] = back_embed,         [OP_layernorm] = back_layernorm,
    [OP_linear] = back_linear,       [OP_act] = back_act,
    [OP_dropout] = back_dropout,     [OP_add] = back_add,
    [OP_attention] = back_attention, [OP_gather] = back_gather,
    [OP_colscale] = back_colscale,   [OP_scale] = back_scale,
    [OP_rmsnorm] = back_rmsnorm,     [OP_rope] = back_rope,
    [OP_gated_act] = back_gated_act,
};

static void append_again(struct backward *b, const struct g_node *node)
{
    struct graph *g = b->g;
    struct g_node n = *node;
    for (int k = 0; k < OP_MAX_IN; k++)
        n.in[k] = seen(b, n.in[k]);
    for (int k = 0; k < OP_MAX_OUT; k++) {
        if (n.out[k] < 0)
            continue;
        if (!(n.accumulate >> k &
              1)) /* what adds goes on with the twin that it adds to */
            b->copy[n.out[k]] = graph_like(g, n.out[k]);
        n.out[k] = b->copy[n.out[k]];
    }
    n.segment = -1;
    *graph_append(g, n.op) = n;
}

/* Appends the forward nodes of a segment again; later rules read their outputs. */
static void recompute(struct backward *b, size_t end, int segment)
{
    struct graph *g = b->g;
    size_t begin = end;
    while (begin > 0 && g->nodes[begin - 1].segment == segment)
        begin--;
    for (size_t i = begin; i < end; i++)
        append_again(b, &g->nodes[i]);
}

static bool has_gradient(const struct backward *b, const struct g_node *n)
{
    return n->out[0] >= 0 && b->grad[n->out[0]] >= 0;
}

/* Where two nodes write a tensor (the second adds, or writes a part) it has no maker. */
static void find_makers(struct backward *b)
{
    const struct graph *g = b->g;
    bool *met = xcalloc(b->n + 1, sizeof *met);
    for (size_t i = 0; i < g->forward_count; i++)
        for (int k = 0; k < OP_MAX_OUT; k++) {
            const int t = g->nodes[i].out[k] < 0 ? -1 : graph_root(g, g->nodes[i].out[k]);
            if (t < 0)
                continue;
            b->maker[t] = met[t] || t != g->nodes[i].out[k] ? NO_MAKER : (int)i;
            met[t] = true;
        }
    free(met);
}

/* Puts each copy behind the last node that writes what it keeps: there that is in the
 * cache, and an op that reads it last may still work in its place. */
static void keep_narrow(struct backward *b)
{
    struct graph *g = b->g;
    const struct g_node *nodes = g->nodes;
    const size_t count = g->node_count, forward = g->forward_count;
    int *last = xmalloc((b->n + 1) * sizeof *last);
    for (size_t i = 0; i < forward; i++)
        if (nodes[i].out[0] >= 0)
            last[graph_root(g, nodes[i].out[0])] = (int)i;
    g->nodes = NULL;
    g->node_count = g->node_cap = 0;
    for (size_t i = 0; i < count; i++) {
        const int t = nodes[i].out[0] >= 0 ? graph_root(g, nodes[i].out[0]) : -1;
        *graph_append(g, nodes[i].op) = nodes[i];
        if (i < forward && t >= 0 && b->narrow[t] >= 0 && last[t] == (int)i)
            append_copy(g, t, b->narrow[t]);
        if (i + 1 == forward)
            g->forward_count = g->node_count;
    }
    free(last);
    free((void *)nodes);
}

static void start(struct backward *b, struct graph *g, bool checkpointing)
{
    *b = (struct backward){.g = g, .checkpointing = checkpointing, .n = g->tensor_count};
    b->grad = xmalloc(b->n * sizeof *b->grad);
    b->copy = xmalloc(b->n * sizeof *b->copy);
    b->narrow = xmalloc(b->n * sizeof *b->narrow);
    b->maker = xmalloc(b->n * sizeof *b->maker);
    b->param_grad = xmalloc((g->params->count + 1) * sizeof *b->param_grad);
    for (size_t i = 0; i < b->n; i++) {
        b->grad[i] = b->maker[i] = b->narrow[i] = -1;
        b->copy[i] = (int)i;
    }
    find_makers(b);
    for (size_t i = 0; i < g->params->count; i++)
        b->param_grad[i] = -1;
}

void graph_backward(struct graph *g, bool checkpointing, const struct graph_loss *loss)
{
    struct backward b;
    start(&b, g, checkpointing);
    const int labels[] = {g->logits, g->slots[SLOT_labels], loss->class_weights};
    const int targets[] = {g->logits, g->slots[SLOT_targets]};
    if (loss->against_targets)
        emit(&b, OP_target_loss_bwd, targets, 2, &g->logits, 1, 0,
             (struct op_attr){.loss = loss->target});
    else
        emit(&b, OP_cross_entropy_bwd, labels, 3, &g->logits, 1, 0,
             (struct op_attr){.smoothing = loss->label_smoothing});

    /* Backwards through the forward nodes. When the first node of a segment (its last)
     * comes up, the whole segment is computed again in front of its rules; appended nodes
     * lie behind forward_count and are not walked. */
    int segment = -1;
    for (size_t i = g->forward_count; i-- > 0;) {
        const struct g_node n = g->nodes[i];
        if (i + 1 == g->forward_count || !has_gradient(&b, &n)) /* the loss is done */
            continue;
        g->chunked = false;
        if (checkpointing && n.segment >= 0 && n.segment != segment) {
            size_t end = i + 1;
            while (end < g->forward_count && g->nodes[end].segment == n.segment)
                end++;
            recompute(&b, end, segment = n.segment);
        }
        const int dy = b.grad[n.out[0]];
        g->chunked = n.chunked;
        assert(rules[n.op]);
        rules[n.op](&b, &n, dy);
        if (!(n.accumulate & 1)) /* what added to y leaves y's gradient to who made y */
            --*shares_of(&b, dy);
    }
    g->chunked = false;
    keep_narrow(&b);
    free(b.grad);
    free(b.copy);
    free(b.narrow);
    free(b.maker);
    free(b.shares);
    free(b.param_grad);
}

/* runner/graph/graft.c - which nodes of a graft the host runs, and where tensors lie. */
#include "runner/graph/graft.h"
#include "lib/mem.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NOWHERE = -1, TWO_PLACES = -2 };

struct laying {
    struct graft *f;
    const struct graph *host;
    struct graph *g;
    int *host_node; /* per node of g: its counterpart, -1 */
    int *at;        /* per node of g: its time */
    int *last;      /* per root tensor of g: the last node that touches it, ... */
    int *until;     /* ... and its time */
    int *wanted;    /* per root tensor of g: the host's that counterparts have there */
    int *placed;    /* the same, where it lies there; else NOWHERE */
    int *holder;    /* per root tensor of the host: which of g lies there now, -1 */
};

static bool is_activation(const struct graph *g, int t)
{
    return t >= 0 && g->tensors[graph_root(g, t)].home == HOME_ACTIVATION;
}

/* --- counterparts and times --- */

static void find_counterparts(struct laying *l)
{
    int *by_number = graph_ints((size_t)l->host->bases, NOWHERE);
    for (size_t h = 0; h < l->host->node_count; h++)
        if (l->host->nodes[h].base >= 0)
            by_number[l->host->nodes[h].base] = (int)h;
    for (size_t i = 0; i < l->g->node_count; i++) {
        const int base = l->g->nodes[i].base;
        l->host_node[i] = base >= 0 && base < l->host->bases ? by_number[base] : NOWHERE;
    }
    free(by_number);
    int next = (int)l->host->node_count;
    for (size_t i = l->g->node_count; i-- > 0;) {
        if (l->host_node[i] >= 0)
            next = l->at[i] = l->host_node[i];
        else
            l->at[i] = next > 0 ? next - 1 : 0;
    }
}

static void touch(struct laying *l, int t, size_t i)
{
    if (!is_activation(l->g, t))
        return;
    l->last[graph_root(l->g, t)] = (int)i;
    l->until[graph_root(l->g, t)] = l->at[i];
}

static void want(struct laying *l, int t, int host_t)
{
    if (!is_activation(l->g, t) || !is_activation(l->host, host_t))
        return;
    int *w = &l->wanted[graph_root(l->g, t)];
    const int root = graph_root(l->host, host_t);
    *w = *w == NOWHERE || *w == root ? root : TWO_PLACES;
}

static void find_places(struct laying *l)
{
    for (size_t i = 0; i < l->g->node_count; i++) {
        const struct g_node *n = &l->g->nodes[i];
        const struct g_node *h =
            l->host_node[i] >= 0 ? &l->host->nodes[l->host_node[i]] : NULL;
        for (int k = 0; k < OP_MAX_IN; k++) {
            touch(l, n->in[k], i);
            if (h)
                want(l, n->in[k], h->in[k]);
        }
        for (int k = 0; k < OP_MAX_OUT; k++) {
            touch(l, n->out[k], i);
            if (h)
                want(l, n->out[k], h->out[k]);
        }
    }
    const int out = graph_root(l->g, l->g->logits); /* it is read when all has run */
    l->last[out] = (int)l->g->node_count;
    l->until[out] = (int)l->host->node_count;
}

/* --- what is the same --- */

static bool attr_eq(const struct op_attr *a, const struct op_attr *b)
{
    return a->scale == b->scale && a->eps == b->eps && a->offset == b->offset &&
           a->p == b->p && a->heads == b->heads && a->kv_heads == b->kv_heads &&
           a->causal == b->causal && a->window == b->window && a->softcap == b->softcap &&
           a->capacity == b->capacity && a->inverse == b->inverse &&
           a->length == b->length && a->act == b->act && a->compute == b->compute;
}

static bool same_memory(const struct param *a, const struct param *b)
{
    return a->value.data == b->value.data && a->prepared.data == b->prepared.data;
}

static bool same_state(const struct state *a, const struct state *b)
{
    return !a->apart && !b->apart && a->offset == b->offset;
}

/* Does the graft's input lie where the host's lies? */
static bool same_input(const struct laying *l, int t, int host_t)
{
    if (t < 0 || host_t < 0)
        return t == host_t;
    const struct g_tensor *a = &l->g->tensors[t], *b = &l->host->tensors[host_t];
    const int ra = graph_root(l->g, t), rb = graph_root(l->host, host_t);
    const struct g_tensor *x = &l->g->tensors[ra], *y = &l->host->tensors[rb];
    if (a->home != b->home || x->home != y->home || a->cols != b->cols ||
        a->dtype != b->dtype)
        return false;
    if (a->home == HOME_VIEW &&
        (a->column != b->column || a->parent != ra || b->parent != rb))
        return false;
    switch (x->home) {
    case HOME_PARAM:
        return same_memory(l->g->params->items[x->param],
                           l->host->params->items[y->param]);
    case HOME_BATCH:
        return x->slot == y->slot;
    case HOME_STATE:
        return same_state(&l->g->states->items[x->state],
                          &l->host->states->items[y->state]);
    case HOME_ACTIVATION:
        return l->placed[ra] == rb && l->holder[rb] == ra;
    default:
        return false;
    }
}

static bool same_inputs(const struct laying *l, const struct g_node *n,
                        const struct g_node *h)
{
    if (n->op != h->op || n->accumulate != h->accumulate || !attr_eq(&n->attr, &h->attr))
        return false;
    for (int k = 0; k < OP_MAX_IN; k++)
        if (!same_input(l, n->in[k], h->in[k]))
            return false;
    return true;
}

/* --- where a tensor may lie --- */

/* What lies there is not read behind node i, or node i may write over it as it reads. */
static bool is_over(const struct laying *l, int prev, size_t i)
{
    const struct g_node *n = &l->g->nodes[i];
    if (prev < 0 || l->last[prev] < (int)i)
        return true;
    if (l->last[prev] > (int)i || !op_info[n->op].in_place || n->in[0] != prev)
        return false;
    for (int k = 1; k < OP_MAX_IN; k++)
        if (n->in[k] >= 0 && graph_root(l->g, n->in[k]) == prev)
            return false;
    return true;
}

static bool fits(const struct laying *l, int t, int host_t, size_t i)
{
    if (host_t < 0)
        return false;
    const struct g_tensor *a = &l->g->tensors[t], *b = &l->host->tensors[host_t];
    return a->cols == b->cols && a->rows_kind == b->rows_kind && a->rows == b->rows &&
           a->dtype == b->dtype && l->at[i] >= b->first && l->until[t] <= b->last &&
           is_over(l, l->holder[host_t], i);
}

/* The outputs that node i is the first to write. */
static int made_by(const struct laying *l, size_t i, int k)
{
    const int t = l->g->nodes[i].out[k];
    return is_activation(l->g, t) && l->g->tensors[graph_root(l->g, t)].first == (int)i
               ? graph_root(l->g, t)
               : -1;
}

/* Those of a shared node lie where its counterpart's do. */
static bool outputs_fit(const struct laying *l, size_t i, const struct g_node *h)
{
    const struct g_node *n = &l->g->nodes[i];
    for (int k = 0; k < OP_MAX_OUT; k++) {
        const int t = made_by(l, i, k);
        if ((n->out[k] < 0) != (h->out[k] < 0))
            return false;
        if (t >= 0 && !(is_activation(l->host, h->out[k]) &&
                        fits(l, t, graph_root(l->host, h->out[k]), i)))
            return false;
        if (n->out[k] >= 0 && t < 0 && !same_input(l, n->out[k], h->out[k]))
            return false;
    }
    return true;
}

static void put(struct laying *l, int t, int host_t)
{
    l->placed[t] = host_t;
    l->holder[host_t] = t;
}

static void lay_nodes(struct laying *l)
{
    size_t count = 0;
    int time = 0;
    for (size_t i = 0; i < l->g->node_count; i++) {
        const int at = l->host_node[i];
        const struct g_node *h = at >= 0 ? &l->host->nodes[at] : NULL;
        const bool shared =
            h && same_inputs(l, &l->g->nodes[i], h) && outputs_fit(l, i, h);
        for (int k = 0; k < OP_MAX_OUT; k++) {
            const int t = made_by(l, i, k);
            if (t >= 0 && shared)
                put(l, t, graph_root(l->host, h->out[k]));
            else if (t >= 0 && fits(l, t, l->wanted[t], i))
                put(l, t, l->wanted[t]);
        }
        if (shared) {
            l->f->shared[at] = true;
            continue;
        }
        for (; time <= l->at[i]; time++)
            l->f->begin[time] = count;
        l->f->own[count++] = (int)i;
    }
    for (; time <= (int)l->host->node_count; time++)
        l->f->begin[time] = count;
}

/* --- its own memory --- */

static void place_own(struct laying *l)
{
    struct graph *g = l->g;
    struct graph_block *blocks = xcalloc(g->tensor_count, sizeof *blocks);
    for (int kind = 0; kind < ROWS_KINDS; kind++) {
        size_t count = 0;
        for (size_t t = 0; t < g->tensor_count; t++) {
            struct g_tensor *s = &g->tensors[t];
            if (s->home != HOME_ACTIVATION || (int)s->rows_kind != kind || s->first < 0 ||
                l->placed[t] >= 0)
                continue;
            assert(kind == ROWS_FIXED || !s->rows);
            s->bytes = mem_round_up((size_t)(kind == ROWS_FIXED ? s->rows : 1) *
                                    (size_t)s->cols * dtype_bytes(s->dtype));
            blocks[count++] =
                (struct graph_block){(int)t, s->first, s->last, s->bytes, 0};
        }
        l->f->bytes[kind] = graph_place(blocks, count);
        for (size_t b = 0; b < count; b++) {
            g->tensors[blocks[b].tensor].offset = blocks[b].offset;
            g->tensors[blocks[b].tensor].home = HOME_PART;
        }
    }
    free(blocks);
}

static void place_all(struct laying *l)
{
    place_own(l);
    for (size_t t = 0; t < l->g->tensor_count; t++)
        if (l->placed[t] >= 0) {
            l->g->tensors[t].home = HOME_HOST;
            l->g->tensors[t].host = l->placed[t];
        }
}

static bool is_of_tokens(const struct graph *host, const struct g_node *n)
{
    for (int k = 0; k < OP_MAX_OUT; k++)
        if (n->out[k] >= 0 && host->tensors[n->out[k]].rows_kind != ROWS_TOKENS &&
            host->tensors[n->out[k]].rows_kind != ROWS_FIXED)
            return false;
    return true;
}

static void find_fork(struct graft *f)
{
    const size_t count = f->host->node_count;
    while (f->fork < count && f->shared[f->fork] &&
           is_of_tokens(f->host, &f->host->nodes[f->fork])) {
        f->fork++;
        if (f->begin[f->fork] > f->begin[f->fork - 1])
            return;
    }
}

static void plan_workspace(struct graft *f, const struct backend *backend)
{
    for (size_t k = 0; k < f->begin[f->host->node_count]; k++) {
        struct op_args a;
        const struct g_node *n = &f->g->nodes[f->own[k]];
        graph_node_args(f->g, NULL, n, &f->host->budget, 0, &a);
        const size_t need =
            mem_round_up(backend->workspace_bytes(backend->device, n->op, &a));
        f->workspace_bytes = need > f->workspace_bytes ? need : f->workspace_bytes;
    }
}

int graft_init(struct graft *f, const struct graph *host, struct graph *g,
               const struct backend *backend, struct err *err)
{
    *f = (struct graft){.host = host, .g = g};
    g->budget = host->budget;
    g->keeps_inputs = true; /* what takes whose place is decided here */
    int rc = graph_plan(g, backend, err);
    if (rc)
        return rc;
    assert(host->keeps_inputs && g->mode == host->mode);
    f->shared = xcalloc(host->node_count + 1, sizeof *f->shared);
    f->begin = xcalloc(host->node_count + 1, sizeof *f->begin);
    f->own = xcalloc(g->node_count + 1, sizeof *f->own);
    struct laying l = {.f = f,
                       .host = host,
                       .g = g,
                       .host_node = graph_ints(g->node_count, NOWHERE),
                       .at = graph_ints(g->node_count, 0),
                       .last = graph_ints(g->tensor_count, -1),
                       .until = graph_ints(g->tensor_count, -1),
                       .wanted = graph_ints(g->tensor_count, NOWHERE),
                       .placed = graph_ints(g->tensor_count, NOWHERE),
                       .holder = graph_ints(host->tensor_count, -1)};
    find_counterparts(&l);
    find_places(&l);
    lay_nodes(&l);
    place_all(&l);
    plan_workspace(f, backend);
    find_fork(f);
    int *const all[] = {l.host_node, l.at, l.last, l.until, l.wanted, l.placed, l.holder};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free(all[i]);
    return 0;
}

void graft_release(struct graft *f)
{
    free(f->shared);
    free(f->own);
    free(f->begin);
    *f = (struct graft){0};
}

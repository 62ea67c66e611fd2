/* runner/graph/run.c - tensors as views of a micro-batch's memory, and running the nodes. */
#include "lib/os/proc.h"
#include "runner/graph/cut.h"
#include "runner/graph/graft.h"

int32_t graph_rows(const struct g_tensor *t, const struct extent *e)
{
    return t->rows + e->of[t->rows_kind];
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

/* The memory of a tensor of a part (graft.h). */
static char *part_at(const struct graph_part *p, const struct g_tensor *s)
{
    const enum rows_kind kind = s->rows_kind;
    if (s->home == HOME_PART)
        return p->memory[kind] +
               s->offset * (size_t)(kind == ROWS_FIXED ? 1 : p->size.of[kind]);
    const struct g_tensor *t = &p->graft->host->tensors[s->host];
    return p->host + t->offset +
           (size_t)p->begin.of[kind] * (size_t)s->cols * dtype_bytes(s->dtype);
}

static char *slot_at(const struct graph_memory *m, const struct g_tensor *s, size_t skip)
{
    const struct graph_part *p = m->part;
    char *at = (char *)m->batch + m->batch_offsets[s->slot];
    if (!p)
        return at + skip;
    return s->slot == SLOT_seq      ? p->seq
           : s->slot == SLOT_picked ? p->picked
                                    : at + (size_t)p->begin.of[s->rows_kind] *
                                               (size_t)s->cols * dtype_bytes(s->dtype);
}

/* Of the chunk of picked rows from `begin` on; what lives in a chunk has its rows alone. */
static struct tensor tensor_at(const struct graph *g, const struct graph_memory *m, int t,
                               const struct extent *e, int32_t begin)
{
    static char present; /* stands for memory that is not there yet */
    const struct g_tensor *s = &g->tensors[t];
    struct tensor v = {NULL, s->dtype, graph_rows(s, e), s->cols, s->cols, NULL};
    const size_t skip = s->rows_kind == ROWS_PICKED && !s->in_chunk
                            ? (size_t)begin * (size_t)s->cols * dtype_bytes(s->dtype)
                            : 0;
    switch (s->home) {
    case HOME_ACTIVATION:
        v.data = m ? (char *)m->activations + s->offset + skip : NULL;
        break;
    case HOME_PARAM:
    case HOME_PARAM_GRAD:
        v = param_view(g->params->items[s->param], s);
        if (m && m->params && g->params->items[s->param]->trainable)
            v.data = m->params + g->params->items[s->param]->offset;
        break;
    case HOME_STATE: {
        const struct state *st = &g->states->items[s->state];
        v.data = m ? (st->apart ? m->apart : (char *)m->state) + st->offset : NULL;
        break;
    }
    case HOME_BATCH:
        v.data = m ? slot_at(m, s, skip) : NULL;
        break;
    case HOME_HOST:
    case HOME_PART:
        v.data = m ? part_at(m->part, s) : NULL;
        break;
    case HOME_VIEW: {
        struct tensor p = tensor_at(g, m, s->parent, e, begin);
        v.data = (char *)p.data + (size_t)s->column * dtype_bytes(p.dtype);
        v.ld = p.ld;
        break;
    }
    }
    if (!v.data) /* when planning: an op asks by the pointer whether a tensor is given */
        v.data = &present;
    return v;
}

struct tensor graph_tensor(const struct graph *g, const struct graph_memory *m, int t,
                           const struct extent *e)
{
    return tensor_at(g, m, t, e, 0);
}

void graph_node_args(const struct graph *g, const struct graph_memory *m,
                     const struct g_node *n, const struct extent *e, int32_t begin,
                     struct op_args *a)
{
    *a = (struct op_args){.accumulate = n->accumulate, .attr = n->attr};
    for (int k = 0; k < op_info[n->op].n_in; k++)
        if (n->in[k] >= 0)
            a->in[k] = tensor_at(g, m, n->in[k], e, begin);
    for (int k = 0; k < op_info[n->op].n_out; k++)
        if (n->out[k] >= 0)
            a->out[k] = tensor_at(g, m, n->out[k], e, begin);
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

static void run_node(const struct graph *g, size_t i, const struct backend *backend,
                     const struct graph_memory *m, const struct extent *e, int32_t begin,
                     const struct op_step *step)
{
    struct op_args a;
    graph_node_args(g, m, &g->nodes[i], e, begin, &a);
    a.step = *step;
    if (m->watch)
        m->watch->node = &g->nodes[i];
    graph_call(backend, m, g->nodes[i].op, &a);
}

struct extent graph_chunk_extent(const struct graph *g, const struct extent *e)
{
    struct extent c = *e;
    if (c.of[ROWS_PICKED] > g->chunk_rows)
        c.of[ROWS_PICKED] = g->chunk_rows;
    return c;
}

/* A dropout mask goes by the row among all picked ones. */
static void run_chunks(const struct graph *g, const struct backend *backend,
                       const struct graph_memory *m, const struct extent *e,
                       const struct op_step *step)
{
    const int32_t all = e->of[ROWS_PICKED];
    for (int32_t begin = 0; begin < all; begin += g->chunk_rows) {
        struct extent left = *e;
        struct op_step at = *step;
        left.of[ROWS_PICKED] = all - begin;
        at.token_base += (uint32_t)begin;
        const struct extent chunk = graph_chunk_extent(g, &left);
        for (size_t i = g->chunk_begin; i < g->chunk_end; i++)
            run_node(g, i, backend, m, &chunk, begin, &at);
        if (m->reader) {
            const struct tensor logits = tensor_at(g, m, g->logits, &chunk, begin);
            m->reader->chunk(m->reader, &logits, begin);
        }
    }
}

/* The nodes in front of the chunks, those before the cut among them. */
static void run_front(const struct graph *g, const struct backend *backend,
                      const struct graph_memory *m, const struct extent *e,
                      const struct op_step *step)
{
    static const struct graph_cut none = {.count = 0};
    struct graph_reuse *r = m->reuse;
    const struct graph_cut *cut = r ? r->cut : &none;
    size_t k = 0;
    for (size_t i = 0; i < g->chunk_begin; i++) {
        if (!(r && r->there && cut->skip[i]))
            run_node(g, i, backend, m, e, 0, step);
        for (; k < cut->count && cut->kept[k].node == i; k++) {
            const struct tensor t = tensor_at(g, m, cut->kept[k].tensor, e, 0);
            r->move(r, k, &t);
        }
    }
}

void graph_run(const struct graph *g, const struct backend *backend,
               const struct graph_memory *m, const struct extent *e,
               const struct op_step *step)
{
    run_front(g, backend, m, e, step);
    if (g->chunk_begin < g->chunk_end)
        run_chunks(g, backend, m, e, step);
    for (size_t i = g->chunk_end; i < g->node_count; i++)
        run_node(g, i, backend, m, e, 0, step);
    if (m->watch)
        m->watch->node = NULL;
}

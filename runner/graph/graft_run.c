/* runner/graph/graft_run.c - the parts of a batch through the host's nodes and their own. */
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "runner/graph/graft.h"
#include <stdlib.h>
#include <string.h>

/* Fewer parts than this for each thread are run one after the other, each op on all
 * threads. */
enum { PARTS_EACH = 2 };

/* --- the host's nodes --- */

/* Bit k: the op works row by row and reads input k so; here also what no gather sinks
 * through. */
static unsigned row_inputs(enum op op)
{
    return op == OP_embed ? 7 : op == OP_rope ? 3 : graph_row_inputs(op);
}

static bool shares(const struct graft_batch *b, size_t part, size_t h)
{
    return b->parts[part].graft->shared[h];
}

/* The rows of parts [from, to) alone, of what is read and written row by row. */
static void cut_rows(const struct graft_batch *b, const struct g_node *n, size_t from,
                     size_t to, struct op_args *a)
{
    const enum rows_kind kind = b->host->tensors[n->out[0]].rows_kind;
    const struct graph_part *first = &b->parts[from], *last = &b->parts[to - 1];
    const int32_t begin = first->begin.of[kind],
                  rows = last->begin.of[kind] + last->size.of[kind] - begin;
    struct tensor *all[OP_MAX_IN + OP_MAX_OUT];
    size_t count = 0;
    for (int k = 0; k < OP_MAX_IN; k++)
        if (n->in[k] >= 0 && row_inputs(n->op) >> k & 1)
            all[count++] = &a->in[k];
    for (int k = 0; k < OP_MAX_OUT; k++)
        if (n->out[k] >= 0)
            all[count++] = &a->out[k];
    for (size_t i = 0; i < count; i++) {
        all[i]->data = (char *)all[i]->data +
                       (size_t)begin * (size_t)all[i]->ld * dtype_bytes(all[i]->dtype);
        all[i]->rows = rows;
    }
}

static void call_host(const struct graft_batch *b, const struct g_node *n, size_t from,
                      size_t to)
{
    struct op_args a;
    graph_node_args(b->host, b->memory, n, &b->all, 0, &a);
    if (to - from < b->count)
        cut_rows(b, n, from, to, &a);
    graph_call(b->backend, b->memory, n->op, &a);
}

/* Runs of parts that share a node of single rows; of any other the whole batch goes
 * through it, and parts that do not share it write over what it left in their rows. */
static void run_host(const struct graft_batch *b, size_t h)
{
    const struct g_node *n = &b->host->nodes[h];
    const bool by_rows = row_inputs(n->op) != 0;
    for (size_t from = 0; from < b->count;) {
        if (!shares(b, from, h)) {
            from++;
            continue;
        }
        size_t to = from + 1;
        while (to < b->count && shares(b, to, h))
            to++;
        call_host(b, n, by_rows ? from : 0, by_rows ? to : b->count);
        from = by_rows ? to : b->count;
    }
}

/* --- the parts' own --- */

struct own_nodes {
    struct graft_batch *batch;
    size_t h;
    const size_t *parts; /* those that have some */
};

static struct graph_memory memory_of(const struct graft_batch *b,
                                     const struct graph_part *p, int thread)
{
    struct graph_memory m = *b->memory;
    m.workspace = b->workspaces[thread];
    m.part = p;
    m.params = p->params;
    m.apart = p->apart;
    return m;
}

static void own_args(const struct graft_batch *b, const struct graph_part *p, size_t k,
                     int thread, struct op_args *a)
{
    const struct graft *f = p->graft;
    const struct graph_memory m = memory_of(b, p, thread);
    graph_node_args(f->g, &m, &f->g->nodes[f->own[k]], &p->size, 0, a);
    a->workspace = m.workspace;
}

static void part_done(struct graft_batch *b, size_t part)
{
    const struct graph_part *p = &b->parts[part];
    const struct graph *g = p->graft->g;
    const struct graph_memory m = memory_of(b, p, 0);
    const struct tensor logits = graph_tensor(g, &m, g->logits, &p->size);
    b->done(b, part, &logits);
}

static void run_part(struct graft_batch *b, size_t part, size_t h, int thread)
{
    const struct graph_part *p = &b->parts[part];
    const struct graft *f = p->graft;
    for (size_t k = f->begin[h]; k < f->begin[h + 1]; k++) {
        struct op_args a;
        own_args(b, p, k, thread, &a);
        backend_call(b->backend, f->g->nodes[f->own[k]].op, &a);
    }
    if (h + 1 == b->host->node_count)
        part_done(b, part);
}

static void run_parts(void *ctx, size_t begin, size_t end, int thread)
{
    const struct own_nodes *o = ctx;
    for (size_t i = begin; i < end; i++)
        run_part(o->batch, o->parts[i], o->h, thread);
}

static void run_own(struct graft_batch *b, size_t h, size_t *parts)
{
    const bool last = h + 1 == b->host->node_count;
    size_t count = 0;
    for (size_t i = 0; i < b->count; i++) {
        const struct graft *f = b->parts[i].graft;
        if (last || f->begin[h + 1] > f->begin[h])
            parts[count++] = i;
    }
    struct own_nodes o = {b, h, parts};
    if (b->threads > 1 && count >= (size_t)(PARTS_EACH * b->threads))
        pool_run(run_parts, &o, count, 1);
    else
        run_parts(&o, 0, count, 0);
}

/* --- parts that walk in step, on a device that takes several calls at once --- */

struct step_part {
    const struct graft *graft;
    size_t part;
};

struct steps {
    struct graft_batch *batch;
    struct step_part *parts; /* those that share a graft one after the other */
    struct op_args *args;    /* of a node of these */
};

static int by_graft(const void *a, const void *b)
{
    const struct step_part *x = a, *y = b;
    if (x->graft != y->graft)
        return x->graft < y->graft ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

static void steps_init(struct steps *s, struct graft_batch *b)
{
    *s = (struct steps){b, xcalloc(b->count + 1, sizeof *s->parts),
                        xcalloc(b->count + 1, sizeof *s->args)};
    for (size_t i = 0; i < b->count; i++)
        s->parts[i] = (struct step_part){b->parts[i].graft, i};
    qsort(s->parts, b->count, sizeof *s->parts, by_graft);
}

static void steps_release(struct steps *s)
{
    free(s->parts);
    free(s->args);
}

static void step(const struct steps *s, size_t from, size_t to, size_t h)
{
    const struct graft_batch *b = s->batch;
    const struct graft *f = s->parts[from].graft;
    for (size_t k = f->begin[h]; k < f->begin[h + 1]; k++) {
        for (size_t i = from; i < to; i++)
            own_args(b, &b->parts[s->parts[i].part], k, 0, &s->args[i - from]);
        backend_call_many(b->backend, f->g->nodes[f->own[k]].op, s->args, to - from);
    }
}

static void run_steps(const struct steps *s, size_t h)
{
    struct graft_batch *b = s->batch;
    for (size_t from = 0, to; from < b->count; from = to) {
        to = from + 1;
        while (to < b->count && s->parts[to].graft == s->parts[from].graft)
            to++;
        step(s, from, to, h);
    }
    for (size_t i = 0; i < b->count && h + 1 == b->host->node_count; i++)
        part_done(b, i);
}

/* --- what was run once for sequences that are the same --- */

void graft_run_once(const struct graph *host, const struct backend *backend,
                    const struct graph_memory *m, const struct graft_once *once)
{
    for (size_t h = 0; h < once->nodes; h++) {
        struct op_args a;
        graph_node_args(host, m, &host->nodes[h], &once->all, 0, &a);
        graph_call(backend, m, host->nodes[h].op, &a);
    }
}

/* From the last sequence to the first: what is still to be copied lies before what is
 * written, as each source is met no later than its copy. */
static void spread(const struct graft_batch *b, const struct g_tensor *t)
{
    const struct graft_once *o = b->once;
    const size_t row = (size_t)t->cols * dtype_bytes(t->dtype);
    char *const data = (char *)b->memory->activations + t->offset;
    for (int32_t i = b->all.of[ROWS_SEQUENCES]; i-- > 0;)
        memmove(data + (size_t)o->seq[i] * row,
                data + (size_t)o->once_seq[o->source[i]] * row,
                (size_t)(o->seq[i + 1] - o->seq[i]) * row);
}

/* What the last of these nodes read too: nodes of parts behind it may read it. */
static bool is_live(const struct g_tensor *t, size_t nodes)
{
    return t->home == HOME_ACTIVATION && t->rows_kind == ROWS_TOKENS && t->first >= 0 &&
           t->first < (int)nodes && t->last >= (int)nodes - 1;
}

static void spread_all(const struct graft_batch *b)
{
    const struct graph *g = b->host;
    for (size_t i = 0; i < g->tensor_count; i++)
        if (is_live(&g->tensors[i], b->once->nodes))
            spread(b, &g->tensors[i]);
}

void graft_run(struct graft_batch *b)
{
    const size_t begin = b->once ? b->once->nodes : 0;
    size_t *parts = xmalloc((b->count + 1) * sizeof *parts);
    struct steps steps = {0};
    if (b->backend->run_many)
        steps_init(&steps, b);
    for (size_t i = 0; i < b->count; i++)
        b->parts[i].host = b->memory->activations;
    if (begin)
        spread_all(b);
    for (size_t h = begin ? begin - 1 : 0; h < b->host->node_count; h++) {
        if (h >= begin)
            run_host(b, h);
        if (b->backend->run_many)
            run_steps(&steps, h);
        else
            run_own(b, h, parts);
    }
    steps_release(&steps);
    free(parts);
}

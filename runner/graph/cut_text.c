/* runner/graph/cut_text.c - what the tensors at a cut follow from, as text; see cut.h. */
#include "lib/buf.h"
#include "lib/mem.h"
#include "runner/graph/cut.h"
#include <stdlib.h>

struct telling {
    const struct graph *g;
    void (*param)(void *ctx, const struct param *p, struct buf *out);
    void *ctx;
    int *number; /* per tensor: as it is called here; 0: not yet */
    int count;
    struct buf *out;
};

static void tell_tensor(struct telling *t, int id)
{
    const struct g_tensor *s = id < 0 ? NULL : &t->g->tensors[id];
    if (!s || t->number[id]) {
        buf_printf(t->out, " %d", s ? t->number[id] : 0);
        return;
    }
    t->number[id] = ++t->count;
    buf_printf(t->out, " %d(%d %d %d %d %d", t->count, (int)s->dtype, (int)s->rows_kind,
               (int)s->rows, (int)s->cols, (int)s->home);
    if (s->home == HOME_VIEW) {
        buf_printf(t->out, " %d of", (int)s->column);
        tell_tensor(t, s->parent);
    }
    if (s->home == HOME_BATCH)
        buf_printf(t->out, " %d", s->slot);
    if (s->home == HOME_PARAM) {
        buf_char(t->out, ' ');
        t->param(t->ctx, t->g->params->items[s->param], t->out);
    }
    buf_char(t->out, ')');
}

static void tell_node(struct telling *t, const struct g_node *n)
{
    const struct op_attr *a = &n->attr;
    buf_printf(
        t->out, "%s %u %a %a %a %a %d %d %d %d %a %d %d %d %d %d:", op_info[n->op].name,
        n->accumulate, (double)a->scale, (double)a->eps, (double)a->offset, (double)a->p,
        a->heads, a->causal, a->kv_heads, a->window, (double)a->softcap, a->capacity,
        a->inverse, a->length, (int)a->act, (int)a->compute);
    for (int k = 0; k < op_info[n->op].n_in; k++)
        tell_tensor(t, n->in[k]);
    buf_printf(t->out, " ->");
    for (int k = 0; k < op_info[n->op].n_out; k++)
        tell_tensor(t, n->out[k]);
    buf_char(t->out, '\n');
}

void graph_cut_tell(const struct graph *g, const struct graph_cut *c,
                    void (*param)(void *ctx, const struct param *p, struct buf *out),
                    void *ctx, struct buf *out)
{
    struct telling t = {.g = g,
                        .param = param,
                        .ctx = ctx,
                        .number = xcalloc(g->tensor_count + 1, sizeof *t.number),
                        .out = out};
    for (size_t i = 0; i < g->node_count; i++)
        if (c->makes[i])
            tell_node(&t, &g->nodes[i]);
    buf_printf(out, "kept");
    for (size_t k = 0; k < c->count; k++)
        tell_tensor(&t, c->kept[k].tensor);
    buf_char(out, '\n');
    free(t.number);
}

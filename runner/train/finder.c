/* runner/train/finder.c - see finder.h. */
#include "runner/train/finder.h"
#include "lib/mem.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_finite(const struct backend *b, const struct tensor *t)
{
    float *row = xmalloc((size_t)t->cols * sizeof *row + 1);
    bool ok = true;
    for (int32_t r = 0; r < t->rows && ok; r++) {
        b->download(b->device, row, (const float *)t->data + r * t->ld,
                    (size_t)t->cols * sizeof *row);
        for (int32_t c = 0; c < t->cols && ok; c++)
            ok = isfinite(row[c]);
    }
    free(row);
    return ok;
}

/* The first parameter (or parameter's gradient) among a node's tensors; NULL: none. */
static const char *parameter_of(const struct graph *g, const struct g_node *n)
{
    const int *lists[] = {n->out, n->in};
    const int counts[] = {op_info[n->op].n_out, op_info[n->op].n_in};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (int k = 0; k < counts[l]; k++) {
            int t = lists[l][k];
            while (t >= 0 && g->tensors[t].home == HOME_VIEW)
                t = g->tensors[t].parent;
            if (t >= 0 && g->tensors[t].param >= 0)
                return g->params->items[g->tensors[t].param]->name;
        }
    return NULL;
}

static void describe(struct finder *f, enum op op, int output, const char *own)
{
    const struct graph *g = &f->session->train_graph;
    const struct g_node *n = f->watch.node;
    const bool backward = n >= g->nodes + g->forward_count;
    const char *way = !n ? "" : backward ? ", backward" : ", forward";
    const char *name = own ? own : f->last;
    snprintf(f->what, sizeof f->what, "output %d of %s%s%s%.200s%s", output,
             op_info[op].name, way,
             own    ? ", with '"
             : name ? ", after that with '"
                    : "",
             name ? name : "", name ? "'" : "");
    f->found = true;
}

static void ran(struct graph_watch *w, enum op op, const struct op_args *args,
                double seconds)
{
    struct finder *f = (struct finder *)w;
    const char *own = w->node ? parameter_of(&f->session->train_graph, w->node) : NULL;
    (void)seconds;
    for (int k = 0; k < op_info[op].n_out && !f->found; k++)
        if (args->out[k].data && args->out[k].dtype == DT_F32 &&
            !is_finite(f->session->backend, &args->out[k]))
            describe(f, op, k, own);
    if (own)
        f->last = own;
}

void finder_init(struct finder *f, const struct session *s)
{
    *f = (struct finder){.watch.ran = ran, .session = s};
    for (size_t i = 0; i < s->net.params.count && !f->found; i++) {
        const struct param *p = s->net.params.items[i];
        if (!p->trainable || is_finite(s->backend, &p->value))
            continue;
        snprintf(f->what, sizeof f->what, "parameter '%.200s' itself", p->name);
        f->found = true;
    }
}

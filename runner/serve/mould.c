/* runner/serve/mould.c - see mould.h. */
#include "runner/serve/mould.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/graph/param_values.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include "runner/serve/base.h"
#include <stdlib.h>

enum whose { BY_FOLDER, ALWAYS_OWN, OF_BASE };

/* A parameter as its net declared it, and what became of it. */
struct mould_param {
    bool trainable, derived;
    enum whose whose; /* BY_FOLDER: own where a folder gives values */
    bool own;
};

/* --- making one --- */

static int open_goal(struct mould *m, const struct serve_base *b, struct err *err)
{
    struct goal *g = &m->goal;
    g->task = task_find(m->trial.task, err);
    g->last_token = b->session.arch->last_token;
    if (!g->task)
        return err_code(err);
    int rc = g->task->kind->open(&m->trial, b->session.hf->config, g, err);
    if (!rc && g->task != b->session.goal.task)
        rc = err_set(err, ERR_CONFIG, "it is for task '%s', the base is served for '%s'",
                     g->task->name, b->session.goal.task->name);
    if (!rc && !g->num_labels)
        g->num_labels = (int32_t)m->trial.num_labels;
    if (!rc && !g->num_labels && m->pool) /* a head that nobody asks */
        g->num_labels = b->session.goal.num_labels;
    if (!rc && !g->num_labels)
        rc = err_set(err, ERR_CONFIG, "it has no head: no tensor '%s.weight'", b->head);
    return rc;
}

static int open_net(struct mould *m, const struct serve_base *b, const char *dir,
                    struct err *err)
{
    struct net *net = &m->net;
    int rc = net_init(net, b->session.hf, &m->trial, &m->goal, dir, false, err);
    if (!rc && net->method->files->adopt)
        rc = net->method->files->adopt(net, dir, err);
    if (!rc && net->change.base_moved && !net->change.converted)
        rc = err_set(err, ERR_CONFIG,
                     "its start is taken out of the base's weights, which others share; "
                     "save it as a LoRA of twice the rank (peftlab convert)");
    m->params = xcalloc(net->params.count + 1, sizeof *m->params);
    for (size_t i = 0; i < net->params.count; i++) {
        m->params[i].trainable = dir && net->params.items[i]->trainable;
        m->params[i].derived = net->params.items[i]->derived;
    }
    return rc;
}

static int make(struct mould *m, const struct serve_base *b, const json_t *settings,
                const char *dir, struct err *err)
{
    if (!settings)
        m->resolved = json_incref(b->trial);
    int rc = settings ? trial_resolve_use(settings, &m->resolved, err) : 0;
    if (rc)
        return rc;
    trial_init(&m->trial, m->resolved);
    if (!settings)
        m->trial.method = method_full.name; /* that adds nothing */
    rc = open_goal(m, b, err);
    return rc ? rc : open_net(m, b, dir, err);
}

static void free_mould(struct mould *m)
{
    graft_release(&m->graft);
    graph_release(&m->graph);
    graph_release(&m->start);
    net_release(&m->net);
    trial_release(&m->trial);
    json_decref(m->resolved);
    free(m->params);
    free(m->key);
    free(m);
}

static struct mould *find(const struct serve_base *b, const char *key)
{
    for (size_t i = 0; i < b->mould_count; i++)
        if (str_eq(b->moulds[i]->key, key))
            return b->moulds[i];
    return NULL;
}

int mould_join(struct mould **out, struct serve_base *b, const json_t *settings,
               const char *dir, bool alone, enum pooling pool, struct err *err)
{
    struct buf key = BUF_INIT;
    if (pool)
        buf_printf(&key, "%d ", (int)pool);
    if (settings)
        json_canonical(&key, settings);
    struct mould *m = alone ? NULL : find(b, buf_str(&key));
    int rc = 0;
    if (!m) {
        m = xcalloc(1, sizeof *m);
        m->pool = pool;
        rc = make(m, b, settings, dir, err);
        if (!rc) {
            m->key = alone ? NULL : xstrdup(buf_str(&key));
            b->moulds =
                xgrow(b->moulds, &b->mould_cap, b->mould_count + 1, sizeof *b->moulds);
            b->moulds[b->mould_count++] = m;
        }
    }
    buf_release(&key);
    if (rc)
        free_mould(m);
    else
        m->guests++;
    *out = rc ? NULL : m;
    return rc;
}

void mould_leave(struct mould *m, struct serve_base *b)
{
    if (--m->guests)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < b->mould_count; i++)
        if (b->moulds[i] != m)
            b->moulds[kept++] = b->moulds[i];
    b->mould_count = kept;
    free_mould(m);
}

/* --- own parameters --- */

static void bind(struct mould *m, void *memory)
{
    for (size_t i = 0; i < m->net.params.count; i++)
        if (m->params[i].own)
            param_bind(m->net.params.items[i], memory, NULL);
}

static void unbind(struct mould *m)
{
    for (size_t i = 0; i < m->net.params.count; i++)
        if (m->params[i].own)
            m->net.params.items[i]->value.data = NULL;
}

/* As they were declared: what a folder must have goes by that. */
static void restore(struct mould *m)
{
    for (size_t i = 0; i < m->net.params.count; i++) {
        m->net.params.items[i]->trainable = m->params[i].trainable;
        m->net.params.items[i]->derived = m->params[i].derived;
    }
}

/* As graphs of its guests find them (graph_memory.params): also those that were there before
 * a folder that cannot be one. */
static void settle(struct mould *m)
{
    for (size_t i = 0; i < m->net.params.count; i++)
        m->net.params.items[i]->trainable |= m->params[i].own;
}

static void forget_values(struct mould *m)
{
    for (size_t i = 0; i < m->net.params.count; i++) {
        free(m->net.params.items[i]->given);
        m->net.params.items[i]->given = NULL;
    }
}

/* What the architecture derives (angles of rotary embeddings) follows from the base. */
static enum whose find_whose(const struct param *p, const struct param *base)
{
    if (base && base->derived && p->derived)
        return OF_BASE;
    return !base || base->trainable || p->trainable || p->added ||
                   p->linear != base->linear || p->rows != base->rows ||
                   p->cols != base->cols
               ? ALWAYS_OWN
               : BY_FOLDER;
}

static bool is_own(const struct mould_param *of, const struct param *p)
{
    return of->whose == ALWAYS_OWN || (of->whose == BY_FOLDER && p->given);
}

static void share(struct param *p, const struct param *base)
{
    p->spec = base->spec;
    p->value = base->value;
    p->prepared = base->prepared;
}

/* An own parameter has the plain form, whether or not it trained. */
static void place(struct mould *m, struct param *p)
{
    p->offset = m->bytes;
    p->bytes = mem_round_up((size_t)param_size(p) * sizeof(float));
    m->bytes += p->bytes;
}

/* What is own and what the base's, by the first folder. */
static void divide(struct mould *m, const struct serve_base *b)
{
    for (size_t i = 0; i < m->net.params.count; i++) {
        struct param *p = m->net.params.items[i];
        const struct param *base = params_find(&b->session.net.params, p->name);
        m->params[i].whose = find_whose(p, base);
        m->params[i].own = is_own(&m->params[i], p);
        if (m->params[i].own)
            place(m, p);
        else
            share(p, base);
    }
}

/* False: this folder gives values for other parameters than the first. */
static bool take_own(struct mould *m)
{
    for (size_t i = 0; i < m->net.params.count; i++) {
        struct param *p = m->net.params.items[i];
        if (m->params[i].own != is_own(&m->params[i], p))
            return false;
        p->derived &= !m->params[i].own || !p->given || !p->trainable;
    }
    return true;
}

static int fill(struct mould *m, const struct backend *d, struct err *err)
{
    for (size_t i = 0; i < m->net.params.count; i++) {
        struct param *p = m->net.params.items[i];
        const size_t bytes = (size_t)param_size(p) * sizeof(float);
        if (!m->params[i].own)
            continue;
        float *values = p->given ? NULL : xmalloc(bytes);
        const int rc =
            values ? param_start_values(p, (uint64_t)m->trial.seed, values, err) : 0;
        if (!rc)
            d->upload(d->device, p->value.data, values ? values : p->given, bytes);
        free(values);
        if (rc)
            return rc;
    }
    return 0;
}

/* --- pouring --- */

/* Some of what the method adds is not in the folder (VeRA's shared matrices may be drawn
 * anew by their seed). */
static bool lacks_values(const struct net *net)
{
    for (size_t i = 0; i < net->params.count; i++) {
        const struct param *p = net->params.items[i];
        if (p->added && !p->derived && !p->given)
            return true;
    }
    return false;
}

static int read_folder(struct mould *m, const char *dir, struct err *err)
{
    struct net *net = &m->net;
    restore(m);
    const int rc = dir ? adapter_load(net, dir, err) : 0;
    return !rc && dir && net->method->start && lacks_values(net)
               ? net->method->start(net, (uint64_t)m->trial.seed, err)
               : rc;
}

/* The cache is the host's; states that the host has not by that name lie apart. */
static void place_states(struct mould *m, const struct serve_base *b)
{
    struct states *all = &m->net.states;
    for (size_t i = 0; i < all->count; i++) {
        struct state *s = &all->items[i];
        const struct state *host = states_find(&b->session.net.states, s->name);
        s->apart = !host;
        s->offset = host ? host->offset : m->state_bytes;
        m->state_bytes += host ? 0 : states_bytes(s);
    }
}

static int open_start(struct mould *m, struct serve_base *b, struct err *err)
{
    session_record_start(&m->net, b->host, &m->start);
    place_states(m, b);
    const int rc = graph_plan(&m->start, b->session.backend, err);
    return rc ? rc : serve_base_workspace(b, m->start.workspace_bytes, err);
}

static int open_graph(struct mould *m, struct serve_base *b, struct err *err)
{
    const struct graph *host = b->host;
    struct graph *g = &m->graph;
    graph_init(g, &m->net.params, &m->net.states, host->mode, host->budget);
    g->capacity = host->capacity;
    g->chunk_rows = host->chunk_rows;
    graph_finish(g, m->pool ? m->net.arch->record(&m->net, g) : net_record(&m->net, g),
                 false, NULL);
    int rc = b->writes ? open_start(m, b, err) : 0;
    if (!rc)
        rc = graft_init(&m->graft, host, g, b->session.backend, err);
    return rc ? rc : serve_base_workspace(b, m->graft.workspace_bytes, err);
}

static int set(struct mould *m, struct serve_base *b, struct err *err)
{
    const struct backend *d = b->session.backend;
    int rc = fill(m, d, err);
    if (!rc && m->net.method->derive)
        rc = m->net.method->derive(&m->net, d, err);
    return rc || m->graph.node_count ? rc : open_graph(m, b, err);
}

static int set_in(struct mould *m, struct serve_base *b, void **memory, struct err *err)
{
    const struct backend *d = b->session.backend;
    *memory = m->bytes ? d->alloc(d->device, m->bytes) : NULL;
    if (m->bytes && !*memory)
        return err_set(err, ERR_NOMEM, "no memory for %zu bytes of parameters", m->bytes);
    bind(m, *memory);
    const int rc = set(m, b, err);
    unbind(m);
    if (rc && *memory) {
        d->release(d->device, *memory);
        *memory = NULL;
    }
    return rc;
}

int mould_pour(struct mould *m, struct serve_base *b, const char *dir, void **memory,
               struct err *err)
{
    int rc = read_folder(m, dir, err);
    if (!rc && !m->graph.node_count)
        divide(m, b);
    if (!rc && !take_own(m))
        rc = 1;
    settle(m);
    if (!rc)
        rc = set_in(m, b, memory, err);
    forget_values(m);
    return rc;
}

/* runner/nn/net.c - parameters and sites of a net, and how each site is recorded. */
#include "runner/nn/net.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include "runner/nn/specs.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int net_init(struct net *net, struct hf_model *hf, const struct trial *trial,
             const struct goal *goal, const char *adapter, bool training, struct err *err)
{
    *net = (struct net){.trial = trial,
                        .adapter = adapter,
                        .training = training,
                        .hf = hf,
                        .goal = *goal};
    params_init(&net->params);
    net->arch = arch_find(hf->model_type, err);
    if (!net->arch)
        return err_context(err, "model folder '%s': ", hf->dir);
    net->method = method_find(trial->method, err);
    if (!net->method)
        return err_code(err);
    int rc = specs_kind(net, err);
    if (!rc)
        rc = net->arch->declare(net, err);
    if (!rc)
        rc = goal->task->kind->declare(net, err);
    if (rc < 0 || (rc = net->method->attach(net, err)) < 0)
        return rc;
    specs_set(net);
    net->adapter = NULL;
    return 0;
}

void net_release(struct net *net)
{
    if (net->method && net->method->release)
        net->method->release(net);
    net->change.data = NULL;
    params_release(&net->params);
    states_release(&net->states);
    for (size_t i = 0; i < net->sites.count; i++) {
        free(net->sites.items[i].path);
        free(net->sites.items[i].tied);
        free(net->sites.items[i].a0);
        free(net->sites.items[i].b0);
    }
    free(net->sites.items);
    for (size_t i = 0; i < net->sublayers.count; i++) {
        free(net->sublayers.items[i].path);
        free(net->sublayers.items[i].norm);
    }
    free(net->sublayers.items);
    for (size_t i = 0; i < net->norms.count; i++)
        free(net->norms.items[i]);
    free(net->norms.items);
    free(net->shape.kinds);
    net->shape.kinds = NULL;
    net->norms.items = NULL;
    net->norms.count = 0;
    net->sites.items = NULL;
    net->sublayers.items = NULL;
    net->sites.count = net->sublayers.count = 0;
}

/* In files of the hub a class for pictures too has its language model, head and all,
 * under a name of its own. */
static const struct st_tensor *find_inside(const struct net *net, const char *name)
{
    const char *root = net->arch->text_root, *in_files = net->arch->text_root_in_files;
    const size_t n = root ? strlen(root) : 0;
    char *full = !root ? NULL
                 : str_has_prefix(name, root)
                     ? xasprintf("%s%s", in_files, name + n)
                     : xasprintf("%.*s.%s", (int)strcspn(in_files, "."), in_files, name);
    const struct st_tensor *t = full ? st_find(net->hf->weights, full) : NULL;
    free(full);
    return t;
}

/* The tensor of a base parameter: as named, without the prefix of the task model, or with
 * the old names of LayerNorm's parameters (bert-base-uncased has gamma and beta). */
static const struct st_tensor *find_base(const struct net *net, const char *name)
{
    if (!net->hf->weights)
        return NULL;
    const struct st_tensor *t = st_find(net->hf->weights, name);
    const char *bare = name;
    if (!t)
        t = find_inside(net, name);
    if (!t && str_has_prefix(name, net->arch->base_prefix))
        t = st_find(net->hf->weights, bare = name + strlen(net->arch->base_prefix));
    const char *dot = strrchr(name, '.');
    if (t || !dot || !strstr(name, "LayerNorm."))
        return t;
    const char *old = str_eq(dot, ".weight") ? "gamma" : "beta";
    char *full = xasprintf("%.*s.%s", (int)(dot - name), name, old);
    t = st_find(net->hf->weights, full);
    if (!t && bare != name)
        t = st_find(net->hf->weights, full + strlen(net->arch->base_prefix));
    free(full);
    return t;
}

static int base_param(struct net *net, const char *name, const struct param *shape,
                      bool required, struct err *err)
{
    const struct st_tensor *t = find_base(net, name);
    const int ndim = shape->ndim;
    int64_t want[2];
    param_file_shape(shape, want);
    if (t && t->q4) /* bitsandbytes turns Conv1D weights before it quantises */
        want[0] = shape->rows, want[1] = shape->cols;
    if (!t && required && net->hf->weights)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': no tensor '%s' (is it a %s model?)",
                       net->hf->dir, name, net->arch->model_type);
    if (t && (t->ndim != ndim || t->shape[ndim - 1] != want[1] ||
              (ndim == 2 && t->shape[0] != want[0])))
        return err_set(
            err, required ? ERR_PARSE : ERR_CONFIG,
            "model folder '%s': tensor '%s' is [%lld%s%lld], expected [%lld, %lld]%s",
            net->hf->dir, name, (long long)t->shape[0], t->ndim == 2 ? ", " : "x",
            t->ndim == 2 ? (long long)t->shape[1] : 1LL, (long long)want[0],
            (long long)want[1],
            required ? "" : "; does num_labels fit the model's head?");
    struct param *p = params_find(&net->params, name);
    if (p)
        return err_set(err, ERR_BUG, "parameter '%s' declared twice; this is a bug",
                       name);
    p = params_add(&net->params, name, ndim, shape->rows, shape->cols);
    p->transposed = shape->transposed;
    p->base = t;
    p->absent = !net->hf->weights;
    p->init = ndim == 2 ? INIT_NORMAL : INIT_ZEROS;
    p->init_scale = net->shape.init_range;
    return 0;
}

int net_base_param(struct net *net, const char *name, int ndim, int32_t rows,
                   int32_t cols, bool required, struct err *err)
{
    const struct param shape = {.ndim = ndim, .rows = rows, .cols = cols};
    return base_param(net, name, &shape, required, err);
}

int net_table(struct net *net, const char *name, int32_t rows, int32_t cols,
              struct err *err)
{
    int rc = net_base_param(net, name, 2, rows, cols, true, err);
    if (!rc)
        params_find(&net->params, name)->table = true;
    return rc;
}

static void add_site(struct net *net, const struct linear_site *site)
{
    net->sites.items = xgrow(net->sites.items, &net->sites.cap, net->sites.count + 1,
                             sizeof *net->sites.items);
    net->sites.items[net->sites.count++] = *site;
}

int net_linear(struct net *net, const char *path, int32_t out, int32_t in, int layer,
               enum role role, bool has_bias, struct err *err)
{
    const bool head = role == ROLE_head || role == ROLE_pooler;
    const struct param shape = {.ndim = 2,
                                .rows = out,
                                .cols = in,
                                .transposed = net->arch->conv1d && !role_is_head(role)};
    char *weight = xasprintf("%s.weight", path), *bias = xasprintf("%s.bias", path);
    int rc = base_param(net, weight, &shape, !head, err);
    if (!rc && has_bias)
        rc = net_base_param(net, bias, 1, 1, out, !head, err);
    if (!rc && role == ROLE_pooler && net->hf->weights &&
        !params_find(&net->params, weight)->base)
        text_print(stderr,
                   "peftlab: model folder '%s': no '%s'; a new one starts from the "
                   "seed%s\n",
                   net->hf->dir, weight,
                   net->method->changes_base == BASE_all
                       ? ""
                       : ", stays as it is and is not saved with the adapter");
    if (!rc) {
        params_find(&net->params, weight)->linear = true;
        add_site(net, &(struct linear_site){.path = xstrdup(path),
                                            .out = out,
                                            .in = in,
                                            .has_bias = has_bias,
                                            .layer = layer,
                                            .role = role});
    }
    free(weight);
    free(bias);
    return rc;
}

int net_language_head(struct net *net, const char *table, struct err *err)
{
    struct param *p = params_find(&net->params, table);
    if (!net->shape.tied)
        return net_linear(net, "lm_head", net->shape.vocab_size, net->shape.hidden, -1,
                          ROLE_lm_head, false, err);
    if (!p)
        return err_set(err, ERR_BUG, "no parameter '%s' to tie; this is a bug", table);
    p->linear = true;
    add_site(net, &(struct linear_site){.path = xstrdup("lm_head"),
                                        .tied = xstrdup(table),
                                        .out = p->rows,
                                        .in = p->cols,
                                        .layer = -1,
                                        .role = ROLE_lm_head});
    return 0;
}

int net_norm(struct net *net, const char *path, int32_t width, struct err *err)
{
    char *weight = xasprintf("%s.weight", path), *bias = xasprintf("%s.bias", path);
    int rc = net_base_param(net, weight, 1, 1, width, true, err);
    if (!rc && !net->shape.rms_norm)
        rc = net_base_param(net, bias, 1, 1, width, true, err);
    net->norms.items = xgrow(net->norms.items, &net->norms.cap, net->norms.count + 1,
                             sizeof *net->norms.items);
    net->norms.items[net->norms.count++] = xstrdup(path);
    free(weight);
    free(bias);
    return rc;
}

int net_sublayer(struct net *net, const char *path, const char *norm, int layer,
                 bool attention, struct err *err)
{
    net->sublayers.items = xgrow(net->sublayers.items, &net->sublayers.cap,
                                 net->sublayers.count + 1, sizeof *net->sublayers.items);
    net->sublayers.items[net->sublayers.count++] =
        (struct sublayer){xstrdup(path), norm ? xstrdup(norm) : NULL, layer, attention};
    return norm ? net_norm(net, norm, net->shape.hidden, err) : 0;
}

struct linear_site *net_site(const struct net *net, const char *path)
{
    for (size_t i = 0; i < net->sites.count; i++)
        if (str_eq(net->sites.items[i].path, path))
            return &net->sites.items[i];
    return NULL;
}

/* --- recording --- */

int net_record(const struct net *net, struct graph *g)
{
    return net->goal.task->kind->record(net, g, net->arch->record(net, g));
}

static int param_of(struct graph *g, const char *path, const char *what)
{
    char name[256];
    snprintf(name, sizeof name, "%s.%s", path, what);
    return g_param(g, name);
}

/* --- decoding: what stays from run to run --- */

static int prompt_state(const struct net *net, struct graph *g)
{
    return states_add(g->states, "virtual_tokens", DT_F32, net->change.prompt_rows,
                      net->shape.hidden);
}

#define CACHE "cache."

bool net_is_cache(const struct state *s)
{
    return str_has_prefix(s->name, CACHE);
}

/* The cache of a layer's keys, or values, in all slots of the graph. */
static int cache_of(const struct net *net, struct graph *g, int layer, const char *what)
{
    const int32_t heads = net->shape.kv_heads ? net->shape.kv_heads : net->shape.heads;
    char name[64];
    snprintf(name, sizeof name, CACHE "%d.%s", layer, what);
    return g_state(g, states_add(g->states, name, specs_dtype(net),
                                 g->budget.of[ROWS_CACHED] * heads * g->capacity,
                                 net->shape.head_dim));
}

void net_record_start(const struct net *net, struct graph *g)
{
    if (!net->method->prompt)
        return;
    g->prompt = net->method->prompt(net, g);
    if (net->change.prompt_rows)
        g_store(g, g_state(g, prompt_state(net, g)), g->prompt);
    for (int l = 0; l < net->shape.layers && net->method->prefix; l++) {
        int pk = -1, pv = -1;
        net->method->prefix(net, g, l, &pk, &pv);
        g_cache_store(g, cache_of(net, g, l, "keys"), pk);
        g_cache_store(g, cache_of(net, g, l, "values"), pv);
    }
}

static int record_cached(const struct net *net, struct graph *g, int layer, int q, int k,
                         int v, const struct attention_kind *kind)
{
    const int keys = cache_of(net, g, layer, "keys"),
              values = cache_of(net, g, layer, "values");
    g_cache_store(g, keys, k);
    g_cache_store(g, values, v);
    return g_cached_attention(g, q, keys, values, kind);
}

int net_record_embed(const struct net *net, struct graph *g, int word, int position,
                     int type)
{
    const float scale = net->shape.word_scale > 0 ? net->shape.word_scale : 1;
    g->of_method = true;
    if (g->mode == GRAPH_DECODE)
        g->prompt = net->change.prompt_rows ? g_state(g, prompt_state(net, g)) : -1;
    else if (net->method->prompt)
        g->prompt = net->method->prompt(net, g);
    int prompt = net->change.prompt_rows ? g->prompt : -1;
    if (prompt >= 0) /* virtual tokens are not scaled */
        prompt = g_scale(g, prompt, 1 / scale);
    g->of_method = false;
    return g_scale(g, g_embed(g, word, position, type, prompt), scale);
}

int net_record_linear(const struct net *net, struct graph *g, const char *path, int x)
{
    const struct linear_site *site = net_site(net, path);
    g->of_method = true;
    if (net->method->input)
        x = net->method->input(net, g, site, x);
    g->of_method = false;
    int y =
        g_linear(g, x, site->tied ? g_param(g, site->tied) : param_of(g, path, "weight"),
                 site->has_bias ? param_of(g, path, "bias") : -1, 1);
    g->of_method = true;
    if (net->method->linear)
        y = net->method->linear(net, g, site, x, y);
    g->of_method = false;
    return y;
}

int net_record_norm(const struct net *net, struct graph *g, const char *path, int x)
{
    const int weight = param_of(g, path, "weight");
    return net->shape.rms_norm
               ? g_rmsnorm(g, x, weight, net->shape.norm_eps, net->shape.norm_offset)
               : g_layernorm(g, x, weight, param_of(g, path, "bias"),
                             net->shape.norm_eps);
}

int net_record_behind(const struct net *net, struct graph *g, const struct sublayer *s,
                      int x)
{
    return s->norm ? net_record_norm(net, g, s->norm, x) : x;
}

int net_record_sublayer(const struct net *net, struct graph *g, int layer, bool attention,
                        int h, int residual)
{
    const struct sublayer *s = net->sublayers.items;
    while (s->layer != layer || s->attention != attention)
        s++;
    if (net->method->sublayer)
        return net->method->sublayer(net, g, s, h, residual);
    return net_record_behind(net, g, s, g_add(g, h, residual));
}

static float score_scale(const struct net *net, int layer)
{
    const struct net_shape *s = &net->shape;
    const float scale =
        s->score_scale > 0 ? s->score_scale : 1.0f / sqrtf((float)s->head_dim);
    return s->scores_by_layer ? scale / (float)(layer + 1) : scale;
}

int net_record_attention(const struct net *net, struct graph *g, int layer, int q, int k,
                         int v)
{
    const struct net_shape *s = &net->shape;
    const struct attention_kind kind = {.heads = s->heads,
                                        .kv_heads = s->kv_heads,
                                        .causal = s->causal,
                                        .scale = score_scale(net, layer),
                                        .window = net_window(net, layer),
                                        .softcap = s->score_cap,
                                        .p = s->attention_dropout};
    int pk = -1, pv = -1;
    if (g->mode == GRAPH_DECODE)
        return record_cached(net, g, layer, q, k, v, &kind);
    if (net->method->prefix)
        net->method->prefix(net, g, layer, &pk, &pv);
    return g_attention(g, q, k, v, pk, pv, &kind);
}

/* --- what trains --- */

void net_train_all(struct net *net)
{
    for (size_t i = 0; i < net->params.count; i++)
        net->params.items[i]->trainable = !net->params.items[i]->derived;
}

/* Does some module on the way to `path` end with `suffix`? ("classifier" catches
 * "pre_classifier.weight".) */
static bool module_ends_with(const char *path, const char *suffix)
{
    const size_t n = strlen(suffix);
    for (const char *at = path; (at = strstr(at, suffix)); at++)
        if (at[n] == 0 || at[n] == '.')
            return true;
    return false;
}

bool net_in_modules(const char *path, const char *const *suffixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (module_ends_with(path, suffixes[i]))
            return true;
    return false;
}

size_t net_train_modules(struct net *net, const char *suffix)
{
    size_t hits = 0;
    for (size_t i = 0; i < net->params.count; i++) {
        struct param *p = net->params.items[i];
        const char *dot = strrchr(p->name, '.');
        char *module = xstrndup(p->name, dot ? (size_t)(dot - p->name) : strlen(p->name));
        if (module_ends_with(module, suffix)) {
            p->trainable = true;
            hits++;
        }
        free(module);
    }
    return hits;
}

struct param *net_method_param(struct net *net, const char *name, int ndim, int32_t rows,
                               int32_t cols, enum init_kind init, float scale)
{
    struct param *p = params_add(&net->params, name, ndim, rows, cols);
    p->init = init;
    p->init_scale = scale;
    p->trainable = p->added = true;
    return p;
}

struct param *net_site_param(const struct net *net, const struct linear_site *s,
                             const char *what)
{
    char name[256];
    if (s->tied && str_eq(what, "weight"))
        return params_find(&net->params, s->tied);
    snprintf(name, sizeof name, "%s.%s", s->path, what);
    return params_find(&net->params, name);
}

float *net_download(const struct backend *backend, const struct param *p)
{
    const size_t bytes = (size_t)param_size(p) * sizeof(float);
    float *values = xmalloc(bytes);
    if (p->value.data)
        backend->download(backend->device, values, p->value.data, bytes);
    else
        memcpy(values, p->given, bytes);
    return values;
}

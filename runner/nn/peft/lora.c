/* runner/nn/peft/lora.c - LoRA (Hu et al. 2021) as peft has it: y = W x + b + s B A
 * dropout(x), s = alpha / r, or alpha / sqrt(r) with use_rslora. A is r x in ~
 * U(-1/sqrt(in), 1/sqrt(in)) (gaussian: N(0, 1/r)), B is out x r, zero. Also here: bias =
 * all | lora_only, rank_pattern, alpha_pattern, modules_to_save, and LoRA+'s rates (Hayou
 * et al. 2024): B and every 1-d parameter learn loraplus_lr_ratio times as fast as the
 * rest. */
#include "runner/nn/peft/lora.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/regex.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int lora_pattern_value(json_t *patterns, const char *key, const char *path, double *value,
                       struct err *err)
{
    const char *pattern;
    json_t *v;
    *value = NAN;
    json_object_foreach(patterns, pattern, v)
    {
        struct regex *r;
        char *whole = xasprintf("(.*\\.)?(%s)", pattern);
        int rc = regex_new(whole, &r, err);
        free(whole);
        if (rc < 0)
            return err_context(err, "%s: ", key);
        rc = regex_fullmatch(r, path, err);
        regex_free(r);
        if (rc < 0)
            return err_context(err, "%s: ", key);
        if (rc) {
            *value = json_number_value(v);
            return 0;
        }
    }
    return 0;
}

/* Every pattern must hit some target, as every entry of target_modules must. */
static int check_patterns(const struct net *net, json_t *patterns, const char *key,
                          struct err *err)
{
    const char *pattern;
    json_t *v;
    json_object_foreach(patterns, pattern, v)
    {
        json_t *one = json_pack("{s:O}", pattern, v);
        bool hit = false;
        int rc = 0;
        for (size_t i = 0; i < net->sites.count && !hit && !rc; i++) {
            double x = NAN;
            if (net->sites.items[i].rank)
                rc = lora_pattern_value(one, key, net->sites.items[i].path, &x, err);
            hit = !isnan(x);
        }
        json_decref(one);
        if (rc)
            return rc;
        if (!hit)
            return err_set(err, ERR_CONFIG, "%s: '%s' matches none of the target modules",
                           key, pattern);
    }
    return 0;
}

static void init_of(const struct net *net, const struct linear_site *s,
                    enum init_kind kind[2], float scale[2])
{
    const json_t *init = net->trial->init_lora_weights;
    kind[0] = INIT_UNIFORM;
    scale[0] = 1 / sqrtf((float)s->in);
    kind[1] = INIT_ZEROS;
    scale[1] = 0;
    if (json_is_string(init)) { /* gaussian; the others set their own */
        kind[0] = INIT_NORMAL;
        scale[0] = 1 / (float)s->rank;
    } else if (json_is_false(init)) {
        kind[1] = INIT_UNIFORM;
        scale[1] = 1 / sqrtf((float)s->rank);
    }
}

static int adapt_site(struct net *net, struct linear_site *s, struct err *err)
{
    double rank, alpha;
    int rc;
    if ((rc = lora_pattern_value(net->trial->rank_pattern, "rank_pattern", s->path, &rank,
                                 err)) ||
        (rc = lora_pattern_value(net->trial->alpha_pattern, "alpha_pattern", s->path,
                                 &alpha, err)))
        return rc;
    if (isnan(rank))
        rank = net->trial->rank;
    if (isnan(alpha))
        alpha = net->trial->alpha;
    s->rank = (int32_t)rank;
    s->scale = (float)(alpha / (net->trial->use_rslora ? sqrt(rank) : rank));

    enum init_kind kind[2];
    float scale[2];
    init_of(net, s, kind, scale);
    char *a = xasprintf("%s.lora_A.weight", s->path),
         *b = xasprintf("%s.lora_B.weight", s->path);
    net_method_param(net, a, 2, s->rank, s->in, kind[0], scale[0]);
    net_method_param(net, b, 2, s->out, s->rank, kind[1], scale[1]);
    free(a);
    free(b);
    if (net->trial->use_dora)
        dora_attach(net, s);
    if (net->change.base_moved && (s->rank > s->out || s->rank > s->in))
        return err_set(err, ERR_CONFIG,
                       "rank %d is more than '%s' has (%d x %d), which init_lora_weights "
                       "'%s' cannot start from",
                       s->rank, s->path, s->out, s->in,
                       json_string_value(net->trial->init_lora_weights));
    return 0;
}

static void train_biases(struct net *net)
{
    const char *bias = net->trial->bias;
    if (str_eq(bias, "all"))
        for (size_t i = 0; i < net->params.count; i++)
            net->params.items[i]->trainable |=
                strstr(net->params.items[i]->name, "bias") != NULL;
    if (str_eq(bias, "lora_only"))
        for (size_t i = 0; i < net->sites.count; i++)
            if (net->sites.items[i].rank && net->sites.items[i].has_bias) {
                char *name = xasprintf("%s.bias", net->sites.items[i].path);
                params_find(&net->params, name)->trainable = true;
                free(name);
            }
}

static void set_rates(struct net *net)
{
    const float ratio = (float)net->trial->loraplus_lr_ratio;
    if (isnan(ratio))
        return;
    for (size_t i = 0; i < net->params.count; i++) {
        struct param *p = net->params.items[i];
        if (p->ndim == 1 || strstr(p->name, ".lora_B."))
            p->lr_ratio = ratio;
    }
}

static int attach(struct net *net, struct err *err)
{
    net->change.base_moved = lora_moves_base(net->trial);
    int rc = targets_choose(net, err);
    if (rc || (rc = check_patterns(net, net->trial->rank_pattern, "rank_pattern", err)) ||
        (rc = check_patterns(net, net->trial->alpha_pattern, "alpha_pattern", err)))
        return rc;
    for (size_t i = 0; i < net->sites.count && !rc; i++)
        if (net->sites.items[i].rank)
            rc = adapt_site(net, &net->sites.items[i], err);
    if (rc || (rc = targets_train_saved(net, err)))
        return rc;
    train_biases(net);
    set_rates(net);
    return 0;
}

static int record_linear(const struct net *net, struct graph *g,
                         const struct linear_site *s, int x, int y)
{
    if (!s->rank)
        return y;
    const float p = (float)net->trial->lora_dropout;
    if (net->trial->use_dora)
        return dora_record(net, g, s, x, p);
    lora_record_onto(g, s, g_dropout(g, x, p), y);
    return y;
}

void lora_record_onto(struct graph *g, const struct linear_site *s, int x, int y)
{
    char a[256], b[256];
    snprintf(a, sizeof a, "%s.lora_A.weight", s->path);
    snprintf(b, sizeof b, "%s.lora_B.weight", s->path);
    g_linear_onto(g, y, g_linear(g, x, g_param(g, a), -1, 1), g_param(g, b), s->scale);
}

struct sum {
    float *w;
    const struct linear_site *s;
    const float *a, *b;
};

static void add_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct sum *sum = ctx;
    const struct linear_site *s = sum->s;
    double *row = xmalloc((size_t)s->in * sizeof *row);
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *w = sum->w + r * (size_t)s->in;
        memset(row, 0, (size_t)s->in * sizeof *row);
        for (int32_t k = 0; k < s->rank; k++) {
            const double f = (double)s->scale * sum->b[r * (size_t)s->rank + (size_t)k];
            for (int32_t c = 0; c < s->in; c++)
                row[c] += f * sum->a[(size_t)k * s->in + c];
        }
        for (int32_t c = 0; c < s->in; c++)
            w[c] = (float)(w[c] + row[c]);
    }
    free(row);
}

void lora_add(float *w, const struct linear_site *s, const float *a, const float *b)
{
    pool_run(add_rows, &(struct sum){w, s, a, b}, (size_t)s->out, 16);
}

static bool merge(const struct net *net, const struct backend *backend,
                  const struct linear_site *s, float *weight, float *bias)
{
    (void)bias;
    if (!s->rank || !weight)
        return false;
    float *a = net_download(backend, net_site_param(net, s, "lora_A.weight")),
          *b = net_download(backend, net_site_param(net, s, "lora_B.weight"));
    lora_add(weight, s, a, b);
    if (net->trial->use_dora)
        dora_merge(net, backend, s, weight);
    free(a);
    free(b);
    return true;
}

static int derive(struct net *net, const struct backend *backend, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < net->sites.count; i++)
        if (net->sites.items[i].rank && net->trial->use_dora)
            dora_derive(net, backend, &net->sites.items[i]);
    return 0;
}

/* The base's biases are saved with the adapter and take the place of its own. What is taken
 * out of the base's weights at the start would not fit them once they are quantised. */
static void facts(const struct trial *trial, struct method_facts *f)
{
    f->quantisable = !lora_moves_base(trial);
    if (!str_eq(trial->bias, "none"))
        f->changes_base = BASE_biases;
}

const struct method method_lora = {
    .name = "lora",
    .help = "low-rank updates of linear layers",
    .learning_rate = 5e-4,
    .training_cost = 2,
    .peft_type = "LORA",
    .reads = READS_ADAPTER
    "|" READS_TARGETS
    "|layers_to_transform|rank|alpha|lora_dropout|bias|use_rslora|use_dora|"
    "init_lora_weights|rank_pattern|alpha_pattern|loraplus_lr_ratio",
    .facts = facts,
    .resolve = lora_resolve,
    .attach = attach,
    .start = lora_start,
    .derive = derive,
    .linear = record_linear,
    .merge = merge,
    .files = &lora_files,
    .put_config = lora_put_config,
    .check_config = lora_check_config,
};

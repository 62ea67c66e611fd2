/* runner/nn/peft/adalora.c - see adalora.h. */
#include "runner/nn/peft/adalora.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/lora.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int resolve(const struct trial *trial, json_t *tree, struct err *err)
{
    (void)tree;
    const int64_t init = trial->init_r, target = trial->target_r;
    if (target > init)
        return err_set(err, ERR_CONFIG, "target_r is %lld, more than init_r, %lld",
                       (long long)target, (long long)init);
    if (json_is_string(trial->init_lora_weights))
        return err_set(err, ERR_CONFIG,
                       "init_lora_weights must be true or false with method adalora");
    return 0;
}

static struct param *add_matrix(struct net *net, const struct linear_site *s,
                                const char *name, int32_t rows, int32_t cols,
                                enum init_kind init, float scale)
{
    char *path = xasprintf("%s.%s", s->path, name);
    struct param *p = net_method_param(net, path, 2, rows, cols, init, scale);
    free(path);
    return p;
}

static void add_site(struct net *net, struct adalora *l, struct linear_site *s)
{
    struct adalora_site *to = &l->sites[l->site_count++];
    const double alpha = net->trial->alpha;
    const bool plain = json_is_true(net->trial->init_lora_weights);
    const float sd = plain ? 0.02f : 1;
    s->rank = l->rank;
    s->scale = (float)((alpha > 0 ? alpha : l->rank) / (l->rank + 1e-5));
    to->offset = l->numbers;
    to->a = add_matrix(net, s, "lora_A", l->rank, s->in, INIT_NORMAL, sd);
    to->b = add_matrix(net, s, "lora_B", s->out, l->rank, INIT_NORMAL, sd);
    to->e = add_matrix(net, s, "lora_E", 1, l->rank, plain ? INIT_ZEROS : INIT_NORMAL, 1);
    to->e->column = true;
    l->numbers += (size_t)(param_size(to->a) + param_size(to->b) + l->rank);
}

static int attach(struct net *net, struct err *err)
{
    int rc = targets_choose(net, err);
    if (rc)
        return rc;
    struct adalora *l = net->change.data = xcalloc(1, sizeof *l);
    l->rank = (int32_t)net->trial->init_r;
    l->sites = xcalloc(net->sites.count + 1, sizeof *l->sites);
    for (size_t i = 0; i < net->sites.count; i++)
        if (net->sites.items[i].rank)
            add_site(net, l, &net->sites.items[i]);
    l->kept = xmalloc(l->site_count * (size_t)l->rank);
    memset(l->kept, 1, l->site_count * (size_t)l->rank);
    if (net->training) {
        l->smoothed = xcalloc(l->numbers, sizeof *l->smoothed);
        l->doubt = xcalloc(l->numbers, sizeof *l->doubt);
    }
    return targets_train_saved(net, err);
}

static void release(struct net *net)
{
    struct adalora *l = net->change.data;
    if (!l)
        return;
    free(l->sites);
    free(l->kept);
    free(l->smoothed);
    free(l->doubt);
    free(l);
}

static int plan(struct net *net, int64_t updates, struct err *err)
{
    struct adalora *l = net->change.data;
    const int64_t first = net->trial->tinit, final = net->trial->tfinal;
    l->updates = updates;
    if (first + final < updates)
        return 0;
    return err_set(err, ERR_CONFIG,
                   "tinit (%lld) and tfinal (%lld) leave none of the %lld updates for "
                   "choosing ranks",
                   (long long)first, (long long) final, (long long)updates);
}

static void state(const struct net *net,
                  void (*visit)(void *ctx, const char *name, void *data, size_t bytes),
                  void *ctx)
{
    struct adalora *l = net->change.data;
    visit(ctx, "smoothed", l->smoothed, l->numbers * sizeof *l->smoothed);
    visit(ctx, "doubt", l->doubt, l->numbers * sizeof *l->doubt);
    visit(ctx, "kept", l->kept, l->site_count * (size_t)l->rank);
    visit(ctx, "pruned", &l->pruned, sizeof l->pruned);
}

static int part(struct graph *g, const struct linear_site *s, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s.%s", s->path, name);
    return g_param(g, path);
}

static int record_linear(const struct net *net, struct graph *g,
                         const struct linear_site *s, int x, int y)
{
    if (!s->rank)
        return y;
    const float p = (float)net->trial->lora_dropout;
    int u = g_linear(g, g_dropout(g, x, p), part(g, s, "lora_A"), -1, 1);
    u = g_colscale(g, u, part(g, s, "lora_E"), -1);
    g_linear_onto(g, y, u, part(g, s, "lora_B"), s->scale);
    return y;
}

/* W += s B diag(E) A */
static bool merge(const struct net *net, const struct backend *backend,
                  const struct linear_site *s, float *weight, float *bias)
{
    (void)bias;
    if (!s->rank || !weight)
        return false;
    float *a = net_download(backend, net_site_param(net, s, "lora_A")),
          *b = net_download(backend, net_site_param(net, s, "lora_B")),
          *e = net_download(backend, net_site_param(net, s, "lora_E"));
    for (int32_t k = 0; k < s->rank; k++)
        for (int32_t c = 0; c < s->in; c++)
            a[(size_t)k * s->in + c] *= e[k];
    lora_add(weight, s, a, b);
    free(a);
    free(b);
    free(e);
    return true;
}

/* --- its folder: only the ranks that are left --- */

static const char template[] =
    "{\"alora_invocation_tokens\":null,\"alpha_pattern\":{},\"arrow_config\":null,\"auto_"
    "mapping\":null,\"base_model_name_or_path\":null,\"beta1\":0.85,\"beta2\":0.85,"
    "\"bias\":\"none\",\"corda_config\":null,\"deltaT\":1,\"ensure_weight_tying\":false,"
    "\"eva_config\":null,\"exclude_modules\":null,\"fan_in_fan_out\":false,\"inference_"
    "mode\":true,\"init_lora_weights\":true,\"init_r\":12,\"kasa_config\":null,\"layer_"
    "replication\":null,\"layers_pattern\":null,\"layers_to_transform\":null,\"loftq_"
    "config\":{},\"lora_alpha\":8,\"lora_bias\":false,\"lora_dropout\":0.0,\"lora_ga_"
    "config\":null,\"megatron_config\":null,\"megatron_core\":\"megatron.core\","
    "\"modules_to_save\":null,\"monteclora_config\":null,\"orth_reg_weight\":0.5,\"peft_"
    "type\":\"ADALORA\",\"peft_version\":\"0.21.2\",\"qalora_group_size\":16,\"r\":8,"
    "\"rank_pattern\":null,\"revision\":null,\"target_modules\":null,\"target_"
    "parameters\":null,\"target_r\":8,\"task_type\":null,\"tfinal\":0,\"tinit\":0,"
    "\"total_step\":1,\"trainable_token_indices\":null,\"use_bdlora\":null,\"use_dora\":"
    "false,\"use_qalora\":false,\"use_rslora\":false,\"velora_config\":null}";

static const struct config_key keys[] = {
    {"beta1", "beta1"},
    {"beta2", "beta2"},
    {"deltaT", "deltaT"},
    {"exclude_modules", "exclude_modules"},
    {"init_lora_weights", "init_lora_weights"},
    {"init_r", "init_r"},
    {"layers_to_transform", "layers_to_transform"},
    {"lora_dropout", "lora_dropout"},
    {"orth_reg_weight", "orth_reg_weight"},
    {"target_r", "target_r"},
    {"tfinal", "tfinal"},
    {"tinit", "tinit"},
};

static json_t *rank_pattern(const struct adalora *l)
{
    json_t *all = json_object();
    for (size_t i = 0; i < l->site_count; i++) {
        json_t *list = json_array();
        for (int32_t r = 0; r < l->rank; r++)
            json_array_append_new(list,
                                  json_boolean(l->kept[i * (size_t)l->rank + (size_t)r]));
        json_object_set_new(all, l->sites[i].e->name, list);
    }
    return all;
}

static void put_config(const struct net *net, json_t *c, enum config_use use)
{
    (void)use;
    const struct adalora *l = net->change.data;
    const double alpha = net->trial->alpha;
    config_copy(net, c, keys, ARRAY_LEN(keys));
    json_object_set_new(c, "lora_alpha",
                        alpha == (double)(int64_t)alpha ? json_integer((int64_t)alpha)
                                                        : json_real(alpha));
    json_object_set_new(c, "total_step", json_integer(l->updates));
    json_object_set_new(c, "target_modules", config_targets(net));
    if (l->pruned)
        json_object_set_new(c, "rank_pattern", rank_pattern(l));
}

/* Takes over which ranks a folder holds. */
static int read_pattern(const struct net *net, const json_t *pattern, struct err *err)
{
    struct adalora *l = net->change.data;
    for (size_t i = 0; i < l->site_count; i++) {
        const char *name = l->sites[i].e->name;
        const json_t *list = json_object_get(pattern, name);
        if (json_array_size(list) != (size_t)l->rank)
            return err_set(
                err, ERR_CONFIG,
                "adapter_config.json: rank_pattern has not %d entries for '%s'", l->rank,
                name);
        for (int32_t r = 0; r < l->rank; r++)
            l->kept[i * (size_t)l->rank + (size_t)r] =
                json_is_true(json_array_get(list, (size_t)r));
    }
    l->pruned = 1;
    return 0;
}

static int check_config(const struct net *net, const char *dir, const json_t *config,
                        struct err *err)
{
    const json_t *pattern = json_object_get(config, "rank_pattern");
    const int64_t init_r = json_get_int(config, "init_r", 12);
    (void)dir;
    if (init_r !=
        net->trial->init_r) /* before the pattern, whose lists have that length */
        return err_set(err, ERR_CONFIG,
                       "adapter_config.json: init_r is %lld, the trial says %lld",
                       (long long)init_r, (long long)net->trial->init_r);
    return json_object_size(pattern) ? read_pattern(net, pattern, err) : 0;
}

/* The ranks that a parameter has in a folder: `kept` of its site, NULL where it is none
 * of ours; *ranks: how many are left. */
static const uint8_t *ranks_of(const struct net *net, const struct param *p,
                               bool *columns, int32_t *ranks)
{
    const struct adalora *l = net->change.data;
    for (size_t i = 0; i < l->site_count; i++) {
        const struct adalora_site *s = &l->sites[i];
        if (p != s->a && p != s->b && p != s->e)
            continue;
        const uint8_t *kept = l->kept + i * (size_t)l->rank;
        *columns = p != s->a;
        *ranks = 0;
        for (int32_t r = 0; r < l->rank; r++)
            *ranks += kept[r];
        return kept;
    }
    return NULL;
}

/* Copies the ranks that are left, from the whole (`pack`) or into it. */
static void move_ranks(const struct param *p, const uint8_t *kept, bool columns,
                       bool pack, const float *from, float *to)
{
    int64_t packed = 0;
    for (int32_t row = 0; row < p->rows; row++)
        for (int32_t col = 0; col < p->cols; col++) {
            const int64_t whole = (int64_t)row * p->cols + col;
            if (!kept[columns ? col : row])
                continue;
            to[pack ? packed : whole] = from[pack ? whole : packed];
            packed++;
        }
}

static void shape_in_file(const struct param *p, bool columns, int32_t ranks,
                          int64_t shape[2])
{
    shape[p->column || !columns ? 0 : 1] = ranks;
}

static void saved(const struct net *net, const struct param *p, int64_t shape[2],
                  const float *own, float *out)
{
    bool columns;
    int32_t ranks;
    const uint8_t *kept = ranks_of(net, p, &columns, &ranks);
    if (kept)
        shape_in_file(p, columns, ranks, shape);
    if (kept && out)
        move_ranks(p, kept, columns, true, own, out);
    else if (out)
        memcpy(out, own, (size_t)param_size(p) * sizeof *out);
}

static void restored(const struct net *net, const struct param *p, int64_t shape[2],
                     const float *file, float *out)
{
    bool columns;
    int32_t ranks;
    const uint8_t *kept = ranks_of(net, p, &columns, &ranks);
    if (kept)
        shape_in_file(p, columns, ranks, shape);
    if (kept && out)
        move_ranks(p, kept, columns, false, file, out);
    else if (out)
        memcpy(out, file, (size_t)param_size(p) * sizeof *out);
}

static const struct adapter_files files = {
    .tensors = "adapter_model.safetensors",
    .format_pt = true,
    .tensor_name = peft_tensor_name,
    .saved = saved,
    .restored = restored,
    .defaults = template,
    .put_config = put_config,
    .free_keys =
        PEFT_FREE "|" PEFT_SHOWN "|beta1|beta2|deltaT|init_lora_weights|"
                  "lora_dropout|orth_reg_weight|r|target_r|tfinal|tinit|total_step|rank_"
                  "pattern|alpha_pattern|use_rslora|"
                  "fan_in_fan_out|ensure_weight_tying|megatron_core|qalora_group_size",
    .check_config = check_config,
};

const struct method method_adalora = {
    .name = "adalora",
    .help = "low-rank updates whose ranks are taken where they matter least",
    .learning_rate = 1e-3,
    .training_cost = 2,
    .peft_type = "ADALORA",
    .reads = READS_ADAPTER
    "|" READS_TARGETS
    "|layers_to_transform|alpha|lora_dropout|init_lora_weights|init_r|target_r|"
    "tinit|tfinal|deltaT|beta1|beta2|orth_reg_weight",
    .resolve = resolve,
    .attach = attach,
    .release = release,
    .plan = plan,
    .targets = MAP_adalora,
    .linear = record_linear,
    .merge = merge,
    .penalty = adalora_penalty,
    .after_update = adalora_allocate,
    .state = state,
    .files = &files,
};

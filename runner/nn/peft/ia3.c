/* runner/nn/peft/ia3.c - IA3 (Liu et al. 2022) as peft has it: a learned factor per
 * feature, 1 at the start. On a layer of feedforward_modules it scales the input, y = W
 * (l * x) + b; on the other targets the output, y = l * (W x + b). */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/arch/arch.h"
#include <stdio.h>
#include <stdlib.h>

/* feedforward_modules as a list of names or one expression. */
static json_t *feed_forward(const struct net *net)
{
    json_t *given = net->trial->feedforward_modules;
    if (given)
        return json_incref(given);
    return net->trial->target_modules ? json_array()
                                      : targets_default(net, MAP_ia3_input);
}

static void add_factor(struct net *net, struct linear_site *s)
{
    char *name = xasprintf("%s.ia3_l", s->path);
    struct param *p =
        net_method_param(net, name, 2, 1, s->scales_input ? s->in : s->out, INIT_ONES, 0);
    p->column = !s->scales_input;
    free(name);
}

/* Marks the targets whose input is scaled; each must be a target. */
static int choose_feed_forward(struct net *net, struct err *err)
{
    const char **paths = xcalloc(net->sites.count + 1, sizeof *paths);
    bool *hit = xcalloc(net->sites.count + 1, sizeof *hit);
    json_t *names = feed_forward(net);
    for (size_t i = 0; i < net->sites.count; i++)
        paths[i] = net->sites.items[i].path;
    int rc = targets_match(paths, net->sites.count, "linear layer", "feedforward_modules",
                           names, hit, err);
    for (size_t i = 0; i < net->sites.count && !rc; i++) {
        net->sites.items[i].scales_input = hit[i];
        if (hit[i] && !net->sites.items[i].rank)
            rc = err_set(err, ERR_CONFIG,
                         "feedforward_modules: '%s' is not among target_modules",
                         paths[i]);
    }
    json_decref(names);
    free(hit);
    free(paths);
    return rc;
}

static int attach(struct net *net, struct err *err)
{
    int rc = targets_choose(net, err);
    if (rc || (rc = choose_feed_forward(net, err)))
        return rc;
    for (size_t i = 0; i < net->sites.count; i++)
        if (net->sites.items[i].rank)
            add_factor(net, &net->sites.items[i]);
    return targets_train_saved(net, err);
}

static int factor(struct graph *g, const struct linear_site *s)
{
    char name[256];
    snprintf(name, sizeof name, "%s.ia3_l", s->path);
    return g_param(g, name);
}

static int record_input(const struct net *net, struct graph *g,
                        const struct linear_site *s, int x)
{
    (void)net;
    return s->rank && s->scales_input ? g_colscale(g, x, factor(g, s), -1) : x;
}

static int record_linear(const struct net *net, struct graph *g,
                         const struct linear_site *s, int x, int y)
{
    (void)net, (void)x;
    return s->rank && !s->scales_input ? g_colscale(g, y, factor(g, s), -1) : y;
}

static bool merge(const struct net *net, const struct backend *backend,
                  const struct linear_site *s, float *weight, float *bias)
{
    if (!s->rank)
        return false;
    float *l = net_download(backend, net_site_param(net, s, "ia3_l"));
    for (int32_t r = 0; r < s->out && weight; r++)
        for (int32_t c = 0; c < s->in; c++)
            weight[(size_t)r * s->in + c] *= l[s->scales_input ? c : r];
    for (int32_t r = 0; r < s->out && bias && !s->scales_input; r++)
        bias[r] *= l[r];
    free(l);
    return true;
}

/* --- its folder --- */

static const char template[] =
    "{\"auto_mapping\":null,\"base_model_name_or_path\":null,\"exclude_modules\":null,"
    "\"fan_in_fan_out\":false,\"feedforward_modules\":[],\"inference_mode\":true,"
    "\"init_ia3_weights\":true,\"modules_to_save\":null,\"peft_type\":\"IA3\","
    "\"peft_version\":\"0.21.2\",\"revision\":null,\"target_modules\":null,\"task_type\":"
    "null}";

static void put_config(const struct net *net, json_t *c, enum config_use use)
{
    (void)use;
    static const struct config_key keys[] = {{"exclude_modules", "exclude_modules"}};
    config_copy(net, c, keys, ARRAY_LEN(keys));
    json_object_set_new(c, "target_modules", config_targets(net));
    json_object_set_new(c, "feedforward_modules", feed_forward(net));
}

static const struct adapter_files files = {
    .tensors = "adapter_model.safetensors",
    .format_pt = true,
    .tensor_name = peft_tensor_name,
    .defaults = template,
    .put_config = put_config,
    .free_keys = PEFT_FREE "|" PEFT_SHOWN "|feedforward_modules|init_ia3_weights|"
                           "fan_in_fan_out",
};

const struct method method_ia3 = {
    .name = "ia3",
    .help = "a factor per feature of keys, values and feed-forward inputs",
    .learning_rate = 3e-3,
    .training_cost = 2,
    .peft_type = "IA3",
    .reads = READS_ADAPTER "|" READS_TARGETS "|feedforward_modules",
    .attach = attach,
    .targets = MAP_ia3,
    .input = record_input,
    .linear = record_linear,
    .merge = merge,
    .files = &files,
};

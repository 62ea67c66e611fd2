/* runner/nn/peft/ln_tuning.c - the weights and biases of normalisation layers train (Zhao
 * et al. 2024), as peft's LNTuning: target_modules names norms as elsewhere linear
 * layers; without it, peft's choice for the family, or all where it has none (it has none
 * for encoders). */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/arch/arch.h"
#include <stdlib.h>
#include <string.h>

static void train_norm(struct net *net, const char *path)
{
    static const char *const parts[] = {"weight", "bias"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        char *name = xasprintf("%s.%s", path, parts[i]);
        struct param *p = params_find(&net->params, name);
        if (p)
            p->trainable = true;
        free(name);
    }
}

/* peft's TRANSFORMERS_MODELS_TO_LNTUNING_TARGET_MODULES_MAPPING, of families where it is
 * not all of them. */
static bool is_default(const char *model_type, const char *path)
{
    static const struct {
        const char *types, *names;
    } rows[] = {
        {"qwen2|qwen3", "post_attention_layernorm"},
        {"gemma3_text", "input_layernorm|post_attention_layernorm|pre_feedforward_"
                        "layernorm|post_feedforward_layernorm|norm"},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_in_list(model_type, rows[i].types, '|'))
            return str_in_list(dot ? dot + 1 : path, rows[i].names, '|');
    return true;
}

static int attach(struct net *net, struct err *err)
{
    const json_t *targets = net->trial->target_modules;
    bool *hit = xcalloc(net->norms.count + 1, sizeof *hit);
    int rc = 0;
    for (size_t i = 0; i < net->norms.count; i++)
        hit[i] = !targets && is_default(arch_text_type(net->arch), net->norms.items[i]);
    if (targets)
        rc = targets_match((const char *const *)net->norms.items, net->norms.count,
                           "normalisation layer", "target_modules", targets, hit, err);
    for (size_t i = 0; i < net->norms.count && !rc; i++)
        if (hit[i])
            train_norm(net, net->norms.items[i]);
    free(hit);
    return rc ? rc : targets_train_saved(net, err);
}

/* --- its folder --- */

static const char template[] =
    "{\"auto_mapping\":null,\"base_model_name_or_path\":null,\"exclude_modules\":null,"
    "\"inference_mode\":true,\"modules_to_save\":null,\"peft_type\":\"LN_TUNING\","
    "\"peft_version\":\"0.21.2\",\"revision\":null,\"target_modules\":null,\"task_type\":"
    "null}";

/* Last parts of the default norms' paths, each once. */
static json_t *norm_names(const struct net *net)
{
    json_t *list = json_array();
    for (size_t i = 0; i < net->norms.count; i++) {
        if (!is_default(arch_text_type(net->arch), net->norms.items[i]))
            continue;
        const char *dot = strrchr(net->norms.items[i], '.');
        const char *name = dot ? dot + 1 : net->norms.items[i];
        bool known = false;
        for (size_t k = 0; k < json_array_size(list); k++)
            known |= str_eq(json_string_value(json_array_get(list, k)), name);
        if (!known)
            json_array_append_new(list, json_string(name));
    }
    return list;
}

static void put_config(const struct net *net, json_t *c, enum config_use use)
{
    (void)use;
    json_t *targets = net->trial->target_modules;
    json_object_set_new(c, "target_modules",
                        targets ? json_incref(targets) : norm_names(net));
}

static void tensor_name(const struct net *net, const struct param *p, struct buf *out)
{
    const char *dot = strrchr(p->name, '.');
    if (task_saves(net->goal.task, p->name))
        peft_tensor_name(net, p, out);
    else
        buf_printf(out, "base_model.model.%.*s.ln_tuning_layers%s", (int)(dot - p->name),
                   p->name, dot);
}

static const struct adapter_files files = {
    .tensors = "adapter_model.safetensors",
    .format_pt = true,
    .tensor_name = tensor_name,
    .defaults = template,
    .put_config = put_config,
    .free_keys = PEFT_FREE "|" PEFT_SHOWN,
};

const struct method method_ln_tuning = {
    .name = "ln-tuning",
    .help = "weights and biases of the normalisation layers",
    .learning_rate = 1e-3,
    .training_cost = 2,
    .changes_base = BASE_norms,
    .peft_type = "LN_TUNING",
    .reads = READS_ADAPTER "|target_modules|modules_to_save",
    .attach = attach,
    .files = &files,
};

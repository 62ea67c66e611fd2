/* runner/nn/adapter_files/formats.c - tensor names and configuration files of the folders
 * that peft (0.21), adapters (1.3) and transformers write. Each configuration is their
 * full set of keys with default values, in which a trial's own are put. */
#include "runner/nn/adapter_files/formats.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/bottleneck.h"
#include "runner/nn/peft/lora.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADAPTERS_VERSION "adapters.1.3.0"

static json_t *template_of(const char *text)
{
    json_t *t = json_parse(text, strlen(text), "template", NULL);
    return t ? t : json_object();
}

/* --- peft: LoRA, and the head alone as a LoRA without targets --- */

static const char lora_template[] =
    "{\"alora_invocation_tokens\":null,\"alpha_pattern\":{},\"arrow_config\":null,\"auto_"
    "mapping\":null,"
    "\"base_model_name_or_path\":null,\"bias\":\"none\",\"corda_config\":null,\"ensure_"
    "weight_tying\":false,"
    "\"eva_config\":null,\"exclude_modules\":null,\"fan_in_fan_out\":false,\"inference_"
    "mode\":true,"
    "\"init_lora_weights\":true,\"kasa_config\":null,\"layer_replication\":null,\"layers_"
    "pattern\":null,"
    "\"layers_to_transform\":null,\"loftq_config\":{},\"lora_alpha\":8,\"lora_bias\":"
    "false,\"lora_dropout\":0.0,"
    "\"lora_ga_config\":null,\"megatron_config\":null,\"megatron_core\":\"megatron."
    "core\",\"modules_to_save\":null,"
    "\"monteclora_config\":null,\"peft_type\":\"LORA\",\"peft_version\":\"0.21.2\","
    "\"qalora_group_size\":16,\"r\":8,"
    "\"rank_pattern\":{},\"revision\":null,\"target_modules\":\"dummy-target-modules\","
    "\"target_parameters\":null,"
    "\"task_type\":null,\"trainable_token_indices\":null,\"use_bdlora\":null,"
    "\"use_dora\":false,"
    "\"use_qalora\":false,\"use_rslora\":false,\"velora_config\":null}";

/* Where a key only says how the adapter was started, or has no effect on linear layers
 * (fan_in_fan_out, which peft corrects) or without another (qalora_group_size). */
#define LORA_FREE                                                                        \
    PEFT_FREE "|" PEFT_SHOWN "|lora_dropout|ensure_weight_tying|fan_in_fan_out|"         \
              "megatron_core|qalora_group_size|loftq_config|eva_config|corda_config|"    \
              "lora_ga_config"

static void put_lora_config(const struct net *net, json_t *c, enum config_use use)
{
    if (net->method->put_config)
        net->method->put_config(net, c, use);
}

/* peft wraps a targeted layer, so that its own bias moves to base_layer. */
static void lora_tensor_name(const struct net *net, const struct param *p,
                             struct buf *out)
{
    const size_t n = strlen(p->name);
    if (str_has_suffix(p->name, ".bias")) {
        char *path = xstrndup(p->name, n - 5);
        const struct linear_site *s = net_site(net, path);
        const bool wrapped = s && s->rank;
        if (wrapped)
            buf_printf(out, "base_model.model.%s.base_layer.bias", path);
        free(path);
        if (wrapped)
            return;
    }
    buf_printf(out, "base_model.model.%s", p->name);
}

/* With bias = all peft writes the head's bias three times. */
static bool lora_optional(const char *tensor)
{
    return str_has_suffix(tensor, ".original_module.bias") ||
           str_has_suffix(tensor, ".modules_to_save.bias");
}

static int check_lora_config(const struct net *net, const char *dir, const json_t *config,
                             struct err *err)
{
    (void)dir;
    return net->method->check_config ? net->method->check_config(net, config, err) : 0;
}

const struct adapter_files lora_files = {
    .tensors = "adapter_model.safetensors",
    .format_pt = true,
    .tensor_name = lora_tensor_name,
    .optional = lora_optional,
    .saved = lora_saved,
    .adopt = lora_adopt,
    .defaults = lora_template,
    .put_config = put_lora_config,
    .free_keys = LORA_FREE "|init_lora_weights|r|lora_alpha|rank_pattern|alpha_pattern",
    .check_config = check_lora_config,
};

/* --- adapters: bottleneck --- */

static const char pfeiffer_template[] =
    "{\"adapter_residual_before_ln\":false,\"cross_adapter\":false,\"dropout\":0.0,"
    "\"factorized_phm_W\":true,"
    "\"factorized_phm_rule\":false,\"hypercomplex_nonlinearity\":\"glorot-uniform\","
    "\"init_weights\":\"bert\","
    "\"init_weights_seed\":null,\"inv_adapter\":null,\"inv_adapter_reduction_factor\":"
    "null,\"is_parallel\":false,"
    "\"learn_phm\":true,\"leave_out\":[],\"ln_after\":false,\"ln_before\":false,\"mh_"
    "adapter\":false,"
    "\"non_linearity\":\"relu\",\"original_ln_after\":true,\"original_ln_before\":true,"
    "\"output_adapter\":true,"
    "\"phm_bias\":true,\"phm_c_init\":\"normal\",\"phm_dim\":4,\"phm_init_range\":0.0001,"
    "\"phm_layer\":false,"
    "\"phm_rank\":1,\"reduction_factor\":16,\"residual_before_ln\":true,\"scaling\":1.0,"
    "\"shared_W_phm\":false,"
    "\"shared_phm_rule\":true,\"stochastic_depth\":0.0,\"use_gating\":false}";

static void put_names(const struct net *net, json_t *c)
{
    json_object_set_new(c, "hidden_size", json_integer(net->shape.hidden));
    char *class = task_class(net);
    json_object_set_new(c, "model_class", json_string(class));
    free(class);
    json_object_set_new(c, "model_name", json_string(net->trial->model));
    json_object_set_new(c, "model_type", json_string(net->arch->model_type));
    json_object_set_new(c, "version", json_string(ADAPTERS_VERSION));
}

static json_t *bottleneck_config(const struct net *net)
{
    json_t *inner = template_of(pfeiffer_template);
    static const struct config_key act = {"non_linearity", "non_linearity"};
    const struct bottleneck_kind *k = bottleneck_kind(net->trial);
    json_object_set_new(inner, "init_weights", json_string(k->init));
    json_object_set_new(inner, "is_parallel", json_boolean(k->parallel));
    json_object_set_new(inner, "mh_adapter", json_boolean(k->attention));
    json_object_set_new(inner, "original_ln_before", json_boolean(k->norm_before));
    json_object_set_new(inner, "scaling", json_real(k->scaling));
    config_copy(net, inner, &act, 1);
    json_object_set_new(inner, "reduction_factor",
                        config_number(net->trial->reduction_factor));
    return inner;
}

static int write_bottleneck_config(const struct net *net, const char *dir,
                                   const char *const *label_names, struct err *err)
{
    json_t *c = json_object();
    json_object_set_new(c, "config", bottleneck_config(net));
    json_object_set_new(c, "name", json_string("default"));
    put_names(net, c);
    int rc = config_write(dir, "adapter_config.json", c, err);
    if (rc || !net->goal.task->kind->saved_modules[0]) /* the head is the base's */
        return rc;
    json_t *h = json_object();
    json_object_set_new(h, "config", json_null());
    json_object_set_new(h, "label2id",
                        config_label_ids(label_names, net->goal.num_labels, false));
    json_object_set_new(h, "name", json_null());
    json_object_set_new(h, "num_labels", json_integer(net->goal.num_labels));
    put_names(net, h);
    return config_write(dir, "head_config.json", h, err);
}

/* What says how the adapter was started or trained, or how a PHM layer is made where
 * there is none. */
#define BOTTLENECK_FREE                                                                  \
    "dropout|init_weights|init_weights_seed|stochastic_depth|factorized_phm_W|"          \
    "factorized_phm_rule|hypercomplex_nonlinearity|learn_phm|phm_bias|phm_c_init|"       \
    "phm_dim|phm_init_range|phm_rank|shared_W_phm|shared_phm_rule|"                      \
    "inv_adapter_reduction_factor"

static int check_head(const struct net *net, const char *dir, struct err *err)
{
    char *path = fs_join(dir, "head_config.json");
    json_t *h = fs_exists(path) ? json_read_file(path, err) : json_object();
    int rc = h ? 0 : err_code(err);
    free(path);
    const json_t *kind = json_object_get(h, "config"),
                 *labels = json_object_get(h, "num_labels");
    if (!rc && kind && !json_is_null(kind)) /* adapters' own heads, of another form */
        rc = config_differs("head_config.json", "config", kind, NULL, err);
    json_t *own = json_integer(net->goal.num_labels);
    if (!rc && labels && !json_is_null(labels) && !json_equal(labels, own))
        rc = config_differs("head_config.json", "num_labels", labels, own, err);
    json_decref(own);
    json_decref(h);
    return rc;
}

/* "silu" and "swish" are one function. */
static void one_name(json_t *config)
{
    if (str_eq(json_get_str(config, "non_linearity", ""), "silu"))
        json_object_set_new(config, "non_linearity", json_string("swish"));
}

static int check_bottleneck_config(const struct net *net, const char *dir,
                                   const json_t *config, struct err *err)
{
    char *path = fs_join(dir, "adapter_config.json");
    json_t *c = json_read_file(path, err), *inner = json_object_get(c, "config");
    int rc = c ? 0 : err_code(err);
    free(path);
    (void)config;
    if (!rc && !json_is_object(inner))
        rc = err_set(err, ERR_CONFIG,
                     "adapter_config.json: 'config' must be an object (is it a folder of "
                     "the adapters library?)");
    if (!rc) {
        json_t *ours = bottleneck_config(net), *usual = template_of(pfeiffer_template);
        one_name(ours);
        one_name(inner);
        rc = config_compare("adapter_config.json", inner, ours, usual, BOTTLENECK_FREE,
                            err);
        json_decref(usual);
        json_decref(ours);
    }
    const char *type = json_get_str(c, "model_type", net->arch->model_type);
    if (!rc && !str_eq(type, net->arch->model_type))
        rc = err_set(err, ERR_CONFIG,
                     "adapter_config.json: model_type is '%s', the base's is '%s'", type,
                     net->arch->model_type);
    json_decref(c);
    return rc ? rc : check_head(net, dir, err);
}

static void plain_tensor_name(const struct net *net, const struct param *p,
                              struct buf *out)
{
    (void)net;
    buf_str_add(out, p->name);
}

const struct adapter_files bottleneck_files = {
    .tensors = "adapter.safetensors",
    .head_tensors = "model_head.safetensors",
    .tensor_name = plain_tensor_name,
    .write_config = write_bottleneck_config,
    .check_config = check_bottleneck_config,
};

/* --- transformers: a whole model folder --- */

static int copy_file(const char *from, const char *to, const char *name, struct err *err)
{
    char *src = fs_join(from, name), *dst = fs_join(to, name);
    struct buf b = BUF_INIT;
    int rc = 0;
    if (fs_exists(src) && !str_eq(src, dst)) {
        rc = fs_read(src, (size_t)64 << 20, &b, err);
        if (!rc)
            rc = fs_write_atomic(dst, b.data, b.len, err);
    }
    buf_release(&b);
    free(src);
    free(dst);
    return rc;
}

/* Of a model's folder, beside weights and config.json. */
static const char *const tokenizer_files[] = {
    "tokenizer.json",      "tokenizer_config.json",
    "vocab.txt",           "special_tokens_map.json",
    "added_tokens.json",   "vocab.json",
    "merges.txt",          "sentencepiece.bpe.model",
    "chat_template.jinja", "generation_config.json"};

bool model_folder_has(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(tokenizer_files); i++)
        if (str_eq(name, tokenizer_files[i]))
            return true;
    return str_eq(name, "config.json") || str_eq(name, "model.safetensors.index.json") ||
           (str_has_prefix(name, "model") && str_has_suffix(name, ".safetensors"));
}

bool adapter_folder_has(const char *name)
{
    return str_in_list(name,
                       "adapter_config.json|adapter_model.safetensors|"
                       "adapter.safetensors|model_head.safetensors|head_config.json|"
                       "README.md",
                       '|');
}

static const char *torch_word(enum dtype dtype)
{
    return dtype == DT_F16 ? "float16" : dtype == DT_BF16 ? "bfloat16" : "float32";
}

int model_folder_files(const struct net *net, const char *dir,
                       const char *const *label_names, enum dtype dtype, struct err *err)
{
    json_t *c = json_deep_copy(net->hf->config);
    json_object_set_new(c, json_object_get(c, "dtype") ? "dtype" : "torch_dtype",
                        json_string(torch_word(dtype)));
    json_object_del(c, "quantization_config");
    char *class = task_class(net);
    json_object_set_new(c, "architectures", json_pack("[s]", class));
    free(class);
    net->goal.task->kind->put_config(net, c, label_names);
    int rc = config_write(dir, "config.json", c, err);
    for (size_t i = 0; i < ARRAY_LEN(tokenizer_files) && !rc; i++)
        rc = copy_file(net->hf->dir, dir, tokenizer_files[i], err);
    if (!rc && net->hf->weights && !fs_is_dir(net->hf->dir))
        rc = hf_model_write_tokenizer(net->hf, dir, err);
    return rc;
}

static int write_model_config(const struct net *net, const char *dir,
                              const char *const *label_names, struct err *err)
{
    return model_folder_files(net, dir, label_names, DT_F32, err);
}

/* The folder's config.json where it would make other numbers of the same tensors. */
static int check_model_config(const struct net *net, const char *dir,
                              const json_t *config, struct err *err)
{
    static const char *const keys[] = {"model_type",
                                       "hidden_act",
                                       "activation",
                                       "num_attention_heads",
                                       "n_heads",
                                       "n_head",
                                       "num_key_value_heads",
                                       "head_dim",
                                       "activation_function",
                                       "hidden_activation",
                                       "rms_norm_eps",
                                       "layer_norm_epsilon",
                                       "sliding_window",
                                       "no_rope_layers",
                                       "scale_attn_weights",
                                       "scale_attn_by_inverse_layer_idx",
                                       "is_decoder",
                                       "position_embedding_type",
                                       "layer_norm_eps",
                                       "pad_token_id"};
    char *path = fs_join(dir, "config.json");
    json_t *c = fs_exists(path) ? json_read_file(path, err) : json_object();
    int rc = c ? 0 : err_code(err);
    free(path);
    (void)config;
    for (size_t i = 0; i < ARRAY_LEN(keys) && !rc; i++) {
        const json_t *a = json_object_get(c, keys[i]),
                     *b = json_object_get(net->hf->config, keys[i]);
        if (a && b && !json_equal(a, b))
            rc = config_differs("config.json", keys[i], a, b, err);
    }
    json_decref(c);
    return rc;
}

static bool model_optional(const char *tensor)
{
    return str_has_suffix(tensor, "embeddings.position_ids");
}

const struct adapter_files model_files = {
    .tensors = "model.safetensors",
    .format_pt = true,
    .partial = true,
    .tensor_name = plain_tensor_name,
    .optional = model_optional,
    .write_config = write_model_config,
    .check_config = check_model_config,
};

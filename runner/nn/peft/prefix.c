/* runner/nn/peft/prefix.c - prefix tuning (Li and Liang 2021) as peft has it.
 *
 * One matrix num_virtual_tokens x (2 * layers * features of all heads of keys): layer l's keys are column block
 * 2l, its values block 2l + 1. It is N(0, 1) at the start, or with prefix_projection what
 * an embedding, a linear layer, tanh and another linear layer make. Virtual keys and
 * values take no projection, norm or position; every real token of every sequence sees
 * them. Real tokens' positions start at num_virtual_tokens. */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/peft/prompt.h"

static struct prompt_encoder encoder(const struct net *net)
{
    return (struct prompt_encoder){
        "transform",
        ACT_tanh,
        2,
        {prompt_encoder_size(net), 2 * net->shape.layers * net_kv_width(net)}};
}

static bool projects(const struct net *net)
{
    return net->trial->prefix_projection;
}

static int attach(struct net *net, struct err *err)
{
    const struct prompt_encoder e = encoder(net);
    return prompt_attach(net, 2 * net->shape.layers * net_kv_width(net),
                         projects(net) ? &e : NULL, err);
}

static int record_prompt(const struct net *net, struct graph *g)
{
    const struct prompt_encoder e = encoder(net);
    return prompt_record(net, g, &e);
}

static void record_prefix(const struct net *net, struct graph *g, int layer, int *k,
                          int *v)
{
    const int32_t width = net_kv_width(net);
    *k = g_slice(g, g->prompt, 2 * layer * width, width);
    *v = g_slice(g, g->prompt, (2 * layer + 1) * width, width);
}

/* --- its folder --- */

static const char template[] =
    "{\"auto_mapping\":null,\"base_model_name_or_path\":null,\"encoder_hidden_size\":0,"
    "\"inference_mode\":true,\"init_weights\":null,\"modules_to_save\":null,\"num_"
    "attention_heads\":0,\"num_layers\":0,\"num_transformer_submodules\":1,\"num_virtual_"
    "tokens\":0,\"peft_type\":\"PREFIX_TUNING\",\"peft_version\":\"0.21.2\",\"prefix_"
    "projection\":false,\"revision\":null,\"task_type\":null,\"token_dim\":0}";

static void put_config(const struct net *net, json_t *c, enum config_use use)
{
    (void)use;
    prompt_put_config(net, c);
    json_object_set_new(c, "encoder_hidden_size", json_integer(prompt_encoder_size(net)));
    json_object_set_new(c, "prefix_projection", json_boolean(projects(net)));
}

static float *values(const struct net *net, const struct backend *backend,
                     const char **name, int64_t shape[2])
{
    const struct prompt_encoder e = encoder(net);
    *name = PROMPT_EMBEDDINGS;
    return prompt_values(net, backend, &e, shape);
}

static const struct adapter_files files = {
    .tensors = "adapter_model.safetensors",
    .encoder_tensors = "prompt_encoder.safetensors",
    .format_pt = true,
    .tensor_name = prompt_tensor_name,
    .derived = values,
    .optional = prompt_optional,
    .defaults = template,
    .put_config = put_config,
    .free_keys = PEFT_FREE "|" PROMPT_FREE "|encoder_hidden_size|init_weights",
    .check_config = prompt_check_config,
};

const struct method method_prefix = {
    .name = "prefix",
    .help = "virtual keys and values in front of every layer's own",
    .learning_rate = 1e-2,
    .training_cost = 2,
    .virtual_tokens = true,
    .peft_type = "PREFIX_TUNING",
    .reads = READS_ADAPTER "|num_virtual_tokens|prefix_projection|encoder_hidden_size",
    .attach = attach,
    .prompt = record_prompt,
    .prefix = record_prefix,
    .no_merge = "virtual keys and values are no part of any weight",
    .files = &files,
};

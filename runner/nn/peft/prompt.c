/* runner/nn/peft/prompt.c - see prompt.h; and prompt tuning (Lester et al. 2021) and
 * p-tuning (Liu et al. 2021): the virtual tokens come in front of each sequence as word
 * embeddings, with the positions 0 .. num_virtual_tokens - 1 and token type 0, so that a
 * pooler reads the first of them. */
#include "runner/nn/peft/prompt.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/str.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/arch/arch.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENCODER_FILE      "prompt_encoder.safetensors"
#define ENCODER_EMBEDDING PROMPT_ENCODER "embedding.weight"

/* --- the matrix and its encoder --- */

static bool has_encoder(const struct net *net)
{
    return params_find(&net->params, ENCODER_EMBEDDING) != NULL;
}

static void layer_name(char name[128], const struct prompt_encoder *e, int layer,
                       const char *part)
{
    snprintf(name, 128, PROMPT_ENCODER "%s.%d.%s", e->module, 2 * layer, part);
}

int32_t prompt_token_dim(const struct net *net)
{
    return net->method->prefix ? net_kv_width(net) : net->shape.hidden;
}

/* torch's start of a linear layer: both uniform within 1 / sqrt(in). */
static void add_encoder(struct net *net, const struct prompt_encoder *e, int32_t tokens)
{
    int32_t in = prompt_token_dim(net);
    char name[128];
    net_method_param(net, ENCODER_EMBEDDING, 2, tokens, in, INIT_NORMAL, 1)->table = true;
    for (int i = 0; i < e->layers; i++) {
        const float half_width = 1 / sqrtf((float)in);
        layer_name(name, e, i, "weight");
        net_method_param(net, name, 2, e->sizes[i], in, INIT_UNIFORM, half_width);
        layer_name(name, e, i, "bias");
        net_method_param(net, name, 1, 1, e->sizes[i], INIT_UNIFORM, half_width);
        in = e->sizes[i];
    }
}

/* Whether the start values are an encoder's output without the encoder; an error where
 * it is to be trained. */
static int only_output_given(const struct net *net, bool *only, struct err *err)
{
    *only = false;
    if (!net->adapter || !fs_is_dir(net->adapter))
        return 0;
    char *path = fs_join(net->adapter, ENCODER_FILE);
    *only = !fs_exists(path);
    free(path);
    if (!*only || !net->training)
        return 0;
    return err_set(
        err, ERR_CONFIG,
        "adapter folder '%s' has no " ENCODER_FILE
        ": it holds what the prompt encoder made, from which a training cannot "
        "go on (evaluating it works)",
        net->adapter);
}

int32_t prompt_encoder_size(const struct net *net)
{
    const int64_t given = net->trial->encoder_hidden_size;
    return given ? (int32_t)given : prompt_token_dim(net);
}

int prompt_attach(struct net *net, int32_t cols, const struct prompt_encoder *encoder,
                  struct err *err)
{
    const int32_t n = (int32_t)net->trial->num_virtual_tokens;
    bool only_output = false;
    if (n >= net->shape.max_positions)
        return err_set(err, ERR_CONFIG,
                       "num_virtual_tokens is %d, but the model has only %d positions", n,
                       net->shape.max_positions);
    int rc = encoder ? only_output_given(net, &only_output, err) : 0;
    if (rc)
        return rc;
    net->change.virtual_tokens = n;
    if (encoder && !only_output) {
        add_encoder(net, encoder, n);
        net->change.derived_values = (int64_t)n * cols;
    } else {
        net_method_param(net, PROMPT_EMBEDDINGS, 2, n, cols, INIT_NORMAL, 1)->table =
            true;
    }
    task_train_head(net);
    return 0;
}

int prompt_record(const struct net *net, struct graph *g,
                  const struct prompt_encoder *encoder)
{
    char weight[128], bias[128];
    if (!has_encoder(net))
        return g_param(g, PROMPT_EMBEDDINGS);
    int x = g_param(g, ENCODER_EMBEDDING);
    for (int i = 0; i < encoder->layers; i++) {
        layer_name(weight, encoder, i, "weight");
        layer_name(bias, encoder, i, "bias");
        x = g_linear(g, i ? g_act(g, x, encoder->act) : x, g_param(g, weight),
                     g_param(g, bias), 1);
    }
    return x;
}

static float *values_of(const struct net *net, const struct backend *backend,
                        const char *name, int32_t *rows, int32_t *cols)
{
    const struct param *p = params_find(&net->params, name);
    const size_t bytes = (size_t)param_size(p) * sizeof(float);
    float *values = xmalloc(bytes);
    backend->download(backend->device, values, p->value.data, bytes);
    *rows = p->rows;
    *cols = p->cols;
    return values;
}

static float activate(enum act act, float x)
{
    return act == ACT_tanh ? tanhf(x) : x > 0 ? x : 0;
}

/* One layer on the host; frees x. */
static float *apply_layer(const struct net *net, const struct backend *backend,
                          const struct prompt_encoder *e, int layer, float *x,
                          int32_t tokens)
{
    char name[128];
    int32_t out, in, one;
    layer_name(name, e, layer, "weight");
    float *w = values_of(net, backend, name, &out, &in);
    layer_name(name, e, layer, "bias");
    float *b = values_of(net, backend, name, &one, &out);
    float *y = xmalloc((size_t)tokens * (size_t)out * sizeof *y);
    for (int32_t i = 0; layer && i < tokens * in; i++)
        x[i] = activate(e->act, x[i]);
    for (int32_t t = 0; t < tokens; t++)
        for (int32_t o = 0; o < out; o++) {
            double sum = b[o];
            for (int32_t k = 0; k < in; k++)
                sum += (double)x[(int64_t)t * in + k] * w[(int64_t)o * in + k];
            y[(int64_t)t * out + o] = (float)sum;
        }
    free(w);
    free(b);
    free(x);
    return y;
}

float *prompt_values(const struct net *net, const struct backend *backend,
                     const struct prompt_encoder *encoder, int64_t shape[2])
{
    if (!has_encoder(net))
        return NULL;
    int32_t tokens, cols;
    float *x = values_of(net, backend, ENCODER_EMBEDDING, &tokens, &cols);
    for (int i = 0; i < encoder->layers; i++)
        x = apply_layer(net, backend, encoder, i, x, tokens);
    shape[0] = tokens;
    shape[1] = encoder->sizes[encoder->layers - 1];
    return x;
}

/* --- folders --- */

void prompt_tensor_name(const struct net *net, const struct param *p, struct buf *out)
{
    (void)net;
    buf_printf(out, "%s%s", str_eq(p->name, PROMPT_EMBEDDINGS) ? "" : "base_model.",
               p->name);
}

bool prompt_optional(const char *tensor)
{
    return str_eq(tensor, PROMPT_EMBEDDINGS);
}

void prompt_put_config(const struct net *net, json_t *c)
{
    /* of a prefix those of keys, which may be fewer */
    const int32_t heads = net->change.prompt_rows
                              ? net->shape.heads
                              : prompt_token_dim(net) / net->shape.head_dim;
    json_object_set_new(c, "token_dim", json_integer(prompt_token_dim(net)));
    json_object_set_new(c, "num_attention_heads", json_integer(heads));
    json_object_set_new(c, "num_layers", json_integer(net->shape.layers));
    json_object_set_new(c, "num_virtual_tokens",
                        json_integer(net->change.virtual_tokens));
}

int prompt_check_config(const struct net *net, const char *dir, const json_t *config,
                        struct err *err)
{
    static const char *const filled[] = {"token_dim", "num_attention_heads", "num_layers",
                                         "num_transformer_submodules"};
    json_t *ours = config_make(net, CONFIG_TO_READ);
    int rc = 0;
    (void)dir;
    for (size_t i = 0; i < ARRAY_LEN(filled) && !rc; i++) {
        const json_t *a = json_object_get(config, filled[i]),
                     *b = json_object_get(ours, filled[i]);
        if (a && !json_is_null(a) && !json_equal(a, b))
            rc = config_differs("adapter_config.json", filled[i], a, b, err);
    }
    json_decref(ours);
    return rc;
}

/* --- prompt tuning --- */

static bool is_words(const char *name)
{
    return str_has_suffix(name, "word_embeddings.weight") ||
           str_has_suffix(name, "embed_tokens.weight") ||
           str_has_suffix(name, "wte.weight");
}

/* Rows of the word embeddings, drawn by the seed (peft's SAMPLE_VOCAB). */
static int start_from_vocabulary(struct net *net, struct err *err)
{
    struct param *p = params_find(&net->params, PROMPT_EMBEDDINGS);
    const struct param *words = NULL;
    for (size_t i = 0; i < net->params.count && !words; i++)
        if (is_words(net->params.items[i]->name))
            words = net->params.items[i];
    if (words && words->absent)
        return 0; /* planned: the bytes are the same, whatever they hold */
    if (!words || !words->base)
        return err_set(err, ERR_CONFIG,
                       "prompt_tuning_init 'vocab': the model has no word embeddings");
    const struct philox_key key = rng_key((uint64_t)net->trial->seed, "prompt vocab");
    float *table = xmalloc((size_t)param_size(words) * sizeof *table);
    int rc = st_read_f32(words->base, table, err);
    if (!rc)
        p->given = xmalloc((size_t)param_size(p) * sizeof *p->given);
    for (int32_t r = 0; r < p->rows && !rc; r++)
        memcpy(p->given + (int64_t)r * p->cols,
               table + (int64_t)rng_below(&key, 0, (uint64_t)r, (uint64_t)words->rows) *
                           p->cols,
               (size_t)p->cols * sizeof *table);
    free(table);
    return rc;
}

static int attach_prompt(struct net *net, struct err *err)
{
    int rc = prompt_attach(net, net->shape.hidden, NULL, err);
    net->change.prompt_rows = net->change.virtual_tokens;
    if (!rc && str_eq(net->trial->prompt_tuning_init, "vocab"))
        rc = start_from_vocabulary(net, err);
    return rc;
}

static int record_prompt(const struct net *net, struct graph *g)
{
    return prompt_record(net, g, NULL);
}

static const char prompt_template[] =
    "{\"auto_mapping\":null,\"base_model_name_or_path\":null,\"inference_mode\":true,"
    "\"modules_to_save\":null,\"num_attention_heads\":0,\"num_layers\":0,\"num_"
    "transformer_submodules\":1,\"num_virtual_tokens\":0,\"peft_type\":\"PROMPT_TUNING\","
    "\"peft_version\":\"0.21.2\",\"prompt_tuning_init\":\"RANDOM\",\"prompt_tuning_init_"
    "text\":null,\"revision\":null,\"task_type\":null,\"token_dim\":0,\"tokenizer_"
    "kwargs\":null,\"tokenizer_name_or_path\":null}";

static void put_prompt_config(const struct net *net, json_t *c, enum config_use use)
{
    (void)use;
    prompt_put_config(net, c);
    if (str_eq(net->trial->prompt_tuning_init, "vocab"))
        json_object_set_new(c, "prompt_tuning_init", json_string("SAMPLE_VOCAB"));
}

static const struct adapter_files prompt_files = {
    .tensors = "adapter_model.safetensors",
    .format_pt = true,
    .tensor_name = prompt_tensor_name,
    .defaults = prompt_template,
    .put_config = put_prompt_config,
    .free_keys =
        PEFT_FREE "|" PROMPT_FREE "|prompt_tuning_init|"
                  "prompt_tuning_init_text|tokenizer_kwargs|tokenizer_name_or_path",
    .check_config = prompt_check_config,
};

const struct method method_prompt = {
    .name = "prompt",
    .help = "virtual tokens in front of the text",
    .learning_rate = 3e-2,
    .training_cost = 2,
    .virtual_tokens = true,
    .peft_type = "PROMPT_TUNING",
    .reads = READS_ADAPTER "|num_virtual_tokens|prompt_tuning_init",
    .attach = attach_prompt,
    .prompt = record_prompt,
    .no_merge = "virtual tokens are input, not weights",
    .files = &prompt_files,
};

/* --- p-tuning: Linear-ReLU-Linear-ReLU-Linear (peft's MLP kind) --- */

static struct prompt_encoder p_tuning_encoder(const struct net *net)
{
    const int32_t inner = prompt_encoder_size(net);
    return (struct prompt_encoder){
        "mlp_head", ACT_relu, 3, {inner, inner, net->shape.hidden}};
}

static int attach_p_tuning(struct net *net, struct err *err)
{
    const struct prompt_encoder e = p_tuning_encoder(net);
    int rc = prompt_attach(net, net->shape.hidden, &e, err);
    net->change.prompt_rows = net->change.virtual_tokens;
    return rc;
}

static int record_p_tuning(const struct net *net, struct graph *g)
{
    const struct prompt_encoder e = p_tuning_encoder(net);
    return prompt_record(net, g, &e);
}

static float *p_tuning_values(const struct net *net, const struct backend *backend,
                              const char **name, int64_t shape[2])
{
    const struct prompt_encoder e = p_tuning_encoder(net);
    *name = PROMPT_EMBEDDINGS;
    return prompt_values(net, backend, &e, shape);
}

static const char p_tuning_template[] =
    "{\"auto_mapping\":null,\"base_model_name_or_path\":null,\"encoder_dropout\":0.0,"
    "\"encoder_hidden_size\":0,\"encoder_num_layers\":2,\"encoder_reparameterization_"
    "type\":\"MLP\",\"inference_mode\":true,\"modules_to_save\":null,\"num_attention_"
    "heads\":0,\"num_layers\":0,\"num_transformer_submodules\":1,\"num_virtual_tokens\":"
    "0,"
    "\"peft_type\":\"P_TUNING\",\"peft_version\":\"0.21.2\",\"revision\":null,\"task_"
    "type\":null,\"token_dim\":0}";

static void put_p_tuning_config(const struct net *net, json_t *c, enum config_use use)
{
    (void)use;
    prompt_put_config(net, c);
    json_object_set_new(c, "encoder_hidden_size",
                        json_integer(p_tuning_encoder(net).sizes[0]));
}

static const struct adapter_files p_tuning_files = {
    .tensors = "adapter_model.safetensors",
    .encoder_tensors = ENCODER_FILE,
    .format_pt = true,
    .tensor_name = prompt_tensor_name,
    .derived = p_tuning_values,
    .optional = prompt_optional,
    .defaults = p_tuning_template,
    .put_config = put_p_tuning_config,
    .free_keys = PEFT_FREE "|" PROMPT_FREE "|encoder_dropout|encoder_hidden_size|"
                           "encoder_num_layers|encoder_reparameterization_type",
    .check_config = prompt_check_config,
};

const struct method method_p_tuning = {
    .name = "p-tuning",
    .help = "virtual tokens in front of the text, made by a small network",
    .learning_rate = 1e-3,
    .training_cost = 2,
    .virtual_tokens = true,
    .peft_type = "P_TUNING",
    .reads = READS_ADAPTER "|num_virtual_tokens|encoder_hidden_size",
    .attach = attach_p_tuning,
    .prompt = record_p_tuning,
    .no_merge = "virtual tokens are input, not weights",
    .files = &p_tuning_files,
};

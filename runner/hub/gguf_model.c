/* runner/hub/gguf_model.c - names, configuration and weights of a GGUF file. */
#include "runner/hub/gguf_model.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- architectures ----------------------------------------------------------------- */

/* Where the rows of a tensor stand in llama.cpp's order, and of which heads. */
enum rows { ROWS_OWN, ROWS_Q, ROWS_K };

static const struct tensor_name {
    const char *gguf, *hf;
    enum rows rows;
} layer_names[] =
    {
        {"attn_norm", "input_layernorm", ROWS_OWN},
        {"attn_q", "self_attn.q_proj", ROWS_Q},
        {"attn_k", "self_attn.k_proj", ROWS_K},
        {"attn_v", "self_attn.v_proj", ROWS_OWN},
        {"attn_output", "self_attn.o_proj", ROWS_OWN},
        {"attn_q_norm", "self_attn.q_norm", ROWS_OWN},
        {"attn_k_norm", "self_attn.k_norm", ROWS_OWN},
        {"ffn_norm", "post_attention_layernorm", ROWS_OWN},
        {"ffn_gate", "mlp.gate_proj", ROWS_OWN},
        {"ffn_up", "mlp.up_proj", ROWS_OWN},
        {"ffn_down", "mlp.down_proj", ROWS_OWN},
},
  model_names[] = {
      {"token_embd.weight", "model.embed_tokens.weight", ROWS_OWN},
      {"output_norm.weight", "model.norm.weight", ROWS_OWN},
      {"output.weight", "lm_head.weight", ROWS_OWN},
};

/* permuted: rows of q and k are reordered. */
static const struct architecture {
    const char *name, *model_type, *class;
    bool permuted;
} architectures[] = {
    {"llama", "llama", "LlamaForCausalLM", true},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", false},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", false},
};

static const struct architecture *find_architecture(const struct gguf *g, struct err *err)
{
    json_t *json = gguf_string(g, "general.architecture");
    const char *name = json_string_value(json);
    const struct architecture *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(architectures) && name; i++)
        if (str_eq(architectures[i].name, name))
            found = &architectures[i];
    if (!found)
        err_set(err, ERR_CONFIG,
                "general.architecture '%.100s' is not read (llama, qwen2 and qwen3 are)",
                name ? name : "");
    json_decref(json);
    return found;
}

/* ---- configuration ----------------------------------------------------------------- */

enum kind { KEY_INT, KEY_NUM };

/* Keys "ARCHITECTURE.*" that become one of config.json as they are. */
static const struct config_key {
    const char *gguf, *json;
    enum kind kind;
    bool required;
} config_keys[] = {
    {"block_count", "num_hidden_layers", KEY_INT, true},
    {"context_length", "max_position_embeddings", KEY_INT, true},
    {"embedding_length", "hidden_size", KEY_INT, true},
    {"feed_forward_length", "intermediate_size", KEY_INT, true},
    {"attention.head_count", "num_attention_heads", KEY_INT, true},
    {"attention.head_count_kv", "num_key_value_heads", KEY_INT, false},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", KEY_NUM, true},
    {"rope.freq_base", "rope_theta", KEY_NUM, false},
};
/* Others that are looked at below. */
static const char *const other_keys[] = {"vocab_size",
                                         "attention.key_length",
                                         "attention.value_length",
                                         "rope.dimension_count",
                                         "rope.scaling.type",
                                         "rope.scaling.factor",
                                         "rope.scaling.original_context_length",
                                         "rope.scaling.finetuned"};

/* Ids of tokens that the configuration names, and with them the tokenizer. */
static const struct {
    const char *gguf, *json;
} id_keys[] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
               {"tokenizer.ggml.eos_token_id", "eos_token_id"},
               {"tokenizer.ggml.padding_token_id", "pad_token_id"}};

/* A key of the architecture; the name lies in a buffer of the caller. */
struct key {
    char name[128];
};

static const char *own_key(const struct architecture *a, const char *suffix,
                           struct key *k)
{
    snprintf(k->name, sizeof k->name, "%s.%s", a->name, suffix);
    return k->name;
}

/* 1e-5 stands in the file as fp32, 9.99999975e-06; in config.json it is 1e-05. */
static double six_digits(double v)
{
    char text[32];
    snprintf(text, sizeof text, "%.6g", v);
    return strtod(text, NULL);
}

static int known_keys_only(const struct gguf *g, const struct architecture *a,
                           struct err *err)
{
    struct key k;
    const size_t skip = strlen(own_key(a, "", &k));
    for (size_t i = 0; i < g->pair_count; i++) {
        const char *key = g->pairs[i].key;
        bool known = strncmp(key, k.name, skip) != 0;
        for (size_t j = 0; j < ARRAY_LEN(config_keys) && !known; j++)
            known = str_eq(key + skip, config_keys[j].gguf);
        for (size_t j = 0; j < ARRAY_LEN(other_keys) && !known; j++)
            known = str_eq(key + skip, other_keys[j]);
        if (!known)
            return err_set(err, ERR_CONFIG,
                           "key '%.100s' is not known, and without it the model might "
                           "compute something else",
                           key);
    }
    return 0;
}

static int copy_keys(const struct gguf *g, const struct architecture *a, json_t *c,
                     struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(config_keys); i++) {
        const struct config_key *row = &config_keys[i];
        struct key k;
        const char *name = own_key(a, row->gguf, &k);
        int64_t n = 0;
        double v = 0;
        const bool there = gguf_find(g, name) != NULL;
        const bool good = row->kind == KEY_INT
                              ? gguf_int(g, name, &n) && n >= 1 && n <= INT32_MAX
                              : gguf_num(g, name, &v) && v > 0 && v < 1e18;
        if (!there && !row->required)
            continue;
        if (!good)
            return err_set(err, ERR_PARSE, "key '%s': a %s expected", name,
                           row->kind == KEY_INT ? "whole number from 1 on"
                                                : "positive number");
        json_object_set_new(c, row->json,
                            row->kind == KEY_INT ? json_integer(n)
                                                 : json_real(six_digits(v)));
    }
    return 0;
}

static int64_t int_of(const json_t *c, const char *key)
{
    return json_integer_value(json_object_get(c, key));
}

/* head_dim, and that all of a head is rotated and values are as wide as keys. */
static int read_heads(const struct gguf *g, const struct architecture *a, json_t *c,
                      struct err *err)
{
    const int64_t heads = int_of(c, "num_attention_heads");
    if (!json_object_get(c, "num_key_value_heads"))
        json_object_set_new(c, "num_key_value_heads", json_integer(heads));
    int64_t dim = int_of(c, "hidden_size") / heads, rotated, values;
    struct key k;
    (void)gguf_int(g, own_key(a, "rope.dimension_count", &k), &dim);
    (void)gguf_int(g, own_key(a, "attention.key_length", &k), &dim);
    rotated = values = dim;
    (void)gguf_int(g, own_key(a, "rope.dimension_count", &k), &rotated);
    (void)gguf_int(g, own_key(a, "attention.value_length", &k), &values);
    if (dim < 2 || dim % 2 || dim > INT32_MAX)
        return err_set(err, ERR_PARSE, "heads of %" PRId64 ": an even size expected",
                       dim);
    if (rotated != dim || values != dim)
        return err_set(err, ERR_CONFIG,
                       "heads whose keys have %" PRId64 " dimensions, of which %" PRId64
                       " are rotated, and values %" PRId64 ", are not supported",
                       dim, rotated, values);
    json_object_set_new(c, "head_dim", json_integer(dim));
    return 0;
}

static int read_rope_scaling(const struct gguf *g, const struct architecture *a,
                             json_t *c, struct err *err)
{
    struct key k;
    json_t *type = gguf_string(g, own_key(a, "rope.scaling.type", &k));
    const char *name = type ? json_string_value(type) : "none";
    double factor = 1;
    int64_t original;
    int rc = 0;
    (void)gguf_num(g, own_key(a, "rope.scaling.factor", &k), &factor);
    if (str_eq(name, "linear") || str_eq(name, "yarn")) {
        json_t *scaling = json_object();
        json_object_set_new(scaling, "rope_type", json_string(name));
        json_object_set_new(scaling, "factor", json_real(six_digits(factor)));
        if (gguf_int(g, own_key(a, "rope.scaling.original_context_length", &k),
                     &original))
            json_object_set_new(scaling, "original_max_position_embeddings",
                                json_integer(original));
        json_object_set_new(c, "rope_scaling", scaling);
    } else if (!str_eq(name, "none")) {
        rc = err_set(err, ERR_CONFIG, "rope.scaling.type '%.50s' is not read", name);
    } else {
        json_object_set_new(c, "rope_scaling", json_null());
    }
    json_decref(type);
    return rc;
}

static int fill_config(const struct gguf *g, const struct architecture *a, json_t *c,
                       struct err *err)
{
    const struct gguf_tensor *words = gguf_find_tensor(g, "token_embd.weight");
    int rc = known_keys_only(g, a, err);
    if (!rc)
        rc = copy_keys(g, a, c, err);
    if (!rc)
        rc = read_heads(g, a, c, err);
    if (!rc)
        rc = read_rope_scaling(g, a, c, err);
    if (!rc && (!words || words->ndim != 2))
        rc = err_set(err, ERR_PARSE, "no tensor 'token_embd.weight'");
    if (rc)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(id_keys); i++) {
        int64_t id;
        if (gguf_int(g, id_keys[i].gguf, &id))
            json_object_set_new(c, id_keys[i].json, json_integer(id));
    }
    json_object_set_new(c, "model_type", json_string(a->model_type));
    json_object_set_new(c, "architectures", json_pack("[s]", a->class));
    json_object_set_new(c, "hidden_act", json_string("silu"));
    json_object_set_new(c, "vocab_size", json_integer(words->shape[0]));
    json_object_set_new(c, "tie_word_embeddings",
                        json_boolean(!gguf_find_tensor(g, "output.weight")));
    json_object_set_new(c, "attention_bias",
                        json_boolean(gguf_find_tensor(g, "blk.0.attn_q.bias")));
    json_object_set_new(c, "mlp_bias",
                        json_boolean(gguf_find_tensor(g, "blk.0.ffn_up.bias")));
    if (!json_object_get(c, "rope_theta"))
        json_object_set_new(c, "rope_theta", json_real(10000));
    return 0;
}

int gguf_model_config(const struct gguf *g, json_t **out, struct err *err)
{
    const struct architecture *a = find_architecture(g, err);
    *out = a ? json_object() : NULL;
    int rc = a ? fill_config(g, a, *out, err) : err_code(err);
    if (rc < 0) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

/* ---- weights ----------------------------------------------------------------------- */

/* "blk.N.NAME.KIND"; false: not such a name. */
static bool split_name(const char *name, int *layer, char base[64], char kind[16])
{
    int end = 0;
    return sscanf(name, "blk.%6d.%63[a-z_].%15[a-z]%n", layer, base, kind, &end) == 3 &&
           end > 0 && !name[end] && *layer >= 0;
}

static const struct tensor_name *find_name(const struct gguf_tensor *t, char **hf)
{
    int layer;
    char base[64], kind[16];
    for (size_t i = 0; i < ARRAY_LEN(model_names); i++)
        if (str_eq(t->name, model_names[i].gguf)) {
            *hf = xstrdup(model_names[i].hf);
            return &model_names[i];
        }
    if (!split_name(t->name, &layer, base, kind) ||
        (!str_eq(kind, "weight") && !str_eq(kind, "bias")))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(layer_names); i++)
        if (str_eq(base, layer_names[i].gguf)) {
            *hf = xasprintf("model.layers.%d.%s.%s", layer, layer_names[i].hf, kind);
            return &layer_names[i];
        }
    return NULL;
}

static enum dtype plain_dtype(const struct block_type *t)
{
    return str_eq(t->name, "F32")    ? DT_F32
           : str_eq(t->name, "F16")  ? DT_F16
           : str_eq(t->name, "BF16") ? DT_BF16
                                     : DT_COUNT;
}

static int take_tensor(const struct gguf_tensor *t, const json_t *config, bool permuted,
                       struct st_tensor *out, struct err *err)
{
    char *hf = NULL;
    const struct tensor_name *name = find_name(t, &hf);
    if (!name)
        return err_set(err, ERR_CONFIG,
                       "tensor '%.100s' is not known, and without it the model would "
                       "compute something else",
                       t->name);
    *out = (struct st_tensor){.name = hf,
                              .dtype = plain_dtype(t->type),
                              .ndim = t->ndim,
                              .count = t->count,
                              .data = t->data,
                              .bytes = t->bytes};
    memcpy(out->shape, t->shape, sizeof t->shape);
    snprintf(out->word, sizeof out->word, "%s", t->type->name);
    if (permuted && name->rows != ROWS_OWN) {
        out->heads = (int32_t)int_of(
            config, name->rows == ROWS_Q ? "num_attention_heads" : "num_key_value_heads");
        if (t->shape[0] % out->heads || t->shape[0] / out->heads % 2)
            return err_set(err, ERR_PARSE,
                           "tensor '%.100s': %" PRId64 " rows are no %d heads", t->name,
                           t->shape[0], out->heads);
        out->dtype = DT_COUNT; /* not to be read as it lies there */
    }
    out->block = out->dtype == DT_COUNT ? t->type : NULL;
    return 0;
}

int gguf_model_weights(struct gguf *g, const char *path, struct st **out, struct err *err)
{
    json_t *config = NULL;
    struct st_tensor *found = xcalloc(g->tensor_count + 1, sizeof *found);
    const struct architecture *a = find_architecture(g, err);
    int rc = a ? gguf_model_config(g, &config, err) : err_code(err);
    *out = NULL;
    for (size_t i = 0; i < g->tensor_count && !rc; i++)
        rc = take_tensor(&g->tensors[i], config, a->permuted, &found[i], err);
    if (!rc)
        rc = st_open_found(&g->map, path, g->data_at, found, g->tensor_count, out, err);
    for (size_t i = 0; i < g->tensor_count; i++)
        free((char *)found[i].name);
    free(found);
    json_decref(config);
    return rc;
}

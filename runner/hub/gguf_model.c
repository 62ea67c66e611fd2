/* runner/hub/gguf_model.c - names, configuration and weights of a GGUF file. */
#include "runner/hub/gguf_model.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/gguf/scaling.h"
#include "runner/hub/gguf_family.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- architectures ----------------------------------------------------------------- */

static const struct gguf_family *find_family(const struct gguf *g, struct err *err)
{
    json_t *json = gguf_string(g, "general.architecture");
    const char *name = json_string_value(json);
    const struct gguf_family *found = name ? gguf_family_find(name) : NULL;
    if (!found)
        err_set(err, ERR_CONFIG, "general.architecture '%.100s' is not read (%s are)",
                name ? name : "", gguf_family_names(false));
    json_decref(json);
    return found;
}

/* ---- configuration ----------------------------------------------------------------- */

/* Others that are looked at below. */
static const char *const other_keys[] = {"vocab_size",
                                         "attention.key_length",
                                         "attention.value_length",
                                         "rope.dimension_count",
                                         "rope.scaling.type",
                                         "rope.scaling.attn_factor",
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

static const char *own_key(const struct gguf_family *a, const char *suffix, struct key *k)
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

static int known_keys_only(const struct gguf *g, const struct gguf_family *a,
                           struct err *err)
{
    struct key k;
    size_t count;
    const struct gguf_config_key *keys = gguf_family_keys(a, &count);
    const size_t skip = strlen(own_key(a, "", &k));
    for (size_t i = 0; i < g->pair_count; i++) {
        const char *key = g->pairs[i].key;
        bool known = strncmp(key, k.name, skip) != 0;
        for (size_t j = 0; j < count && !known; j++)
            known = str_eq(key + skip, keys[j].gguf);
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

static int copy_keys(const struct gguf *g, const struct gguf_family *a, json_t *c,
                     struct err *err)
{
    size_t count;
    const struct gguf_config_key *keys = gguf_family_keys(a, &count);
    for (size_t i = 0; i < count; i++) {
        const struct gguf_config_key *row = &keys[i];
        struct key k;
        const char *name = own_key(a, row->gguf, &k);
        int64_t n = 0;
        double v = 0;
        const bool there = gguf_find(g, name) != NULL;
        const bool is_int = row->kind != GGUF_KEY_NUM;
        const bool good = is_int ? gguf_int(g, name, &n) && n <= INT32_MAX &&
                                       n >= (row->kind == GGUF_KEY_INT)
                                 : gguf_num(g, name, &v) && v > 0 && v < 1e18;
        if (!there && !row->required)
            continue;
        if (!good)
            return err_set(err, ERR_PARSE, "key '%s': a %s expected", name,
                           is_int ? "whole number from 1 on" : "positive number");
        json_object_set_new(c, row->json,
                            !is_int ? json_real(six_digits(v))
                            : n     ? json_integer(n)
                                    : json_null());
    }
    return 0;
}

static int64_t int_of(const json_t *c, const char *key)
{
    return json_integer_value(json_object_get(c, key));
}

/* head_dim, and that all of a head is rotated and values are as wide as keys. */
static int read_heads(const struct gguf *g, const struct gguf_family *a, json_t *c,
                      struct err *err)
{
    const int64_t heads = int_of(c, "num_attention_heads");
    if (!json_object_get(c, "num_key_value_heads"))
        json_object_set_new(c, "num_key_value_heads", json_integer(heads));
    int64_t dim = int_of(c, "hidden_size") / heads, rotated, values;
    struct key k;
    if (!a->partial_rotary)
        (void)gguf_int(g, own_key(a, "rope.dimension_count", &k), &dim);
    (void)gguf_int(g, own_key(a, "attention.key_length", &k), &dim);
    rotated = values = dim;
    (void)gguf_int(g, own_key(a, "rope.dimension_count", &k), &rotated);
    (void)gguf_int(g, own_key(a, "attention.value_length", &k), &values);
    if (dim < 2 || dim % 2 || dim > INT32_MAX)
        return err_set(err, ERR_PARSE, "heads of %" PRId64 ": an even size expected",
                       dim);
    if (a->partial_rotary && rotated >= 2 && rotated < dim)
        json_object_set_new(c, "partial_rotary_factor",
                            json_real((double)rotated / (double)dim));
    else if (rotated != dim)
        values = 0;
    if (values != dim)
        return err_set(err, ERR_CONFIG,
                       "heads whose keys have %" PRId64 " dimensions, of which %" PRId64
                       " are rotated, and values %" PRId64 ", are not supported",
                       dim, rotated, values);
    json_object_set_new(c, "head_dim", json_integer(dim));
    return 0;
}

static int fill_config(const struct gguf *g, const struct gguf_family *a, json_t *c,
                       struct err *err)
{
    const struct gguf_tensor *words = gguf_find_tensor(g, "token_embd.weight");
    int rc = known_keys_only(g, a, err);
    if (!rc)
        rc = copy_keys(g, a, c, err);
    if (!rc && !a->learned_positions)
        rc = read_heads(g, a, c, err);
    if (!rc && !a->learned_positions)
        rc = gguf_rope_config(g, a, c, err);
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
    json_object_set_new(c, "vocab_size", json_integer(words->shape[0]));
    json_object_set_new(c, "tie_word_embeddings",
                        json_boolean(!gguf_find_tensor(g, "output.weight")));
    if (a->learned_positions)
        return 0;
    json_object_set_new(c, a->act_key ? a->act_key : "hidden_act",
                        json_string(a->act ? a->act : "silu"));
    if (a->large_layers)
        json_object_set_new(
            c, "query_pre_attn_scalar",
            json_integer(gguf_query_scalar(
                a, int_of(c, "num_hidden_layers"), int_of(c, "hidden_size"),
                int_of(c, "num_attention_heads"), int_of(c, "head_dim"))));
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
    const struct gguf_family *a = find_family(g, err);
    *out = a ? json_object() : NULL;
    int rc = a ? fill_config(g, a, *out, err) : err_code(err);
    if (rc < 0) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

/* ---- weights ----------------------------------------------------------------------- */

static enum dtype plain_dtype(const struct block_type *t)
{
    return str_eq(t->name, "F32")    ? DT_F32
           : str_eq(t->name, "F16")  ? DT_F16
           : str_eq(t->name, "BF16") ? DT_BF16
                                     : DT_COUNT;
}

static int take_tensor(const struct gguf_tensor *t, const json_t *config,
                       const struct gguf_family *a, struct st_tensor *out,
                       struct err *err)
{
    enum gguf_rows rows;
    char *hf = gguf_name_to_hf(a, t->name, &rows);
    if (!hf)
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
    if (rows == GGUF_ROWS_COLUMNS) {
        out->turned = true;
        out->shape[0] = t->shape[1];
        out->shape[1] = t->shape[0];
        out->dtype = DT_COUNT;
    } else if (rows != GGUF_ROWS_OWN) {
        out->heads = (int32_t)int_of(config, rows == GGUF_ROWS_Q ? "num_attention_heads"
                                                                 : "num_key_value_heads");
        if (t->shape[0] % out->heads || t->shape[0] / out->heads % 2)
            return err_set(err, ERR_PARSE,
                           "tensor '%.100s': %" PRId64 " rows are no %d heads", t->name,
                           t->shape[0], out->heads);
        out->dtype = DT_COUNT; /* not to be read as it lies there */
    }
    if (a->norms_offset && t->ndim == 1 && str_has_suffix(hf, "norm.weight")) {
        out->offset = 1;
        out->dtype = DT_COUNT;
    }
    out->block = out->dtype == DT_COUNT ? t->type : NULL;
    return 0;
}

int gguf_model_weights(struct gguf *g, const char *path, struct st **out, struct err *err)
{
    json_t *config = NULL;
    struct st_tensor *found = xcalloc(g->tensor_count + 1, sizeof *found);
    const struct gguf_family *a = find_family(g, err);
    int rc = a ? gguf_model_config(g, &config, err) : err_code(err);
    *out = NULL;
    size_t count = 0;
    for (size_t i = 0; i < g->tensor_count && !rc; i++)
        if (!gguf_rope_tensor(g->tensors[i].name))
            rc = take_tensor(&g->tensors[i], config, a, &found[count++], err);
    if (!rc)
        rc = st_open_found(&g->map, path, g->data_at, found, count, out, err);
    for (size_t i = 0; i < count; i++)
        free((char *)found[i].name);
    free(found);
    json_decref(config);
    return rc;
}

/* runner/convert/gguf_keys.c - config.json as a GGUF file's keys. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/convert/gguf_parts.h"
#include "runner/nn/arch/rope.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "ARCHITECTURE.KEY", in a buffer of the caller. */
static const char *own_key(const struct gguf_family *f, const char *key, char name[128])
{
    snprintf(name, 128, "%s.%s", f->name, key);
    return name;
}

const json_t *gguf_rope_keys(const json_t *config)
{
    const json_t *new = json_object_get(config, "rope_parameters"),
                 *full = json_object_get(new, "full_attention");
    return json_is_object(full)  ? full
           : json_is_object(new) ? new
                                 : json_object_get(config, "rope_scaling");
}

/* Where a key is missing: what it is then, or where it stands in newer files. */
static json_t *find_value(const json_t *config, const char *key)
{
    const json_t *rope = gguf_rope_keys(config),
                 *local = json_object_get(json_object_get(config, "rope_parameters"),
                                          "sliding_attention");
    json_t *v = json_object_get(config, key);
    if (str_eq(key, "rope_theta") && json_object_get(rope, key))
        v = json_object_get(rope, key);
    if (str_eq(key, "rope_local_base_freq") && local)
        v = json_object_get(local, "rope_theta");
    if ((!v || json_is_null(v)) && str_eq(key, "num_key_value_heads"))
        v = json_object_get(config, "num_attention_heads");
    if (v && !json_is_null(v))
        return json_incref(v);
    return str_eq(key, "n_inner") ? json_integer(4 * json_get_int(config, "n_embd", 0))
           : str_eq(key, "original_max_position_embeddings") ? json_integer(4096)
                                                             : NULL;
}

static int put_key(struct gguf_writer *w, const struct gguf_family *f,
                   const struct gguf_config_key *k, const json_t *v, struct err *err)
{
    char name[128];
    const bool whole = k->kind != GGUF_KEY_NUM;
    if (!v && k->kind == GGUF_KEY_INT_OR_NONE)
        return gguf_put_u32(w, own_key(f, k->gguf, name), 0), 0;
    if (!v)
        return k->required
                   ? err_set(err, ERR_CONFIG, "config.json: '%s' is missing", k->json)
                   : 0;
    if (whole ? !json_is_integer(v) : !json_is_number(v))
        return err_set(err, ERR_CONFIG, "config.json: '%s' must be a %snumber", k->json,
                       whole ? "whole " : "");
    own_key(f, k->gguf, name);
    if (whole)
        gguf_put_u32(w, name, (uint32_t)json_integer_value(v));
    else
        gguf_put_f32(w, name, (float)json_number_value(v));
    return 0;
}

static int put_known(struct gguf_writer *w, const json_t *config,
                     const struct gguf_family *f, struct err *err)
{
    size_t count;
    const struct gguf_config_key *keys = gguf_family_keys(f, &count);
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        json_t *v = str_eq(keys[i].json, "sliding_window_pattern")
                        ? NULL
                        : find_value(config, keys[i].json);
        rc = put_key(w, f, &keys[i], v, err);
        json_decref(v);
    }
    return rc;
}

/* *dim: the rotated part of a head. */
static void put_heads(struct gguf_writer *w, const json_t *config,
                      const struct gguf_family *f, int32_t *dim)
{
    char name[128];
    const int64_t heads = json_get_int(config, "num_attention_heads", 1);
    const int64_t given = json_get_int(config, "head_dim", f->large_layers ? 256 : 0);
    const double part = json_get_num(gguf_rope_keys(config), "partial_rotary_factor",
                                     json_get_num(config, "partial_rotary_factor", 1));
    *dim =
        (int32_t)(given ? given
                        : json_get_int(config, "hidden_size", 0) / (heads ? heads : 1));
    if (f->partial_rotary)
        *dim = (int32_t)(*dim * part);
    if (given) {
        gguf_put_u32(w, own_key(f, "attention.key_length", name), (uint32_t)given);
        gguf_put_u32(w, own_key(f, "attention.value_length", name), (uint32_t)given);
    }
    gguf_put_u32(w, own_key(f, "rope.dimension_count", name), (uint32_t)*dim);
}

static void put_scaling(struct gguf_writer *w, const struct gguf_family *f,
                        const char *type, double factor)
{
    char name[128];
    gguf_put_string(w, own_key(f, "rope.scaling.type", name), type, strlen(type));
    gguf_put_f32(w, own_key(f, "rope.scaling.factor", name), (float)factor);
}

/* llama.cpp's own yarn is transformers' with its defaults. */
static int put_yarn(struct gguf_writer *w, const json_t *config,
                    const struct gguf_family *f, struct err *err)
{
    static const struct {
        const char *key;
        double usual;
    } fixed[] = {{"beta_fast", 32}, {"beta_slow", 1}};
    static const char *const others[] = {"attention_factor", "mscale", "mscale_all_dim"};
    const json_t *s = gguf_rope_keys(config);
    const double length = json_get_num(config, "max_position_embeddings", 0);
    const double original =
        json_get_num(config, "original_max_position_embeddings",
                     json_get_num(s, "original_max_position_embeddings", length));
    char name[128];
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (json_get_num(s, fixed[i].key, fixed[i].usual) != fixed[i].usual)
            return err_set(err, ERR_CONFIG, "rope: %s other than %g has no key in GGUF",
                           fixed[i].key, fixed[i].usual);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (json_is_number(json_object_get(s, others[i])))
            return err_set(err, ERR_CONFIG, "rope: %s of yarn has no key in GGUF",
                           others[i]);
    if (!json_get_bool(s, "truncate", 1))
        return err_set(err, ERR_CONFIG, "rope: truncate of yarn has no key in GGUF");
    put_scaling(w, f, "yarn", json_get_num(s, "factor", length / original));
    gguf_put_u32(w, own_key(f, "rope.scaling.original_context_length", name),
                 (uint32_t)original);
    return 0;
}

/* Llama 3's frequencies, as divisors of the plain ones. */
static int take_divisors(const json_t *config, const struct gguf_family *f, int32_t dim,
                         struct divisors *out, struct err *err)
{
    struct rope rope;
    json_t *given = find_value(config, "rope_theta");
    const double theta = given ? json_number_value(given) : 10000;
    json_decref(given);
    int rc = str_eq(f->name, "llama")
                 ? rope_read(config, &(struct rope_family){.theta = 10000}, NULL, dim,
                             &rope, err)
                 : err_set(err, ERR_CONFIG,
                           "rope: this type has no place in GGUF files of %s", f->name);
    if (rc)
        return rc;
    *out =
        (struct divisors){xstrdup("rope_freqs.weight"),
                          xcalloc((size_t)rope.count, sizeof *out->values), rope.count};
    for (int32_t i = 0; i < rope.count; i++)
        out->values[i] = (float)(pow(theta, -2.0 * i / dim) / rope.frequencies[i]);
    rope_release(&rope);
    return 0;
}

/* Phi-3's two lists, and what sines and cosines are multiplied by. */
static int put_longrope(struct gguf_writer *w, const json_t *config,
                        const struct gguf_family *f, int32_t dim, struct divisors *out,
                        struct err *err)
{
    static const struct {
        const char *key, *tensor;
    } lists[] = {{"short_factor", "rope_factors_short.weight"},
                 {"long_factor", "rope_factors_long.weight"}};
    const json_t *s = gguf_rope_keys(config);
    const double original =
                     json_get_num(config, "original_max_position_embeddings", 4096),
                 times = json_get_num(config, "max_position_embeddings", 0) / original,
                 usual = times > 1 ? sqrt(1 + log(times) / log(original)) : 1;
    char name[128];
    gguf_put_f32(w, own_key(f, "rope.scaling.attn_factor", name),
                 (float)json_get_num(s, "attention_factor", usual));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const json_t *list = json_object_get(s, lists[i].key);
        if (json_array_size(list) != (size_t)dim / 2)
            return err_set(err, ERR_CONFIG, "rope: %s must have %d numbers", lists[i].key,
                           dim / 2);
        out[i] =
            (struct divisors){xstrdup(lists[i].tensor),
                              xcalloc((size_t)dim / 2, sizeof *out[i].values), dim / 2};
        for (int32_t k = 0; k < dim / 2; k++)
            out[i].values[k] = (float)json_number_value(json_array_get(list, (size_t)k));
    }
    return 0;
}

static int put_rope(struct gguf_writer *w, const json_t *config,
                    const struct gguf_family *f, int32_t dim, struct divisors *divisors,
                    struct err *err)
{
    const json_t *s = gguf_rope_keys(config);
    const char *type = json_get_str(s, "rope_type", json_get_str(s, "type", "default"));
    if (str_eq(type, "default"))
        return 0;
    if (f->longrope)
        return put_longrope(w, config, f, dim, divisors, err);
    if (str_eq(type, "linear"))
        return put_scaling(w, f, type, json_get_num(s, "factor", 1)), 0;
    if (str_eq(type, "yarn"))
        return put_yarn(w, config, f, err);
    if (str_eq(type, "llama3"))
        return take_divisors(config, f, dim, divisors, err);
    return err_set(err, ERR_CONFIG, "rope_type '%.50s' has no place in GGUF files of %s",
                   type, f->name);
}

int gguf_keys_put(struct gguf_writer *w, const json_t *config,
                  const struct gguf_family *f, struct divisors divisors[DIVISORS_MAX],
                  struct err *err)
{
    char name[128];
    int32_t dim = 0;
    int rc = gguf_limits_check(config, f, err);
    if (!rc)
        rc = put_known(w, config, f, err);
    if (rc)
        return rc;
    gguf_put_u32(w, own_key(f, "vocab_size", name),
                 (uint32_t)json_get_int(config, "vocab_size", 0));
    if (f->learned_positions)
        return 0;
    put_heads(w, config, f, &dim);
    return put_rope(w, config, f, dim, divisors, err);
}

/* runner/convert/gguf_keys.c - config.json as a GGUF file's keys. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/convert/gguf_parts.h"
#include "runner/nn/arch/rope.h"
#include <inttypes.h>
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

static const json_t *rope_keys(const json_t *config)
{
    const json_t *new = json_object_get(config, "rope_parameters");
    return json_is_object(new) ? new : json_object_get(config, "rope_scaling");
}

/* Keys that may stand among rope's are looked for there first; keys and values have as many
 * heads as queries where nothing is said. */
static const json_t *find_value(const json_t *config, const char *key)
{
    const json_t *v = json_object_get(rope_keys(config), key);
    if (!v || !str_eq(key, "rope_theta"))
        v = json_object_get(config, key);
    if ((!v || json_is_null(v)) && str_eq(key, "num_key_value_heads"))
        v = json_object_get(config, "num_attention_heads");
    return v && !json_is_null(v) ? v : NULL;
}

static int put_known(struct gguf_writer *w, const json_t *config,
                     const struct gguf_family *f, struct err *err)
{
    char name[128];
    for (size_t i = 0; i < gguf_config_key_count; i++) {
        const struct gguf_config_key *k = &gguf_config_keys[i];
        const json_t *v = find_value(config, k->json);
        if (!v && k->required)
            return err_set(err, ERR_CONFIG, "config.json: '%s' is missing", k->json);
        if (!v)
            continue;
        if (k->kind == GGUF_KEY_INT ? !json_is_integer(v) : !json_is_number(v))
            return err_set(err, ERR_CONFIG, "config.json: '%s' must be a %snumber",
                           k->json, k->kind == GGUF_KEY_INT ? "whole " : "");
        own_key(f, k->gguf, name);
        if (k->kind == GGUF_KEY_INT)
            gguf_put_u32(w, name, (uint32_t)json_integer_value(v));
        else
            gguf_put_f32(w, name, (float)json_number_value(v));
    }
    return 0;
}

/* llama.cpp's smollm3 leaves every fourth layer unrotated, whatever its file says. */
static bool is_rotated_otherwise(const json_t *config, const struct gguf_family *f)
{
    const json_t *list = json_object_get(config, "no_rope_layers");
    bool other =
        !json_is_array(list) && json_get_int(config, "no_rope_layer_interval", 4) != 4;
    for (size_t l = 0; l < json_array_size(list); l++)
        other |= !json_integer_value(json_array_get(list, l)) != ((l + 1) % 4 == 0);
    return str_eq(f->model_type, "smollm3") && other;
}

/* What llama.cpp would leave out without a word. */
static int refuse_others(const json_t *config, const struct gguf_family *f,
                         struct err *err)
{
    const char *act = json_get_str(config, "hidden_act", "silu");
    const json_t *window = json_object_get(config, "sliding_window");
    const bool windows =
        json_is_integer(window) && json_get_bool(config, "use_sliding_window", 1) &&
        json_integer_value(window) < json_get_int(config, "max_position_embeddings", 0);
    if (!str_eq(act, "silu"))
        return err_set(err, ERR_CONFIG,
                       "config.json: hidden_act '%.50s': llama.cpp's %s has silu", act,
                       f->name);
    if (windows)
        return err_set(err, ERR_CONFIG,
                       "config.json: sliding_window %" JSON_INTEGER_FORMAT
                       ": llama.cpp's %s has none and would attend to all tokens",
                       json_integer_value(window), f->name);
    if (is_rotated_otherwise(config, f))
        return err_set(
            err, ERR_CONFIG,
            "config.json: no_rope_layers: llama.cpp's %s rotates all but every "
            "fourth layer",
            f->name);
    return json_get_num(config, "partial_rotary_factor", 1) != 1
               ? err_set(err, ERR_CONFIG,
                         "config.json: partial_rotary_factor has no key in GGUF files of "
                         "%s",
                         f->name)
               : 0;
}

static void put_heads(struct gguf_writer *w, const json_t *config,
                      const struct gguf_family *f, int32_t *dim)
{
    char name[128];
    const int64_t heads = json_get_int(config, "num_attention_heads", 1);
    const int64_t given = json_get_int(config, "head_dim", 0);
    *dim =
        (int32_t)(given ? given
                        : json_get_int(config, "hidden_size", 0) / (heads ? heads : 1));
    if (given) {
        gguf_put_u32(w, own_key(f, "attention.key_length", name), (uint32_t)given);
        gguf_put_u32(w, own_key(f, "attention.value_length", name), (uint32_t)given);
    }
    gguf_put_u32(w, own_key(f, "rope.dimension_count", name), (uint32_t)*dim);
    gguf_put_u32(w, own_key(f, "vocab_size", name),
                 (uint32_t)json_get_int(config, "vocab_size", 0));
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
    const json_t *s = rope_keys(config);
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

/* The frequencies' divisors, where they are neither all 1 nor all the same. */
static int take_divisors(const json_t *config, const struct gguf_family *f, int32_t dim,
                         float **divisors, int32_t *count, struct err *err)
{
    struct rope rope;
    const double theta = json_number_value(find_value(config, "rope_theta"));
    int rc = str_eq(f->name, "llama")
                 ? rope_read(config, &(struct rope_family){.theta = 10000}, NULL, dim,
                             &rope, err)
                 : err_set(err, ERR_CONFIG,
                           "rope: this type has no place in GGUF files "
                           "of %s",
                           f->name);
    if (rc)
        return rc;
    *count = rope.count;
    *divisors = xcalloc((size_t)rope.count, sizeof **divisors);
    for (int32_t i = 0; i < rope.count; i++)
        (*divisors)[i] =
            (float)(pow(theta > 0 ? theta : 10000, -2.0 * i / dim) / rope.frequencies[i]);
    rope_release(&rope);
    return 0;
}

static int put_rope(struct gguf_writer *w, const json_t *config,
                    const struct gguf_family *f, int32_t dim, float **divisors,
                    int32_t *count, struct err *err)
{
    const json_t *s = rope_keys(config);
    const char *type = json_get_str(s, "rope_type", json_get_str(s, "type", "default"));
    if (str_eq(type, "default"))
        return 0;
    if (str_eq(type, "linear"))
        return put_scaling(w, f, type, json_get_num(s, "factor", 1)), 0;
    if (str_eq(type, "yarn"))
        return put_yarn(w, config, f, err);
    if (str_eq(type, "llama3"))
        return take_divisors(config, f, dim, divisors, count, err);
    return err_set(err, ERR_CONFIG, "rope_type '%.50s' has no place in GGUF files of %s",
                   type, f->name);
}

int gguf_keys_put(struct gguf_writer *w, const json_t *config,
                  const struct gguf_family *f, float **divisors, int32_t *count,
                  struct err *err)
{
    int32_t dim = 0;
    *divisors = NULL;
    *count = 0;
    int rc = refuse_others(config, f, err);
    if (!rc)
        rc = put_known(w, config, f, err);
    if (rc)
        return rc;
    put_heads(w, config, f, &dim);
    return put_rope(w, config, f, dim, divisors, count, err);
}

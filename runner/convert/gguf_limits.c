/* runner/convert/gguf_limits.c - what of a model llama.cpp would leave out or compute in
 * another way, without a word. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/convert/gguf_parts.h"
#include <inttypes.h>

static int refuse(const char *key, const struct gguf_family *f, const char *why,
                  struct err *err)
{
    return err_set(err, ERR_CONFIG, "config.json: %s: llama.cpp's %s %s", key, f->name,
                   why);
}

static int check_act(const json_t *config, const struct gguf_family *f, struct err *err)
{
    const char *wanted = f->act ? f->act : "silu",
               *act =
                   json_get_str(config, f->act_key ? f->act_key : "hidden_act", wanted);
    return str_eq(act, wanted)
               ? 0
               : err_set(err, ERR_CONFIG,
                         "config.json: activation '%.50s': llama.cpp's %s has %s", act,
                         f->name, wanted);
}

static bool layer_slides(const json_t *config, int64_t layer, int32_t pattern)
{
    const json_t *types = json_object_get(config, "layer_types");
    const char *type = json_string_value(json_array_get(types, (size_t)layer));
    const int64_t own =
        json_get_int(config, "sliding_window_pattern",
                     json_get_int(config, "_sliding_window_pattern", pattern));
    return type ? str_eq(type, "sliding_attention") : own > 0 && (layer + 1) % own != 0;
}

/* A window longer than the context is none. */
static int check_window(const json_t *config, const struct gguf_family *f,
                        struct err *err)
{
    const json_t *window = json_object_get(config, "sliding_window");
    const int64_t layers = json_get_int(config, "num_hidden_layers", 0);
    if (!json_is_integer(window) || !json_get_bool(config, "use_sliding_window", 1) ||
        json_integer_value(window) >= json_get_int(config, "max_position_embeddings", 0))
        return 0;
    if (!f->window_pattern)
        return refuse("sliding_window", f, "has none and would attend to all tokens",
                      err);
    for (int64_t i = 0; i < layers; i++)
        if (layer_slides(config, i, f->window_pattern) !=
            ((i + 1) % f->window_pattern != 0))
            return err_set(
                err, ERR_CONFIG,
                "config.json: layer_types: llama.cpp's %s attends to everything "
                "in every layer of %d, and in no other",
                f->name, f->window_pattern);
    return 0;
}

static int check_scale(const json_t *config, const struct gguf_family *f, struct err *err)
{
    const int64_t heads = json_get_int(config, "num_attention_heads", 1);
    const int64_t hidden = json_get_int(config, "hidden_size", 0);
    const int64_t usual =
        gguf_query_scalar(f, json_get_int(config, "num_hidden_layers", 0), hidden,
                          heads ? heads : 1, json_get_int(config, "head_dim", 256));
    if (!f->large_layers || json_get_int(config, "query_pre_attn_scalar", 256) == usual)
        return 0;
    return err_set(err, ERR_CONFIG,
                   "config.json: query_pre_attn_scalar: llama.cpp's %s has %" PRId64
                   " for a model of this size",
                   f->name, usual);
}

/* SmolLM3: which layers are rotated. */
static int check_unrotated(const json_t *config, const struct gguf_family *f,
                           struct err *err)
{
    const json_t *list = json_object_get(config, "no_rope_layers");
    const int64_t every = 4, layers = json_get_int(config, "num_hidden_layers", 0);
    if (!str_eq(f->model_type, "smollm3"))
        return 0;
    for (int64_t i = 0; i < layers; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        const int64_t step = json_get_int(config, "no_rope_layer_interval", every);
        const bool rotated = v ? json_integer_value(v) != 0 : (i + 1) % step != 0;
        if (rotated != ((i + 1) % every != 0))
            return refuse("no_rope_layers", f,
                          "leaves every fourth layer without RoPE, and no other", err);
    }
    return 0;
}

static int check_gpt2(const json_t *config, const struct gguf_family *f, struct err *err)
{
    if (!f->learned_positions)
        return 0;
    if (json_get_bool(config, "scale_attn_by_inverse_layer_idx", 0))
        return refuse("scale_attn_by_inverse_layer_idx", f, "does not know it", err);
    return json_get_bool(config, "scale_attn_weights", 1)
               ? 0
               : refuse("scale_attn_weights", f, "always scales", err);
}

int gguf_limits_check(const json_t *config, const struct gguf_family *f, struct err *err)
{
    static int (*const checks[])(const json_t *, const struct gguf_family *,
                                 struct err *) = {check_act, check_window, check_scale,
                                                  check_unrotated, check_gpt2};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(checks) && !rc; i++)
        rc = checks[i](config, f, err);
    if (!rc && !f->partial_rotary &&
        json_get_num(gguf_rope_keys(config), "partial_rotary_factor",
                     json_get_num(config, "partial_rotary_factor", 1)) != 1 &&
        !str_eq(f->name, "llama"))
        rc = refuse("partial_rotary_factor", f, "rotates whole heads", err);
    return rc;
}

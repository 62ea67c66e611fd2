/* runner/nn/arch/decoder_config.c - what a causal decoder reads from config.json. */
#include "kernels/half.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/causal_decoder.h"
#include "runner/nn/arch/model_config.h"
#include <math.h>

/* What transformers takes where the keys are absent. */
enum { USUAL_WINDOW = 4096, USUAL_FIRST_LAYER = 28, USUAL_INTERVAL = 4 };

static const json_t *key_of(const struct net *net, const char *key)
{
    return json_object_get(net->hf->config, key);
}

/* Absent or null: `otherwise`; 0: there is none. */
static int read_int(const struct net *net, const char *key, int32_t otherwise,
                    int32_t max, int32_t *out, struct err *err)
{
    const json_t *v = key_of(net, key);
    if ((!v || json_is_null(v)) && otherwise)
        return *out = otherwise, 0;
    return model_config_int(net, key, 1, max, out, err);
}

static int check_unused(const struct net *net, struct err *err)
{
    int rc = model_config_check_unused(net, err);
    if (rc)
        return rc;
    if (json_get_int(net->hf->config, "pretraining_tp", 1) > 1)
        return model_config_refused(net, "pretraining_tp", key_of(net, "pretraining_tp"),
                                    "", err);
    return 0;
}

static int read_heads(struct net *net, const struct decoder *d, struct err *err)
{
    struct net_shape *s = &net->shape;
    int rc;
    if ((rc = read_int(net, "num_attention_heads", 0, 1024, &s->heads, err)) ||
        (rc = read_int(net, "num_key_value_heads", s->heads, 1024, &s->kv_heads, err)) ||
        (rc = read_int(net, "head_dim", d->head_dim ? d->head_dim : s->hidden / s->heads,
                       512, &s->head_dim, err)))
        return rc;
    if (s->heads % s->kv_heads)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': config.json: num_attention_heads %d is no "
                       "multiple of num_key_value_heads %d",
                       net->hf->dir, s->heads, s->kv_heads);
    return 0;
}

/* --- layers with a window --- */

/* Null: there is none. */
static int read_window(struct net *net, const struct decoder *d, struct err *err)
{
    const json_t *v = key_of(net, "sliding_window");
    net->shape.window = 0;
    if ((v && json_is_null(v)) || (!v && d->window == WINDOW_IF_GIVEN) ||
        ((d->window == WINDOW_FROM_LAYER || d->window == WINDOW_UNROTATED) &&
         json_get_bool(net->hf->config, "use_sliding_window", 0) != 1))
        return 0;
    return read_int(net, "sliding_window", USUAL_WINDOW, 1 << 30, &net->shape.window,
                    err);
}

/* layer_types' word about a layer, where there is one. */
static int read_layer_type(const struct net *net, int l, bool *windowed, struct err *err)
{
    const json_t *types = key_of(net, "layer_types"), *type = json_array_get(types, l);
    const char *name = json_string_value(type);
    if (!types || json_is_null(types))
        return 0;
    if (json_array_size(types) != (size_t)net->shape.layers)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': config.json: layer_types must be a list of "
                       "num_hidden_layers (%d) names",
                       net->hf->dir, net->shape.layers);
    if (!name || (!str_eq(name, "full_attention") && !str_eq(name, "sliding_attention")))
        return model_config_refused(net, "layer_types", type,
                                    " (known: full_attention, sliding_attention)", err);
    *windowed = str_eq(name, "sliding_attention");
    return 0;
}

/* n: max_window_layers, or the pattern's length. */
static int read_layer(struct net *net, const struct decoder *d, int l, int32_t n,
                      struct err *err)
{
    const int32_t window = net->shape.window;
    const bool everywhere =
        d->window == WINDOW_EVERYWHERE || d->window == WINDOW_IF_GIVEN;
    const bool usual = everywhere                       ? window > 0
                       : d->window == WINDOW_FROM_LAYER ? window > 0 && l >= n
                       : d->window == WINDOW_UNROTATED
                           ? window > 0 && net->shape.kinds[l].unrotated
                           : (l + 1) % n != 0;
    bool windowed = usual;
    int rc = read_layer_type(net, l, &windowed, err);
    if (rc)
        return rc;
    if (everywhere && windowed != usual)
        return model_config_refused(net, "layer_types", key_of(net, "layer_types"),
                                    " (this family's window is in all layers or none)",
                                    err);
    if (windowed && !window)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': config.json: layer %d has sliding_attention, "
                       "but there is no sliding_window",
                       net->hf->dir, l);
    net->shape.kinds[l].windowed = windowed;
    return 0;
}

/* no_rope_layers has a 1 for a layer that is rotated; without it every
 * no_rope_layer_interval-th is not. */
static int read_rotated(struct net *net, struct err *err)
{
    const json_t *list = key_of(net, "no_rope_layers");
    int32_t n = USUAL_INTERVAL;
    int rc = read_int(net, "no_rope_layer_interval", n, 1000, &n, err);
    if (!rc && json_is_array(list) && json_array_size(list) < (size_t)net->shape.layers)
        rc = err_set(err, ERR_PARSE,
                     "model folder '%s': config.json: no_rope_layers must be a list of "
                     "num_hidden_layers (%d) numbers",
                     net->hf->dir, net->shape.layers);
    for (int l = 0; l < net->shape.layers && !rc; l++) {
        const json_t *v = json_array_get(list, (size_t)l);
        if (v && !json_is_integer(v))
            rc = model_config_refused(net, "no_rope_layers", v, " (numbers: 0, 1)", err);
        net->shape.kinds[l].unrotated = v ? !json_integer_value(v) : (l + 1) % n == 0;
    }
    return rc;
}

static int read_layers(struct net *net, const struct decoder *d, struct err *err)
{
    const bool from = d->window == WINDOW_FROM_LAYER;
    const char *key = from ? "max_window_layers" : d->pattern_key;
    int32_t n = from ? USUAL_FIRST_LAYER : d->pattern;
    int rc = 0;
    net->shape.kinds = xcalloc((size_t)net->shape.layers, sizeof *net->shape.kinds);
    if (d->some_unrotated)
        rc = read_rotated(net, err);
    if (rc || d->window == WINDOW_NONE)
        return rc;
    if (key && key_of(net, key))
        rc = model_config_int(net, key, from ? 0 : 1, 1000, &n, err);
    if (!rc)
        rc = read_window(net, d, err);
    for (int l = 0; l < net->shape.layers && !rc; l++)
        rc = read_layer(net, d, l, n, err);
    return rc;
}

/* --- numbers --- */

/* Absent: `otherwise`; null: 0. */
static int read_cap(const struct net *net, const char *key, float otherwise, float *out,
                    struct err *err)
{
    const json_t *v = key_of(net, key);
    if (!v)
        return *out = otherwise, 0;
    *out = json_is_null(v) ? 0 : (float)json_number_value(v);
    return json_is_null(v) || (*out > 0 && isfinite(*out))
               ? 0
               : err_set(err, ERR_PARSE,
                         "model folder '%s': config.json: %s must be a number above 0, "
                         "or null",
                         net->hf->dir, key);
}

/* sqrt(hidden_size), as the format that the model computes in has it. */
static float word_scale(const struct net *net)
{
    const float scale = sqrtf((float)net->shape.hidden);
    return str_eq(net->trial->dtype, "bfloat16") ? bf16_to_float(bf16_of_float(scale))
                                                 : scale;
}

static int read_numbers(struct net *net, const struct decoder *d, struct err *err)
{
    const json_t *c = net->hf->config;
    struct net_shape *s = &net->shape;
    int32_t scalar = s->head_dim;
    int rc = 0;
    if (d->query_scalar)
        rc = read_int(net, "query_pre_attn_scalar", d->query_scalar, 1 << 20, &scalar,
                      err);
    if (!rc && d->caps)
        rc = read_cap(net, "attn_logit_softcapping", d->score_cap, &s->score_cap, err);
    if (!rc && d->caps)
        rc = read_cap(net, "final_logit_softcapping", d->logit_cap, &s->logit_cap, err);
    s->score_scale = 1.0f / sqrtf((float)scalar);
    s->max_positions = rope_positions(c);
    s->pad_id = -1;
    s->causal = s->rms_norm = true;
    s->norm_offset = d->norm_offset;
    s->word_scale = d->scaled_words ? word_scale(net) : 1;
    s->tied = json_get_bool(c, "tie_word_embeddings", d->tied) == 1;
    s->norm_eps =
        (float)json_get_num(c, "rms_norm_eps", d->norm_eps > 0 ? d->norm_eps : 1e-6);
    s->init_range = (float)json_get_num(c, "initializer_range", 0.02);
    s->attention_dropout = model_config_dropout(
        net, net->trial->attention_probs_dropout_prob, "attention_dropout", 0);
    if (d->residual_dropout)
        s->hidden_dropout =
            model_config_dropout(net, net->trial->hidden_dropout_prob, "resid_pdrop", 0);
    return rc;
}

static int check_dropouts(const struct net *net, const struct decoder *d, struct err *err)
{
    const struct trial *t = net->trial;
    const char *wrong = !isnan(t->classifier_dropout) ? "classifier_dropout"
                        : !isnan(t->hidden_dropout_prob) && !d->residual_dropout
                            ? "hidden_dropout_prob"
                            : NULL;
    return wrong ? err_set(err, ERR_CONFIG,
                           "'%s': the %s family has no such dropout (it has "
                           "attention_dropout%s)",
                           wrong, net->arch->model_type,
                           d->residual_dropout ? " and hidden_dropout_prob" : "")
                 : 0;
}

int decoder_read_config(struct net *net, const struct decoder *d, int32_t *ffn,
                        struct err *err)
{
    struct net_shape *s = &net->shape;
    int rc;
    if ((rc = read_int(net, "hidden_size", 0, 65536, &s->hidden, err)) ||
        (rc = read_int(net, "num_hidden_layers", 0, 1000, &s->layers, err)) ||
        (rc = read_int(net, "intermediate_size", 0, 1 << 20, ffn, err)) ||
        (rc = read_int(net, "vocab_size", 0, 1 << 24, &s->vocab_size, err)) ||
        (rc = read_int(net, "max_position_embeddings", ROPE_POSITIONS, 1 << 24,
                       &s->max_positions, err)) ||
        (rc = read_heads(net, d, err)) ||
        (rc = model_config_act(net, d->act_key ? d->act_key : "hidden_act",
                               d->act ? d->act : "silu", &s->act, err)) ||
        (rc = check_unused(net, err)) || (rc = read_layers(net, d, err)))
        return rc;
    rc = check_dropouts(net, d, err);
    return rc ? rc : read_numbers(net, d, err);
}

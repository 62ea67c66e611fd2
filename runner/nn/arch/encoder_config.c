/* runner/nn/arch/encoder_config.c - config.json of the BERT family: what of it makes the
 * net's shape, and what must be as these architectures have it. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/encoder.h"
#include <math.h>
#include <stdlib.h>

int encoder_need_int(const struct net *net, const char *key, int32_t min, int32_t max,
                     int32_t *out, struct err *err)
{
    const int64_t v = json_get_int(net->hf->config, key, -1);
    if (v < min || v > max)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': config.json: %s must be %d..%d", net->hf->dir,
                       key, min, max);
    *out = (int32_t)v;
    return 0;
}

/* The activation by transformers' name (ACT2FN). */
static int read_act(const struct net *net, const struct encoder *e, enum act *out,
                    struct err *err)
{
    static const struct {
        const char *name;
        enum act act;
    } known[] = {
        {"gelu", ACT_gelu}, {"gelu_python", ACT_gelu}, /* the same function, written out */
        {"relu", ACT_relu}, {"silu", ACT_swish},       {"swish", ACT_swish},
        {"tanh", ACT_tanh},
    };
    const char *name = json_get_str(net->hf->config, e->names->act, "gelu");
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i].name, name)) {
            *out = known[i].act;
            return 0;
        }
    return err_set(err, ERR_CONFIG,
                   "model folder '%s': config.json: %s '%s' is not supported (known: "
                   "gelu, relu, silu, tanh)",
                   net->hf->dir, e->names->act, name);
}

/* A trial's value goes before the model's. */
static float dropout_of(const struct net *net, double given, const char *key,
                        double otherwise)
{
    return (float)(isnan(given) ? json_get_num(net->hf->config, key, otherwise) : given);
}

/* Keys that would make other numbers of the same tensors. What is neither read nor named
 * here changes none: chunk_size_feed_forward, use_cache, tie_word_embeddings (there is no
 * output embedding), names, versions, the dropouts of other heads. */
static const struct {
    const char *key, *usual; /* NULL: not used: null, false, 0 or empty */
} fixed[] = {
    {"add_cross_attention", NULL},
    {"is_decoder", NULL}, /* a causal mask */
    {"position_embedding_type", "absolute"},
    {"pruned_heads", NULL},
};

static bool is_unused(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) ||
           (json_is_integer(v) && json_integer_value(v) == 0) ||
           ((json_is_array(v) || json_is_object(v)) && json_object_size(v) == 0 &&
            json_array_size(v) == 0);
}

static int not_supported(const struct net *net, const char *key, const json_t *v,
                         const char *hint, struct err *err)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *quote = json_is_string(v) ? "'" : "";
    int rc = err_set(err, ERR_CONFIG,
                     "model folder '%s': config.json: %s %s%.80s%s is not supported%s",
                     net->hf->dir, key, quote,
                     json_is_string(v) ? json_string_value(v)
                     : text            ? text
                                       : "",
                     quote, hint);
    free(text);
    return rc;
}

static int check_quantised(const struct net *net, struct err *err)
{
    static const char *const keys[] = {"quantization_config", "compression_config"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *q = json_object_get(net->hf->config, keys[i]);
        if (is_unused(q))
            continue;
        const json_t *method = json_object_get(q, "quant_method");
        return not_supported(
            net, keys[i], method ? method : q,
            " (a quantised checkpoint); take the model it was made from, "
            "with 'quantization: nf4' where memory is short",
            err);
    }
    return 0;
}

static int check_keys(const struct net *net, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        const json_t *v = json_object_get(net->hf->config, fixed[i].key);
        const bool usual = fixed[i].usual && json_is_string(v) &&
                           str_eq(json_string_value(v), fixed[i].usual);
        if (!usual && !is_unused(v))
            return not_supported(net, fixed[i].key, v, "", err);
    }
    return check_quantised(net, err);
}

int encoder_config(struct net *net, const struct encoder *e, int32_t *ffn,
                   struct err *err)
{
    const json_t *c = net->hf->config;
    int32_t positions = 0;
    int rc;
    if ((rc = encoder_need_int(net, e->names->hidden, 1, 65536, &net->shape.hidden,
                               err)) ||
        (rc =
             encoder_need_int(net, e->names->layers, 1, 1000, &net->shape.layers, err)) ||
        (rc = encoder_need_int(net, e->names->heads, 1, 1024, &net->shape.heads, err)) ||
        (rc = encoder_need_int(net, e->names->ffn, 1, 1 << 20, ffn, err)) ||
        (rc = encoder_need_int(net, "vocab_size", 1, 1 << 24, &net->shape.vocab_size,
                               err)) ||
        (rc = encoder_need_int(net, "max_position_embeddings", 1, 1 << 20, &positions,
                               err)) ||
        (rc = read_act(net, e, &net->shape.act, err)) || (rc = check_keys(net, err)))
        return rc;
    net->shape.first_position = arch_first_position(net->arch, c);
    net->shape.pad_id = net->shape.first_position - 1;
    net->shape.max_positions = positions - net->shape.first_position;
    if (net->shape.max_positions < 1)
        return err_set(
            err, ERR_PARSE,
            "model folder '%s': config.json: max_position_embeddings %d leaves "
            "no position behind pad_token_id",
            net->hf->dir, positions);
    if (net->shape.hidden % net->shape.heads)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': config.json: %s %d is no multiple of %s %d",
                       net->hf->dir, e->names->hidden, net->shape.hidden, e->names->heads,
                       net->shape.heads);
    net->shape.head_dim = net->shape.hidden / net->shape.heads;
    net->shape.norm_eps =
        e->names->norm_eps ? (float)json_get_num(c, e->names->norm_eps, 1e-12) : 1e-12f;
    net->shape.init_range = (float)json_get_num(c, "initializer_range", 0.02);
    net->shape.hidden_dropout =
        dropout_of(net, net->trial->hidden_dropout_prob, e->names->dropout, 0.1);
    net->shape.attention_dropout = dropout_of(
        net, net->trial->attention_probs_dropout_prob, e->names->attention_dropout, 0.1);
    net->shape.classifier_dropout = dropout_of(
        net, net->trial->classifier_dropout, e->names->classifier_dropout,
        isnan(e->classifier_dropout) ? net->shape.hidden_dropout : e->classifier_dropout);
    return 0;
}

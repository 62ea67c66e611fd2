/* runner/nn/arch/encoder_config.c - config.json of the BERT family: what of it makes the
 * net's shape, and what must be as these architectures have it. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/encoder.h"
#include "runner/nn/arch/model_config.h"
#include <math.h>

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

static int check_keys(const struct net *net, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        const json_t *v = json_object_get(net->hf->config, fixed[i].key);
        const bool usual = fixed[i].usual && json_is_string(v) &&
                           str_eq(json_string_value(v), fixed[i].usual);
        if (!usual && !model_config_is_unused(v))
            return model_config_refused(net, fixed[i].key, v, "", err);
    }
    return 0;
}

int encoder_config(struct net *net, const struct encoder *e, int32_t *ffn,
                   struct err *err)
{
    const json_t *c = net->hf->config;
    int32_t positions = 0;
    int rc;
    if ((rc = model_config_int(net, e->names->hidden, 1, 65536, &net->shape.hidden,
                               err)) ||
        (rc =
             model_config_int(net, e->names->layers, 1, 1000, &net->shape.layers, err)) ||
        (rc = model_config_int(net, e->names->heads, 1, 1024, &net->shape.heads, err)) ||
        (rc = model_config_int(net, e->names->ffn, 1, 1 << 20, ffn, err)) ||
        (rc = model_config_int(net, "vocab_size", 1, 1 << 24, &net->shape.vocab_size,
                               err)) ||
        (rc = model_config_int(net, "max_position_embeddings", 1, 1 << 20, &positions,
                               err)) ||
        (rc = model_config_act(net, e->names->act, "gelu", &net->shape.act, err)) ||
        (rc = check_keys(net, err)))
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
    net->shape.hidden_dropout = model_config_dropout(net, net->trial->hidden_dropout_prob,
                                                     e->names->dropout, 0.1);
    net->shape.attention_dropout = model_config_dropout(
        net, net->trial->attention_probs_dropout_prob, e->names->attention_dropout, 0.1);
    net->shape.classifier_dropout = model_config_dropout(
        net, net->trial->classifier_dropout, e->names->classifier_dropout,
        isnan(e->classifier_dropout) ? net->shape.hidden_dropout : e->classifier_dropout);
    return 0;
}

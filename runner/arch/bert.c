/* runner/arch/bert.c - BERT for sequence classification (Devlin et al. 2018; transformers
 * modeling_bert.py).
 *
 * Post-LN encoder: x = LN(dropout(dense(attention(x))) + x); x =
 * LN(dropout(dense(gelu(dense(x)))) + x). The pooler reads the first real token: tanh(W h
 * + b), dropout, classifier. Nothing but that token's row is needed behind the last
 * layer's attention, so the rest of the last layer runs on those rows only. */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/arch/arch.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define PATH_MAX_LEN 160

static int need_int(const struct net *net, const char *key, int32_t min, int32_t max,
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

static int read_config(struct net *net, int32_t *ffn, int32_t *types, struct err *err)
{
    int rc;
    if ((rc = need_int(net, "hidden_size", 1, 65536, &net->hidden, err)) ||
        (rc = need_int(net, "num_hidden_layers", 1, 1000, &net->layers, err)) ||
        (rc = need_int(net, "num_attention_heads", 1, 1024, &net->heads, err)) ||
        (rc = need_int(net, "intermediate_size", 1, 1 << 20, ffn, err)) ||
        (rc = need_int(net, "vocab_size", 1, 1 << 24, &net->vocab_size, err)) ||
        (rc = need_int(net, "max_position_embeddings", 1, 1 << 20, &net->max_positions,
                       err)))
        return rc;
    *types = (int32_t)json_get_int(net->hf->config, "type_vocab_size", 2);
    if (net->hidden % net->heads)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': config.json: hidden_size %d is no multiple of "
                       "num_attention_heads %d",
                       net->hf->dir, net->hidden, net->heads);
    const char *act = json_get_str(net->hf->config, "hidden_act", "gelu");
    if (strcmp(act, "gelu"))
        return err_set(
            err, ERR_CONFIG,
            "model folder '%s': hidden_act '%s' is not supported (known: gelu)",
            net->hf->dir, act);
    const char *position =
        json_get_str(net->hf->config, "position_embedding_type", "absolute");
    if (strcmp(position, "absolute"))
        return err_set(err, ERR_CONFIG,
                       "model folder '%s': position_embedding_type '%s' is not supported "
                       "(known: absolute)",
                       net->hf->dir, position);
    net->head_dim = net->hidden / net->heads;
    net->norm_eps = (float)json_get_num(net->hf->config, "layer_norm_eps", 1e-12);
    net->init_range = (float)json_get_num(net->hf->config, "initializer_range", 0.02);
    net->hidden_dropout =
        (float)json_get_num(net->trial, "hidden_dropout_prob",
                            json_get_num(net->hf->config, "hidden_dropout_prob", 0.1));
    net->attention_dropout = (float)json_get_num(
        net->trial, "attention_probs_dropout_prob",
        json_get_num(net->hf->config, "attention_probs_dropout_prob", 0.1));
    net->classifier_dropout = (float)json_get_num(
        net->trial, "classifier_dropout",
        json_get_num(net->hf->config, "classifier_dropout", net->hidden_dropout));
    return 0;
}

/* The linear layers of one encoder layer: path below it, output and input size by name.
 */
enum { HIDDEN, FFN };
static const struct {
    const char *path;
    int out, in;
} layer_linears[] = {
    {"attention.self.query",   HIDDEN, HIDDEN},
    {"attention.self.key",     HIDDEN, HIDDEN},
    {"attention.self.value",   HIDDEN, HIDDEN},
    {"attention.output.dense", HIDDEN, HIDDEN},
    {"intermediate.dense",     FFN,    HIDDEN},
    {"output.dense",           HIDDEN, FFN   },
};

static int declare(struct net *net, struct err *err)
{
    int32_t ffn = 0, types = 0;
    int rc = read_config(net, &ffn, &types, err);
    const int32_t d = net->hidden, size[] = {[HIDDEN] = d, [FFN] = ffn};
    char path[PATH_MAX_LEN];
    if (rc ||
        (rc = net_base_param(net, "bert.embeddings.word_embeddings.weight", 2,
                             net->vocab_size, d, true, err)) ||
        (rc = net_base_param(net, "bert.embeddings.position_embeddings.weight", 2,
                             net->max_positions, d, true, err)) ||
        (rc = net_base_param(net, "bert.embeddings.token_type_embeddings.weight", 2,
                             types, d, true, err)) ||
        (rc = net_layernorm(net, "bert.embeddings.LayerNorm", err)))
        return rc;
    for (int l = 0; l < net->layers; l++) {
        for (size_t i = 0; i < ARRAY_LEN(layer_linears); i++) {
            snprintf(path, sizeof path, "bert.encoder.layer.%d.%s", l,
                     layer_linears[i].path);
            if ((rc = net_linear(net, path, size[layer_linears[i].out],
                                 size[layer_linears[i].in], l, false, err)))
                return rc;
        }
        snprintf(path, sizeof path, "bert.encoder.layer.%d.attention.output.LayerNorm",
                 l);
        if ((rc = net_layernorm(net, path, err)))
            return rc;
        snprintf(path, sizeof path, "bert.encoder.layer.%d.output.LayerNorm", l);
        if ((rc = net_layernorm(net, path, err)))
            return rc;
    }
    if ((rc = net_linear(net, "bert.pooler.dense", d, d, -1, false, err)))
        return rc;
    return net_linear(net, "classifier", net->num_labels, d, -1, true, err);
}

static int record_layer(const struct net *net, struct graph *g, int l, int x,
                        bool training)
{
    char path[PATH_MAX_LEN];
    const float p = training ? net->hidden_dropout : 0;
    const bool last = l == net->layers - 1;
    const char *const names[] = {"query", "key", "value"};
    int qkv[3];

    graph_segment(g, true);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "bert.encoder.layer.%d.attention.self.%s", l,
                 names[i]);
        qkv[i] = net_record_linear(net, g, path, x, training);
    }
    int h = net_record_attention(net, g, l, qkv[0], qkv[1], qkv[2], training);
    if (last) {
        h = g_gather(g, h, g->slots[SLOT_first]);
        x = g_gather(g, x, g->slots[SLOT_first]);
    }
    snprintf(path, sizeof path, "bert.encoder.layer.%d.attention.output.dense", l);
    h = g_dropout(g, net_record_linear(net, g, path, h, training), p);
    snprintf(path, sizeof path, "bert.encoder.layer.%d.attention.output", l);
    x = net_record_sublayer(net, g, path, l, h, x, training);

    snprintf(path, sizeof path, "bert.encoder.layer.%d.intermediate.dense", l);
    h = g_act(g, net_record_linear(net, g, path, x, training), ACT_gelu);
    snprintf(path, sizeof path, "bert.encoder.layer.%d.output.dense", l);
    h = g_dropout(g, net_record_linear(net, g, path, h, training), p);
    snprintf(path, sizeof path, "bert.encoder.layer.%d.output", l);
    x = net_record_sublayer(net, g, path, l, h, x, training);
    graph_segment(g, false);
    return x;
}

static int record(const struct net *net, struct graph *g, bool training)
{
    int x = g_embed(g, g_param(g, "bert.embeddings.word_embeddings.weight"),
                    g_param(g, "bert.embeddings.position_embeddings.weight"),
                    g_param(g, "bert.embeddings.token_type_embeddings.weight"));
    x = net_record_layernorm(net, g, "bert.embeddings.LayerNorm", x);
    x = g_dropout(g, x, training ? net->hidden_dropout : 0);
    for (int l = 0; l < net->layers; l++)
        x = record_layer(net, g, l, x, training);
    x = g_act(g, net_record_linear(net, g, "bert.pooler.dense", x, training), ACT_tanh);
    x = g_dropout(g, x, training ? net->classifier_dropout : 0);
    return net_record_linear(net, g, "classifier", x, training);
}

const struct arch arch_bert = {
    .model_type = "bert",
    .classifier_class = "BertForSequenceClassification",
    .base_prefix = "bert.",
    .head = "classifier",
    .lora_targets = "query|value",
    .declare = declare,
    .record = record,
};

/* runner/nn/arch/encoder.c - see encoder.h. */
#include "runner/nn/arch/encoder.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include <math.h>
#include <stdio.h>

#define PATH_SIZE 160

const struct encoder_names bert_names = {
    .linears = {[ENC_QUERY] = "attention.self.query",
                [ENC_KEY] = "attention.self.key",
                [ENC_VALUE] = "attention.self.value",
                [ENC_OUT] = "attention.output.dense",
                [ENC_UP] = "intermediate.dense",
                [ENC_DOWN] = "output.dense"},
    .sublayers = {[ENC_ATTENTION] = {"attention.output", "attention.output.LayerNorm"},
                  [ENC_FEED_FORWARD] = {"output", "output.LayerNorm"}},
    .hidden = "hidden_size",
    .layers = "num_hidden_layers",
    .heads = "num_attention_heads",
    .ffn = "intermediate_size",
    .act = "hidden_act",
    .dropout = "hidden_dropout_prob",
    .attention_dropout = "attention_probs_dropout_prob",
    .classifier_dropout = "classifier_dropout",
};

/* --- config.json --- */

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

/* The activation by transformers' name (ACT2FN). */
static int read_act(const struct net *net, const struct encoder *e, enum act *out,
                    struct err *err)
{
    static const struct {
        const char *name;
        enum act act;
    } known[] = {
        {"gelu", ACT_gelu},
        {"relu", ACT_relu},
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
                   "gelu, relu, tanh)",
                   net->hf->dir, e->names->act, name);
}

/* A trial's value goes before the model's. */
static float dropout_of(const struct net *net, double given, const char *key,
                        double otherwise)
{
    return (float)(isnan(given) ? json_get_num(net->hf->config, key, otherwise) : given);
}

static int read_config(struct net *net, const struct encoder *e, int32_t *ffn,
                       struct err *err)
{
    const json_t *c = net->hf->config;
    int32_t positions = 0;
    int rc;
    if ((rc = need_int(net, e->names->hidden, 1, 65536, &net->shape.hidden, err)) ||
        (rc = need_int(net, e->names->layers, 1, 1000, &net->shape.layers, err)) ||
        (rc = need_int(net, e->names->heads, 1, 1024, &net->shape.heads, err)) ||
        (rc = need_int(net, e->names->ffn, 1, 1 << 20, ffn, err)) ||
        (rc = need_int(net, "vocab_size", 1, 1 << 24, &net->shape.vocab_size, err)) ||
        (rc = need_int(net, "max_position_embeddings", 1, 1 << 20, &positions, err)) ||
        (rc = read_act(net, e, &net->shape.act, err)))
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
    const char *kind = json_get_str(c, "position_embedding_type", "absolute");
    if (!str_eq(kind, "absolute"))
        return err_set(err, ERR_CONFIG,
                       "model folder '%s': position_embedding_type '%s' is not supported "
                       "(known: absolute)",
                       net->hf->dir, kind);
    net->shape.head_dim = net->shape.hidden / net->shape.heads;
    net->shape.norm_eps = (float)json_get_num(c, "layer_norm_eps", 1e-12);
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

/* --- parameters and sites --- */

static int declare_embeddings(struct net *net, const struct encoder *e, struct err *err)
{
    const struct {
        const char *name;
        int32_t rows;
    } tables[] = {
        {"word_embeddings", net->shape.vocab_size},
        {"position_embeddings", net->shape.first_position + net->shape.max_positions},
        {"token_type_embeddings", net->shape.token_types},
    };
    char path[PATH_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        if (tables[i].rows == 0)
            continue;
        snprintf(path, sizeof path, "%s.%s.weight", e->embeddings, tables[i].name);
        int rc =
            net_base_param(net, path, 2, tables[i].rows, net->shape.hidden, true, err);
        if (rc)
            return rc;
    }
    snprintf(path, sizeof path, "%s.LayerNorm", e->embeddings);
    return net_layernorm(net, path, err);
}

static int declare_layer(struct net *net, const struct encoder *e, int l, int32_t ffn,
                         struct err *err)
{
    static const enum role roles[ENC_LINEARS] = {
        [ENC_QUERY] = ROLE_q, [ENC_KEY] = ROLE_k, [ENC_VALUE] = ROLE_v,
        [ENC_OUT] = ROLE_o,   [ENC_UP] = ROLE_up, [ENC_DOWN] = ROLE_down};
    char path[PATH_SIZE], norm[PATH_SIZE];
    for (int i = 0; i < ENC_LINEARS; i++) {
        const int32_t out = i == ENC_UP ? ffn : net->shape.hidden,
                      in = i == ENC_DOWN ? ffn : net->shape.hidden;
        snprintf(path, sizeof path, "%s.%d.%s", e->layers, l, e->names->linears[i]);
        int rc = net_linear(net, path, out, in, l, roles[i], err);
        if (rc)
            return rc;
    }
    for (int i = 0; i < ENC_SUBLAYERS; i++) {
        snprintf(path, sizeof path, "%s.%d.%s", e->layers, l,
                 e->names->sublayers[i].adapter);
        snprintf(norm, sizeof norm, "%s.%d.%s", e->layers, l,
                 e->names->sublayers[i].norm);
        int rc = net_sublayer(net, path, norm, l, i == ENC_ATTENTION, err);
        if (rc)
            return rc;
    }
    return 0;
}

int encoder_declare(struct net *net, const struct encoder *e, struct err *err)
{
    int32_t ffn = 0;
    int rc = read_config(net, e, &ffn, err);
    if (!rc && e->token_types)
        rc = json_object_get(net->hf->config, "type_vocab_size")
                 ? need_int(net, "type_vocab_size", 1, 1 << 20, &net->shape.token_types,
                            err)
                 : (net->shape.token_types = 2, 0);
    if (!rc)
        rc = declare_embeddings(net, e, err);
    for (int l = 0; l < net->shape.layers && !rc; l++)
        rc = declare_layer(net, e, l, ffn, err);
    return rc;
}

/* --- the graph --- */

static int record_linear(const struct net *net, const struct encoder *e, struct graph *g,
                         int l, enum encoder_linear which, int x)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s.%d.%s", e->layers, l, e->names->linears[which]);
    return net_record_linear(net, g, path, x);
}

static int record_layer(const struct net *net, const struct encoder *e, struct graph *g,
                        int l, int x)
{
    const float p = net->shape.hidden_dropout;
    int qkv[3];

    graph_segment(g, true);
    for (int i = 0; i < 3; i++)
        qkv[i] = record_linear(net, e, g, l, (enum encoder_linear)(ENC_QUERY + i), x);
    int h = net_record_attention(net, g, l, qkv[0], qkv[1], qkv[2]);
    h = record_linear(net, e, g, l, ENC_OUT, h);
    h = g_dropout(g, h, e->attention_dropout ? p : 0);
    x = net_record_sublayer(net, g, l, true, h, x);

    h = g_act(g, record_linear(net, e, g, l, ENC_UP, x), net->shape.act);
    h = g_dropout(g, record_linear(net, e, g, l, ENC_DOWN, h), p);
    x = net_record_sublayer(net, g, l, false, h, x);
    graph_segment(g, false);
    return x;
}

static int table(const struct encoder *e, struct graph *g, const char *name)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s.%s.weight", e->embeddings, name);
    return g_table(g, path);
}

int encoder_record(const struct net *net, const struct encoder *e, struct graph *g)
{
    char norm[PATH_SIZE];
    int x = net_record_embed(
        net, g, table(e, g, "word_embeddings"), table(e, g, "position_embeddings"),
        net->shape.token_types ? table(e, g, "token_type_embeddings") : -1);
    snprintf(norm, sizeof norm, "%s.LayerNorm", e->embeddings);
    x = net_record_layernorm(net, g, norm, x);
    x = g_dropout(g, x, net->shape.hidden_dropout);
    for (int l = 0; l < net->shape.layers; l++)
        x = record_layer(net, e, g, l, x);
    return x;
}

/* runner/nn/arch/encoder.c - see encoder.h. */
#include "runner/nn/arch/encoder.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/model_config.h"
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
    .norm_eps = "layer_norm_eps",
};

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
        int rc = net_table(net, path, tables[i].rows, net->shape.hidden, err);
        if (rc)
            return rc;
    }
    snprintf(path, sizeof path, "%s.LayerNorm", e->embeddings);
    return net_norm(net, path, net->shape.hidden, err);
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
        int rc = net_linear(net, path, out, in, l, roles[i], true, err);
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
    int rc = encoder_config(net, e, &ffn, err);
    if (!rc && e->token_types)
        rc = json_object_get(net->hf->config, "type_vocab_size")
                 ? model_config_int(net, "type_vocab_size", 1, 1 << 20,
                                    &net->shape.token_types, err)
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
    x = net_record_norm(net, g, norm, x);
    x = g_dropout(g, x, net->shape.hidden_dropout);
    for (int l = 0; l < net->shape.layers; l++)
        x = record_layer(net, e, g, l, x);
    return x;
}

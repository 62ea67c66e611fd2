/* runner/nn/arch/gpt2.c - GPT-2 (Radford et al. 2019; transformers' modeling_gpt2.py).
 *
 * x = dropout(word + position), then per layer, both sublayers pre-norm with LayerNorm:
 *     x = dropout(c_proj(attention(q, k, v))) + x,  (q, k, v) = c_attn n,  n = LN(x)
 *     x = dropout(c_proj(act(c_fc n))) + x,                                n = LN(x)
 * and LN(x) in the end. Attention is causal. All linear layers but the heads are Conv1D:
 * in files their weights lie in x out. reorder_and_upcast_attn asks for scores in fp32,
 * which they always are here. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/model_config.h"
#include "runner/nn/arch/score_head.h"
#include <math.h>
#include <stdio.h>

#define PATH_SIZE 160
#define WORDS     "transformer.wte.weight"
#define POSITIONS "transformer.wpe.weight"

enum { GPT2_POSITIONS = 1024 };

static int32_t positions(const json_t *config)
{
    return (int32_t)json_get_int(config, "n_positions", GPT2_POSITIONS);
}

/* --- config.json --- */

static int read_sizes(struct net *net, int32_t *ffn, struct err *err)
{
    struct net_shape *s = &net->shape;
    const json_t *inner = json_object_get(net->hf->config, "n_inner");
    int rc;
    if ((rc = model_config_int(net, "n_embd", 1, 65536, &s->hidden, err)) ||
        (rc = model_config_int(net, "n_layer", 1, 1000, &s->layers, err)) ||
        (rc = model_config_int(net, "n_head", 1, 1024, &s->heads, err)) ||
        (rc = model_config_int(net, "vocab_size", 1, 1 << 24, &s->vocab_size, err)))
        return rc;
    *ffn = 4 * s->hidden;
    if (!model_config_is_unused(inner) &&
        (rc = model_config_int(net, "n_inner", 1, 1 << 20, ffn, err)))
        return rc;
    s->max_positions = positions(net->hf->config);
    if (s->hidden % s->heads || s->max_positions < 1 || s->max_positions > 1 << 24)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': config.json: n_embd %d is no multiple of "
                       "n_head %d, or n_positions %d is no number of tokens",
                       net->hf->dir, s->hidden, s->heads, s->max_positions);
    s->head_dim = s->hidden / s->heads;
    return 0;
}

static int read_config(struct net *net, int32_t *ffn, struct err *err)
{
    const json_t *c = net->hf->config;
    const struct trial *t = net->trial;
    struct net_shape *s = &net->shape;
    int rc;
    if ((rc = read_sizes(net, ffn, err)) ||
        (rc = model_config_act(net, "activation_function", "gelu_new", &s->act, err)) ||
        (rc = model_config_check_unused(net, err)))
        return rc;
    if (!isnan(t->classifier_dropout))
        return err_set(
            err, ERR_CONFIG,
            "'classifier_dropout': the gpt2 family has no such dropout (it has "
            "attention_dropout and hidden_dropout_prob)");
    s->pad_id = -1;
    s->causal = true;
    s->tied = json_get_bool(c, "tie_word_embeddings", 1) == 1;
    s->norm_eps = (float)json_get_num(c, "layer_norm_epsilon", 1e-5);
    s->init_range = (float)json_get_num(c, "initializer_range", 0.02);
    s->score_scale = json_get_bool(c, "scale_attn_weights", 1) ? 0 : 1;
    s->scores_by_layer = json_get_bool(c, "scale_attn_by_inverse_layer_idx", 0) == 1;
    s->attention_dropout =
        model_config_dropout(net, t->attention_probs_dropout_prob, "attn_pdrop", 0.1);
    s->hidden_dropout =
        model_config_dropout(net, t->hidden_dropout_prob, "resid_pdrop", 0.1);
    s->embed_dropout =
        model_config_dropout(net, t->hidden_dropout_prob, "embd_pdrop", 0.1);
    return 0;
}

/* --- parameters and sites --- */

static int declare_layer(struct net *net, int l, int32_t ffn, struct err *err)
{
    const int32_t d = net->shape.hidden;
    const struct {
        const char *name;
        int32_t out, in;
        enum role role;
    } linears[] = {
        {"attn.c_attn", 3 * d, d, ROLE_qkv},
        {"attn.c_proj", d, d, ROLE_o},
        {"mlp.c_fc", ffn, d, ROLE_up},
        {"mlp.c_proj", d, ffn, ROLE_down},
    };
    static const char *const norms[] = {"ln_1", "ln_2"}, *const adapters[] = {
                                                             "attention_adapters",
                                                             "output_adapters"};
    char path[PATH_SIZE];
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(linears) && !rc; i++) {
        snprintf(path, sizeof path, "transformer.h.%d.%s", l, linears[i].name);
        rc = net_linear(net, path, linears[i].out, linears[i].in, l, linears[i].role,
                        true, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(norms) && !rc; i++) {
        snprintf(path, sizeof path, "transformer.h.%d.%s", l, norms[i]);
        rc = net_norm(net, path, d, err);
        snprintf(path, sizeof path, "transformer.h.%d.%s", l, adapters[i]);
        if (!rc)
            rc = net_sublayer(net, path, NULL, l, i == 0, err);
    }
    return rc;
}

static int declare(struct net *net, struct err *err)
{
    int32_t ffn = 0;
    int rc = read_config(net, &ffn, err);
    const int32_t d = net->shape.hidden;
    if (!rc)
        rc = net_table(net, WORDS, net->shape.vocab_size, d, err);
    if (!rc)
        rc = net_table(net, POSITIONS, net->shape.max_positions, d, err);
    for (int l = 0; l < net->shape.layers && !rc; l++)
        rc = declare_layer(net, l, ffn, err);
    return rc ? rc : net_norm(net, "transformer.ln_f", d, err);
}

static int declare_language_head(struct net *net, struct err *err)
{
    return net_language_head(net, WORDS, err);
}

/* --- the graph --- */

static int record_linear(const struct net *net, struct graph *g, int l, const char *name,
                         int x)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "transformer.h.%d.%s", l, name);
    return net_record_linear(net, g, path, x);
}

static int record_norm(const struct net *net, struct graph *g, int l, const char *name,
                       int x)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "transformer.h.%d.%s", l, name);
    return net_record_norm(net, g, path, x);
}

static int record_layer(const struct net *net, struct graph *g, int l, int x)
{
    const int32_t d = net->shape.hidden;
    const float p = net->shape.hidden_dropout;
    graph_segment(g, true);
    const int qkv =
        record_linear(net, g, l, "attn.c_attn", record_norm(net, g, l, "ln_1", x));
    int h = net_record_attention(net, g, l, g_slice(g, qkv, 0, d), g_slice(g, qkv, d, d),
                                 g_slice(g, qkv, 2 * d, d));
    h = g_dropout(g, record_linear(net, g, l, "attn.c_proj", h), p);
    x = net_record_sublayer(net, g, l, true, h, x);

    h = record_linear(net, g, l, "mlp.c_fc", record_norm(net, g, l, "ln_2", x));
    h = record_linear(net, g, l, "mlp.c_proj", g_act(g, h, net->shape.act));
    x = net_record_sublayer(net, g, l, false, g_dropout(g, h, p), x);
    graph_segment(g, false);
    return x;
}

static int record(const struct net *net, struct graph *g)
{
    int x = net_record_embed(net, g, g_table(g, WORDS), g_table(g, POSITIONS), -1);
    x = g_dropout(g, x, net->shape.embed_dropout);
    for (int l = 0; l < net->shape.layers; l++)
        x = record_layer(net, g, l, x);
    return net_record_norm(net, g, "transformer.ln_f", x);
}

static int record_language_head(const struct net *net, struct graph *g, int picked)
{
    return net_record_linear(net, g, "lm_head", picked);
}

static const char *const unused[] = {"add_cross_attention", NULL};

const struct arch arch_gpt2 = {
    .model_type = "gpt2",
    .class_prefix = "GPT2",
    .language_class = "GPT2LMHeadModel",
    .base_prefix = "transformer.",
    .unused = unused,
    .conv1d = true,
    .positions = positions,
    .declare = declare,
    .record = record,
    .sequence_head = {score_head_declare, score_head_record},
    .last_token = true,
    .language_head = {declare_language_head, record_language_head},
};

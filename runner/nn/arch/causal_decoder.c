/* runner/nn/arch/causal_decoder.c - see causal_decoder.h. */
#include "runner/nn/arch/causal_decoder.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/model_config.h"
#include "runner/nn/arch/rope.h"
#include <math.h>
#include <stdio.h>

#define PATH_SIZE 160
#define WORDS     "model.embed_tokens.weight"
#define ROPE      "model.rotary_emb.inv_freq"

/* --- config.json --- */

/* Absent or null: `otherwise`; 0: there is none. */
static int read_int(const struct net *net, const char *key, int32_t otherwise,
                    int32_t max, int32_t *out, struct err *err)
{
    const json_t *v = json_object_get(net->hf->config, key);
    if ((!v || json_is_null(v)) && otherwise)
        return *out = otherwise, 0;
    return model_config_int(net, key, 1, max, out, err);
}

static int check_unused(const struct net *net, struct err *err)
{
    const char *const *unused = net->arch->unused;
    for (size_t i = 0; unused && unused[i]; i++) {
        const json_t *v = json_object_get(net->hf->config, unused[i]);
        if (!model_config_is_unused(v))
            return model_config_refused(net, unused[i], v, "", err);
    }
    if (json_get_int(net->hf->config, "pretraining_tp", 1) > 1)
        return model_config_refused(net, "pretraining_tp",
                                    json_object_get(net->hf->config, "pretraining_tp"),
                                    "", err);
    return model_config_check_quantised(net, err);
}

static int read_heads(struct net *net, struct err *err)
{
    struct net_shape *s = &net->shape;
    int rc;
    if ((rc = read_int(net, "num_attention_heads", 0, 1024, &s->heads, err)) ||
        (rc = read_int(net, "num_key_value_heads", s->heads, 1024, &s->kv_heads, err)) ||
        (rc = read_int(net, "head_dim", s->hidden / s->heads, 512, &s->head_dim, err)))
        return rc;
    if (s->heads % s->kv_heads)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': config.json: num_attention_heads %d is no "
                       "multiple of num_key_value_heads %d",
                       net->hf->dir, s->heads, s->kv_heads);
    return 0;
}

static int read_config(struct net *net, int32_t *ffn, struct err *err)
{
    const json_t *c = net->hf->config;
    struct net_shape *s = &net->shape;
    int rc;
    if ((rc = read_int(net, "hidden_size", 0, 65536, &s->hidden, err)) ||
        (rc = read_int(net, "num_hidden_layers", 0, 1000, &s->layers, err)) ||
        (rc = read_int(net, "intermediate_size", 0, 1 << 20, ffn, err)) ||
        (rc = read_int(net, "vocab_size", 0, 1 << 24, &s->vocab_size, err)) ||
        (rc = read_int(net, "max_position_embeddings", ROPE_POSITIONS, 1 << 24,
                       &s->max_positions, err)) ||
        (rc = read_heads(net, err)) ||
        (rc = model_config_act(net, "hidden_act", "silu", &s->act, err)) ||
        (rc = check_unused(net, err)))
        return rc;
    if (!isnan(net->trial->hidden_dropout_prob) || !isnan(net->trial->classifier_dropout))
        return err_set(err, ERR_CONFIG,
                       "'%s': the %s family has no such dropout (it has "
                       "attention_dropout)",
                       isnan(net->trial->hidden_dropout_prob) ? "classifier_dropout"
                                                              : "hidden_dropout_prob",
                       net->arch->model_type);
    s->max_positions = rope_positions(c);
    s->pad_id = -1;
    s->causal = s->rms_norm = true;
    s->norm_eps = (float)json_get_num(c, "rms_norm_eps", 1e-6);
    s->init_range = (float)json_get_num(c, "initializer_range", 0.02);
    s->attention_dropout = model_config_dropout(
        net, net->trial->attention_probs_dropout_prob, "attention_dropout", 0);
    return 0;
}

/* --- parameters and sites --- */

/* The frequencies as a constant of the net. */
static int declare_rope(struct net *net, const struct decoder *d, struct err *err)
{
    struct rope rope;
    int rc = rope_read(net->hf->config, &d->rope, NULL, net->shape.head_dim, &rope, err);
    if (rc) {
        rope_release(&rope);
        return err_context(err, "model folder '%s': config.json: ", net->hf->dir);
    }
    struct param *p =
        params_add(&net->params, ROPE, rope.rows > 1 ? 2 : 1, rope.rows, rope.count);
    p->derived = p->added = true;
    p->given = rope.frequencies;
    net->shape.rope_factor = rope.factor;
    net->shape.rope_length = rope.length;
    return 0;
}

static int declare_layer(struct net *net, const struct decoder *d, int l, int32_t ffn,
                         struct err *err)
{
    const json_t *c = net->hf->config;
    const struct net_shape s = net->shape;
    const int32_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
    const bool all = d->attention_bias && json_get_bool(c, "attention_bias", 0) == 1,
               mlp = d->mlp_bias && json_get_bool(c, "mlp_bias", 0) == 1;
    const struct {
        const char *name;
        int32_t out, in;
        bool bias;
        enum role role;
    } linears[] = {
        {"self_attn.q_proj", q, s.hidden, all || d->qkv_bias, ROLE_q},
        {"self_attn.k_proj", kv, s.hidden, all || d->qkv_bias, ROLE_k},
        {"self_attn.v_proj", kv, s.hidden, all || d->qkv_bias, ROLE_v},
        {"self_attn.o_proj", s.hidden, q, all, ROLE_o},
        {"mlp.gate_proj", ffn, s.hidden, mlp, ROLE_gate},
        {"mlp.up_proj", ffn, s.hidden, mlp, ROLE_up},
        {"mlp.down_proj", s.hidden, ffn, mlp, ROLE_down},
    };
    static const char *const norms[] = {"input_layernorm", "post_attention_layernorm"},
                             *const adapters[] = {"attention_adapters",
                                                  "output_adapters"};
    char path[PATH_SIZE];
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(linears) && !rc; i++) {
        snprintf(path, sizeof path, "model.layers.%d.%s", l, linears[i].name);
        rc = net_linear(net, path, linears[i].out, linears[i].in, l, linears[i].role,
                        linears[i].bias, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(norms) && !rc; i++) {
        snprintf(path, sizeof path, "model.layers.%d.%s", l, norms[i]);
        rc = net_norm(net, path, err);
        snprintf(path, sizeof path, "model.layers.%d.%s", l, adapters[i]);
        if (!rc)
            rc = net_sublayer(net, path, NULL, l, i == 0, err);
    }
    return rc;
}

int decoder_declare(struct net *net, const struct decoder *d, struct err *err)
{
    int32_t ffn = 0;
    int rc = read_config(net, &ffn, err);
    if (!rc)
        rc = net_base_param(net, WORDS, 2, net->shape.vocab_size, net->shape.hidden, true,
                            err);
    if (!rc)
        rc = declare_rope(net, d, err);
    for (int l = 0; l < net->shape.layers && !rc; l++)
        rc = declare_layer(net, d, l, ffn, err);
    return rc ? rc : net_norm(net, "model.norm", err);
}

int decoder_declare_language_head(struct net *net, struct err *err)
{
    if (json_get_bool(net->hf->config, "tie_word_embeddings", 0) == 1)
        return net_tied_linear(net, "lm_head", WORDS, err);
    return net_linear(net, "lm_head", net->shape.vocab_size, net->shape.hidden, -1,
                      ROLE_lm_head, false, err);
}

/* --- the graph --- */

static int record_linear(const struct net *net, struct graph *g, int l, const char *name,
                         int x)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "model.layers.%d.%s", l, name);
    return net_record_linear(net, g, path, x);
}

static int record_norm(const struct net *net, struct graph *g, int l, const char *name,
                       int x)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "model.layers.%d.%s", l, name);
    return net_record_norm(net, g, path, x);
}

static int record_layer(const struct net *net, struct graph *g, int l, int rope, int x)
{
    graph_segment(g, true);
    int h = record_norm(net, g, l, "input_layernorm", x);
    const int q = g_rope(g, record_linear(net, g, l, "self_attn.q_proj", h), rope,
                         net->shape.heads);
    const int k = g_rope(g, record_linear(net, g, l, "self_attn.k_proj", h), rope,
                         net->shape.kv_heads);
    const int v = record_linear(net, g, l, "self_attn.v_proj", h);
    h = net_record_attention(net, g, l, q, k, v);
    h = record_linear(net, g, l, "self_attn.o_proj", h);
    x = net_record_sublayer(net, g, l, true, h, x);

    h = record_norm(net, g, l, "post_attention_layernorm", x);
    const int gate = record_linear(net, g, l, "mlp.gate_proj", h);
    const int up = record_linear(net, g, l, "mlp.up_proj", h);
    h = record_linear(net, g, l, "mlp.down_proj",
                      g_gated_act(g, gate, up, net->shape.act));
    x = net_record_sublayer(net, g, l, false, h, x);
    graph_segment(g, false);
    return x;
}

int decoder_record(const struct net *net, struct graph *g)
{
    int x = net_record_embed(net, g, g_table(g, WORDS), -1, -1);
    const int rope =
        g_rope_table(g, g_param(g, ROPE), net->shape.rope_length, net->shape.rope_factor);
    for (int l = 0; l < net->shape.layers; l++)
        x = record_layer(net, g, l, rope, x);
    return net_record_norm(net, g, "model.norm", x);
}

int decoder_record_language_head(const struct net *net, struct graph *g, int picked)
{
    return net_record_linear(net, g, "lm_head", picked);
}

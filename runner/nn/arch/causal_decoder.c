/* runner/nn/arch/causal_decoder.c - see causal_decoder.h. */
#include "runner/nn/arch/causal_decoder.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/rope.h"
#include "runner/nn/peft/method.h"
#include <stdio.h>

#define PATH_SIZE  160
#define ROPE       "model.rotary_emb.inv_freq"
#define LOCAL_ROPE "model.rotary_emb_local.inv_freq"

/* --- names --- */

static const char *root(const struct net *net)
{
    return net->arch->text_root ? net->arch->text_root : "model";
}

static const char *words(const struct net *net, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s.embed_tokens.weight", root(net));
    return path;
}

static const char *last_norm(const struct net *net, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s.norm", root(net));
    return path;
}

static const char *in_layer(const struct net *net, int l, const char *name,
                            char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s.layers.%d.%s", root(net), l, name);
    return path;
}

/* --- parameters and sites --- */

/* A table's frequencies as a constant of the net. layer_type: see rope_read. */
static int declare_rope(struct net *net, const struct rope_family *family,
                        const char *name, const char *layer_type, struct rope *rope,
                        struct err *err)
{
    int rc =
        rope_read(net->hf->config, family, layer_type, net->shape.head_dim, rope, err);
    if (rc) {
        rope_release(rope);
        return err_context(err, "model folder '%s': config.json: ", net->hf->dir);
    }
    struct param *p =
        params_add(&net->params, name, rope->rows > 1 ? 2 : 1, rope->rows, rope->count);
    p->derived = p->added = true;
    p->given = rope->frequencies;
    return 0;
}

static int declare_ropes(struct net *net, const struct decoder *d, struct err *err)
{
    struct net_shape *s = &net->shape;
    const bool two = d->local_rope.theta > 0;
    struct rope rope = {0}, local = {0};
    int rc = declare_rope(net, &d->rope, ROPE, two ? "full_attention" : NULL, &rope, err);
    if (!rc && two)
        rc = declare_rope(net, &d->local_rope, LOCAL_ROPE, "sliding_attention", &local,
                          err);
    s->rope.factor = rope.factor;
    s->rope.length = rope.length;
    s->local_rope.factor = local.factor;
    s->local_rope.length = local.length;
    return rc;
}

/* The norms before and behind attention and feed-forward part. */
struct norm_names {
    const char *before[2], *behind[2];
};

static const struct norm_names *norm_names(const struct decoder *d)
{
    static const struct norm_names plain = {
        {"input_layernorm", "post_attention_layernorm"}, {NULL, NULL}};
    static const struct norm_names both = {
        {"input_layernorm", "pre_feedforward_layernorm"},
        {"post_attention_layernorm", "post_feedforward_layernorm"}};
    return d->norms_behind ? &both : &plain;
}

static int declare_linears(struct net *net, const struct decoder *d, int l, int32_t ffn,
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
    } apart[] =
        {
            {"self_attn.q_proj", q, s.hidden, all || d->qkv_bias, ROLE_q},
            {"self_attn.k_proj", kv, s.hidden, all || d->qkv_bias, ROLE_k},
            {"self_attn.v_proj", kv, s.hidden, all || d->qkv_bias, ROLE_v},
            {"self_attn.o_proj", s.hidden, q, all, ROLE_o},
            {"mlp.gate_proj", ffn, s.hidden, mlp, ROLE_gate},
            {"mlp.up_proj", ffn, s.hidden, mlp, ROLE_up},
            {"mlp.down_proj", s.hidden, ffn, mlp, ROLE_down},
        },
      fused[] =
          {
              {"self_attn.qkv_proj", q + 2 * kv, s.hidden, all || d->qkv_bias, ROLE_qkv},
              {"self_attn.o_proj", s.hidden, q, all, ROLE_o},
              {"mlp.gate_up_proj", 2 * ffn, s.hidden, mlp, ROLE_gate_up},
              {"mlp.down_proj", s.hidden, ffn, mlp, ROLE_down},
          },
      *linears = d->fused ? fused : apart;
    const size_t count = d->fused ? ARRAY_LEN(fused) : ARRAY_LEN(apart);
    char path[PATH_SIZE];
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        rc = net_linear(net, in_layer(net, l, linears[i].name, path), linears[i].out,
                        linears[i].in, l, linears[i].role, linears[i].bias, err);
    }
    return rc;
}

static int declare_norms(struct net *net, const struct decoder *d, int l, struct err *err)
{
    const struct net_shape s = net->shape;
    static const char *const adapters[] = {"attention_adapters", "output_adapters"};
    const struct norm_names *names = norm_names(d);
    const struct {
        const char *name;
        int32_t width;
    } norms[] = {
        {names->before[0], s.hidden},
        {names->behind[0], s.hidden},
        {names->before[1], s.hidden},
        {names->behind[1], s.hidden},
        {d->qk_norm ? "self_attn.q_norm" : NULL, s.head_dim},
        {d->qk_norm ? "self_attn.k_norm" : NULL, s.head_dim},
    };
    char path[PATH_SIZE];
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(norms) && !rc; i++) {
        if (norms[i].name)
            rc =
                net_norm(net, in_layer(net, l, norms[i].name, path), norms[i].width, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(adapters) && !rc; i++) {
        rc = net_sublayer(net, in_layer(net, l, adapters[i], path), NULL, l, i == 0, err);
    }
    return rc;
}

/* Of a class for pictures too. */
static int use_language_model(const struct net *net, struct err *err)
{
    if (!net->arch->text_root || !net->hf->weights)
        return 0;
    if (net->training && net->method->changes_base == BASE_all)
        return err_set(err, ERR_CONFIG,
                       "model folder '%s': method '%s' would save its language model "
                       "without the part for pictures; an adapter goes with both",
                       net->hf->dir, net->method->name);
    text_print(
        stderr,
        "peftlab: model folder '%s': of a model of texts and pictures the language "
        "model is used\n",
        net->hf->dir);
    return 0;
}

int decoder_declare(struct net *net, const struct decoder *d, struct err *err)
{
    int32_t ffn = 0;
    char path[PATH_SIZE];
    int rc = use_language_model(net, err);
    if (!rc)
        rc = decoder_read_config(net, d, &ffn, err);
    if (!rc)
        rc = net_table(net, words(net, path), net->shape.vocab_size, net->shape.hidden,
                       err);
    if (!rc)
        rc = declare_ropes(net, d, err);
    for (int l = 0; l < net->shape.layers && !rc; l++)
        if (!(rc = declare_linears(net, d, l, ffn, err)))
            rc = declare_norms(net, d, l, err);
    return rc ? rc : net_norm(net, last_norm(net, path), net->shape.hidden, err);
}

int decoder_declare_language_head(struct net *net, struct err *err)
{
    char path[PATH_SIZE];
    return net_language_head(net, words(net, path), err);
}

/* --- the graph --- */

static int record_linear(const struct net *net, struct graph *g, int l, const char *name,
                         int x)
{
    char path[PATH_SIZE];
    return net_record_linear(net, g, in_layer(net, l, name, path), x);
}

/* name NULL: x itself */
static int record_norm(const struct net *net, struct graph *g, int l, const char *name,
                       int x)
{
    char path[PATH_SIZE];
    if (!name)
        return x;
    return net_record_norm(net, g, in_layer(net, l, name, path), x);
}

/* Rows of q, k and v, by three layers or one. */
static void record_qkv(const struct net *net, const struct decoder *d, struct graph *g,
                       int l, int x, int qkv[3])
{
    static const char *const names[] = {"self_attn.q_proj", "self_attn.k_proj",
                                        "self_attn.v_proj"};
    const int32_t q = net->shape.heads * net->shape.head_dim, kv = net_kv_width(net);
    const int all = d->fused ? record_linear(net, g, l, "self_attn.qkv_proj", x) : -1;
    for (int i = 0; i < 3; i++)
        qkv[i] = d->fused ? g_slice(g, all, i ? q + (i - 1) * kv : 0, i ? kv : q)
                          : record_linear(net, g, l, names[i], x);
}

static int record_attention(const struct net *net, const struct decoder *d,
                            struct graph *g, int l, int rope, int x)
{
    int qkv[3];
    record_qkv(net, d, g, l, x, qkv);
    int q = record_norm(net, g, l, d->qk_norm ? "self_attn.q_norm" : NULL, qkv[0]);
    int k = record_norm(net, g, l, d->qk_norm ? "self_attn.k_norm" : NULL, qkv[1]);
    if (!net->shape.kinds[l].unrotated) {
        q = g_rope(g, q, rope, net->shape.heads);
        k = g_rope(g, k, rope, net->shape.kv_heads);
    }
    return record_linear(net, g, l, "self_attn.o_proj",
                         net_record_attention(net, g, l, q, k, qkv[2]));
}

static int record_feed_forward(const struct net *net, const struct decoder *d,
                               struct graph *g, int l, int x)
{
    const int both = d->fused ? record_linear(net, g, l, "mlp.gate_up_proj", x) : -1;
    const int32_t ffn = d->fused ? g->tensors[both].cols / 2 : 0;
    const int gate = d->fused ? g_slice(g, both, 0, ffn)
                              : record_linear(net, g, l, "mlp.gate_proj", x);
    const int up = d->fused ? g_slice(g, both, ffn, ffn)
                            : record_linear(net, g, l, "mlp.up_proj", x);
    return record_linear(net, g, l, "mlp.down_proj",
                         g_gated_act(g, gate, up, net->shape.act));
}

static int record_layer(const struct net *net, const struct decoder *d, struct graph *g,
                        int l, int rope, int x)
{
    const struct norm_names *norms = norm_names(d);
    const float p = net->shape.hidden_dropout;
    graph_segment(g, true);
    int h = record_norm(net, g, l, norms->before[0], x);
    h = record_attention(net, d, g, l, rope, h);
    h = g_dropout(g, record_norm(net, g, l, norms->behind[0], h), p);
    x = net_record_sublayer(net, g, l, true, h, x);

    h = record_norm(net, g, l, norms->before[1], x);
    h = record_feed_forward(net, d, g, l, h);
    h = g_dropout(g, record_norm(net, g, l, norms->behind[1], h), p);
    x = net_record_sublayer(net, g, l, false, h, x);
    graph_segment(g, false);
    return x;
}

int decoder_record(const struct net *net, const struct decoder *d, struct graph *g)
{
    char path[PATH_SIZE];
    int x = net_record_embed(net, g, g_table(g, words(net, path)), -1, -1);
    const struct net_shape *s = &net->shape;
    const int rope = g_rope_table(g, g_param(g, ROPE), s->rope.length, s->rope.factor);
    const int local = d->local_rope.theta > 0
                          ? g_rope_table(g, g_param(g, LOCAL_ROPE), s->local_rope.length,
                                         s->local_rope.factor)
                          : rope;
    for (int l = 0; l < s->layers; l++)
        x = record_layer(net, d, g, l, net_window(net, l) ? local : rope, x);
    return net_record_norm(net, g, last_norm(net, path), x);
}

int decoder_record_language_head(const struct net *net, struct graph *g, int picked)
{
    const float cap = net->shape.logit_cap;
    const int logits = net_record_linear(net, g, "lm_head", picked);
    return cap > 0 ? g_scale(g, g_act(g, g_scale(g, logits, 1 / cap), ACT_tanh), cap)
                   : logits;
}

/* runner/nn/arch/causal_decoder.h - the decoder that the Llama family shares (Touvron et
 * al. 2023; transformers' modeling_llama.py and its descendants).
 *
 * x = word, then per layer, both sublayers pre-norm with RMSNorm:
 *     x = o(attention(rope(q n), rope(k n), v n)) + x,  n = norm(x)
 *     x = down(act(gate n) * up n) + x,                 n = norm(x)
 * and norm(x) in the end. Attention is causal; keys and values may have fewer heads than
 * queries. The language model's head is a matrix of its own or the table of embeddings
 * (tie_word_embeddings).
 *
 * A family is a row of what it does otherwise:
 *   biases             Qwen2's of q, k and v; where config.json says so Llama's
 *   fused              Phi-3 (Abdin et al. 2024): q, k and v are parts of qkv_proj, gate and
 *                      up of gate_up_proj
 *   residual_dropout   Phi-3: resid_pdrop on both sublayers' outputs
 *   some_unrotated     SmolLM3 (2025): layers that no_rope_layers names have no RoPE
 *   qk_norm            Qwen3 (2025), Gemma 3: heads of q and k are normalised before RoPE
 *   window             Mistral (Jiang et al. 2023) and others: a query sees the last
 *                      sliding_window keys only, in all layers or some of them
 *   norms_behind       Gemma 2 (Riviere et al. 2024): both sublayers' outputs are
 *                      normalised too, before the residual is added
 *   norm_offset        Gemma: norms multiply by 1 + weight
 *   scaled_words       Gemma: embeddings times sqrt(hidden_size)
 *   score_cap, ...     Gemma 2: scores, and the logits in the end, are c tanh(x / c)
 *   local_rope         Gemma 3 (2025): layers with the window rotate by a table of their
 *                      own
 * A key that is absent has transformers' default, which here is the row's. */
#ifndef RUNNER_NN_ARCH_CAUSAL_DECODER_H
#define RUNNER_NN_ARCH_CAUSAL_DECODER_H

#include "runner/nn/arch/rope.h"
#include "runner/nn/net.h"

/* Which layers have the window where config.json has no layer_types. */
enum window_rule {
    WINDOW_NONE,
    WINDOW_EVERYWHERE,
    WINDOW_IF_GIVEN,   /* the same, but none where config.json has no sliding_window */
    WINDOW_UNROTATED,  /* those without RoPE, with use_sliding_window */
    WINDOW_FROM_LAYER, /* max_window_layers, with use_sliding_window */
    WINDOW_PATTERN,    /* all but every n-th */
};

struct decoder {
    bool qkv_bias;       /* of q, k and v, always ... */
    bool attention_bias; /* ... or of q, k, v and o, where config.json says so */
    bool mlp_bias;       /* of the feed-forward layers, where config.json says so */
    bool fused, residual_dropout, some_unrotated;
    bool qk_norm, norms_behind, scaled_words;
    bool tied;        /* tie_word_embeddings where config.json has none */
    int32_t head_dim; /* the same; 0: hidden_size / num_attention_heads */
    enum window_rule window;
    int32_t pattern;         /* WINDOW_PATTERN's n ... */
    const char *pattern_key; /* ... or what config.json has under this key; NULL: none */
    float norm_offset;
    float norm_eps;            /* where config.json has none; 0: 1e-6 */
    const char *act_key, *act; /* NULL: hidden_act, silu */
    int32_t query_scalar; /* scores times query_pre_attn_scalar^-1/2, this where there
                                  is no such key; 0: times head_dim^-1/2 */
    bool caps;            /* attn_logit_softcapping and final_logit_softcapping ... */
    float score_cap, logit_cap; /* ... and these where they are absent; 0: none */
    struct rope_family rope;
    struct rope_family local_rope; /* of layers with a window; theta 0: the same */
};

/* --- decoder_config.c --- */
/* config.json and the trial's dropouts into net->shape; ffn: features inside the
 * feed-forward part. */
int decoder_read_config(struct net *net, const struct decoder *d, int32_t *ffn,
                        struct err *err);

/* --- causal_decoder.c --- */
/* Reads config.json and the trial's dropouts into the net, declares the decoder. */
int decoder_declare(struct net *net, const struct decoder *d, struct err *err);
/* The hidden states of all tokens: tokens x hidden. */
int decoder_record(const struct net *net, const struct decoder *d, struct graph *g);

/* The head for language modelling. */
int decoder_declare_language_head(struct net *net, struct err *err);
int decoder_record_language_head(const struct net *net, struct graph *g, int picked);

#endif

/* runner/nn/arch/causal_decoder.h - the decoder that the Llama family shares (Touvron et
 * al. 2023; transformers' modeling_llama.py and its descendants).
 *
 * x = word, then per layer, both sublayers pre-norm with RMSNorm:
 *     x = o(attention(rope(q n), rope(k n), v n)) + x,  n = norm(x)
 *     x = down(act(gate n) * up n) + x,                 n = norm(x)
 * and norm(x) in the end. Attention is causal; keys and values may have fewer heads than
 * queries. The language model's head is a matrix of its own or the table of embeddings
 * (tie_word_embeddings). A family is a row: which linear layers have biases. */
#ifndef RUNNER_NN_ARCH_CAUSAL_DECODER_H
#define RUNNER_NN_ARCH_CAUSAL_DECODER_H

#include "runner/nn/arch/rope.h"
#include "runner/nn/net.h"

struct decoder {
    bool qkv_bias;       /* of q, k and v, always ... */
    bool attention_bias; /* ... or of q, k, v and o, where config.json says so */
    bool mlp_bias;       /* of the feed-forward layers, where config.json says so */
    struct rope_family rope;
};

/* Reads config.json and the trial's dropouts into the net, declares the decoder. */
int decoder_declare(struct net *net, const struct decoder *d, struct err *err);
/* The hidden states of all tokens: tokens x hidden. */
int decoder_record(const struct net *net, struct graph *g);

/* The head for language modelling. */
int decoder_declare_language_head(struct net *net, struct err *err);
int decoder_record_language_head(const struct net *net, struct graph *g, int picked);

#endif

/* runner/nn/arch/encoder.h - the encoder that the BERT family shares (Devlin et al. 2018;
 * transformers' modeling_bert.py, modeling_roberta.py, modeling_distilbert.py).
 *
 * x = dropout(LN(word + position [+ token type])), then per layer, both sublayers
 * post-LN:
 *     x = LN([dropout](o(attention(q x, k x, v x))) + x)
 *     x = LN(dropout(down(act(up x))) + x)
 * A family is a table of names: where its modules lie, what its config.json calls the
 * numbers. */
#ifndef RUNNER_NN_ARCH_ENCODER_H
#define RUNNER_NN_ARCH_ENCODER_H

#include "runner/nn/net.h"

enum encoder_linear {
    ENC_QUERY,
    ENC_KEY,
    ENC_VALUE,
    ENC_OUT,
    ENC_UP,
    ENC_DOWN,
    ENC_LINEARS
};
enum { ENC_ATTENTION, ENC_FEED_FORWARD, ENC_SUBLAYERS };

/* What a family calls things. */
struct encoder_names {
    /* modules below a layer */
    const char *linears[ENC_LINEARS];
    struct {
        const char *adapter, *norm; /* see struct sublayer */
    } sublayers[ENC_SUBLAYERS];
    /* keys of config.json */
    const char *hidden, *layers, *heads, *ffn, *act;
    const char *dropout, *attention_dropout, *classifier_dropout;
    const char *norm_eps; /* NULL: always 1e-12 */
};
extern const struct encoder_names bert_names; /* bert's and roberta's */

struct encoder {
    const char *embeddings, *layers; /* module paths; layer l is "<layers>.<l>" */
    const struct encoder_names *names;
    bool token_types;          /* has embeddings of token types */
    bool attention_dropout;    /* on the output of the attention sublayer */
    double classifier_dropout; /* where config.json has none; NaN: the encoder's */
};

/* encoder_config.c: config.json and the trial's dropouts into net->shape. A key that would
 * change numbers and is not honoured is refused by name. */
int encoder_config(struct net *net, const struct encoder *e, int32_t *ffn,
                   struct err *err);

/* Reads config.json and the trial's dropouts into the net, declares the encoder. */
int encoder_declare(struct net *net, const struct encoder *e, struct err *err);
/* The hidden states of all tokens: tokens x hidden. */
int encoder_record(const struct net *net, const struct encoder *e, struct graph *g);

#endif

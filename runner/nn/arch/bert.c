/* runner/nn/arch/bert.c - BERT for sequence classification (Devlin et al. 2018;
 * transformers modeling_bert.py): the encoder, then tanh(W h + b) on the first token (the
 * pooler), dropout, classifier. */
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/encoder.h"
#include <math.h>

static const struct encoder encoder = {
    .embeddings = "bert.embeddings",
    .layers = "bert.encoder.layer",
    .names = &bert_names,
    .token_types = true,
    .attention_dropout = true,
    .classifier_dropout = NAN,
};

static int declare(struct net *net, struct err *err)
{
    return encoder_declare(net, &encoder, err);
}

static int record(const struct net *net, struct graph *g)
{
    return encoder_record(net, &encoder, g);
}

static int declare_head(struct net *net, struct err *err)
{
    int rc = net_linear(net, "bert.pooler.dense", net->shape.hidden, net->shape.hidden,
                        -1, ROLE_pooler, true, err);
    if (!rc)
        rc = net_linear(net, "classifier", net->goal.num_labels, net->shape.hidden, -1,
                        ROLE_head, true, err);
    return rc;
}

static int record_head(const struct net *net, struct graph *g, int x)
{
    x = g_act(g, net_record_linear(net, g, "bert.pooler.dense", x), ACT_tanh);
    x = g_dropout(g, x, net->shape.classifier_dropout);
    return net_record_linear(net, g, "classifier", x);
}

const struct arch arch_bert = {
    .model_type = "bert",
    .class_prefix = "Bert",
    .base_prefix = "bert.",
    .declare = declare,
    .record = record,
    .sequence_head = {declare_head, record_head},
};

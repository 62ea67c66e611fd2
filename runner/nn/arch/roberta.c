/* runner/nn/arch/roberta.c - RoBERTa for sequence classification (Liu et al. 2019;
 * transformers modeling_roberta.py), and the families that differ in nothing but their
 * tokenizer and class names: XLM-RoBERTa, CamemBERT.
 *
 * BERT's encoder with positions that start behind pad_token_id, no pooler, and a head of
 * two layers on the first token: out_proj(dropout(tanh(dense(dropout(h))))). */
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/encoder.h"
#include <math.h>

static const struct encoder encoder = {
    .embeddings = "roberta.embeddings",
    .layers = "roberta.encoder.layer",
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
    int rc = net_linear(net, "classifier.dense", net->shape.hidden, net->shape.hidden, -1,
                        ROLE_head, true, err);
    if (!rc)
        rc = net_linear(net, "classifier.out_proj", net->goal.num_labels,
                        net->shape.hidden, -1, ROLE_head, true, err);
    return rc;
}

static int record_head(const struct net *net, struct graph *g, int x)
{
    const float p = net->shape.classifier_dropout;
    x = net_record_linear(net, g, "classifier.dense", g_dropout(g, x, p));
    x = g_dropout(g, g_act(g, x, ACT_tanh), p);
    return net_record_linear(net, g, "classifier.out_proj", x);
}

#define ROBERTA(identifier, type, prefix)                                                \
    const struct arch arch_##identifier = {                                              \
        .model_type = type,                                                              \
        .class_prefix = prefix,                                                          \
        .base_prefix = "roberta.",                                                       \
        .positions_behind_pad = true,                                                    \
        .declare = declare,                                                              \
        .record = record,                                                                \
        .sequence_head = {declare_head, record_head},                                    \
    }

ROBERTA(roberta, "roberta", "Roberta");
ROBERTA(xlm_roberta, "xlm-roberta", "XLMRoberta");
ROBERTA(camembert, "camembert", "Camembert");

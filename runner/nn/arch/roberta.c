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
    int rc = encoder_declare(net, &encoder, err);
    if (!rc)
        rc = net_linear(net, "classifier.dense", net->hidden, net->hidden, -1, true, err);
    if (!rc)
        rc = net_linear(net, "classifier.out_proj", net->num_labels, net->hidden, -1,
                        true, err);
    return rc;
}

static int record(const struct net *net, struct graph *g)
{
    const float p = net->classifier_dropout;
    int x = g_dropout(g, g_pick(g, encoder_record(net, &encoder, g)), p);
    x = g_act(g, net_record_linear(net, g, "classifier.dense", x), ACT_tanh);
    return net_record_linear(net, g, "classifier.out_proj", g_dropout(g, x, p));
}

#define ROBERTA(identifier, type, class_prefix)                                          \
    const struct arch arch_##identifier = {                                              \
        .model_type = type,                                                              \
        .classifier_class = class_prefix "ForSequenceClassification",                    \
        .base_prefix = "roberta.",                                                       \
        .head = "classifier",                                                            \
        .lora_targets = "query|value",                                                   \
        .ia3_targets = "key|value|output.dense",                                         \
        .ia3_feed_forward = "output.dense",                                              \
        .adalora_targets = "query|key|value|dense",                                      \
        .positions_behind_pad = true,                                                    \
        .declare = declare,                                                              \
        .record = record,                                                                \
    }

ROBERTA(roberta, "roberta", "Roberta");
ROBERTA(xlm_roberta, "xlm-roberta", "XLMRoberta");
ROBERTA(camembert, "camembert", "Camembert");

/* runner/nn/arch/distilbert.c - DistilBERT for sequence classification (Sanh et al. 2019;
 * transformers modeling_distilbert.py): BERT's encoder under other names, without token
 * types and without dropout behind the attention; head on the first token:
 * classifier(dropout(relu(pre_classifier(h)))). */
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/encoder.h"

static const struct encoder_names names = {
    .linears = {[ENC_QUERY] = "attention.q_lin",
                [ENC_KEY] = "attention.k_lin",
                [ENC_VALUE] = "attention.v_lin",
                [ENC_OUT] = "attention.out_lin",
                [ENC_UP] = "ffn.lin1",
                [ENC_DOWN] = "ffn.lin2"},
    .sublayers = {[ENC_ATTENTION] = {"attention_adapters", "sa_layer_norm"},
                  [ENC_FEED_FORWARD] = {"output_adapters", "output_layer_norm"}},
    .hidden = "dim",
    .layers = "n_layers",
    .heads = "n_heads",
    .ffn = "hidden_dim",
    .act = "activation",
    .dropout = "dropout",
    .attention_dropout = "attention_dropout",
    .classifier_dropout = "seq_classif_dropout",
};

static const struct encoder encoder = {
    .embeddings = "distilbert.embeddings",
    .layers = "distilbert.transformer.layer",
    .names = &names,
    .classifier_dropout = 0.2,
};

static int declare(struct net *net, struct err *err)
{
    int rc = encoder_declare(net, &encoder, err);
    if (!rc)
        rc = net_linear(net, "pre_classifier", net->hidden, net->hidden, -1, true, err);
    if (!rc)
        rc = net_linear(net, "classifier", net->num_labels, net->hidden, -1, true, err);
    return rc;
}

static int record(const struct net *net, struct graph *g)
{
    int x = g_pick(g, encoder_record(net, &encoder, g));
    x = g_act(g, net_record_linear(net, g, "pre_classifier", x), ACT_relu);
    x = g_dropout(g, x, net->classifier_dropout);
    return net_record_linear(net, g, "classifier", x);
}

const struct arch arch_distilbert = {
    .model_type = "distilbert",
    .classifier_class = "DistilBertForSequenceClassification",
    .base_prefix = "distilbert.",
    .head = "classifier",
    .lora_targets = "q_lin|v_lin",
    .ia3_targets = "k_lin|v_lin|lin2",
    .ia3_feed_forward = "lin2",
    .adalora_targets = "q_lin|v_lin",
    .declare = declare,
    .record = record,
};

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
    return encoder_declare(net, &encoder, err);
}

static int record(const struct net *net, struct graph *g)
{
    return encoder_record(net, &encoder, g);
}

static int declare_head(struct net *net, struct err *err)
{
    int rc = net_linear(net, "pre_classifier", net->shape.hidden, net->shape.hidden, -1,
                        ROLE_head, true, err);
    if (!rc)
        rc = net_linear(net, "classifier", net->goal.num_labels, net->shape.hidden, -1,
                        ROLE_head, true, err);
    return rc;
}

static int record_head(const struct net *net, struct graph *g, int x)
{
    x = g_act(g, net_record_linear(net, g, "pre_classifier", x), ACT_relu);
    x = g_dropout(g, x, net->shape.classifier_dropout);
    return net_record_linear(net, g, "classifier", x);
}

const struct arch arch_distilbert = {
    .model_type = "distilbert",
    .class_prefix = "DistilBert",
    .base_prefix = "distilbert.",
    .declare = declare,
    .record = record,
    .sequence_head = {declare_head, record_head},
};

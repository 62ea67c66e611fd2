/* runner/nn/arch/score_head.h - how transformers classifies sequences with a decoder
 * (GenericForSequenceClassification, GPT2ForSequenceClassification): `score`, a linear
 * layer without bias, on the hidden state of a sequence's last token, the only one that
 * has seen all others. Where transformers looks for it behind the padding, here there is
 * none. */
#ifndef RUNNER_NN_ARCH_SCORE_HEAD_H
#define RUNNER_NN_ARCH_SCORE_HEAD_H

#include "runner/nn/net.h"

int score_head_declare(struct net *net, struct err *err);
int score_head_record(const struct net *net, struct graph *g, int picked);

#endif

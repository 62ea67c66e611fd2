/* runner/serve/pooling.h - one vector for a text: what its tokens' hidden states become.
 *
 * As sentence-transformers has it: the model's folder says in 1_Pooling/config.json which of
 * them counts, the first one's, the last one's, the mean or the maximum of all; a folder
 * without that file means the mean. Sums are in double, in the order of the tokens, so that a
 * text's vector does not depend on what it was computed beside. Whether vectors are made as
 * long as one is for whoever asks. */
#ifndef RUNNER_SERVE_POOLING_H
#define RUNNER_SERVE_POOLING_H

#include "lib/err.h"
#include <stdint.h>

enum pooling {
    POOL_NONE, /* no vectors, but logits */
    POOL_MEAN,
    POOL_FIRST,
    POOL_LAST,
    POOL_MAX,
};

/* Of a model's folder. ERR_CONFIG: one that is not known here. */
int pooling_of_model(enum pooling *out, const char *dir, struct err *err);
/* Tokens of a text that its vectors are made of, where the folder says so
 * (sentence_bert_config.json); 0: it does not. */
int32_t pooling_most_tokens(const char *dir);
/* rows x cols states (at least one row) to cols numbers. */
void pooling_run(enum pooling kind, const float *states, int32_t rows, int32_t cols,
                 float *out);

#endif

/* runner/train.h - the training loop over an allocated session.
 *
 * An update: zero gradients, micro-batches (loss scaled by 1 / rows of the update),
 * global norm, clip, optimiser. The logged loss is the mean over all rows of the update,
 * grad_norm the norm before clipping, learning_rate the one used. */
#ifndef RUNNER_TRAIN_H
#define RUNNER_TRAIN_H

#include "runner/session.h"
#include "tracker/sink.h"
#include <stdio.h>

struct train_outcome {
    int64_t updates, tokens, samples;
    double train_s;  /* updates only: no evaluation, no loading */
    double *step_ms; /* per update; owned */
    double loss_first, loss_last;
    double flops;
};

/* Evaluates when called after an update (`eval_steps`); may be NULL. */
typedef int train_hook(struct session *s, int64_t update, void *ctx, struct err *err);

/* trace: a JSON line per update goes there (NULL: nowhere). ERR_NAN when loss or gradient
 * is not finite, ERR_BUSY when the sink or a signal says stop. */
int train_run(struct session *s, FILE *trace, struct sink *sink, train_hook *hook,
              void *ctx, struct train_outcome *out, struct err *err);
void train_outcome_release(struct train_outcome *o);

#endif

/* runner/train/train.h - the training loop over an allocated session.
 *
 * An update: zero gradients, micro-batches (loss scaled by 1 / rows of the update),
 * global norm, clip, optimiser. The logged loss is the mean over all rows of the update
 * (with class weights: the sum of weighted losses over the sum of the rows' weights, over
 * the whole update whatever its micro-batches, as torch's CrossEntropyLoss would of one
 * batch; 0 where all rows weigh nothing), grad_norm the norm before clipping,
 * learning_rate the one used. A loss far above those before it may be acted on: spike.h.
 *
 * After an update, in this order: its line in the trace, an evaluation where one is due
 * (`eval_steps`), a checkpoint where one is due (`save_steps`) or the training was asked
 * to stop. Everything the loop knows of its past follows from the trace and the list of
 * evaluations, so a training that goes on from a checkpoint ends with the same bits.
 *
 * A training may be cut into slices: it parks after `until` updates, with a checkpoint,
 * and the next run goes on from there. Slices change no number: an evaluation made only
 * because a training parks is kept apart from those that choose the best parameters or
 * end the training early. */
#ifndef RUNNER_TRAIN_TRAIN_H
#define RUNNER_TRAIN_TRAIN_H

#include "runner/train/profile.h"
#include "runner/session.h"
#include "runner/train/trace.h"
#include "tracker/worker/sink.h"

struct train_place {
    const char *run_dir; /* of trace.jsonl and checkpoints/; NULL: nothing on disk */
    /* Run folders of earlier attempts at this trial, latest first, ended by NULL; may be
     * NULL. Where it is given, checkpoints of other trials are no error. */
    const char *const *older;
    struct sink *sink;
    struct profile *profile; /* NULL: none; of the updates */
    int64_t until;           /* park after that many updates; 0: to the end */
    bool evaluate_parked;    /* and evaluate before */
    double started_s;        /* clock_mono_s when this run began; 0: not known */
};

struct train_outcome {
    struct trace trace; /* of every update, those before a resume too */
    int64_t updates, tokens, samples;
    int64_t reused_tokens; /* of these, not through layers that gave the same before */
    int64_t resumed_from;  /* update; 0: from the start */
    int64_t best_update;   /* whose parameters were put back at the end; 0: the last */
    bool stopped_early;
    int64_t spikes;     /* seen (train/spike.h) */
    double rate_factor; /* of the learning rate, after them */
    bool kept_good;  /* a spike ended it, and the parameters are those of a good point */
    double train_s;  /* updates only: no evaluation, no loading */
    double *step_ms; /* per update; owned */
    double flops, reused_flops; /* done; and left out, for those tokens */
    double energy_j;  /* of the updates, evaluations between them and what else ran here;
                         of all slices; NaN where it could not be read in any */
    double earlier_s; /* what the runs before, from which this one goes on, took */
    json_t *evaluations; /* list of {"step", metric: value ...} so far; owned */
};

/* 0: trained to the end. 1: parked. ERR_NAN when loss or gradient is not finite, ERR_FAILED
 * when another loss spike ended it (with kept_good where there was a good point), ERR_BUSY
 * when the sink or a signal says stop (with a checkpoint written, where there is a run
 * folder). */
int train_run(struct session *s, const struct train_place *place,
              struct train_outcome *out, struct err *err);
void train_outcome_release(struct train_outcome *o);

#endif

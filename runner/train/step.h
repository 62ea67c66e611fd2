/* runner/train/step.h - one update of a training.
 *
 * The rows of update u lie behind one another in the epoch's order (course.h). Gradients are zeroed, the micro-batches
 * run forward and backward with a loss scaled by 1 / weight of all rows of the update
 * (class weights; plain rows weigh 1 each), so that an update is the mean over its rows
 * whatever its micro-batches are. Then the method's penalty, the global norm, the clipping
 * (torch's clip_grad_norm_: max_grad_norm / (norm + 1e-6), at most 1), the optimiser per
 * parameter group, and what the method does behind it (AdaLoRA's ranks).
 *
 * An update is a function of the parameters, the moments, its number and how many were
 * applied: nothing else is
 * kept between two of them but the order of the epoch, which follows from the seed. */
#ifndef RUNNER_TRAIN_STEP_H
#define RUNNER_TRAIN_STEP_H

#include "runner/optim/schedule.h"
#include "runner/session.h"
#include "runner/train/trace.h"

struct step {
    struct session *s; /* borrowed */
    struct schedule schedule;
    struct epoch epoch; /* the order of its rows */
    float *losses;      /* of one micro-batch */
};

void step_init(struct step *st, struct session *s);
void step_release(struct step *st);
/* Update `update` (0-based) in two: loss, gradient and norm, with all of *log but step_ms
 * (the rate before anything is done about spikes) ... */
void step_measure(struct step *st, int64_t update, struct update_log *log);
/* ... and the optimiser with log's rate, as its `applied`th (0-based): Adam counts what was
 * applied. */
void step_apply(struct step *st, int64_t update, int64_t applied,
                const struct update_log *log);
/* ERR_NAN, with the first op that gave what is not finite by name. */
int step_not_finite(struct step *st, int64_t update, const struct update_log *log,
                    struct err *err);

#endif

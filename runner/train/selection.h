/* runner/train/selection.h - which update's parameters are the best so far, and whether
 * to go on, by an evaluation metric.
 *
 * As transformers: the metric of `metric_for_best_model` at each evaluation; better means
 * strictly better in the metric's own direction (metrics.def); NaN is never better. With
 * `early_stopping_patience` N training ends at the Nth evaluation in a row without a
 * better one. The whole state follows from the list of evaluations, so a resumed training
 * shows them again and is where it was. */
#ifndef RUNNER_TRAIN_SELECTION_H
#define RUNNER_TRAIN_SELECTION_H

#include "lib/err.h"
#include "runner/task/task.h"
#include <stdbool.h>
#include <stdint.h>

struct selection {
    size_t metric; /* index into metric_defs */
    bool maximize;
    bool keep;        /* load_best_model_at_end */
    int64_t patience; /* 0: never stops early */
    double best;
    int64_t best_update; /* 0: none yet */
    int64_t without;     /* evaluations in a row without a better one */
};

/* ERR_CONFIG for an unknown metric, or where what it needs (eval_steps, eval_data) is
 * not given. */
int selection_init(struct selection *s, const struct trial *trial, struct err *err);
/* ERR_CONFIG where the metric has no meaning for the task and its labels. */
int selection_fits(const struct selection *s, const struct goal *goal, struct err *err);
/* True where the parameters of this update are the best so far. values: of all metrics */
bool selection_see(struct selection *s, int64_t update, const double *values);
bool selection_wants_stop(const struct selection *s);

#endif

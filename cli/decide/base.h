/* cli/decide/base.h - the base that a plan or an advice is about, and what the trainer's
 * planner says, in the words of report/machine.
 *
 * runner/ and report/ do not know each other: the trainer plans, the report predicts what
 * other stacks and GPUs make of it. A base is a folder or a name of runner/hub/known.def;
 * whether it is planned or only estimated follows from runner/nn/arch: a new architecture
 * there moves its models from the formula to the planner. */
#ifndef CLI_DECIDE_BASE_H
#define CLI_DECIDE_BASE_H

#include "report/machine/estimate.h"
#include "runner/trial.h"

struct base {
    char *name;               /* as it was asked for; owned */
    char *dir;                /* its folder; owned; NULL: known by name */
    struct model_shape shape; /* for the formulas */
    bool trains;              /* the trainer knows the architecture */
};

/* `base_dir` completes a relative path. ERR_NOINPUT names the nearest known one. */
int base_find(const char *name, const char *base_dir, struct base *out, struct err *err);
void base_release(struct base *b);

/* Bytes by the estimate's categories, and the counts for its formulas. */
void prediction_bytes(const struct trial_prediction *p, double bytes[EST_COUNT]);
struct counts prediction_counts(const struct trial_prediction *p);

#endif

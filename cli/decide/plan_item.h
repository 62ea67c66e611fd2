/* cli/decide/plan_item.h - what one trial will take.
 *
 * Of a base whose architecture the trainer knows, a folder or a name, bytes, counts and
 * FLOPs are those of the trainer's own planner. What is not here is assumed and said: rows
 * of a base that is known by name alone are at full length (runner/data/assumed.h). What
 * transformers, peft and bitsandbytes would take on a GPU is by formula
 * (report/machine/estimate.h) from the planner's counts.
 *
 * Decoders are estimated by formula alone until the trainer has their architecture, and so
 * is what a user's own program trains. Keys are checked by the trial's option table all the
 * same, and one that the formula cannot tell is refused. */
#ifndef CLI_DECIDE_PLAN_ITEM_H
#define CLI_DECIDE_PLAN_ITEM_H

#include "cli/decide/base.h"

struct plan_item {
    json_t *params; /* what the sweep sets; owned */
    char *label;    /* owned */
    uint64_t seed;
    const struct base *base; /* borrowed */
    bool exact;              /* `estimate` is planned, else peft's by formula */
    struct estimate estimate;
    struct setup setup;
    struct estimate gpu[STACK_COUNT];         /* of another stack on a GPU */
    double tokens, updates, train_s, total_s; /* NaN: unknown; seconds of this machine */
    int32_t assumed_length;                   /* tokens of every row; 0: as they are */
    bool rows_known, has_weights;
};

/* `given`: what the user wrote, overrides applied. `program`: a user's own program trains,
 * keys of its own are none of ours. */
int plan_item_fill(struct plan_item *it, const json_t *given, const char *base_dir,
                   bool program, struct err *err);

/* Rows of a file of JSON lines; NaN with an error. */
double count_lines(const char *path, struct err *err);

#endif

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
    json_t *given;           /* what the user wrote, overrides applied; owned */
    bool exact;              /* `estimate` is planned, else peft's by formula */
    struct estimate estimate;
    struct setup setup;
    struct estimate gpu[STACK_COUNT];         /* of another stack on a GPU */
    double tokens, updates, train_s, total_s; /* NaN: unknown; seconds of this machine */
    int32_t assumed_length;                   /* tokens of every row; 0: as they are */
    bool rows_known, has_weights;
};

struct plan_how {
    const char *base_dir;     /* completes relative paths */
    bool program;             /* a user's own program trains, keys of its own are none of
                                 ours */
    enum assume assume;       /* what may be missing */
    const struct backend *on; /* to plan for; NULL: the one that would train here */
};
/* `given`: what the user wrote, overrides applied. it->base is set. */
int plan_item_fill(struct plan_item *it, const json_t *given, const struct plan_how *how,
                   struct err *err);
/* The trial as the trainer resolves it, every key checked by the option table also where
 * the trainer has not the base. New reference. */
int plan_resolve(const json_t *given, const struct base *base, bool program,
                 json_t **resolved, struct err *err);
/* Takes out the keys that its method does not read, or that no trial has. */
int plan_drop_foreign(json_t *given, struct err *err);

/* Rows of a file of JSON lines; NaN with an error. */
double count_lines(const char *path, struct err *err);

#endif

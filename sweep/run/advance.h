/* sweep/run/advance.h - which trial a free place gets next, and how far it runs.
 *
 * Three ways to go on, by the sweep file:
 *  - plain: every trial runs to its end, those tried least often first;
 *  - slices (`interleave: N`): every trial runs an Nth of its updates and parks; those
 *    that are least far come first, so that all curves grow side by side;
 *  - rungs (promotion rules of sweep/pruners/pruner.h): trials park at a rung, and the
 *    rule says which configuration goes on. What has no rung to go to when nothing is
 *    left to start ends as pruned.
 * Stopping rules act on any but the last: after each refresh the curves are judged, and a
 * configuration that is stopped ends as pruned with all its seeds.
 *
 * With `until` only some seeds of each configuration are there to be started, and others
 * come when all of these have ended (until.h).
 *
 * Adaptive samplers (tpe) add trials when a place is free and nothing waits. A suggestion
 * is in the store before it runs, with its number; history is read from the store. So a
 * new controller goes on where the last one was killed: how far a trial has come, and was
 * sent, stands in its runs (until_step). Clones that a user adds are taken up as well.
 *
 * The unit that is judged is the configuration: the trials of one key, a seed each
 * (struct ctl_group). Resources are in the unit of early_terminate.resource, steps are
 * updates. For sweep/run only. */
#ifndef SWEEP_RUN_ADVANCE_H
#define SWEEP_RUN_ADVANCE_H

#include "sweep/pruners/pruner.h"
#include "sweep/samplers/sampler.h"
#include "sweep/sweep.h"

struct controller;
struct ctl_trial;

struct ctl_group {
    size_t first, last; /* its trials; ctl_trial.next_seed links them */
    size_t held;        /* until.h: those held back, linked as well; SIZE_MAX: none */
    size_t released;    /* the others */
    int64_t target;     /* rungs: sent as far as this, 0: not started */
    bool stopped;       /* by a stopping rule */
    int64_t judged;     /* step of the last point that was judged */
    size_t judged_seeds;
};

struct advance {
    int slices; /* 1: none */
    bool in_epochs;
    bool with_rule;
    struct pruner pruner;
    struct sampler *sampler; /* NULL: no trial comes later */
    size_t groups_max;
    uint64_t next_number; /* of a suggestion */
    bool exhausted;       /* no suggestion is left */
    bool began;           /* what the store had at the start counts as judged */
    bool changed;         /* since the rule last said to wait */
    size_t looks;         /* until.h: made so far */
    char *said;           /* until.h: how it ended; NULL: it has not */

    struct ctl_group *groups;
    size_t group_count, group_cap;
    struct strmap *by_key;
    struct sweep_trial **added; /* trials that the plan does not have; owned */
    size_t added_count, added_cap;
};

/* Checks what file and options ask for. Before the predictions, which give the number of
 * updates where `needs_updates`. */
int advance_open(struct controller *c);
bool advance_needs_updates(const struct controller *c);
/* The plan's trials are known. */
int advance_begin(struct controller *c);
void advance_release(struct controller *c);

/* After the states were read: how far trials are, curves, verdicts of stopping rules. */
int advance_refresh(struct controller *c);
/* The trial that a free place gets, with `until` and `evaluate` set; NULL: none now. */
int advance_next(struct controller *c, struct ctl_trial **out);
/* With nothing running: ends what was parked for good. More may come when 1. */
int advance_settle(struct controller *c);
/* Trials in all, those that a sampler will still add included. */
size_t advance_total(const struct controller *c);

/* advance_more.c */
/* A trial of the store that the plan does not have. */
int advance_adopt(struct controller *c, int64_t id, enum trial_state state, int attempts);
/* 1: the sampler has added a configuration, 0: it has no more. */
int advance_suggest(struct controller *c);

/* advance_judge.c */
/* Reads the curves of trials that have changed. */
int advance_read_curves(struct controller *c);
/* One per group, values by mean over seeds. Freed with advance_free_curves. */
struct curve *advance_curves(const struct controller *c);
void advance_free_curves(struct curve *curves, size_t count);
int advance_judge(struct controller *c);

/* advance.c */
void advance_group_trial(struct controller *c, size_t index);
int64_t advance_unit(const struct controller *c, const struct ctl_trial *t);

#endif

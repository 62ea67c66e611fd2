/* tracker/claims/budget.h - what a sweep may use up, and what it has.
 *
 * The limits stand with the sweep in the store, and every claim checks them in its own
 * transaction: however many controllers and workers there are, they cannot overspend.
 *
 *   trials    that were ever started; one that goes on counts once
 *   failures  trials that ended failed, oom, nan or timeout
 *   wall      seconds in which at least one trial ran: pauses are free, and two at a time
 *             count once
 *   hours     over all runs, of cores (threads that the run had) and of GPUs
 *   usd       GPU hours x price where trials have GPUs (a GPU's price has its host in
 *             it), else core hours x price
 *
 * A claim that needs time reserves what the trial still has to run by its prediction;
 * without one by the mean of the complete trials, else by the time limit of a trial.
 * Reserved for running trials counts as used. So time is overspent by no more than the
 * predictions are wrong. A lost run counts to its last sign of life. */
#ifndef TRACKER_CLAIMS_BUDGET_H
#define TRACKER_CLAIMS_BUDGET_H

#include "tracker/store/store.h"

/* An assumption, the same as the report's (docs/report.md). */
#define BUDGET_USD_PER_CORE_HOUR 0.048

/* 0 is no limit, except for the last rows. */
#define BUDGET_FIELDS(X)                                                                 \
    X(max_trials)                                                                        \
    X(max_failures)                                                                      \
    X(max_wall_s)                                                                        \
    X(max_hours)                                                                         \
    X(max_gpu_hours)                                                                     \
    X(max_usd)                                                                           \
    X(trial_timeout_s) /* of one trial: caps what it reserves */                         \
    X(gpus)            /* that each trial holds */                                       \
    X(usd_per_core_hour)                                                                 \
    X(usd_per_gpu_hour)

struct store_budget {
#define X(name) double name;
    BUDGET_FIELDS(X)
#undef X
};

struct store_use {
    double trials, failures, wall_s, core_hours, gpu_hours, usd;
    /* Of these, what is reserved and not used yet. */
    double reserved_core_hours, reserved_gpu_hours, reserved_usd;
    double running; /* trials that run now */
};

/* Replaces the limits of a sweep. */
int store_sweep_budget(struct store *s, int64_t sweep, const struct store_budget *b,
                       struct err *err);
/* The limits of a sweep, all 0 without. */
int store_sweep_limits(struct store *s, int64_t sweep, struct store_budget *b,
                       struct err *err);
bool store_budget_is_set(const struct store_budget *b);
/* The limits, and what is used of them now. */
int store_sweep_use(struct store *s, int64_t sweep, struct store_budget *b,
                    struct store_use *use, struct err *err);

enum { BUDGET_WHY_MAX = 200 };
/* Whether this trial of the sweep might be claimed now: 1, or 0 with the reason in `why`.
 * *wait: what runs has reserved the rest, so that it may fit when that has ended. The
 * claim itself decides. */
int store_budget_allows(struct store *s, int64_t sweep, int64_t trial,
                        char why[BUDGET_WHY_MAX], bool *wait, struct err *err);
/* After a claim of one trial that got nothing: ERR_BUSY with the reason. */
int store_claim_refused(struct store *s, int64_t trial, struct err *err);

#endif

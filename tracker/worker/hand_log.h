/* tracker/worker/hand_log.h - runs that a shell writes, a call at a time (`peftlab log
 * --experiment E --name N`), without a process that goes on.
 *
 * (experiment, name) is a trial of no sweep with one run. The first call makes both, later
 * ones add to them until one ends it. Parameters are written once: the same value again is
 * fine, another one is refused. A parameter "seed" is the trial's seed. Each call is one
 * transaction: all that it says or nothing, also when many come at once.
 *
 * Nobody keeps the run's lease: it lasts HAND_LEASE_MS from the last call. A run that was
 * given up meanwhile (stale: mlflow_reap, which each call does too) comes back with the next
 * call; one that has ended takes nothing more. */
#ifndef TRACKER_WORKER_HAND_LOG_H
#define TRACKER_WORKER_HAND_LOG_H

#include "tracker/store/store.h"

enum { HAND_LEASE_MS = 3600000 };
#define HAND_ORIGIN "shell" /* of such a trial */

struct hand_log {
    const char *experiment, *name;
    const json_t *params;              /* {name: value} */
    const json_t *tags;                /* {name: text} */
    const struct metric_point *points; /* step -1: a result alone */
    size_t count;
    enum trial_state end; /* running: it goes on */
};
/* *trial is its number. */
int store_log_by_hand(struct store *s, const struct hand_log *what, int64_t *trial,
                      struct err *err);

#endif

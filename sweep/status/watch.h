/* sweep/status/watch.h - `sweep status --watch`: the same look at a sweep again and
 * again, until nothing of it runs and nothing can be started, or a signal ends it. On a
 * terminal the screen is redrawn; elsewhere each look is a block of its own, as JSON a
 * line. */
#ifndef SWEEP_STATUS_WATCH_H
#define SWEEP_STATUS_WATCH_H

#include "sweep/sweep.h"

int sweep_watch(struct store *store, int64_t sweep, double interval_s, bool as_json,
                FILE *f, struct err *err);

#endif

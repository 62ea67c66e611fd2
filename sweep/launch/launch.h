/* sweep/launch/launch.h - how a trial's process is started: one row per place.
 *
 * Every launcher starts `peftlab trial ID --store PATH --run-dir ROOT` (for a slice also
 * `--until-step N --evaluate`), wherever that may be, and can tell whether it has ended.
 * What came of the trial stands in the store. */
#ifndef SWEEP_LAUNCH_LAUNCH_H
#define SWEEP_LAUNCH_LAUNCH_H

#include "lib/err.h"
#include <stdbool.h>
#include <stdint.h>

struct launch_job {
    const char *store, *run_root;
    const char *log; /* what the process prints is appended here */
    int64_t trial;
    int64_t until; /* update where it parks; 0: to its end */
    bool evaluate; /* before it parks */
    int threads;
};

struct launcher {
    const char *name; /* executor.type */
    int (*start)(const struct launch_job *job, int64_t *handle, struct err *err);
    /* 1 ended (*status: exit status, 128 + n for signal n), 0 runs, negative error. */
    int (*poll)(int64_t handle, int *status);
    /* Asks the trial to end in order; by force kills all its processes. */
    void (*stop)(int64_t handle, bool by_force);
};

const struct launcher *launcher_find(const char *name); /* NULL: not available */

#endif

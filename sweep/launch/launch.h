/* sweep/launch/launch.h - how a trial's process is started: one row per place.
 *
 * Every launcher starts `peftlab trial ID --store PATH --run-dir ROOT` (for a slice also
 * `--until-step N --evaluate`), wherever that may be, or has a process that trains several
 * do the same (launch_pack.c), and can tell whether it has ended. What came of the trial
 * stands in the store.
 *
 * A job is known by its handle, a short text that says all that is needed to find it
 * again, also in another process ("4711@883122" here: a process and when it started), so
 * that it can be written down. All jobs of a controller are looked at in one call, every
 * `poll_ms` at most: of child processes that is cheap, a cluster is asked once for a
 * hundred jobs.
 *
 * Slurm fits in as a row in a file of its own: `start` runs `sbatch --parsable` with the
 * same command line (handle: the job's number), `poll` one `squeue -h -j N,N,... -o
 * "%i %T"` and, for those it no longer lists, one `sacct` (5000 ms), `stop` is
 * `scancel --signal=TERM --batch`, by force `scancel`. Such jobs outlive their controller
 * and wait in a queue before they claim; what is missing for that is a place in the store
 * for the handle of a trial that has no run yet, and a controller that reads it when it
 * begins. Until then a row may only start what ends with its controller. */
#ifndef SWEEP_LAUNCH_LAUNCH_H
#define SWEEP_LAUNCH_LAUNCH_H

#include "lib/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct launch_job {
    const char *store, *run_root;
    const char *log; /* what the process prints is appended here */
    int64_t trial;
    int64_t until; /* update where it parks; 0: to its end */
    bool evaluate; /* before it parks */
    int threads;   /* of the process */
    int packs;     /* processes at most, where one has several trials */
};

#define LAUNCH_HANDLE_MAX 64

struct launch_state {
    const char *handle;
    bool ended; /* set by poll */
    int status; /* where it ended: exit status, 128 + n for signal n */
};

struct launcher {
    const char *name; /* executor.type */
    int poll_ms;      /* looking more often than this tells nothing new */
    int (*start)(const struct launch_job *job, char handle[LAUNCH_HANDLE_MAX],
                 struct err *err);
    /* All jobs in one call; an error where none could be looked at. What cannot be found
     * has ended. */
    int (*poll)(struct launch_state *jobs, size_t count, struct err *err);
    /* Asks the trial to end in order; by force kills all its processes. */
    void (*stop)(const char *handle, bool by_force);
    /* Once nothing runs any more, and nothing more is started. NULL: nothing to do. */
    void (*end)(void);
};

extern const struct launcher launcher_pack; /* not by executor.type: `--pack` */
const struct launcher *launcher_find(const char *name); /* NULL: not available */

/* The program that runs here; by its path when that still holds it, so that `ps` tells
 * its name. */
void launch_program(char *path, size_t size);

#endif

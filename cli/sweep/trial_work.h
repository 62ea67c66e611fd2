/* cli/sweep/trial_work.h - trials of the store, claimed and trained: one, or several in
 * this process (runner/pack/pack.h).
 *
 * Each trial is claimed, recorded and ended by itself, over a connection of its own: one
 * that fails, is stopped or loses its lease does nothing to the others. A signal ends all. */
#ifndef CLI_SWEEP_TRIAL_WORK_H
#define CLI_SWEEP_TRIAL_WORK_H

#include "lib/err.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack;

struct trial_order {
    const char *store;   /* NULL: as the environment says */
    const char *run_dir; /* NULL: beside the store */
    int64_t trial, lease_ms;
    int64_t until; /* update where it parks; 0: to its end */
    bool evaluate; /* before it parks */
    struct pack *pack;
    const atomic_bool *stop; /* see struct sink; or NULL */
};

/* Claims and trains. Returns 0, also when it parked, or an error. */
int trial_work(const struct trial_order *o, struct err *err);

/* Trains all of `trials` at the same time, each as `common` says. listen: and those that
 * lines of standard input name, until that ends:
 *     start ID [UPDATES [evaluate]]
 *     stop ID
 * What has ended is told by a line "ended ID STATUS", there if it is a socket, else on
 * standard output. Returns the error of the first trial that failed; when it listens 0. */
int trial_pack(const struct trial_order *common, const int64_t *trials, size_t count,
               bool listen, struct err *err);

#endif

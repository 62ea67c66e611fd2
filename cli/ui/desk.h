/* cli/ui/desk.h - threads that work in a store for those who may not wait there.
 *
 * A server's handlers run on one thread, a store belongs to one thread, and a write may
 * wait for other processes. So a handler leaves a job at a desk and returns; the desk's
 * thread, which has a store of its own, does it and has it answered.
 *
 * Reading: as many threads as one wants; each takes the next job. Writing: one thread,
 * which takes all that waits and does it in one transaction (store_batch), a savepoint
 * each; a job is `done` only after the commit. So many small writes cost one commit, a
 * job that fails takes nothing of its neighbours with it, and what was answered is in the
 * file, whatever happens to this process. */
#ifndef CLI_UI_DESK_H
#define CLI_UI_DESK_H

#include "lib/err.h"
#include "tracker/store/store.h"

struct desk;

struct desk_job {
    /* Negative: failed, and nothing of it stays. */
    int (*work)(struct store *s, void *ctx, struct err *err);
    /* Always called, once: rc and err are those of `work`, or why it was not done or not
     * kept. Ends the job; ctx is its own to free. */
    void (*done)(void *ctx, int rc, const struct err *err);
};

enum desk_kind { DESK_READ, DESK_WRITE };
/* Opens the store (for writing it is made when it is not there). threads: DESK_WRITE has
 * one. */
int desk_open(struct desk **out, const char *path, enum desk_kind kind, int threads,
              struct err *err);
/* From any thread; does not wait. `job` is borrowed for ever (static). */
void desk_ask(struct desk *d, const struct desk_job *job, void *ctx);
/* Does what waits; what is asked later is `done` at once with ERR_BUSY. */
void desk_close(struct desk *d);
void desk_free(struct desk *d); /* closed, and nobody asks any more; NULL is fine */

#endif

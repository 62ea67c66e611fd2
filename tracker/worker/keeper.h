/* tracker/worker/keeper.h - a thread that keeps a run's lease while its trainer is busy
 * between two updates (loading a model, evaluating), when nobody asks sink->alive.
 *
 * It has a connection of its own, renews the lease three times per lease, and reports
 * nothing: a lost lease is noticed by the next write. A trainer that gave no sign for
 * KEEPER_PATIENCE_S is taken for hung and its lease is left to end. */
#ifndef TRACKER_WORKER_KEEPER_H
#define TRACKER_WORKER_KEEPER_H

#include <stdint.h>

#define KEEPER_PATIENCE_S 3600

struct keeper;
/* Never fails: without a thread the lease lives by sink->alive alone. */
struct keeper *keeper_new(const char *store_path, int64_t run, int64_t lease_ms);
void keeper_sign(struct keeper *k); /* the trainer has got on */
void keeper_free(struct keeper *k); /* ends the thread; NULL is fine */

#endif

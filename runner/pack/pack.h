/* runner/pack/pack.h - several trials in one process, on one base that lies there once.
 *
 * Each trial has a thread, a session, an optimiser, an order of rows and a sink of its own;
 * of one another they know nothing. What they share is here:
 * - frozen weights (session_weights.c): what two trials would make of the same bytes in the
 *   same way lies in memory once, as long as one of them is there. Trials of different bases
 *   may be in one pack, they share less. A frozen weight is never written to; who must (merged
 *   weights that are timed) gets a copy.
 * - turns. A trial computes only while it has one, and lets others go first after each update
 *   (session_turn_pass), in the order in which they asked. There are as many turns as threads.
 *   With a turn comes the memory that lives no longer than an update: activations and
 *   workspace. So the memory of a pack is one base, what each trial trains, and as many
 *   activations as turns, however many trials there are.
 *
 * While there are at least as many trials as threads each computes on a thread of its own;
 * when there are fewer, all threads work on each op, as in a process of one trial. Neither
 * changes a bit of what comes out, nor does who else is there: no op looks at what its
 * memory held before, or at how many threads run it.
 *
 * What is timed as a request (latencies) has the only turn, so that nothing else computes
 * meanwhile; still others may read files and tokenise.
 *
 * On the host only: backend "cpu". */
#ifndef RUNNER_PACK_PACK_H
#define RUNNER_PACK_PACK_H

#include "runner/cache/cache.h"

struct pack;

struct pack *pack_new(void);
void pack_free(struct pack *p); /* once nobody is in it; NULL is fine */

/* A trial's place in a pack; zeroed: it is in none. */
struct pack_seat {
    struct pack *pack; /* borrowed */
    int turn;          /* that it has; -1: none */
    int most;          /* trials that it has seen together, itself among them */
    double waited_s;   /* for turns */
};

/* From here on it counts. `pack` NULL: no pack, and all that follows does nothing. */
void pack_sit(struct pack_seat *seat, struct pack *pack);
/* Gives back its turn too. */
void pack_rise(struct pack_seat *seat);

/* Waits for a turn with so many bytes, 64-byte aligned, of any content; `only`: no other
 * trial has one meanwhile. ERR_NOMEM: and no turn. */
int pack_turn_take(struct pack_seat *seat, size_t bytes, bool only, void **memory,
                   struct err *err);
void pack_turn_give(struct pack_seat *seat);

/* A weight by its key: what another trial has, else what `make` makes. It goes with the
 * last one that drops it. */
typedef int pack_make_fn(void *ctx, struct cache_entry *out, struct err *err);
int pack_weight_take(struct pack *p, const char *key, pack_make_fn *make, void *ctx,
                     struct cache_entry *out, struct err *err);
void pack_weight_drop(struct pack *p, const char *key);

/* Bytes of all weights and of all turns that are there now. */
struct pack_bytes {
    size_t weights, turns;
};
struct pack_bytes pack_bytes(struct pack *p);

#endif

/* runner/train/profile.h - where the time of the steps goes: a row per op (`--profile`).
 *
 * While one is set as `memory.watch` of a session, each call is timed by itself, which on
 * a device also means waiting for it; shares are of the time between profile_begin and
 * profile_end (the updates; not evaluation), what the ops do not explain is the row
 * "(outside of ops)": batches, bookkeeping, the clock itself. GFLOP/s count what op_flops
 * counts. The peak is the backend's own measurement (multiply-adds in registers); where
 * a backend has none, the best rate of its linear op, and the table says which. */
#ifndef RUNNER_TRAIN_PROFILE_H
#define RUNNER_TRAIN_PROFILE_H

#include "runner/graph/graph.h"
#include <jansson.h>
#include <stdio.h>

struct profile {
    struct graph_watch watch; /* first */
    struct {
        int64_t calls;
        double seconds, flops;
    } ops[OP_COUNT];
    double began_s, seconds; /* of all intervals */
    bool on;                 /* within an interval */
};
void profile_init(struct profile *p);
void profile_begin(struct profile *p);
void profile_end(struct profile *p);
/* [{"op", "calls", "ms", "gflop_per_s", "share_of_peak", "share_of_step"}], the longest
 * first. */
json_t *profile_json(const struct profile *p, const struct backend *backend);
/* The table of a result.json that has one ("profile", "machine"). */
void profile_print(const json_t *result, FILE *f);

#endif

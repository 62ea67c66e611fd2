/* tracker/exchange/exchange.h - trials as JSON objects: how they leave a store and come
 * into one.
 *
 * One object is one line of `peftlab export`. The first is {"type": "peftlab", "version":
 * 1}; then come experiments and sweeps, then trials, each with its runs and all their
 * values, so that a line can be read alone:
 *
 *   {"type": "experiment", "id", "name", "created_ms", "deleted_ms", "updated_ms",
 *    "artifact_location", "tags": {}}
 *   {"type": "sweep", "id", "experiment", "name", "file", "base_dir", "stopped",
 *    "created_ms", "note", "budget"}
 *   {"type": "trial", "id", "experiment", "sweep", "number", "key", "seed", "state",
 *    "attempts", "lost", "base_dir", "config", "params", "predicted_bytes",
 *    "predicted_s", "created_ms", "parent", "warm", "note", "deleted_ms",
 *    "origin", "tags": {}, "summary_attempt",
 *    "runs": [{"id", "attempt", "state", "exit_code", "reason", "run_dir", "started_ms",
 *              "ended_ms", "until_step", "owner_host", "environment", "method_facts",
 *              "summary": {key: value}, "series": {key: [[step, value, at_ms], ...]},
 *              "more": {key: [[step, value, at_ms], ...]},
 *              "events": [[at_ms, kind, text], ...],
 *              "artifacts": [{"name", "path", "bytes", "sha256", "at_ms", "content"}],
 *              "datasets": [{"name", "digest", "source_type", "source", "schema",
 *                            "profile", "context", "tags"}],
 *              "params": {key: text}}]}
 *
 * "content": base64 of what the store keeps of an artifact "rows/..." (what each test row
 * got), so that a report says the same there; other copies stay where they are.
 *
 * at_ms of a value is there where it is known; "more" are further values of steps.
 * Of a trial only experiment, seed, state and params must be there. Values that are no
 * numbers are the words "NaN", "Infinity", "-Infinity".
 *
 * Importing is idempotent: (experiment, sweep, key, seed) names a trial, its attempt a
 * run. With "by_key": 1 the key alone does (another tracker's run may tell its seed late).
 * What is known stays, runs and values that are new are added, and a value that differs from
 * the known one is an error, so that two tables cannot quietly become one. A run that goes
 * on from where it was known (all its known points, and more of them; or an end, where it
 * had none) gets the new summary, state and configuration too (import_grow.c). A known point
 * may differ only where the object says that its source had it so before, in "more" or in
 * the run's "before": {key: [[step, value], ...]}, which is not kept.
 * Numbers (ids) are kept where they are free. Whoever was running when exported is stale
 * here, its trial waits. */
#ifndef TRACKER_EXCHANGE_EXCHANGE_H
#define TRACKER_EXCHANGE_EXCHANGE_H

#include "tracker/store/store.h"

enum { EXCHANGE_MAX_CONTENT = 4 << 20 }; /* bytes of an artifact that go along */
/* Why a run of another tracker failed that had not said how it ended. */
#define EXCHANGE_UNSAID "ended without a word"

/* Gives each object to `line` in the order above, all of one moment. 0: all of them. */
typedef int exchange_line(void *ctx, const json_t *object, struct err *err);
int store_export(struct store *s, int64_t experiment, int64_t sweep, exchange_line *line,
                 void *ctx, struct err *err);
/* One trial's object. New reference. */
int store_export_trial(struct store *s, int64_t trial, json_t **out, struct err *err);

struct import {
    struct store *store;
    size_t trials, runs, known; /* added; known: trials that were there already */
    size_t grown;               /* of known runs: that went on */
    struct strmap *ids;         /* trial's number there -> here, for parents */
};
/* All or nothing: import_end with a negative rc takes everything back. */
int import_begin(struct import *in, struct store *s, struct err *err);
int import_object(struct import *in, const json_t *object, struct err *err);
int import_end(struct import *in, int rc, struct err *err);

#endif

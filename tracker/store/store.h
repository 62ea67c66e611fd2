/* tracker/store/store.h - the one SQLite file that experiments, sweeps, trials, runs and
 * their numbers live in.
 *
 * Words: an experiment holds sweeps and trials; a trial is one resolved configuration
 * with one seed; a run is one attempt at a trial. (sweep, key, seed) is unique, so adding
 * the same trial again is harmless. States of a trial: waiting, running, complete,
 * pruned, failed, oom, nan, timeout, preempted, stale, cancelled, spared; a run has the
 * same, without waiting and spared. Spared is what never ran, since the sweep had its
 * answer without it.
 *
 * Rules: WAL, foreign keys on, STRICT tables, BEGIN IMMEDIATE for every write, busy
 * timeout 30 s, prepared statements; migrations by user_version under an exclusive lock,
 * a newer store is refused. NaN and infinities are kept by a `kind` column, never lost. A
 * claim is one UPDATE ... RETURNING, so that a trial is never handed out twice. A run
 * holds a lease (owner process, host, boot id, start ticks, lease_until_ms); who lost it
 * is refused further writes. A struct store belongs to one thread of one process; open it
 * again after fork. Times are Unix milliseconds from clock_wall_ms. Many
 * processes of one host may open the same store; a store on a network file system is
 * refused. */
#ifndef TRACKER_STORE_STORE_H
#define TRACKER_STORE_STORE_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define TRIAL_STATES(X)                                                                  \
    X(waiting)                                                                           \
    X(running)                                                                           \
    X(complete)                                                                          \
    X(pruned)                                                                            \
    X(failed)                                                                            \
    X(oom)                                                                               \
    X(nan)                                                                               \
    X(timeout)                                                                           \
    X(preempted)                                                                         \
    X(stale)                                                                             \
    X(cancelled)                                                                         \
    X(spared)
enum trial_state {
#define X(name) TRIAL_##name,
    TRIAL_STATES(X)
#undef X
        TRIAL_STATE_COUNT
};
const char *trial_state_name(enum trial_state s);
int trial_state_from_name(const char *name); /* -1: unknown */
/* Complete, pruned, failed, oom, nan, timeout, cancelled, spared */
bool trial_state_is_final(enum trial_state s);
/* What a training ends as that ended with this error (ERR_OK: complete). */
enum trial_state trial_state_after(enum err_code code);

struct store;

enum store_flags { STORE_CREATE = 1, STORE_READ_ONLY = 2 };
int store_open(const char *path, unsigned flags, struct store **out, struct err *err);
void store_close(struct store *s);
const char *store_path(const struct store *s);
/* --store, then PEFTLAB_STORE, then ./peftlab.db. Newly allocated. */
char *store_default_path(const char *flag);

/* Finds or creates */
int store_experiment(struct store *s, const char *name, int64_t *id, struct err *err);

/* A sweep is named within its experiment; adding it again with the same name returns the
 * same id. `file` is the sweep file's tree as JSON, base_dir where its relative paths
 * start. */
int store_sweep(struct store *s, int64_t experiment, const char *name, const json_t *file,
                const char *base_dir, int64_t *id, struct err *err);
/* The tree that was given to store_sweep. New reference. */
int store_sweep_file(struct store *s, int64_t sweep, json_t **file, struct err *err);
/* Finds by number ("3") or name; ERR_NOINPUT with the nearest name. */
int store_find_sweep(struct store *s, const char *name_or_id, int64_t *id,
                     struct err *err);
/* Asks claims to cease (or lifts it) */
int store_sweep_stop(struct store *s, int64_t sweep, bool stop, struct err *err);
int store_sweep_stopped(struct store *s, int64_t sweep, bool *stopped, struct err *err);

struct trial_row {
    int64_t id, sweep, experiment,
        number; /* sweep 0: none. number: order within the sweep, from 0 */
    const char
        *key; /* SHA-256 of the canonical resolved configuration without the seed */
    uint64_t seed;
    const char *base_dir;    /* where relative paths of config start */
    json_t *config;          /* resolved trial */
    json_t *params;          /* what the sweep sets, in order; what tables show */
    int64_t predicted_bytes; /* -1: unknown */
    double predicted_s;      /* NaN: unknown */
    int attempts;
    enum trial_state state;
    int64_t parent; /* what it is a clone of, 0: nothing */
    bool warm;      /* it starts from the parent's weights */
};
void trial_row_release(struct trial_row *t);
/* Adds rows in one transaction; known (sweep, key, seed) keep their id and state. *added
 * counts the new ones. */
int store_add_trials(struct store *s, struct trial_row *rows, size_t count, size_t *added,
                     struct err *err);
/* The same, but adds nothing and returns 1 when the sweep has a trial with the first
 * row's number or a larger one: another controller was faster. */
int store_add_next(struct store *s, struct trial_row *rows, size_t count, size_t *added,
                   struct err *err);
int store_get_trial(struct store *s, int64_t id, struct trial_row *out, struct err *err);

struct run_claim {
    int64_t run, trial;
    int attempt; /* 1-based */
};
/* Takes the waiting (or preempted) trial with the lowest number of a sweep (or trial
 * `only` when not 0), those tried least often first, makes it running and opens a run
 * with a lease of lease_ms for this process (owner pid may be changed later by
 * store_run_adopt). Returns 1 and fills *out, 0 when nothing is left to claim or the
 * sweep is stopped. */
int store_claim(struct store *s, int64_t sweep, int64_t only, int64_t lease_ms,
                const char *run_dir_root, struct run_claim *out, struct err *err);
/* The same for a trial of no sweep that somebody trains by hand, whatever became of it: one
 * that has ended gets its next attempt, one whose process is gone is taken back. run_dir is
 * this run's folder itself. 0: somebody trains it right now. */
int store_claim_again(struct store *s, int64_t trial, int64_t lease_ms,
                      const char *run_dir, struct run_claim *out, struct err *err);
/* The folder given to a run, "ROOT/trial-ID/attempt-N", not made yet. Newly allocated;
 * NULL with an error when there is none. */
char *store_run_dir(struct store *s, int64_t run, struct err *err);
/* The process that does the work takes over the lease (a child started by the
 * claimer). */
int store_run_adopt(struct store *s, int64_t run, int64_t lease_ms, struct err *err);
/* Extends the lease. *stop gets whether the trial was asked to stop. ERR_BUSY when the
 * lease was lost. */
int store_heartbeat(struct store *s, int64_t run, int64_t lease_ms, bool *stop,
                    struct err *err);
/* Ends a run and sets its trial's state in the same transaction; a lost lease leaves the
 * trial alone and marks the run stale. `reason` may be NULL. */
int store_run_finish(struct store *s, int64_t run, enum trial_state state, int exit_code,
                     const char *reason, struct err *err);
/* Runs whose lease ended, or whose owner on this host is gone, become stale and their
 * trials waiting again; the max_attempts-th loss makes the trial failed (store_retry
 * counts anew; preemptions do not count). *reaped counts. */
int store_reap(struct store *s, int64_t sweep, int max_attempts, int *reaped,
               struct err *err);
/* Asks the run of a running trial to end (store_heartbeat tells it). It ends as preempted
 * (or as store_trial_end has it), also when its process is killed for not heeding. 1, or
 * 0 where it does not run. */
int store_trial_stop(struct store *s, int64_t trial, struct err *err);
/* Ends a trial for good as pruned or cancelled; it keeps its numbers. One that runs is
 * asked to end (store_run_finish then gives it that state and reason instead of
 * preempted), one that waits or is parked has ended at once. */
int store_trial_end(struct store *s, int64_t trial, enum trial_state state,
                    const char *reason, struct err *err);
/* Ends a trial that does not run where its last run was stopped or lost, which becomes its
 * end: state and reason replace those of the run, its numbers stay what the trial
 * measured. 1, or 0 where the trial runs or its last run had ended by itself. */
int store_trial_close(struct store *s, int64_t trial, enum trial_state state,
                      const char *reason, struct err *err);
/* The run shall go on only to this update and park there: end as preempted with exit code
 * 0. */
int store_run_until(struct store *s, int64_t run, int64_t step, struct err *err);
/* Puts finished-but-unsuccessful trials of a sweep (failed, oom, nan, timeout, stale; not
 * pruned or cancelled) back to waiting (sweep run --retry-failed). */
int store_retry(struct store *s, int64_t sweep, int *count, struct err *err);
/* What waits in a sweep and never ran is spared, with the reason; and waits again. Return
 * how many. */
int store_spare(struct store *s, int64_t sweep, const char *reason, struct err *err);
int store_unspare(struct store *s, int64_t sweep, struct err *err);

/* Numbers. Keys are slash names, "eval/accuracy". step -1: a summary value of the run. */
struct metric_point {
    const char *key;
    int64_t step;
    double value;
};
int store_log_metrics(struct store *s, int64_t run, const struct metric_point *p,
                      size_t count, struct err *err);
int store_set_environment(struct store *s, int64_t run, const json_t *environment,
                          struct err *err);
/* Facts of the trainer's method (tracker/view/method_facts.h). */
int store_set_method(struct store *s, int64_t run, const json_t *facts, struct err *err);
int store_log_event(struct store *s, int64_t run, const char *kind, const char *text,
                    struct err *err);
int store_log_artifact(struct store *s, int64_t run, const char *name, const char *path,
                       int64_t bytes, const char *sha256, struct err *err);

/* Read-only SQL. One statement; anything that writes is refused (sqlite3_stmt_readonly,
 * query_only). At most max_rows rows. The result is {"columns": [...], "rows": [[...],
 * ...], "truncated": bool}. `bind` is a list of values for ?1.. or NULL. */
json_t *store_query(struct store *s, const char *sql, const json_t *bind, size_t max_rows,
                    struct err *err);
/* The same, ended with ERR_USAGE after limit_s seconds; 0: no limit. store_query gives a
 * reader five minutes. */
json_t *store_query_within(struct store *s, const char *sql, const json_t *bind,
                           size_t max_rows, double limit_s, struct err *err);

/* Views for readers (schema.sql, docs/store.md): `trial_view` (one row per trial: id,
 * sweep and experiment (both numbers; sweep NULL: none), sweep_name, experiment_name,
 * number, state, seed, key, attempts, params JSON, config JSON, base_dir,
 * predicted_bytes, predicted_s, created_ms; of its last run: started_ms, ended_ms,
 * duration_ms, reason, run), `summary_view` (trial, key, value, kind: the summary values
 * of each trial's last finished run), `series_view` (trial, key, step, value, kind: of
 * its last run). `param_view` (trial, key, value), `run_view`, `sweep_view`,
 * `experiment_view`, `artifact_view`, `event_view` and `tag_view` help. value is NULL for
 * NaN (kind 'nan'); infinities are SQL infinities, in JSON "Infinity" and "-Infinity".
 * report/ and the ls, show, compare commands read only these. */

#endif

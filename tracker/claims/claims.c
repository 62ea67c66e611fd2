/* tracker/claims/claims.c - who works on a trial: claims, leases, ends, and taking back
 * what was lost.
 *
 * The right to write belongs to the run, not to a process: a run that was reaped is stale
 * for good, and its trial's next attempt is another run. So one look at run.state inside
 * the transaction decides whether a late writer is refused. A lease that has ended but
 * was not reaped may still be renewed; nobody else has taken the trial. */
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "tracker/claims/budget.h"
#include "tracker/store/store_priv.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NEXT,
    NEXT_ONLY,
    TAKE,
    EXISTS,
    OPEN_RUN,
    SET_LAST,
    SET_DIR,
    ADOPT,
    HEARTBEAT,
    STOP_ASKED,
    RUN_STATE,
    RUN_DIR,
    END_RUN,
    END_TRIAL,
    ALIVE,
    REOPEN,
    LOSE_RUN,
    LOSE_TRIAL,
    FILL_SUMMARY,
};
#define NOT_STOPPED "(SELECT stopped FROM sweep WHERE id = ?1) IS NOT 1"
static const char *const sql[] = {
    /* Trials tried less often come first, then the sweep's order (index
       trial_claimable). */
    [NEXT] = "SELECT id, sweep FROM trial WHERE " NOT_STOPPED " AND sweep = ?1 AND state "
             "IN ('waiting', 'preempted') AND deleted_ms IS NULL ORDER BY attempts, "
             "number, id LIMIT 1",
    [NEXT_ONLY] = "SELECT id, sweep FROM trial WHERE " NOT_STOPPED " AND id = ?2 AND (?1 "
                  "= 0 OR sweep = ?1) AND state IN ('waiting', 'preempted') AND "
                  "deleted_ms IS NULL",
    [TAKE] = "UPDATE trial SET state = 'running', attempts = attempts + 1, stop_asked = "
             "0, stop_as = NULL, stop_reason = NULL WHERE id = ?1 RETURNING attempts",
    [EXISTS] = "SELECT id FROM trial WHERE id = ?1",
    [OPEN_RUN] = "INSERT INTO run (trial, attempt, state, started_ms, heartbeat_ms, "
                 "lease_until_ms, owner_host, owner_scope, owner_pid, owner_start_ticks, "
                 "cores, lease_mono_ms) VALUES (?1, ?2, 'running', ?3, ?3, ?4, ?5, ?6, "
                 "?7, ?8, ?9, ?10) "
                 "RETURNING id",
    [SET_LAST] = "UPDATE trial SET last_run = ?2 WHERE id = ?1",
    [SET_DIR] = "UPDATE run SET run_dir = ?2 WHERE id = ?1",
    [ADOPT] = "UPDATE run SET heartbeat_ms = ?2, lease_until_ms = ?3, owner_host = ?4, "
              "owner_scope = ?5, owner_pid = ?6, owner_start_ticks = ?7, "
              "lease_mono_ms = ?8 WHERE id = ?1",
    [HEARTBEAT] =
        "UPDATE run SET heartbeat_ms = ?2, lease_until_ms = ?3, lease_mono_ms = ?4 "
        "WHERE id = ?1",
    [STOP_ASKED] = "SELECT stop_asked FROM trial JOIN run ON run.trial = trial.id "
                   "WHERE run.id = ?1",
    [RUN_STATE] = "SELECT state, trial FROM run WHERE id = ?1",
    [RUN_DIR] = "SELECT run_dir FROM run WHERE id = ?1",
    [END_RUN] = "UPDATE run SET state = ?2, exit_code = ?3, reason = ?4, ended_ms = ?5, "
                "heartbeat_ms = ?5 WHERE id = ?1",
    [END_TRIAL] = "UPDATE trial SET state = ?2, summary_run = ?3, stop_asked = 0 "
                  "WHERE id = ?1",
    [ALIVE] = "SELECT run.id, run.trial, run.lease_until_ms, owner_host, owner_scope, "
              "owner_pid, owner_start_ticks, lease_mono_ms FROM run JOIN trial ON "
              "trial.id = run.trial "
              "WHERE run.state = 'running' AND (?1 = 0 OR trial.sweep = ?1) AND (?2 = 0 "
              "OR trial.id = ?2)",
    [REOPEN] = "UPDATE trial SET state = 'waiting', lost = 0 WHERE id = ?1 AND state NOT "
               "IN ('running', 'preempted')",
    /* Renewed or ended meanwhile: no row changes. One that was asked to end was killed on
       purpose: that is no loss. */
    [LOSE_RUN] =
        "UPDATE run SET ended_ms = ?2, (state, reason) = (SELECT CASE WHEN stop_asked "
        "THEN ifnull(stop_as, 'preempted') ELSE 'stale' END, CASE WHEN stop_asked THEN "
        "ifnull(stop_reason, 'asked to stop, and killed') ELSE ?3 END FROM trial WHERE "
        "trial.id = run.trial) WHERE id = ?1 "
        "AND state = 'running' AND lease_until_ms = ?4 AND owner_pid = ?5",
    /* A run of MLflow's API is nobody's to take up again: it is stale until its client
       says something. */
    [LOSE_TRIAL] =
        "UPDATE trial SET lost = lost + (NOT stop_asked), stop_asked = 0, summary_run = "
        "CASE WHEN stop_asked OR lost + 1 >= ?3 OR origin IS NOT NULL THEN ?2 ELSE "
        "summary_run END, state = "
        "CASE WHEN stop_asked THEN ifnull(stop_as, 'preempted') WHEN origin IS NOT NULL "
        "THEN 'stale' WHEN lost + 1 >= ?3 THEN "
        "'failed' ELSE 'waiting' END WHERE id = ?1 AND last_run = ?2",
    /* What it measured last, where it did not come to say so itself. */
    [FILL_SUMMARY] =
        "INSERT OR IGNORE INTO run_summary (run, key, value, kind) SELECT run, key, "
        "value, kind FROM (SELECT run, key, max(step), value, kind FROM metric WHERE run "
        "= ?1 GROUP BY run, key)",
};

/* In which a PID has meaning: the boot and the PID namespace (two containers of one host
 * share the former only). */
static const char *owner_scope(void)
{
    static _Thread_local char scope[256];
    char ns[64] = "";
    ssize_t n = readlink("/proc/self/ns/pid", ns, sizeof ns - 1);
    ns[n > 0 ? n : 0] = '\0';
    snprintf(scope, sizeof scope, "%s %s", proc_boot_id(), ns);
    return scope;
}

/* The trial that may be claimed now: 1, or 0. */
static int next_trial(struct store *s, int64_t sweep, int64_t only, int64_t *trial,
                      struct err *err)
{
    char why[BUDGET_WHY_MAX];
    bool wait;
    int64_t of_sweep = 0;
    sqlite3_stmt *stmt = NULL;
    const struct arg *args = only ? ARGS(A_INT(sweep), A_INT(only)) : ARGS(A_INT(sweep));
    int rc = store_statement(s, only ? sql[NEXT_ONLY] : sql[NEXT], args, &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    if (rc > 0) {
        *trial = sqlite3_column_int64(stmt, 0);
        of_sweep = sqlite3_column_int64(stmt, 1);
    }
    store_done(stmt);
    return rc > 0 && of_sweep ? store_budget_allows(s, of_sweep, *trial, why, &wait, err)
                              : rc;
}

static int take_trial(struct store *s, int64_t sweep, int64_t only, struct run_claim *out,
                      struct err *err)
{
    int64_t attempt = 0;
    int rc = next_trial(s, sweep, only, &out->trial, err);
    if (rc > 0)
        rc = store_int(s, sql[TAKE], ARGS(A_INT(out->trial)), &attempt, err);
    out->attempt = (int)attempt;
    return rc;
}

static int open_run(struct store *s, int64_t lease_ms, const char *run_dir_root,
                    struct run_claim *out, struct err *err)
{
    int64_t now = clock_wall_ms();
    int rc =
        store_int(s, sql[OPEN_RUN],
                  ARGS(A_INT(out->trial), A_INT(out->attempt), A_INT(now),
                       A_INT(now + lease_ms), A_TEXT(proc_host()), A_TEXT(owner_scope()),
                       A_INT(getpid()), A_INT((int64_t)proc_start_ticks(getpid())),
                       A_INT(pool_size()), A_INT(clock_mono_ms() + lease_ms)),
                  &out->run, err);
    if (rc >= 0)
        rc = store_exec(s, sql[SET_LAST], ARGS(A_INT(out->trial), A_INT(out->run)), err);
    if (rc < 0 || !run_dir_root)
        return rc;
    char *dir = xasprintf("%s/trial-%lld/attempt-%d", run_dir_root, (long long)out->trial,
                          out->attempt);
    rc = store_exec(s, sql[SET_DIR], ARGS(A_INT(out->run), A_TEXT(dir)), err);
    free(dir);
    return rc;
}

int store_claim(struct store *s, int64_t sweep, int64_t only, int64_t lease_ms,
                const char *run_dir_root, struct run_claim *out, struct err *err)
{
    if (!sweep && !only)
        return err_set(err, ERR_BUG, "a claim needs a sweep or a trial; this is a bug");
    int64_t id = 0;
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    if (only && store_int(s, sql[EXISTS], ARGS(A_INT(only)), &id, err) == 0)
        rc = err_set(err, ERR_NOINPUT,
                     "store '%s' has no trial %lld; 'peftlab ls' lists them", s->path,
                     (long long)only);
    if (rc >= 0)
        rc = take_trial(s, sweep, only, out, err);
    if (rc > 0) {
        rc = open_run(s, lease_ms, run_dir_root, out, err);
        rc = rc < 0 ? rc : 1;
    }
    return store_end(s, rc, err);
}

char *store_run_dir(struct store *s, int64_t run, struct err *err)
{
    char *dir = NULL;
    sqlite3_stmt *stmt = NULL;
    if (store_statement(s, sql[RUN_DIR], ARGS(A_INT(run)), &stmt, err) < 0)
        return NULL;
    int rc = store_step(s, stmt, err);
    if (rc > 0)
        dir = store_column_text(stmt, 0);
    store_done(stmt);
    if (rc >= 0 && !dir)
        err_set(err, ERR_NOINPUT, "store '%s' has no folder for run %lld", s->path,
                (long long)run);
    return dir;
}

/* ---- who may write ---- */

static int run_state(struct store *s, int64_t run, enum trial_state *state,
                     int64_t *trial, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[RUN_STATE], ARGS(A_INT(run)), &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    if (rc > 0) {
        *state = (enum trial_state)trial_state_from_name(
            (const char *)sqlite3_column_text(stmt, 0));
        *trial = sqlite3_column_int64(stmt, 1);
        rc = 0;
    } else if (rc == 0) {
        rc = err_set(err, ERR_NOINPUT, "store '%s' has no run %lld", s->path,
                     (long long)run);
    }
    store_done(stmt);
    return rc;
}

static int refuse(int64_t run, int64_t trial, enum trial_state state, struct err *err)
{
    if (state == TRIAL_stale)
        return err_set(err, ERR_BUSY,
                       "run %lld of trial %lld has lost its lease (no sign of life in "
                       "time); another attempt may be running, so nothing more is "
                       "written for this one",
                       (long long)run, (long long)trial);
    return err_set(err, ERR_BUSY,
                   "run %lld of trial %lld has already ended as %s; nothing more is "
                   "written for it",
                   (long long)run, (long long)trial, trial_state_name(state));
}

int store_require_alive(struct store *s, int64_t run, struct err *err)
{
    enum trial_state state = TRIAL_stale;
    int64_t trial = 0;
    int rc = run_state(s, run, &state, &trial, err);
    if (rc == 0 && state != TRIAL_running)
        rc = refuse(run, trial, state, err);
    return rc;
}

bool store_run_is_over(struct store *s, int64_t run)
{
    enum trial_state state = TRIAL_running;
    int64_t trial = 0;
    return run_state(s, run, &state, &trial, NULL) == 0 && state != TRIAL_running;
}

int store_run_adopt(struct store *s, int64_t run, int64_t lease_ms, struct err *err)
{
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    int64_t now = clock_wall_ms();
    rc = store_require_alive(s, run, err);
    if (rc == 0)
        rc = store_exec(s, sql[ADOPT],
                        ARGS(A_INT(run), A_INT(now), A_INT(now + lease_ms),
                             A_TEXT(proc_host()), A_TEXT(owner_scope()), A_INT(getpid()),
                             A_INT((int64_t)proc_start_ticks(getpid())),
                             A_INT(clock_mono_ms() + lease_ms)),
                        err);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

int store_heartbeat(struct store *s, int64_t run, int64_t lease_ms, bool *stop,
                    struct err *err)
{
    int64_t asked = 0;
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    int64_t now = clock_wall_ms();
    rc = store_require_alive(s, run, err);
    if (rc == 0)
        rc = store_exec(s, sql[HEARTBEAT],
                        ARGS(A_INT(run), A_INT(now), A_INT(now + lease_ms),
                             A_INT(clock_mono_ms() + lease_ms)),
                        err);
    if (rc >= 0)
        rc = store_int(s, sql[STOP_ASKED], ARGS(A_INT(run)), &asked, err);
    rc = store_end(s, rc, err);
    if (rc >= 0 && stop)
        *stop = asked != 0;
    return rc < 0 ? rc : 0;
}

int store_run_finish(struct store *s, int64_t run, enum trial_state state, int exit_code,
                     const char *reason, struct err *err)
{
    if (state == TRIAL_waiting || state == TRIAL_running || state == TRIAL_stale)
        return err_set(err, ERR_BUG, "a run cannot end as %s; this is a bug",
                       trial_state_name(state));
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    enum trial_state before = TRIAL_stale;
    int64_t trial = 0;
    char *why = store_repair_text(reason);
    rc = run_state(s, run, &before, &trial, err);
    if (rc == 0 && before != TRIAL_running && before != state)
        rc = refuse(run, trial, before, err);
    if (rc == 0 && before == TRIAL_running && state == TRIAL_preempted)
        rc = store_stop_outcome(s, trial, &state, &why, err);
    if (rc == 0 && before == TRIAL_running) {
        rc = store_exec(s, sql[END_RUN],
                        ARGS(A_INT(run), A_TEXT(trial_state_name(state)),
                             A_INT(exit_code), A_TEXT(why), A_INT(clock_wall_ms())),
                        err);
        if (rc >= 0)
            rc = store_exec(
                s, sql[END_TRIAL],
                ARGS(A_INT(trial), A_TEXT(trial_state_name(state)), A_INT(run)), err);
    }
    if (rc >= 0 && before == TRIAL_running && state != TRIAL_complete)
        rc = store_exec(s, sql[FILL_SUMMARY], ARGS(A_INT(run)), err);
    free(why);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

/* ---- taking back ---- */

struct lost_run {
    int64_t run, trial, lease_until_ms, pid;
    char reason[160];
};

/* On its own host a lease goes by the monotonic clock: neither a jump of the wall clock
 * nor a sleep of the machine ends it. */
static bool is_lost(sqlite3_stmt *row, int64_t now, struct lost_run *out)
{
    *out = (struct lost_run){.run = sqlite3_column_int64(row, 0),
                             .trial = sqlite3_column_int64(row, 1),
                             .lease_until_ms = sqlite3_column_int64(row, 2),
                             .pid = sqlite3_column_int64(row, 5)};
    const char *host = (const char *)sqlite3_column_text(row, 3);
    bool here = str_eq(host, proc_host()) &&
                str_eq((const char *)sqlite3_column_text(row, 4), owner_scope());
    if (here && !proc_alive((pid_t)out->pid, (uint64_t)sqlite3_column_int64(row, 6))) {
        snprintf(out->reason, sizeof out->reason, "its process %lld is gone",
                 (long long)out->pid);
        return true;
    }
    int64_t over_ms = now - out->lease_until_ms;
    if (here && sqlite3_column_type(row, 7) != SQLITE_NULL)
        over_ms = clock_mono_ms() - sqlite3_column_int64(row, 7);
    if (over_ms <= 0)
        return false;
    if (out->pid == 0)
        snprintf(out->reason, sizeof out->reason, "its client has said nothing any more");
    else
        snprintf(out->reason, sizeof out->reason,
                 "no sign of life of process %lld on %.64s, lease ended %lld s ago",
                 (long long)out->pid, host, (long long)(over_ms / 1000));
    return true;
}

static int find_lost(struct store *s, int64_t sweep, int64_t trial,
                     struct lost_run **list, size_t *count, struct err *err)
{
    size_t cap = 0;
    sqlite3_stmt *stmt = NULL;
    int64_t now = clock_wall_ms();
    int rc = store_statement(s, sql[ALIVE], ARGS(A_INT(sweep), A_INT(trial)), &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        *list = xgrow(*list, &cap, *count + 1, sizeof **list);
        *count += is_lost(stmt, now, &(*list)[*count]);
    }
    store_done(stmt);
    return rc;
}

static int reap(struct store *s, int64_t sweep, int64_t trial, int max_attempts,
                int *reaped, struct err *err)
{
    struct lost_run *list = NULL;
    size_t count = 0;
    int done = 0, rc = find_lost(s, sweep, trial, &list, &count, err);
    if (rc == 0 && count > 0 && (rc = store_begin(s, err)) == 0) {
        for (size_t i = 0; i < count && rc >= 0; i++) {
            rc = store_exec(s, sql[LOSE_RUN],
                            ARGS(A_INT(list[i].run), A_INT(clock_wall_ms()),
                                 A_TEXT(list[i].reason), A_INT(list[i].lease_until_ms),
                                 A_INT(list[i].pid)),
                            err);
            if (rc <= 0)
                continue;
            done++;
            rc = store_exec(
                s, sql[LOSE_TRIAL],
                ARGS(A_INT(list[i].trial), A_INT(list[i].run), A_INT(max_attempts)), err);
            if (rc >= 0)
                rc = store_exec(s, sql[FILL_SUMMARY], ARGS(A_INT(list[i].run)), err);
        }
        rc = store_end(s, rc, err);
    }
    free(list);
    if (rc < 0)
        return rc;
    if (reaped)
        *reaped = done;
    return 0;
}

int store_reap(struct store *s, int64_t sweep, int max_attempts, int *reaped,
               struct err *err)
{
    return reap(s, sweep, 0, max_attempts, reaped, err);
}

/* ---- again ---- */

int store_claim_again(struct store *s, int64_t trial, int64_t lease_ms,
                      const char *run_dir, struct run_claim *out, struct err *err)
{
    int rc = reap(s, 0, trial, INT_MAX, NULL, err);
    if (rc == 0)
        rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    rc = store_exec(s, sql[REOPEN], ARGS(A_INT(trial)), err);
    if (rc >= 0)
        rc = take_trial(s, 0, trial, out, err);
    if (rc > 0) {
        rc = open_run(s, lease_ms, NULL, out, err);
        if (rc >= 0)
            rc = store_exec(s, sql[SET_DIR], ARGS(A_INT(out->run), A_TEXT(run_dir)), err);
        rc = rc < 0 ? rc : 1;
    }
    return store_end(s, rc, err);
}

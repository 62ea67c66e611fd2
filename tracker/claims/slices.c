/* tracker/claims/slices.c - trials that run in slices, and trials that are stopped for
 * good.
 *
 * A slice is a run with an until_step. One that parked there ended as preempted with exit
 * code 0 (a run that was stopped on its way has another), and its trial may be claimed
 * again.
 *
 * A trial that is stopped for good ends in the state that was asked for and keeps its
 * numbers. One that runs is asked to end, and store_run_finish puts that state in the
 * place of preempted; one that is parked has it at once, and so has its last run, whose
 * reason is what readers see. */
#include "tracker/store/store_priv.h"
#include <stdlib.h>

enum { SET_UNTIL, ASK, END_WAITING, END_LAST_RUN, WAS_STOPPED, ASKED };
static const char *const sql[] = {
    [SET_UNTIL] = "UPDATE run SET until_step = ?2 WHERE id = ?1",
    [ASK] = "UPDATE trial SET stop_asked = 1, stop_as = ?2, stop_reason = ?3 "
            "WHERE id = ?1 AND state = 'running'",
    [END_WAITING] = "UPDATE trial SET state = ?2, stop_asked = 0, summary_run = last_run "
                    "WHERE id = ?1 AND state IN ('waiting', 'preempted')",
    [END_LAST_RUN] =
        "UPDATE run SET state = ?2, reason = ?3 WHERE state IN ('preempted', 'stale') "
        "AND id = (SELECT last_run FROM trial WHERE id = ?1)",
    [WAS_STOPPED] = "SELECT run.id FROM trial JOIN run ON run.id = trial.last_run WHERE "
                    "trial.id = ?1 AND trial.state IN ('waiting', 'preempted') AND "
                    "run.state IN ('preempted', 'stale')",
    [ASKED] = "SELECT stop_as, stop_reason FROM trial WHERE id = ?1 AND stop_asked = 1",
};

int store_run_until(struct store *s, int64_t run, int64_t step, struct err *err)
{
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    rc = store_require_alive(s, run, err);
    if (rc == 0)
        rc = store_exec(s, sql[SET_UNTIL], ARGS(A_INT(run), A_INT(step)), err);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

/* In a transaction: the trial, where it waits, and the run whose reason readers see. */
static int end_waiting(struct store *s, int64_t trial, const char *state, const char *why,
                       struct err *err)
{
    int rc = store_exec(s, sql[END_WAITING], ARGS(A_INT(trial), A_TEXT(state)), err);
    if (rc <= 0)
        return rc;
    const int ended = store_exec(s, sql[END_LAST_RUN],
                                 ARGS(A_INT(trial), A_TEXT(state), A_TEXT(why)), err);
    return ended < 0 ? ended : rc;
}

int store_trial_close(struct store *s, int64_t trial, enum trial_state state,
                      const char *reason, struct err *err)
{
    int64_t run = 0;
    char *why = store_repair_text(reason);
    int rc = store_begin(s, err);
    if (rc == 0) {
        rc = store_int(s, sql[WAS_STOPPED], ARGS(A_INT(trial)), &run, err);
        if (rc > 0)
            rc = end_waiting(s, trial, trial_state_name(state), why, err);
        rc = store_end(s, rc, err);
    }
    free(why);
    return rc;
}

int store_trial_end(struct store *s, int64_t trial, enum trial_state state,
                    const char *reason, struct err *err)
{
    const char *name = trial_state_name(state);
    char *why = store_repair_text(reason);
    const struct arg *args = ARGS(A_INT(trial), A_TEXT(name), A_TEXT(why));
    int rc = store_begin(s, err);
    if (rc == 0) {
        rc = store_exec(s, sql[ASK], args, err);
        if (rc == 0)
            rc = end_waiting(s, trial, name, why, err);
        rc = store_end(s, rc, err);
    }
    free(why);
    if (rc == 0)
        return err_set(err, ERR_NOINPUT,
                       "store '%s' has no trial %lld that waits or runs", s->path,
                       (long long)trial);
    return rc < 0 ? rc : 0;
}

int store_stop_outcome(struct store *s, int64_t trial, enum trial_state *state,
                       char **reason, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[ASKED], ARGS(A_INT(trial)), &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    if (rc > 0 && sqlite3_column_type(stmt, 0) != SQLITE_NULL) {
        *state = (enum trial_state)trial_state_from_name(
            (const char *)sqlite3_column_text(stmt, 0));
        free(*reason);
        *reason = store_column_text(stmt, 1);
    }
    store_done(stmt);
    return rc < 0 ? rc : 0;
}

/* tracker/mlflow/calls/mlflow_touch.c - the lease of a run whose client speaks over the network: no
 * process of this machine holds it, its words do. */
#include "lib/os/proc.h"
#include "tracker/mlflow/mlflow_inner.h"

enum { RENEW, REVIVE_RUN, REVIVE_TRIAL, SILENT, LOSE_RUN, LOSE_TRIAL };
static const char *const sql[] = {
    [RENEW] = "UPDATE run SET heartbeat_ms = ?2, lease_until_ms = ?3 WHERE id = ?1",
    [REVIVE_RUN] =
        "UPDATE run SET state = 'running', reason = NULL, ended_ms = NULL WHERE "
        "id = ?1",
    [REVIVE_TRIAL] = "UPDATE trial SET state = 'running', lost = 0 WHERE id = ?1",
    [SILENT] =
        "SELECT EXISTS (SELECT 1 FROM run JOIN trial ON trial.id = run.trial WHERE "
        "run.state = 'running' AND lease_until_ms < ?1 AND trial.origin IS NOT NULL)",
    [LOSE_RUN] = "UPDATE run SET state = 'stale', ended_ms = heartbeat_ms, reason = 'its "
                 "client has said nothing any more' WHERE state = 'running' AND "
                 "lease_until_ms < ?1 AND (SELECT origin FROM trial WHERE trial.id = "
                 "run.trial) IS NOT NULL",
    [LOSE_TRIAL] =
        "UPDATE trial SET state = 'stale', summary_run = last_run WHERE state = "
        "'running' AND origin IS NOT NULL AND (SELECT state FROM run WHERE "
        "run.id = trial.last_run) = 'stale'",
};

/* An hour's lease need not be renewed by each of a hundred words per second. */
enum { RENEW_MS = 60000 };

int mlflow_check_lease(const struct mlflow_run *r, struct mlflow_error *e)
{
    if (r->foreign || r->state != TRIAL_stale)
        return 0;
    return mlflow_fail(e, MLFLOW_RESOURCE_CONFLICT,
                       "run %s has lost its lease; another attempt of trial %lld may be "
                       "running, so nothing more is measured for this one",
                       r->id, (long long)r->trial);
}

int mlflow_touch(struct store *s, struct mlflow_run *r, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    const int64_t now = clock_wall_ms();
    int rc = 0;
    if (!r->foreign)
        return 0;
    if (r->state == TRIAL_stale) {
        rc = store_exec(s, sql[REVIVE_RUN], ARGS(A_INT(r->run)), &err);
        if (rc >= 0)
            rc = store_exec(s, sql[REVIVE_TRIAL], ARGS(A_INT(r->trial)), &err);
        r->state = TRIAL_running;
    }
    if (rc >= 0 && r->state == TRIAL_running && now - r->heartbeat_ms >= RENEW_MS)
        rc = store_exec(s, sql[RENEW],
                        ARGS(A_INT(r->run), A_INT(now), A_INT(now + MLFLOW_LEASE_MS)),
                        &err);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

int mlflow_reap(struct store *s, int *count, struct err *err)
{
    const struct arg *now = ARGS(A_INT(clock_wall_ms()));
    int64_t any = 0;
    int rc = store_int(s, sql[SILENT], now, &any, err);
    *count = 0;
    if (rc < 0 || !any)
        return rc < 0 ? rc : 0;
    rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    rc = store_exec(s, sql[LOSE_RUN], now, err);
    *count = rc > 0 ? rc : 0;
    if (rc >= 0)
        rc = store_exec(s, sql[LOSE_TRIAL], NULL, err);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

/* tracker/mlflow/mlflow_ids.c - see mlflow_ids.h. */
#include "tracker/mlflow/mlflow_ids.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUN, EXPERIMENT, DEFAULT };
static const char *const sql[] = {
    [RUN] =
        "SELECT run.trial, trial.experiment, run.state, trial.origin = 'mlflow', "
        "trial.deleted_ms IS NOT NULL, run.started_ms, run.heartbeat_ms, trial.state = "
        "'running' FROM run JOIN trial ON trial.id = run.trial WHERE run.id = ?1",
    [EXPERIMENT] =
        "SELECT id, name, deleted_ms IS NOT NULL FROM experiment WHERE id = ?1",
    [DEFAULT] =
        "SELECT id, name, deleted_ms IS NOT NULL FROM experiment WHERE name = 'Default'",
};

enum { HALF = 16 }; /* digits of the store, and of the run */

int mlflow_run_id(struct store *s, int64_t run, char out[MLFLOW_RUN_ID_BYTES],
                  struct err *err)
{
    const char *store = store_id(s, err);
    if (!store)
        return err_code(err);
    snprintf(out, MLFLOW_RUN_ID_BYTES, "%.*s%016llx", HALF, store,
             (unsigned long long)run);
    return 0;
}

int64_t mlflow_run_number(struct store *s, const char *run_id)
{
    static const char digits[] = "0123456789abcdef";
    const char *store = store_id(s, NULL);
    const size_t n = store ? strnlen(store, HALF) : 0;
    if (!store || strncmp(run_id, store, n) != 0 || strlen(run_id) != n + HALF ||
        strspn(run_id + n, digits) != HALF)
        return 0;
    const unsigned long long number = strtoull(run_id + n, NULL, 16);
    return number > INT64_MAX ? 0 : (int64_t)number;
}

static void read_run(sqlite3_stmt *row, struct mlflow_run *out)
{
    out->trial = sqlite3_column_int64(row, 0);
    out->experiment = sqlite3_column_int64(row, 1);
    out->state = (enum trial_state)trial_state_from_name(
        (const char *)sqlite3_column_text(row, 2));
    out->foreign = sqlite3_column_int(row, 3) != 0;
    out->deleted = sqlite3_column_int(row, 4) != 0;
    out->started_ms = sqlite3_column_int64(row, 5);
    out->heartbeat_ms = sqlite3_column_int64(row, 6);
    out->trial_runs = sqlite3_column_int(row, 7) != 0;
}

static const char *run_id_of(const json_t *fields)
{
    const char *id = json_get_str(fields, "run_id", "");
    return *id ? id : json_get_str(fields, "run_uuid", "");
}

int mlflow_find_run(struct store *s, const json_t *fields, struct mlflow_run *out,
                    struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    sqlite3_stmt *stmt = NULL;
    const char *id = run_id_of(fields);
    *out = (struct mlflow_run){.run = mlflow_run_number(s, id)};
    int rc =
        out->run ? store_statement(s, sql[RUN], ARGS(A_INT(out->run)), &stmt, &err) : 0;
    if (rc == 0 && stmt) {
        rc = store_step(s, stmt, &err);
        if (rc > 0)
            read_run(stmt, out);
        store_done(stmt);
    }
    if (rc < 0)
        return mlflow_fail_store(e, &err);
    if (rc == 0)
        return mlflow_fail(e, MLFLOW_RESOURCE_DOES_NOT_EXIST,
                           "Run with id=%.300s not found", id);
    snprintf(out->id, sizeof out->id, "%s", id);
    return 0;
}

int mlflow_find_active_run(struct store *s, const json_t *fields, struct mlflow_run *out,
                           struct mlflow_error *e)
{
    if (mlflow_find_run(s, fields, out, e) < 0)
        return -1;
    if (out->deleted)
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "The run %s must be in the 'active' state. Current state is "
                           "deleted.",
                           out->id);
    return 0;
}

/* ---- experiments ---- */

void mlflow_experiment_id(int64_t id, const char *name,
                          char out[MLFLOW_EXPERIMENT_ID_BYTES])
{
    const bool first = id == 0 || str_eq(name, MLFLOW_DEFAULT);
    snprintf(out, MLFLOW_EXPERIMENT_ID_BYTES, "%lld", first ? 0LL : (long long)id);
}

int mlflow_find_experiment(struct store *s, const char *id, struct mlflow_experiment *out,
                           struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    sqlite3_stmt *stmt = NULL;
    int64_t number = 0;
    *out = (struct mlflow_experiment){.shown = "0"};
    if (id && *id && !str_whole(id, &number))
        return mlflow_fail(
            e, MLFLOW_INVALID_PARAMETER_VALUE,
            "Invalid experiment ID '%.300s'. Experiment ID must be a valid "
            "integer.",
            id);
    int rc = store_statement(s, number ? sql[EXPERIMENT] : sql[DEFAULT],
                             number ? ARGS(A_INT(number)) : NULL, &stmt, &err);
    if (rc == 0) {
        rc = store_step(s, stmt, &err);
        if (rc > 0) {
            out->id = sqlite3_column_int64(stmt, 0);
            out->deleted = sqlite3_column_int(stmt, 2) != 0;
            mlflow_experiment_id(out->id, (const char *)sqlite3_column_text(stmt, 1),
                                 out->shown);
        }
        store_done(stmt);
    }
    if (rc < 0)
        return mlflow_fail_store(e, &err);
    if (rc == 0 && number)
        return mlflow_fail(e, MLFLOW_RESOURCE_DOES_NOT_EXIST,
                           "No Experiment with id=%lld exists", (long long)number);
    return 0;
}

int mlflow_take_experiment(struct store *s, const char *id, struct mlflow_experiment *out,
                           struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    if (mlflow_find_experiment(s, id, out, e) < 0)
        return -1;
    if (out->id == 0 && store_experiment(s, MLFLOW_DEFAULT, &out->id, &err) < 0)
        return mlflow_fail_store(e, &err);
    return 0;
}

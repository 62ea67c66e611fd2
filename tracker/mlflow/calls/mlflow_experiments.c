/* tracker/mlflow/calls/mlflow_experiments.c - experiments/... of MLflow's API. */
#include "lib/os/proc.h"
#include "tracker/mlflow/calls/mlflow_experiment.h"
#include "tracker/mlflow/mlflow_inner.h"
#include <stdio.h>

enum { GET, BY_NAME, TAGS, ADD, RENAME, MARK, MARK_TRIALS, RUNS_NOW, PUT_TAG, DROP_TAG };
static const char *const sql[] = {
    [GET] = "SELECT id, name, created_ms, ifnull(updated_ms, created_ms), deleted_ms IS "
            "NOT NULL, artifact_location FROM experiment WHERE id = ?1",
    [BY_NAME] = "SELECT id FROM experiment WHERE name = ?1",
    [TAGS] = "SELECT key, value FROM experiment_tag WHERE experiment = ?1 ORDER BY key",
    [ADD] =
        "INSERT INTO experiment (name, created_ms, artifact_location) VALUES (?1, ?2, "
        "?3) RETURNING id",
    [RENAME] = "UPDATE experiment SET name = ?2, updated_ms = ?3 WHERE id = ?1",
    [MARK] = "UPDATE experiment SET deleted_ms = ?2, updated_ms = ?3 WHERE id = ?1",
    [MARK_TRIALS] = "UPDATE trial SET deleted_ms = ?2 WHERE experiment = ?1",
    [RUNS_NOW] = "SELECT count(*) FROM trial WHERE experiment = ?1 AND state = 'running' "
                 "AND origin IS NULL",
    [PUT_TAG] = "INSERT OR REPLACE INTO experiment_tag (experiment, key, value) VALUES "
                "(?1, ?2, ?3)",
    [DROP_TAG] = "DELETE FROM experiment_tag WHERE experiment = ?1 AND key = ?2",
};

/* ---- as JSON ---- */

static int add_tags(struct store *s, int64_t id, json_t *into, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    json_t *tags = json_array();
    int rc = store_statement(s, sql[TAGS], ARGS(A_INT(id)), &stmt, err);
    while (rc >= 0 && (rc = store_step(s, stmt, err)) > 0)
        json_array_append_new(tags,
                              json_pack("{s:s, s:s}", "key", sqlite3_column_text(stmt, 0),
                                        "value", sqlite3_column_text(stmt, 1)));
    if (stmt)
        store_done(stmt);
    if (json_array_size(tags))
        json_object_set(into, "tags", tags);
    json_decref(tags);
    return rc;
}

static json_t *row_object(sqlite3_stmt *row)
{
    char id[MLFLOW_EXPERIMENT_ID_BYTES], *location = NULL;
    const char *name = (const char *)sqlite3_column_text(row, 1),
               *given = (const char *)sqlite3_column_text(row, 5);
    mlflow_experiment_id(sqlite3_column_int64(row, 0), name, id);
    location = given ? xstrdup(given) : xasprintf("mlflow-artifacts:/%s", id);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "experiment_id", id, "name",
                          name, "artifact_location", location, "lifecycle_stage",
                          sqlite3_column_int(row, 4) ? "deleted" : "active",
                          "last_update_time", (json_int_t)sqlite3_column_int64(row, 3),
                          "creation_time", (json_int_t)sqlite3_column_int64(row, 2));
    free(location);
    return o;
}

/* Default, where nobody has made it yet. */
static json_t *unmade_default(void)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "experiment_id", "0", "name",
                     MLFLOW_DEFAULT, "artifact_location", "mlflow-artifacts:/0",
                     "lifecycle_stage", "active", "last_update_time", 0, "creation_time",
                     0);
}

json_t *mlflow_experiment_json(struct store *s, int64_t id, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    json_t *o = NULL;
    if (id == 0)
        return unmade_default();
    int rc = store_statement(s, sql[GET], ARGS(A_INT(id)), &stmt, err);
    if (rc == 0) {
        rc = store_step(s, stmt, err);
        o = rc > 0 ? row_object(stmt) : NULL;
        store_done(stmt);
    }
    if (rc == 0)
        err_set(err, ERR_NOINPUT, "No Experiment with id=%lld exists", (long long)id);
    if (o && add_tags(s, id, o, err) < 0) {
        json_decref(o);
        o = NULL;
    }
    return o;
}

static int answer_experiment(struct store *s, int64_t id, struct buf *answer,
                             struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    json_t *o = mlflow_experiment_json(s, id, &err);
    if (!o)
        return mlflow_fail_store(e, &err);
    json_t *whole = json_pack("{s:o}", "experiment", o);
    json_write(answer, whole, 0);
    json_decref(whole);
    return 0;
}

CALL(experiment_get)
{
    struct mlflow_experiment x;
    if (mlflow_find_experiment(s, mlflow_text(fields, "experiment_id"), &x, e) < 0)
        return -1;
    return answer_experiment(s, x.id, answer, e);
}

CALL(experiment_get_by_name)
{
    struct err err = ERR_INIT;
    int64_t id = 0;
    const char *name = mlflow_text(fields, "experiment_name");
    const int rc = store_int(s, sql[BY_NAME], ARGS(A_TEXT(name)), &id, &err);
    if (rc < 0)
        return mlflow_fail_store(e, &err);
    if (rc == 0 && !str_eq(name, MLFLOW_DEFAULT))
        return mlflow_fail(e, MLFLOW_RESOURCE_DOES_NOT_EXIST,
                           "Could not find experiment with name '%.600s'", name);
    return answer_experiment(s, id, answer, e);
}

/* ---- tags ---- */

static int put_tag(struct store *s, int64_t id, const char *key, const char *value,
                   struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    if (mlflow_check_name("key", "key", key, e) < 0 ||
        mlflow_check_length("value", value, MLFLOW_MAX_EXPERIMENT_TAG, e) < 0)
        return -1;
    char *kept = mlflow_kept_text(key, value, MLFLOW_MAX_EXPERIMENT_TAG);
    const int rc =
        store_exec(s, sql[PUT_TAG], ARGS(A_INT(id), A_TEXT(key), A_TEXT(kept)), &err);
    free(kept);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

static int check_active(const struct mlflow_experiment *x, struct mlflow_error *e)
{
    if (!x->deleted)
        return 0;
    return mlflow_fail(
        e, MLFLOW_INVALID_PARAMETER_VALUE,
        "The experiment %s must be in the 'active' state. Current state is "
        "deleted.",
        x->shown);
}

static int take_active(struct store *s, const json_t *fields, struct mlflow_experiment *x,
                       struct mlflow_error *e)
{
    return mlflow_take_experiment(s, mlflow_text(fields, "experiment_id"), x, e) < 0
               ? -1
               : check_active(x, e);
}

CALL(experiment_set_tag)
{
    (void)answer;
    struct mlflow_experiment x;
    if (take_active(s, fields, &x, e) < 0)
        return -1;
    return put_tag(s, x.id, mlflow_text(fields, "key"), mlflow_text(fields, "value"), e);
}

CALL(experiment_delete_tag)
{
    (void)answer;
    struct err err = ERR_INIT;
    struct mlflow_experiment x;
    const char *key = mlflow_text(fields, "key");
    if (take_active(s, fields, &x, e) < 0)
        return -1;
    const int rc = store_exec(s, sql[DROP_TAG], ARGS(A_INT(x.id), A_TEXT(key)), &err);
    if (rc < 0)
        return mlflow_fail_store(e, &err);
    if (rc == 0)
        return mlflow_fail(e, MLFLOW_RESOURCE_DOES_NOT_EXIST,
                           "No tag with name: %.300s in experiment with id %s", key,
                           x.shown);
    return 0;
}

/* ---- making, renaming ---- */

/* Free, and a name at all. Default is there in any case. */
static int check_new_name(struct store *s, const char *name, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    int64_t id = 0;
    if (!*name)
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "Invalid experiment name: ''");
    if (mlflow_check_length("name", name, MLFLOW_MAX_EXPERIMENT_NAME, e) < 0)
        return -1;
    const int rc = store_int(s, sql[BY_NAME], ARGS(A_TEXT(name)), &id, &err);
    if (rc < 0)
        return mlflow_fail_store(e, &err);
    if (rc > 0 || str_eq(name, MLFLOW_DEFAULT))
        return mlflow_fail(e, MLFLOW_RESOURCE_ALREADY_EXISTS,
                           "Experiment(name=%.600s) already exists. One that is deleted "
                           "keeps its name: restore it, or take another.",
                           name);
    return 0;
}

static int put_tags(struct store *s, int64_t id, const json_t *tags,
                    struct mlflow_error *e)
{
    const json_t *tag;
    size_t i;
    int rc = mlflow_check_pairs("tags", tags, e);
    json_array_foreach((json_t *)tags, i, tag)
    {
        if (rc == 0)
            rc = put_tag(s, id, mlflow_text(tag, "key"), mlflow_text(tag, "value"), e);
    }
    return rc;
}

CALL(experiment_create)
{
    struct err err = ERR_INIT;
    const char *name = mlflow_text(fields, "name"),
               *location = mlflow_text(fields, "artifact_location");
    int64_t id = 0;
    if (check_new_name(s, name, e) < 0)
        return -1;
    if (store_int(s, sql[ADD],
                  ARGS(A_TEXT(name), A_INT(clock_wall_ms()),
                       A_TEXT(*location ? location : NULL)),
                  &id, &err) < 0)
        return mlflow_fail_store(e, &err);
    if (put_tags(s, id, json_object_get(fields, "tags"), e) < 0)
        return -1;
    buf_printf(answer, "{\"experiment_id\": \"%lld\"}", (long long)id);
    return 0;
}

CALL(experiment_update)
{
    (void)answer;
    struct err err = ERR_INIT;
    struct mlflow_experiment x;
    const char *name = mlflow_text(fields, "new_name");
    if (mlflow_find_experiment(s, mlflow_text(fields, "experiment_id"), &x, e) < 0)
        return -1;
    if (x.deleted)
        return mlflow_fail(e, MLFLOW_INVALID_STATE,
                           "Cannot rename a non-active experiment.");
    if (str_eq(x.shown, "0"))
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "Experiment 0 is the one that is called Default; it keeps its "
                           "name.");
    if (check_new_name(s, name, e) < 0)
        return -1;
    const int rc = store_exec(
        s, sql[RENAME], ARGS(A_INT(x.id), A_TEXT(name), A_INT(clock_wall_ms())), &err);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

/* ---- deleting ---- */

static int mark(struct store *s, const struct mlflow_experiment *x, bool deleted,
                struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    const int64_t now = clock_wall_ms();
    const struct arg at =
        deleted ? (struct arg)A_INT(now) : (struct arg){ARG_NULL, 0, 0, 0};
    int rc = store_exec(s, sql[MARK], ARGS(A_INT(x->id), at, A_INT(now)), &err);
    if (rc >= 0)
        rc = store_exec(s, sql[MARK_TRIALS], ARGS(A_INT(x->id), at), &err);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

static int no_such(const struct mlflow_experiment *x, struct mlflow_error *e)
{
    return mlflow_fail(e, MLFLOW_RESOURCE_DOES_NOT_EXIST,
                       "No Experiment with id=%s exists", x->shown);
}

CALL(experiment_delete)
{
    (void)answer;
    struct err err = ERR_INIT;
    struct mlflow_experiment x;
    int64_t running = 0;
    if (mlflow_take_experiment(s, mlflow_text(fields, "experiment_id"), &x, e) < 0)
        return -1;
    if (x.deleted)
        return no_such(&x, e);
    if (store_int(s, sql[RUNS_NOW], ARGS(A_INT(x.id)), &running, &err) < 0)
        return mlflow_fail_store(e, &err);
    if (running > 0)
        return mlflow_fail(e, MLFLOW_RESOURCE_CONFLICT,
                           "%lld trials of experiment %s are running; stop them first",
                           (long long)running, x.shown);
    return mark(s, &x, true, e);
}

CALL(experiment_restore)
{
    (void)answer;
    struct mlflow_experiment x;
    if (mlflow_find_experiment(s, mlflow_text(fields, "experiment_id"), &x, e) < 0)
        return -1;
    return x.deleted ? mark(s, &x, false, e) : no_such(&x, e);
}

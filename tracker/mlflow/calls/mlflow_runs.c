/* tracker/mlflow/calls/mlflow_runs.c - runs/create, get, update, delete, restore of MLflow's API. */
#include "lib/os/proc.h"
#include "tracker/mlflow/mlflow_inner.h"
#include "tracker/mlflow/run_text.h"
#include <stdio.h>

enum { NEXT_RUN, ADD_TRIAL, ADD_RUN, SET_LAST, MARK, END_RUN, END_TRIAL, SET_END };
static const char *const sql[] = {
    [NEXT_RUN] = "SELECT ifnull(max(id), 0) + 1 FROM run",
    [ADD_TRIAL] =
        "INSERT INTO trial (experiment, number, key, seed, base_dir, config_json, "
        "params_json, state, attempts, created_ms, origin) VALUES (?1, 0, 'mlflow:' || "
        "?2, "
        "0, '.', '{}', '{}', 'running', 1, ?3, 'mlflow') RETURNING id",
    [ADD_RUN] =
        "INSERT INTO run (id, trial, attempt, state, started_ms, heartbeat_ms, "
        "lease_until_ms, owner_host, owner_scope, owner_pid, owner_start_ticks) VALUES "
        "(?1, ?2, 1, 'running', ?3, ?4, ?5, '', '', 0, 0)",
    [SET_LAST] = "UPDATE trial SET last_run = ?2 WHERE id = ?1",
    [MARK] = "UPDATE trial SET deleted_ms = ?2 WHERE id = ?1",
    [END_RUN] = "UPDATE run SET state = ?2, reason = NULL, ended_ms = ?3, heartbeat_ms = "
                "?4, lease_until_ms = ?5 WHERE id = ?1",
    [END_TRIAL] =
        "UPDATE trial SET state = ?2, stop_asked = 0, summary_run = CASE ?2 WHEN "
        "'running' THEN summary_run ELSE ?3 END WHERE id = ?1",
    [SET_END] = "UPDATE run SET ended_ms = ?2 WHERE id = ?1",
};

/* What a client says of a run, and what that is here. */
static const struct {
    const char *status;
    enum trial_state state;
} statuses[] = {{"RUNNING", TRIAL_running},
                {"SCHEDULED", TRIAL_preempted},
                {"FINISHED", TRIAL_complete},
                {"FAILED", TRIAL_failed},
                {"KILLED", TRIAL_cancelled}};

/* ---- create ---- */

static const char *tag_in(const json_t *tags, const char *key)
{
    const json_t *tag;
    const char *found = "";
    size_t i;
    json_array_foreach((json_t *)tags, i, tag)
    {
        if (str_eq(mlflow_text(tag, "key"), key))
            found = mlflow_text(tag, "value");
    }
    return found;
}

static int add_run(struct store *s, int64_t experiment, int64_t start_ms,
                   struct mlflow_run *r, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    const int64_t now = clock_wall_ms();
    int rc = store_int(s, sql[NEXT_RUN], NULL, &r->run, &err);
    if (rc > 0)
        rc = mlflow_run_id(s, r->run, r->id, &err);
    if (rc == 0)
        rc = store_int(s, sql[ADD_TRIAL],
                       ARGS(A_INT(experiment), A_TEXT(r->id), A_INT(now)), &r->trial,
                       &err);
    if (rc >= 0)
        rc = store_exec(s, sql[ADD_RUN],
                        ARGS(A_INT(r->run), A_INT(r->trial), A_INT(start_ms), A_INT(now),
                             A_INT(now + MLFLOW_LEASE_MS)),
                        &err);
    if (rc >= 0)
        rc = store_exec(s, sql[SET_LAST], ARGS(A_INT(r->trial), A_INT(r->run)), &err);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

static int answer_run(struct store *s, int64_t run, struct buf *answer,
                      struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    buf_str_add(answer, "{\"run\": ");
    if (run_text_write(s, run, answer, &err) < 0)
        return mlflow_fail_store(e, &err);
    buf_char(answer, '}');
    return 0;
}

static int check_names(const char *name, const char *tagged, struct mlflow_error *e)
{
    if (!*name || !*tagged || str_eq(name, tagged))
        return 0;
    return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                       "Both 'run_name' argument and 'mlflow.runName' tag are specified, "
                       "but with different values (run_name='%.300s', "
                       "mlflow.runName='%.300s').",
                       name, tagged);
}

CALL(run_create)
{
    struct mlflow_experiment x;
    struct mlflow_run r = {.foreign = true, .state = TRIAL_running};
    const json_t *tags = json_object_get(fields, "tags");
    const char *name = mlflow_text(fields, "run_name"),
               *tagged = tag_in(tags, "mlflow.runName"),
               *user = mlflow_text(fields, "user_id");
    int64_t start_ms = 0;
    char made[32];
    if (mlflow_take_experiment(s, mlflow_text(fields, "experiment_id"), &x, e) < 0 ||
        check_names(name, tagged, e) < 0)
        return -1;
    if (x.deleted)
        return mlflow_fail(
            e, MLFLOW_INVALID_PARAMETER_VALUE,
            "The experiment %s must be in the 'active' state. Current state "
            "is deleted.",
            x.shown);
    mlflow_random_name(made);
    if (!mlflow_as_int(json_object_get(fields, "start_time"), &start_ms) || start_ms <= 0)
        start_ms = clock_wall_ms();
    int rc = add_run(s, x.id, start_ms, &r, e);
    if (rc == 0 && *user)
        rc = mlflow_put_tag(s, &r, "mlflow.user", user, "user_id", e);
    if (rc == 0)
        rc = mlflow_put_tags(s, &r, tags, e);
    if (rc == 0 && !*tagged)
        rc = mlflow_put_tag(s, &r, "mlflow.runName", *name ? name : made, "run_name", e);
    return rc < 0 ? rc : answer_run(s, r.run, answer, e);
}

CALL(run_get)
{
    struct mlflow_run r;
    if (mlflow_find_run(s, fields, &r, e) < 0)
        return -1;
    return answer_run(s, r.run, answer, e);
}

/* ---- update ---- */

static int find_status(const json_t *fields, int *at, struct mlflow_error *e)
{
    const char *status = mlflow_text(fields, "status");
    *at = -1;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (str_eq(statuses[i].status, status))
            *at = (int)i;
    if (*status && *at < 0)
        return mlflow_fail(
            e, MLFLOW_INVALID_PARAMETER_VALUE,
            "Invalid value \"%.100s\" for parameter 'status' supplied: it is "
            "none of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED.",
            status);
    return 0;
}

/* Of a run that is none of a client's its own process says how it ends, and nobody later. */
static int set_status(struct store *s, const struct mlflow_run *r, enum trial_state state,
                      const struct arg *end, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    const int64_t now = clock_wall_ms();
    const bool ended = state != TRIAL_running && state != TRIAL_preempted;
    if (!r->foreign)
        return 0;
    const struct arg at = !ended                 ? (struct arg){ARG_NULL, 0, 0, 0}
                          : end->type == ARG_INT ? *end
                                                 : (struct arg)A_INT(now);
    const char *name = trial_state_name(state);
    int rc = store_exec(
        s, sql[END_RUN],
        ARGS(A_INT(r->run), A_TEXT(name), at, A_INT(now), A_INT(now + MLFLOW_LEASE_MS)),
        &err);
    if (rc >= 0)
        rc = store_exec(s, sql[END_TRIAL],
                        ARGS(A_INT(r->trial), A_TEXT(name), A_INT(r->run)), &err);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

static int answer_info(struct store *s, int64_t run, struct buf *answer,
                       struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    json_t *tree = run_text_tree(s, run, &err);
    if (!tree)
        return mlflow_fail_store(e, &err);
    json_t *whole = json_pack("{s:O}", "run_info", json_object_get(tree, "info"));
    json_write(answer, whole, 0);
    json_decref(whole);
    json_decref(tree);
    return 0;
}

CALL(run_update)
{
    struct err err = ERR_INIT;
    struct mlflow_run r;
    struct arg end = {ARG_NULL, 0, 0, 0};
    const char *name = mlflow_text(fields, "run_name");
    int at = -1;
    if (mlflow_find_active_run(s, fields, &r, e) < 0 || find_status(fields, &at, e) < 0)
        return -1;
    if (mlflow_as_int(json_object_get(fields, "end_time"), &end.i))
        end.type = ARG_INT;
    if (end.i < 0)
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "Invalid value %lld for parameter 'end_time' supplied: it "
                           "must be nonnegative",
                           (long long)end.i);
    int rc =
        at >= 0 ? set_status(s, &r, statuses[at].state, &end, e) : mlflow_touch(s, &r, e);
    if (rc == 0 && at < 0 && end.type == ARG_INT && r.foreign &&
        store_exec(s, sql[SET_END], ARGS(A_INT(r.run), end), &err) < 0)
        rc = mlflow_fail_store(e, &err);
    if (rc == 0 && *name)
        rc = mlflow_put_tag(s, &r, "mlflow.runName", name, "run_name", e);
    return rc < 0 ? rc : answer_info(s, r.run, answer, e);
}

/* ---- delete ---- */

static int mark(struct store *s, int64_t trial, struct arg at, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    const int rc = store_exec(s, sql[MARK], ARGS(A_INT(trial), at), &err);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

/* All attempts of its trial with it: they are one thing in every list. */
CALL(run_delete)
{
    (void)answer;
    struct mlflow_run r;
    if (mlflow_find_run(s, fields, &r, e) < 0)
        return -1;
    if (!r.foreign && r.trial_runs)
        return mlflow_fail(
            e, MLFLOW_RESOURCE_CONFLICT,
            "The run %s is trial %lld of peftlab, which is running; stop it "
            "first",
            r.id, (long long)r.trial);
    return mark(s, r.trial, (struct arg)A_INT(clock_wall_ms()), e);
}

CALL(run_restore)
{
    (void)answer;
    struct mlflow_run r;
    if (mlflow_find_run(s, fields, &r, e) < 0)
        return -1;
    return mark(s, r.trial, (struct arg){ARG_NULL, 0, 0, 0}, e);
}

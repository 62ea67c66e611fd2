/* tracker/mlflow/mlflow_api.c - the table of MLflow's calls, errors, and one call from its
 * fields to its answer. */
#include "tracker/mlflow/mlflow_api.h"
#include "tracker/mlflow/calls/mlflow_experiment.h"
#include "tracker/mlflow/mlflow_inner.h"
#include "tracker/mlflow/search/search.h"
#include <stdarg.h>
#include <stdio.h>

/* ---- errors ---- */

static const struct {
    const char *name;
    int status;
} codes[] = {
#define X(name, status) [MLFLOW_##name] = {#name, status},
    MLFLOW_CODES(X)
#undef X
};

int mlflow_code_status(enum mlflow_code code)
{
    return codes[code].status;
}

int mlflow_fail(struct mlflow_error *e, enum mlflow_code code, const char *fmt, ...)
{
    va_list ap;
    if (e->message[0])
        return -1;
    e->code = code;
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    if (!e->message[0])
        snprintf(e->message, sizeof e->message, "failed");
    return -1;
}

int mlflow_fail_store(struct mlflow_error *e, const struct err *err)
{
    static const struct {
        enum err_code from;
        enum mlflow_code to;
    } known[] = {{ERR_BUSY, MLFLOW_TEMPORARILY_UNAVAILABLE},
                 {ERR_IO, MLFLOW_TEMPORARILY_UNAVAILABLE},
                 {ERR_USAGE, MLFLOW_INVALID_PARAMETER_VALUE},
                 {ERR_CONFIG, MLFLOW_INVALID_PARAMETER_VALUE},
                 {ERR_NOINPUT, MLFLOW_RESOURCE_DOES_NOT_EXIST}};
    enum mlflow_code code = MLFLOW_INTERNAL_ERROR;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].from == err->code)
            code = known[i].to;
    return mlflow_fail(e, code, "%s", err->msg);
}

json_t *mlflow_error_json(const struct mlflow_error *e)
{
    struct buf text = BUF_INIT;
    json_put_string(&text, e->message, strlen(e->message)); /* a cut letter is repaired */
    json_t *message = json_loads(buf_str(&text), JSON_DECODE_ANY, NULL),
           *o = json_pack("{s:s, s:o?}", "error_code", codes[e->code].name, "message",
                          message);
    buf_release(&text);
    return o;
}

/* ---- calls that are found elsewhere ---- */

static int search_runs_call(struct store *s, const json_t *fields, struct buf *answer,
                            struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    const int rc = search_runs_answer(s, fields, answer, &err);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

static int search_experiments_call(struct store *s, const json_t *fields,
                                   struct buf *answer, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    struct search_page page = {0};
    json_t *list = json_array(), *whole = json_object();
    int rc = search_experiments(s, fields, &page, &err);
    for (size_t i = 0; i < page.count && rc == 0; i++) {
        json_t *x = mlflow_experiment_json(s, page.ids[i], &err);
        rc = x ? json_array_append_new(list, x) : -1;
    }
    if (json_array_size(list))
        json_object_set(whole, "experiments", list);
    if (page.next)
        json_object_set_new(whole, "next_page_token", json_string(page.next));
    if (rc == 0)
        json_write(answer, whole, 0);
    search_page_release(&page);
    json_decref(list);
    json_decref(whole);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

/* There are no logged models: clients ask before each download. */
static int nothing(struct store *s, const json_t *fields, struct buf *answer,
                   struct mlflow_error *e)
{
    (void)s, (void)fields, (void)answer, (void)e;
    return 0;
}

/* ---- the table ---- */

#define TEXT(name)                                                                       \
    {                                                                                    \
        name, MLFLOW_TEXT, false                                                         \
    }
#define NEED(name)                                                                       \
    {                                                                                    \
        name, MLFLOW_TEXT, true                                                          \
    }
#define INT(name)                                                                        \
    {                                                                                    \
        name, MLFLOW_INT, false                                                          \
    }
#define LIST(name)                                                                       \
    {                                                                                    \
        name, MLFLOW_LIST, false                                                         \
    }
#define ANY(name)                                                                        \
    {                                                                                    \
        name, MLFLOW_ANY, false                                                          \
    }
#define FIELDS(name) static const struct mlflow_field name[]
#define END                                                                              \
    {                                                                                    \
        NULL, MLFLOW_TEXT, false                                                         \
    }

FIELDS(of_nothing) = {END};
FIELDS(of_experiment) = {NEED("experiment_id"), END};
FIELDS(of_new_experiment) = {NEED("name"), TEXT("artifact_location"), LIST("tags"), END};
FIELDS(of_named) = {NEED("experiment_name"), END};
FIELDS(of_renamed) = {NEED("experiment_id"), NEED("new_name"), END};
FIELDS(of_experiment_tag) = {NEED("experiment_id"), NEED("key"), TEXT("value"), END};
FIELDS(of_experiments) = {INT("max_results"), TEXT("page_token"), TEXT("filter"),
                          LIST("order_by"),   ANY("view_type"),   END};
FIELDS(of_run) = {NEED("run_id"), END};
FIELDS(of_new_run) = {TEXT("experiment_id"), TEXT("user_id"), TEXT("run_name"),
                      INT("start_time"),     LIST("tags"),    END};
FIELDS(of_update) = {NEED("run_id"), TEXT("status"), INT("end_time"), TEXT("run_name"),
                     END};
FIELDS(of_metric) = {NEED("run_id"),
                     NEED("key"),
                     {"value", MLFLOW_NUMBER, true},
                     {"timestamp", MLFLOW_INT, true},
                     INT("step"),
                     END};
FIELDS(of_tag) = {NEED("run_id"), NEED("key"), TEXT("value"), END};
FIELDS(of_batch) = {NEED("run_id"), LIST("metrics"), LIST("params"), LIST("tags"), END};
FIELDS(of_inputs) = {NEED("run_id"), LIST("datasets"), LIST("models"), END};
FIELDS(of_runs) = {LIST("experiment_ids"),
                   TEXT("filter"),
                   INT("max_results"),
                   LIST("order_by"),
                   TEXT("page_token"),
                   ANY("run_view_type"),
                   END};
FIELDS(of_history) = {NEED("run_id"), NEED("metric_key"), INT("max_results"),
                      TEXT("page_token"), END};
FIELDS(of_files) = {NEED("run_id"), TEXT("path"), TEXT("page_token"), END};
FIELDS(of_bulk) = {LIST("run_id"), TEXT("metric_key"), INT("max_results"), END};
FIELDS(of_interval) = {{"run_ids", MLFLOW_LIST, true},
                       NEED("metric_key"),
                       INT("start_step"),
                       INT("end_step"),
                       INT("max_results"),
                       END};

/* clang-format off */
static const struct mlflow_route routes[] = {
    {"POST", "experiments/create", true, of_new_experiment, mlflow_experiment_create},
    {"GET", "experiments/get", false, of_experiment, mlflow_experiment_get},
    {"GET", "experiments/get-by-name", false, of_named, mlflow_experiment_get_by_name},
    {"POST", "experiments/update", true, of_renamed, mlflow_experiment_update},
    {"POST", "experiments/delete", true, of_experiment, mlflow_experiment_delete},
    {"POST", "experiments/restore", true, of_experiment, mlflow_experiment_restore},
    {"POST", "experiments/set-experiment-tag", true, of_experiment_tag, mlflow_experiment_set_tag},
    {"POST", "experiments/delete-experiment-tag", true, of_experiment_tag, mlflow_experiment_delete_tag},
    {"POST", "experiments/search", false, of_experiments, search_experiments_call},
    {"GET", "experiments/search", false, of_experiments, search_experiments_call},
    {"POST", "runs/create", true, of_new_run, mlflow_run_create},
    {"POST", "runs/update", true, of_update, mlflow_run_update},
    {"GET", "runs/get", false, of_run, mlflow_run_get},
    {"POST", "runs/delete", true, of_run, mlflow_run_delete},
    {"POST", "runs/restore", true, of_run, mlflow_run_restore},
    {"POST", "runs/log-metric", true, of_metric, mlflow_log_metric},
    {"POST", "runs/log-parameter", true, of_tag, mlflow_log_param},
    {"POST", "runs/log-batch", true, of_batch, mlflow_log_batch},
    {"POST", "runs/set-tag", true, of_tag, mlflow_set_tag},
    {"POST", "runs/delete-tag", true, of_tag, mlflow_delete_tag},
    {"POST", "runs/log-inputs", true, of_inputs, mlflow_log_inputs},
    {"POST", "runs/search", false, of_runs, search_runs_call},
    {"GET", "metrics/get-history", false, of_history, mlflow_history},
    {"GET", "metrics/get-history-bulk", false, of_bulk, mlflow_history_bulk},
    {"GET", "metrics/get-history-bulk-interval", false, of_interval, mlflow_history_interval},
    {"GET", "artifacts/list", false, of_files, mlflow_list_artifacts},
    {"POST", "logged-models/search", false, of_nothing, nothing},
};
/* clang-format on */

const struct mlflow_route *mlflow_route_at(size_t i)
{
    return i < ARRAY_LEN(routes) ? &routes[i] : NULL;
}

/* ---- a call ---- */

static int write_call(struct store *s, const struct mlflow_route *route,
                      const json_t *fields, struct buf *answer, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    if (store_begin(s, &err) < 0)
        return mlflow_fail_store(e, &err);
    const int rc = route->call(s, fields, answer, e);
    if (store_end(s, rc, &err) < 0)
        mlflow_fail_store(e, &err); /* the call's own word stands before it */
    return e->message[0] ? -1 : 0;
}

int mlflow_call(struct store *s, const struct mlflow_route *route, const json_t *fields,
                struct buf *answer, struct mlflow_error *e)
{
    if (mlflow_check_fields(route->fields, fields, e) < 0)
        return -1;
    const int rc = route->writes ? write_call(s, route, fields, answer, e)
                                 : route->call(s, fields, answer, e);
    if (rc == 0 && answer->len == 0)
        buf_str_add(answer, "{}");
    return rc;
}

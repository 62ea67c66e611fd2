/* tracker/mlflow/calls/mlflow_metrics.c - runs/log-metric and log-batch.
 *
 * A step may have several values: `metric` has the last of them by time and value (NaN counts
 * as 0, as MLflow has it), metric_more the others; the same value again is one. The run's
 * summary has the latest value of each key, by step, at any time. */
#include "tracker/mlflow/mlflow_inner.h"
#include <float.h>
#include <math.h>
#include <stdio.h>

enum { ADD, FIND, REPLACE, LATEST, LATEST_BELOW };
#define KEEP " ON CONFLICT DO UPDATE SET value = excluded.value, kind = excluded.kind"
static const char *const sql[] = {
    [ADD] = "INSERT INTO metric (run, key, step, value, kind, at_ms) VALUES (?1, ?2, ?3, "
            "?4, ?5, ?6) ON CONFLICT DO NOTHING",
    [FIND] =
        "SELECT value, kind, at_ms FROM metric WHERE run = ?1 AND key = ?2 AND step = "
        "?3",
    [REPLACE] = "UPDATE metric SET value = ?4, kind = ?5, at_ms = ?6 WHERE run = ?1 AND "
                "key = ?2 AND step = ?3",
    [LATEST] =
        "INSERT INTO run_summary (run, key, value, kind) SELECT run, key, value, "
        "kind FROM metric WHERE run = ?1 AND key = ?2 ORDER BY step DESC LIMIT 1" KEEP,
    /* Steps below 0 alone. */
    [LATEST_BELOW] =
        "INSERT INTO run_summary (run, key, value, kind) SELECT run, key, iif(kind = 0, "
        "value, NULL), kind FROM metric_more WHERE run = ?1 AND key = ?2 ORDER BY step "
        "DESC, at_ms DESC, value DESC LIMIT 1" KEEP,
};

struct point {
    int64_t step, at_ms;
    double value;
    const char *key;
};

/* ---- reading requests ---- */

static int invalid(const char *path, const char *name, const json_t *v, const char *why,
                   struct mlflow_error *e)
{
    struct buf text = BUF_INIT;
    json_write(&text, v, 0);
    mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                "Invalid value %.300s for parameter '%s%s' supplied: %s", buf_str(&text),
                path, name, why);
    buf_release(&text);
    return -1;
}

static int missing(const char *path, const char *name, struct mlflow_error *e)
{
    return mlflow_fail(
        e, MLFLOW_INVALID_PARAMETER_VALUE,
        "Missing value for required parameter '%s%s'. See the API docs for "
        "more information about request parameters.",
        path, name);
}

/* `path`: "metrics[3].", or "" of one alone. */
static int read_point(const json_t *m, const char *path, struct point *p,
                      struct mlflow_error *e)
{
    const json_t *value = json_object_get(m, "value"),
                 *at = json_object_get(m, "timestamp"),
                 *step = json_object_get(m, "step");
    char where[48];
    *p = (struct point){.key = mlflow_text(m, "key")};
    if (!*p->key)
        return missing(path, "key", e);
    if (!value)
        return missing(path, "value", e);
    if (!at)
        return missing(path, "timestamp", e);
    if (!mlflow_as_number(value, &p->value))
        return invalid(path, "value", value,
                       "Please specify value as a valid double (64-bit floating point)",
                       e);
    if (!mlflow_as_int(at, &p->at_ms) || p->at_ms < 0)
        return invalid(path, "timestamp", at,
                       "Timestamp must be a nonnegative long (64-bit integer)", e);
    if (step && !json_is_null(step) && !mlflow_as_int(step, &p->step))
        return invalid(path, "step", step, "Step must be a valid long (64-bit integer).",
                       e);
    snprintf(where, sizeof where, "%sname", path);
    return mlflow_check_name(where, "Metric name", p->key, e);
}

/* ---- into the store ---- */

/* As MLflow compares them: NaN is 0, infinity the largest number. */
static double rank(double v)
{
    return isnan(v) ? 0 : v > DBL_MAX ? DBL_MAX : v < -DBL_MAX ? -DBL_MAX : v;
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static int put(struct store *s, const char *statement, int64_t run, int64_t key,
               const struct point *p, struct err *err)
{
    const enum value_kind kind = store_value_kind(p->value);
    struct arg value = A_REAL(p->value);
    if (kind != KIND_NUMBER)
        value.type = ARG_NULL;
    return store_exec(
        s, statement,
        ARGS(A_INT(run), A_INT(key), A_INT(p->step), value, A_INT(kind), A_INT(p->at_ms)),
        err);
}

/* The step has a value already. */
static int put_beside(struct store *s, int64_t run, int64_t key, const struct point *p,
                      struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    double old = NAN;
    int64_t at = -1; /* of ours nobody said when: it gives way */
    int rc = store_statement(s, sql[FIND], ARGS(A_INT(run), A_INT(key), A_INT(p->step)),
                             &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    if (rc > 0) {
        old = store_value(stmt, 0, 1);
        at = sqlite3_column_type(stmt, 2) == SQLITE_NULL ? -1
                                                         : sqlite3_column_int64(stmt, 2);
    }
    store_done(stmt);
    if (rc <= 0 || (at == p->at_ms && same(old, p->value)))
        return rc;
    if (at > p->at_ms || (at == p->at_ms && rank(old) >= rank(p->value)))
        return store_put_more(s, run, key, p->step, p->value, p->at_ms, err);
    rc = at < 0 ? 0 : store_put_more(s, run, key, p->step, old, at, err);
    return rc < 0 ? rc : put(s, sql[REPLACE], run, key, p, err);
}

static int put_point(struct store *s, int64_t run, int64_t key, const struct point *p,
                     struct err *err)
{
    if (p->step < 0)
        return store_put_more(s, run, key, p->step, p->value, p->at_ms, err);
    const int rc = put(s, sql[ADD], run, key, p, err);
    return rc != 0 ? rc : put_beside(s, run, key, p, err);
}

static int set_latest(struct store *s, int64_t run, int64_t key, struct err *err)
{
    const struct arg *args = ARGS(A_INT(run), A_INT(key));
    const int rc = store_exec(s, sql[LATEST], args, err);
    return rc != 0 ? rc : store_exec(s, sql[LATEST_BELOW], args, err);
}

static int put_points(struct store *s, int64_t run, const struct point *points,
                      size_t count, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    int64_t *keys = xcalloc(count + 1, sizeof *keys);
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc >= 0; i++) {
        size_t k = n;
        rc = store_metric_key(s, points[i].key, &keys[n], &err);
        if (rc >= 0)
            rc = put_point(s, run, keys[n], &points[i], &err);
        while (k > 0 && keys[k - 1] != keys[n])
            k--;
        n += k == 0;
    }
    for (size_t k = 0; k < n && rc >= 0; k++)
        rc = set_latest(s, run, keys[k], &err);
    free(keys);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

/* ---- the calls ---- */

CALL(log_metric)
{
    (void)answer;
    struct mlflow_run r;
    struct point p;
    if (read_point(fields, "", &p, e) < 0 ||
        mlflow_find_active_run(s, fields, &r, e) < 0 || mlflow_check_lease(&r, e) < 0 ||
        mlflow_touch(s, &r, e) < 0)
        return -1;
    return put_points(s, r.run, &p, 1, e);
}

enum { MOST_METRICS = 1000, MOST_PARAMS = 100, MOST_TAGS = 100, MOST = 1000 };

static int check_count(const char *what, size_t most, size_t count,
                       struct mlflow_error *e)
{
    if (count <= most)
        return 0;
    return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                       "A batch logging request can contain at most %zu %s. Got %zu %s. "
                       "Please split up %s across multiple requests and try again.",
                       most, what, count, what, what);
}

static int check_counts(const json_t *fields, struct mlflow_error *e)
{
    const size_t metrics = json_array_size(json_object_get(fields, "metrics")),
                 params = json_array_size(json_object_get(fields, "params")),
                 tags = json_array_size(json_object_get(fields, "tags"));
    if (check_count("metrics", MOST_METRICS, metrics, e) < 0 ||
        check_count("params", MOST_PARAMS, params, e) < 0 ||
        check_count("tags", MOST_TAGS, tags, e) < 0)
        return -1;
    return check_count("metrics, params, and tags", MOST, metrics + params + tags, e);
}

static int read_points(const json_t *list, struct point *points, struct mlflow_error *e)
{
    const json_t *m;
    size_t i;
    int rc = 0;
    json_array_foreach((json_t *)list, i, m)
    {
        char path[32];
        snprintf(path, sizeof path, "metrics[%zu].", i);
        if (rc == 0)
            rc = read_point(m, path, &points[i], e);
    }
    return rc;
}

CALL(log_batch)
{
    (void)answer;
    struct mlflow_run r;
    const json_t *metrics = json_object_get(fields, "metrics");
    const size_t count = json_array_size(metrics);
    if (check_counts(fields, e) < 0)
        return -1;
    struct point *points = xcalloc(count + 1, sizeof *points);
    int rc = read_points(metrics, points, e);
    if (rc == 0)
        rc = mlflow_find_active_run(s, fields, &r, e);
    if (rc == 0 && count > 0)
        rc = mlflow_check_lease(&r, e);
    if (rc == 0)
        rc = mlflow_touch(s, &r, e);
    if (rc == 0)
        rc = mlflow_put_params(s, &r, json_object_get(fields, "params"), false, e);
    if (rc == 0)
        rc = put_points(s, r.run, points, count, e);
    if (rc == 0)
        rc = mlflow_put_tags(s, &r, json_object_get(fields, "tags"), e);
    free(points);
    return rc;
}

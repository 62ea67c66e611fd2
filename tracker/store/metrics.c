/* tracker/store/metrics.c - what a run tells: numbers, environment, events, artifacts. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/secret/secret.h"
#include "tracker/store/store_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIND_KEY,
    ADD_KEY,
    ADD_POINT,
    ADD_MORE,
    ADD_SUMMARY,
    SET_ENVIRONMENT,
    SET_METHOD,
    ADD_EVENT,
    ADD_ARTIFACT,
};
/* The last value of a step wins: a run that resumes logs some steps again. */
static const char *const sql[] = {
    [FIND_KEY] = "SELECT id FROM metric_key WHERE name = ?1",
    [ADD_KEY] = "INSERT INTO metric_key (name) VALUES (?1) RETURNING id",
    [ADD_POINT] = ("INSERT INTO metric (run, key, step, value, kind, at_ms) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET "
                   "value = excluded.value, kind = excluded.kind, at_ms = "
                   "excluded.at_ms"),
    [ADD_MORE] = "INSERT OR IGNORE INTO metric_more (run, key, step, at_ms, value, kind) "
                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [ADD_SUMMARY] = ("INSERT INTO run_summary (run, key, value, kind) "
                     "VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
                     "value = excluded.value, kind = excluded.kind"),
    [SET_ENVIRONMENT] = "UPDATE run SET environment_json = ?2 WHERE id = ?1",
    [SET_METHOD] = "UPDATE run SET method_json = ?2 WHERE id = ?1",
    [ADD_EVENT] = "INSERT INTO event (run, at_ms, kind, text) VALUES (?1, ?2, ?3, ?4)",
    [ADD_ARTIFACT] = ("INSERT OR REPLACE INTO artifact (run, name, path, bytes, sha256, "
                      "at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
};

enum value_kind store_value_kind(double v)
{
    if (isnan(v))
        return KIND_NAN;
    if (isinf(v))
        return v > 0 ? KIND_INF : KIND_MINUS_INF;
    return v == 0 && signbit(v) ? KIND_MINUS_ZERO : KIND_NUMBER;
}

double store_value(sqlite3_stmt *stmt, int value_column, int kind_column)
{
    switch (sqlite3_column_int(stmt, kind_column)) {
    case KIND_NAN:
        return NAN;
    case KIND_INF:
        return INFINITY;
    case KIND_MINUS_INF:
        return -INFINITY;
    case KIND_MINUS_ZERO:
        return -0.0;
    default:
        return sqlite3_column_double(stmt, value_column);
    }
}

int store_metric_key(struct store *s, const char *name, int64_t *id, struct err *err)
{
    size_t n = name ? strlen(name) : 0;
    if (n && strmap_get(s->metric_keys, name, n, id))
        return 0;
    int rc = store_check_name("the metric", name, err);
    if (rc < 0)
        return rc;
    rc = store_int(s, sql[FIND_KEY], ARGS(A_TEXT(name)), id, err);
    if (rc == 0)
        rc = store_int(s, sql[ADD_KEY], ARGS(A_TEXT(name)), id, err);
    if (rc < 0)
        return rc;
    strmap_put(s->metric_keys, name, n, *id);
    return 0;
}

int store_put_metric(struct store *s, int64_t run, const struct metric_point *p,
                     struct err *err)
{
    return store_put_metric_at(s, run, p, -1, err);
}

int store_put_metric_at(struct store *s, int64_t run, const struct metric_point *p,
                        int64_t at_ms, struct err *err)
{
    int64_t key = 0;
    enum value_kind kind = store_value_kind(p->value);
    int rc = store_metric_key(s, p->key, &key, err);
    if (rc < 0)
        return rc;
    struct arg value = A_REAL(p->value);
    if (kind != KIND_NUMBER)
        value.type = ARG_NULL;
    if (p->step < -1)
        return err_set(err, ERR_BUG, "step %lld of metric '%.100s'; this is a bug",
                       (long long)p->step, p->key);
    if (p->step == -1)
        rc = store_exec(s, sql[ADD_SUMMARY],
                        ARGS(A_INT(run), A_INT(key), value, A_INT(kind)), err);
    else
        rc = store_exec(s, sql[ADD_POINT],
                        ARGS(A_INT(run), A_INT(key), A_INT(p->step), value, A_INT(kind),
                             A_SIZE(at_ms)),
                        err);
    return rc < 0 ? rc : 0;
}

int store_put_more(struct store *s, int64_t run, int64_t key, int64_t step, double value,
                   int64_t at_ms, struct err *err)
{
    const enum value_kind kind = store_value_kind(value);
    const int rc = store_exec(s, sql[ADD_MORE],
                              ARGS(A_INT(run), A_INT(key), A_INT(step), A_INT(at_ms),
                                   A_REAL(kind == KIND_NUMBER ? value : 0), A_INT(kind)),
                              err);
    return rc < 0 ? rc : 0;
}

int store_log_metrics(struct store *s, int64_t run, const struct metric_point *p,
                      size_t count, struct err *err)
{
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    rc = store_require_alive(s, run, err);
    for (size_t i = 0; i < count && rc >= 0; i++)
        rc = store_put_metric(s, run, &p[i], err);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

/* One statement on behalf of a living run. */
static int write_for_run(struct store *s, int64_t run, const char *text,
                         const struct arg *args, struct err *err)
{
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    rc = store_require_alive(s, run, err);
    if (rc == 0)
        rc = store_exec(s, text, args, err);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

static int set_json(struct store *s, int64_t run, int statement, const json_t *value,
                    struct err *err)
{
    struct buf text = BUF_INIT;
    json_write(&text, value, 0);
    int rc = write_for_run(s, run, sql[statement],
                           ARGS(A_INT(run), A_TEXT(buf_str(&text))), err);
    buf_release(&text);
    return rc;
}

int store_set_environment(struct store *s, int64_t run, const json_t *environment,
                          struct err *err)
{
    json_t *clean = secret_json(environment);
    int rc = set_json(s, run, SET_ENVIRONMENT, clean, err);
    json_decref(clean);
    return rc;
}

int store_set_method(struct store *s, int64_t run, const json_t *facts, struct err *err)
{
    return set_json(s, run, SET_METHOD, facts, err);
}

int store_log_event(struct store *s, int64_t run, const char *kind, const char *text,
                    struct err *err)
{
    int rc = store_check_name("the event", kind, err);
    if (rc < 0)
        return rc;
    char *repaired = store_repair_text(text ? text : "");
    rc = write_for_run(
        s, run, sql[ADD_EVENT],
        ARGS(A_INT(run), A_INT(clock_wall_ms()), A_TEXT(kind), A_TEXT(repaired)), err);
    free(repaired);
    return rc;
}

int store_log_artifact(struct store *s, int64_t run, const char *name, const char *path,
                       int64_t bytes, const char *sha256, struct err *err)
{
    int rc = store_check_name("the artifact", name, err);
    if (rc == 0)
        rc = store_check_name("the artifact's file", path, err);
    if (rc < 0)
        return rc;
    return write_for_run(s, run, sql[ADD_ARTIFACT],
                         ARGS(A_INT(run), A_TEXT(name), A_TEXT(path), A_SIZE(bytes),
                              A_TEXT(sha256), A_INT(clock_wall_ms())),
                         err);
}

/* tracker/mlflow/calls/mlflow_history.c - metrics/get-history, get-history-bulk and
 * get-history-bulk-interval: all values of a key, in pages, of many runs, or evenly chosen.
 *
 * A page's token is where it ended, so that what is logged in between moves nothing. A run
 * of ours whose steps have no times has all of them at its start; a value without a step
 * (a result) is one at step 0. */
#include "tracker/mlflow/mlflow_inner.h"
#include <math.h>
#include <stdio.h>

enum { KEY, BY_TIME, BY_STEP, COUNT, RESULT };
/* NaN sorts as 0 and infinity as the largest number, as in MLflow. */
#define VALUES                                                                           \
    "(SELECT ifnull(at_ms, ?3) AS at, step, CASE kind WHEN 2 THEN "                      \
    "1.7976931348623157e308 "                                                            \
    "WHEN 3 THEN -1.7976931348623157e308 ELSE ifnull(value, 0.0) END AS v, kind FROM "   \
    "metric WHERE run = ?1 AND key = ?2 UNION ALL SELECT at_ms, step, CASE kind WHEN 2 " \
    "THEN 1.7976931348623157e308 WHEN 3 THEN -1.7976931348623157e308 ELSE value END, "   \
    "kind FROM metric_more WHERE run = ?1 AND key = ?2)"
static const char *const sql[] = {
    [KEY] = "SELECT id FROM metric_key WHERE name = ?1",
    [BY_TIME] =
        "SELECT v, kind, at, step FROM " VALUES
        " WHERE (at, step, v, kind) > (?4, ?5, ?6, ?7) ORDER BY at, step, v, kind "
        "LIMIT ?8",
    [BY_STEP] = "SELECT v, kind, at, step FROM " VALUES
                " WHERE step BETWEEN ?4 AND ?5 ORDER BY step, at, v, kind",
    [COUNT] = "SELECT count(*) FROM " VALUES " WHERE step BETWEEN ?4 AND ?5",
    [RESULT] = "SELECT value, kind, ifnull(run.ended_ms, run.started_ms), 0 FROM "
               "run_summary JOIN run ON run.id = run_summary.run WHERE run = ?1 AND "
               "run_summary.key = ?2",
};

/* Where a page ended; the first begins before everything. */
struct place {
    int64_t at, step, kind;
    double v;
};
static const struct place before_all = {INT64_MIN, INT64_MIN, -1, -INFINITY};

/* ---- writing ---- */

struct writer {
    struct buf *out;
    const char *key, *run_id; /* run_id NULL: not told */
    size_t count;
};

static void write_point(struct writer *w, sqlite3_stmt *row)
{
    const double v = store_value(row, 0, 1);
    buf_str_add(w->out, w->count++ ? ", {\"key\": " : "{\"key\": ");
    json_put_string(w->out, w->key, strlen(w->key));
    if (isfinite(v)) {
        buf_str_add(w->out, ", \"value\": ");
        json_put_double(w->out, v);
    } else {
        buf_printf(w->out, ", \"value\": \"%s\"",
                   isnan(v) ? "NaN"
                   : v > 0  ? "Infinity"
                            : "-Infinity");
    }
    buf_printf(w->out, ", \"timestamp\": %lld, \"step\": %lld",
               (long long)sqlite3_column_int64(row, 2),
               (long long)sqlite3_column_int64(row, 3));
    if (w->run_id)
        buf_printf(w->out, ", \"run_id\": \"%s\"", w->run_id);
    buf_char(w->out, '}');
}

/* ---- tokens: base64 of [at, step, kind, v] ---- */

static char *token_make(const struct place *p)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "[%lld, %lld, %lld, ", (long long)p->at, (long long)p->step,
               (long long)p->kind);
    json_put_double(&text, p->v);
    buf_char(&text, ']');
    char *token = str_base64_encode(text.data, text.len);
    buf_release(&text);
    return token;
}

static int token_read(const char *token, struct place *out, struct mlflow_error *e)
{
    const size_t n = strlen(token);
    char *text = xcalloc(n + 1, 1);
    const int64_t size =
        n < 1000 ? str_base64_decode(token, n, (unsigned char *)text) : -1;
    json_t *list = size > 0 ? json_parse(text, (size_t)size, "token", NULL) : NULL;
    const bool ok = mlflow_as_int(json_array_get(list, 0), &out->at) &&
                    mlflow_as_int(json_array_get(list, 1), &out->step) &&
                    mlflow_as_int(json_array_get(list, 2), &out->kind) &&
                    mlflow_as_number(json_array_get(list, 3), &out->v);
    json_decref(list);
    free(text);
    return ok ? 0
              : mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                            "Invalid page token: it is none that this server gave");
}

/* ---- one run, in pages ---- */

static int metric_key(struct store *s, const char *name, int64_t *key, struct err *err)
{
    *key = 0;
    return store_int(s, sql[KEY], ARGS(A_TEXT(name)), key, err);
}

/* limit < 0: all. *more: where the page ended and something follows. */
static int write_page(struct store *s, const struct mlflow_run *r, int64_t key,
                      int64_t limit, struct place *from, bool *more, struct writer *w,
                      struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    const bool first = from->kind < 0;
    const size_t before = w->count;
    int rc = store_statement(s, sql[BY_TIME],
                             ARGS(A_INT(r->run), A_INT(key), A_INT(r->started_ms),
                                  A_INT(from->at), A_INT(from->step), A_REAL(from->v),
                                  A_INT(from->kind), A_INT(limit < 0 ? -1 : limit + 1)),
                             &stmt, err);
    *more = false;
    while (rc >= 0 && (rc = store_step(s, stmt, err)) > 0) {
        *more = limit >= 0 && (int64_t)(w->count - before) >= limit;
        if (*more)
            break;
        *from =
            (struct place){sqlite3_column_int64(stmt, 2), sqlite3_column_int64(stmt, 3),
                           sqlite3_column_int64(stmt, 1), sqlite3_column_double(stmt, 0)};
        write_point(w, stmt);
    }
    if (stmt)
        store_done(stmt);
    if (rc < 0 || !first || w->count > before || limit == 0)
        return rc;
    rc = store_statement(s, sql[RESULT], ARGS(A_INT(r->run), A_INT(key)), &stmt, err);
    if (rc == 0) {
        rc = store_step(s, stmt, err);
        if (rc > 0)
            write_point(w, stmt);
        store_done(stmt);
    }
    return rc;
}

/* A run that is not there has no values. 1: it is there; negative: the store failed. */
static int find_if_there(struct store *s, const json_t *named, struct mlflow_run *r,
                         struct mlflow_error *e)
{
    struct mlflow_error why = {0};
    if (mlflow_find_run(s, named, r, &why) == 0)
        return 1;
    return why.code == MLFLOW_RESOURCE_DOES_NOT_EXIST
               ? 0
               : mlflow_fail(e, why.code, "%s", why.message);
}

CALL(history)
{
    struct err err = ERR_INIT;
    struct mlflow_run r;
    struct place from = before_all;
    struct writer w = {.out = answer, .key = mlflow_text(fields, "metric_key")};
    const json_t *max = json_object_get(fields, "max_results");
    const char *token = mlflow_text(fields, "page_token");
    int64_t limit = -1, key = 0;
    bool more = false;
    if (max && mlflow_as_int(max, &limit) && limit <= 0)
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "Invalid value %lld for parameter 'max_results' supplied. It "
                           "must be a positive integer.",
                           (long long)limit);
    if (*token && token_read(token, &from, e) < 0)
        return -1;
    buf_str_add(answer, "{\"metrics\": [");
    int rc = metric_key(s, w.key, &key, &err);
    if (rc > 0)
        rc = find_if_there(s, fields, &r, e);
    if (rc > 0)
        rc = write_page(s, &r, key, limit, &from, &more, &w, &err);
    if (rc < 0)
        return mlflow_fail_store(e, &err); /* the call's own word stands before it */
    buf_char(answer, ']');
    if (more) {
        char *next = token_make(&from);
        buf_printf(answer, ", \"next_page_token\": \"%s\"", next);
        free(next);
    }
    buf_char(answer, '}');
    return 0;
}

/* ---- many runs ---- */

enum { MOST_RUNS = 100, MOST_VALUES = 25000, MOST_OF_RUN = 2500 };

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Texts of a list, sorted; borrowed, the array is the caller's. */
static const char **sorted_texts(const json_t *list)
{
    const size_t n = json_array_size(list);
    const char **texts = xcalloc(n + 1, sizeof *texts);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        texts[i] = text ? text : "";
    }
    qsort(texts, n, sizeof *texts, by_text);
    return texts;
}

static int find_by_id(struct store *s, const char *id, struct mlflow_run *r,
                      struct mlflow_error *e)
{
    json_t *named = json_pack("{s:s}", "run_id", id);
    const int found = find_if_there(s, named, r, e);
    json_decref(named);
    return found;
}

CALL(history_bulk)
{
    struct err err = ERR_INIT;
    struct writer w = {.out = answer, .key = mlflow_text(fields, "metric_key")};
    const json_t *ids = json_object_get(fields, "run_id");
    const size_t n = json_array_size(ids);
    int64_t limit = MOST_VALUES, key = 0;
    if (n == 0)
        return mlflow_fail(
            e, MLFLOW_INVALID_PARAMETER_VALUE,
            "GetMetricHistoryBulk request must specify at least one run_id.");
    if (n > MOST_RUNS)
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "GetMetricHistoryBulk request cannot specify more than 100 "
                           "run_ids. Received %zu run_ids.",
                           n);
    if (!*w.key)
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "GetMetricHistoryBulk request must specify a metric_key.");
    if (!mlflow_as_int(json_object_get(fields, "max_results"), &limit) ||
        limit > MOST_VALUES || limit < 0)
        limit = MOST_VALUES;
    int rc = metric_key(s, w.key, &key, &err);
    const char **texts = sorted_texts(ids);
    buf_str_add(answer, "{\"metrics\": [");
    for (size_t i = 0; i < n && rc > 0; i++) {
        struct mlflow_run r;
        struct place from = before_all;
        bool more = false;
        if (i && str_eq(texts[i], texts[i - 1]))
            continue;
        int done = find_by_id(s, texts[i], &r, e);
        w.run_id = r.id;
        if (done > 0)
            done =
                write_page(s, &r, key, limit - (int64_t)w.count, &from, &more, &w, &err);
        rc = done < 0 ? done : rc;
    }
    free(texts);
    buf_str_add(answer, "]}");
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

/* ---- evenly chosen ---- */

struct range {
    int64_t first, last, most;
};

/* Of `count` values those that begin each of `most` equal parts, the last of them the very
 * last. */
static bool is_chosen(int64_t i, int64_t count, int64_t most, int64_t *part)
{
    const int64_t size = count / most, larger = count % most;
    if (count <= most)
        return true;
    if (*part == most - 1)
        return i == count - 1;
    const int64_t begin = *part * size + (*part < larger ? *part : larger);
    *part += i == begin;
    return i == begin;
}

static int write_chosen(struct store *s, const struct mlflow_run *r, int64_t key,
                        const struct range *x, struct writer *w, struct err *err)
{
    const struct arg *args = ARGS(A_INT(r->run), A_INT(key), A_INT(r->started_ms),
                                  A_INT(x->first), A_INT(x->last));
    sqlite3_stmt *stmt = NULL;
    int64_t count = 0, part = 0;
    int rc = store_int(s, sql[COUNT], args, &count, err);
    if (rc >= 0)
        rc = store_statement(s, sql[BY_STEP], args, &stmt, err);
    for (int64_t i = 0; rc >= 0 && (rc = store_step(s, stmt, err)) > 0; i++)
        if (is_chosen(i, count, x->most, &part))
            write_point(w, stmt);
    if (stmt)
        store_done(stmt);
    return rc;
}

static int read_range(const json_t *fields, struct range *x, struct mlflow_error *e)
{
    *x = (struct range){INT64_MIN, INT64_MAX, MOST_OF_RUN};
    const bool first = mlflow_as_int(json_object_get(fields, "start_step"), &x->first),
               last = mlflow_as_int(json_object_get(fields, "end_step"), &x->last);
    if (!first)
        x->first = INT64_MIN;
    if (!last)
        x->last = INT64_MAX;
    if (first != last)
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "If either start step or end step are specified, both must be "
                           "specified.");
    if (x->first > x->last)
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "end_step must be greater than start_step. Found "
                           "start_step=%lld and end_step=%lld.",
                           (long long)x->first, (long long)x->last);
    if (json_object_get(fields, "max_results") &&
        (!mlflow_as_int(json_object_get(fields, "max_results"), &x->most) ||
         x->most < 1 || x->most > MOST_OF_RUN))
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "max_results must be between 1 and 2500. See the API docs for "
                           "more information about request parameters.");
    return 0;
}

CALL(history_interval)
{
    struct err err = ERR_INIT;
    struct range x;
    struct writer w = {.out = answer, .key = mlflow_text(fields, "metric_key")};
    const json_t *ids = json_object_get(fields, "run_ids");
    const size_t n = json_array_size(ids);
    int64_t key = 0;
    if (n > MOST_RUNS)
        return mlflow_fail(
            e, MLFLOW_INVALID_PARAMETER_VALUE,
            "GetMetricHistoryBulkInterval request must specify at most 100 "
            "run_ids. Received %zu run_ids. See the API docs for more "
            "information about request parameters.",
            n);
    if (read_range(fields, &x, e) < 0)
        return -1;
    int rc = metric_key(s, w.key, &key, &err);
    buf_str_add(answer, "{\"metrics\": [");
    for (size_t i = 0; i < n && rc > 0; i++) {
        struct mlflow_run r;
        const char *id = json_string_value(json_array_get(ids, i));
        int done = id ? find_by_id(s, id, &r, e) : 0;
        w.run_id = r.id;
        if (done > 0)
            done = write_chosen(s, &r, key, &x, &w, &err);
        rc = done < 0 ? done : rc;
    }
    buf_str_add(answer, "]}");
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

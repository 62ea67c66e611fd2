/* tracker/live/table_values.c - the numbers of a table's trials.
 *
 * Summary values of all come by one statement. Trials that run, and those that never came
 * to an end, have none: of these the last value of each series is looked up by the
 * primary key (run, key, step), key by key, which reads no other point. The lowest,
 * highest or best of a series reads all its points, so only of the metrics that are
 * wanted. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/live/table_parts.h"
#include <math.h>
#include <stdlib.h>

#define SUMMARY                                                                          \
    "SELECT t.id, m.key, m.value, m.kind FROM trial AS t JOIN run_summary AS m ON "      \
    "m.run = t.summary_run "
enum { OF_ALL, OF_SWEEP, OF_EXPERIMENT, NEXT_KEY, LAST_OF, EXTREMES, KEYS };
static const char *const sql[] = {
    [OF_ALL] = SUMMARY,
    [OF_SWEEP] = SUMMARY "WHERE t.sweep = ?1",
    [OF_EXPERIMENT] = SUMMARY "WHERE t.experiment = ?1",
    [NEXT_KEY] = "SELECT min(key) FROM metric WHERE run = ?1 AND key > ?2",
    [LAST_OF] =
        "SELECT value, kind FROM metric WHERE run = ?1 AND key = ?2 ORDER BY step "
        "DESC LIMIT 1",
    [EXTREMES] = "SELECT min(value), max(value) FROM metric WHERE run = ?1 AND key = ?2 "
                 "AND kind IN (0, 4)",
    [KEYS] = "SELECT id, name FROM metric_key",
};

static int read_keys(struct table *t, struct err *err)
{
    sqlite3_stmt *stmt;
    size_t cap = 0;
    int rc = store_statement(t->store, sql[KEYS], NULL, &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(t->store, stmt, err)) > 0) {
        const size_t id = (size_t)sqlite3_column_int64(stmt, 0);
        t->key_names = xgrow(t->key_names, &cap, id + 1, sizeof *t->key_names);
        for (; t->key_count <= id; t->key_count++)
            t->key_names[t->key_count] = NULL;
        t->key_names[id] = store_column_text(stmt, 1);
    }
    store_done(stmt);
    t->by_key = xcalloc(t->key_count + 1, sizeof *t->by_key);
    return rc;
}

static bool is_wanted(const struct table *t, const char *name)
{
    if (!t->query->keys)
        return true;
    for (size_t i = 0; i < json_array_size(t->query->keys); i++)
        if (str_eq(json_string_value(json_array_get(t->query->keys, i)), name))
            return true;
    return false;
}

/* *column of a metric's number; false: nobody wants it. */
static bool column_of(struct table *t, int64_t key, size_t *column)
{
    enum { UNWANTED = -1 };
    const size_t k = (size_t)key;
    if (k >= t->key_count || !t->key_names[k])
        return false;
    if (!t->by_key[k])
        t->by_key[k] = is_wanted(t, t->key_names[k])
                           ? 1 + table_column_of(t, COLUMN_KIND_METRIC, t->key_names[k])
                           : (size_t)UNWANTED;
    *column = t->by_key[k] - 1;
    return t->by_key[k] != (size_t)UNWANTED;
}

static int read_summaries(struct table *t, struct err *err)
{
    const struct live_query *q = t->query;
    const int of = q->sweep ? OF_SWEEP : q->experiment ? OF_EXPERIMENT : OF_ALL;
    const struct arg none[] = {{.type = ARG_END}};
    sqlite3_stmt *stmt;
    struct table_row *row = NULL;
    size_t column;
    int rc = store_statement(
        t->store, sql[of],
        of == OF_ALL ? none : ARGS(A_INT(of == OF_SWEEP ? q->sweep : q->experiment)),
        &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(t->store, stmt, err)) > 0) {
        const int64_t id = sqlite3_column_int64(stmt, 0);
        if (!row || row->id != id)
            row = table_row_of(t, id);
        if (!row || row->state == TRIAL_running)
            continue;
        row->summed = true;
        if (column_of(t, sqlite3_column_int64(stmt, 1), &column))
            table_put_number(t, row, column, store_value(stmt, 2, 3));
    }
    store_done(stmt);
    return rc;
}

/* ---- series ---- */

static int put_last(struct table *t, struct table_row *row, int64_t key, size_t column,
                    struct err *err)
{
    sqlite3_stmt *stmt;
    int rc = store_statement(t->store, sql[LAST_OF], ARGS(A_INT(row->run), A_INT(key)),
                             &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(t->store, stmt, err);
    if (rc > 0)
        table_put_number(t, row, column, store_value(stmt, 0, 1));
    store_done(stmt);
    return rc;
}

static int put_extreme(struct table *t, struct table_row *row, int64_t key, size_t column,
                       struct err *err)
{
    const enum live_summary wanted = t->query->summary;
    const bool low = wanted == LIVE_MIN || (wanted == LIVE_BEST &&
                                            t->columns[column].better == DIRECTION_LOWER);
    sqlite3_stmt *stmt;
    if (wanted == LIVE_BEST && t->columns[column].better == DIRECTION_UNKNOWN)
        return 0;
    int rc = store_statement(t->store, sql[EXTREMES], ARGS(A_INT(row->run), A_INT(key)),
                             &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(t->store, stmt, err);
    if (rc > 0 && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
        table_put_number(t, row, column, sqlite3_column_double(stmt, low ? 0 : 1));
    store_done(stmt);
    return rc;
}

/* The next series of a run behind this one: 1, or 0 where there is none. */
static int next_key(struct table *t, int64_t run, int64_t *key, struct err *err)
{
    sqlite3_stmt *stmt;
    int rc = store_statement(t->store, sql[NEXT_KEY], ARGS(A_INT(run), A_INT(*key)),
                             &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(t->store, stmt, err);
    const bool found = rc > 0 && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
    *key = found ? sqlite3_column_int64(stmt, 0) : 0;
    store_done(stmt);
    return rc < 0 ? rc : found;
}

static int read_series(struct table *t, struct table_row *row, struct err *err)
{
    int64_t key = 0;
    int rc;
    while ((rc = next_key(t, row->run, &key, err)) > 0) {
        size_t column;
        if (!column_of(t, key, &column))
            continue;
        if (!row->summed)
            rc = put_last(t, row, key, column, err);
        if (rc >= 0 && t->query->summary != LIVE_LAST)
            rc = put_extreme(t, row, key, column, err);
        if (rc < 0)
            break;
    }
    return rc;
}

int table_read_metrics(struct table *t, struct err *err)
{
    int rc = read_keys(t, err);
    if (rc >= 0)
        rc = read_summaries(t, err);
    for (size_t i = 0; i < t->count && rc >= 0; i++)
        if (t->rows[i].run && (!t->rows[i].summed || t->query->summary != LIVE_LAST))
            rc = read_series(t, &t->rows[i], err);
    return rc;
}

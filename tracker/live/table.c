/* tracker/live/table.c - the trials of an experiment or a sweep with all that they have,
 * and what of it varies; see live.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/live/table_parts.h"
#include "tracker/view/view.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS                                                                             \
    "SELECT id, sweep, run, seed, state, key, params, CASE WHEN sweep IS NULL THEN "     \
    "config END, note, " VIEW_METHOD ", sweep_name, number, attempts, started_ms, "      \
    "ended_ms, duration_ms, reason, predicted_s, predicted_bytes FROM trial_view "
#define TAGS "SELECT trial, key, value FROM tag_view "
enum { OF_ALL, OF_SWEEP, OF_EXPERIMENT };
static const char *const rows_sql[] = {
    [OF_ALL] = ROWS "ORDER BY id",
    [OF_SWEEP] = ROWS "WHERE sweep = ?1 ORDER BY id",
    [OF_EXPERIMENT] = ROWS "WHERE experiment = ?1 ORDER BY id",
};
static const char *const tags_sql[] = {
    [OF_ALL] = TAGS,
    [OF_SWEEP] = TAGS "WHERE trial IN (SELECT id FROM trial_view WHERE sweep = ?1)",
    [OF_EXPERIMENT] =
        TAGS "WHERE trial IN (SELECT id FROM trial_view WHERE experiment = ?1)",
};
/* Columns of rows_sql from 9 on are fields of every trial. */
enum {
    C_ID,
    C_SWEEP,
    C_RUN,
    C_SEED,
    C_STATE,
    C_KEY,
    C_PARAMS,
    C_CONFIG,
    C_NOTE,
    C_FIELDS
};
static const char *const fields[] = {
    "method",   "sweep_name",  "number", "attempts",    "started_ms",
    "ended_ms", "duration_ms", "reason", "predicted_s", "predicted_bytes",
};

int live_summary_from_name(const char *name)
{
    static const char *const names[] = {"last", "min", "max", "best"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i], name))
            return (int)i;
    return -1;
}

static int scope(const struct live_query *q)
{
    return q->sweep ? OF_SWEEP : q->experiment ? OF_EXPERIMENT : OF_ALL;
}

/* ---- columns ---- */

const char *const table_kind_names[] = {"field", "param", "metric"};

static bool is_main(const struct table *t, const char *key)
{
    for (size_t i = 0; i < json_array_size(t->objectives); i++)
        if (str_eq(json_get_str(json_array_get(t->objectives, i), "name", ""), key))
            return true;
    for (const char *const *m = view_main_metrics; *m; m++)
        if (str_eq(*m, key))
            return true;
    return false;
}

size_t table_column_of(struct table *t, enum column_kind kind, const char *key)
{
    int64_t at;
    char *name = xstrdup(key);
    while (strmap_get(t->by_name, name, strlen(name), &at)) {
        if (t->columns[at].kind == kind) {
            free(name);
            return (size_t)at;
        }
        char *other = xasprintf("%s (%s)", name, table_kind_names[kind]);
        free(name);
        name = other;
    }
    t->columns =
        xgrow(t->columns, &t->column_cap, t->column_count + 1, sizeof *t->columns);
    const bool metric = kind == COLUMN_KIND_METRIC;
    t->columns[t->column_count] = (struct table_column){
        .name = name,
        .key = xstrdup(key),
        .kind = kind,
        .better = metric ? objective_direction(t->objectives, key) : DIRECTION_UNKNOWN,
        .main = metric && is_main(t, key)};
    strmap_put(t->by_name, name, strlen(name), (int64_t)t->column_count);
    return t->column_count++;
}

/* 2 is 2.0, however it was written. */
static bool is_same(const json_t *a, const json_t *b)
{
    return json_is_number(a) && json_is_number(b)
               ? json_number_value(a) == json_number_value(b)
               : json_equal((json_t *)a, (json_t *)b);
}

void table_put(struct table *t, struct table_row *row, size_t column, json_t *value)
{
    struct table_column *c = &t->columns[column];
    if (!value || json_is_null(value)) {
        json_decref(value);
        return;
    }
    if (!c->first)
        c->first = json_incref(value);
    else if (!c->differs)
        c->differs = !is_same(c->first, value);
    c->present += !json_object_get(row->values, c->name);
    json_object_set_new(row->values, c->name, value);
}

double table_rounded(double x)
{
    if (!isfinite(x) || x == 0)
        return x;
    const double scale = pow(10, 8 - floor(log10(fabs(x)))),
                 rounded = isfinite(scale) ? nearbyint(x * scale) / scale : x;
    return isfinite(rounded) ? rounded : x;
}

static bool is_same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

void table_put_number(struct table *t, struct table_row *row, size_t column, double x)
{
    struct table_column *c = &t->columns[column];
    const size_t at = (size_t)(row - t->rows);
    if (!c->numbers) {
        c->numbers = xcalloc(t->count, sizeof *c->numbers);
        c->has = xcalloc(t->count, sizeof *c->has);
        c->first_number = x;
    }
    c->differs |= !is_same_number(c->first_number, x);
    c->present += !c->has[at];
    c->numbers[at] = x;
    c->has[at] = true;
}

bool table_varies(const struct table *t, const struct table_column *c)
{
    return c->differs || (c->present && c->present < t->count);
}

/* ---- rows ---- */

/* Without secrets; the caller's, NULL: there is none. */
static char *text_of(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    char *clean = text ? secret_json_text(text) : NULL;
    return clean ? clean : store_column_text(stmt, column);
}

static json_t *tree_of(sqlite3_stmt *stmt, int column)
{
    char *text = text_of(stmt, column);
    json_t *tree = text ? json_parse(text, strlen(text), "params", NULL) : NULL;
    free(text);
    return tree;
}

static json_t *string_of(sqlite3_stmt *stmt, int column)
{
    char *text = text_of(stmt, column);
    json_t *out = json_string(text);
    free(text);
    return out;
}

static json_t *cell_of(sqlite3_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(stmt, column));
    case SQLITE_FLOAT:
        return json_number_or_word(sqlite3_column_double(stmt, column));
    case SQLITE_TEXT:
        return string_of(stmt, column);
    default:
        return NULL;
    }
}

static void take_row(struct table *t, sqlite3_stmt *stmt, const size_t *field_columns)
{
    t->rows = xgrow(t->rows, &t->cap, t->count + 1, sizeof *t->rows);
    struct table_row *row = &t->rows[t->count++];
    const int state =
        trial_state_from_name((const char *)sqlite3_column_text(stmt, C_STATE));
    *row =
        (struct table_row){.id = sqlite3_column_int64(stmt, C_ID),
                           .sweep = sqlite3_column_int64(stmt, C_SWEEP),
                           .run = sqlite3_column_int64(stmt, C_RUN),
                           .seed = (uint64_t)sqlite3_column_int64(stmt, C_SEED),
                           .state = state < 0 ? TRIAL_waiting : (enum trial_state)state,
                           .key = store_column_text(stmt, C_KEY),
                           .params = tree_of(stmt, C_PARAMS),
                           .config = tree_of(stmt, C_CONFIG),
                           .note = text_of(stmt, C_NOTE),
                           .values = json_object()};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        table_put(t, row, field_columns[i], cell_of(stmt, C_FIELDS + (int)i));
}

/* A program that has only texts says numbers as texts. */
static json_t *typed(json_t *v)
{
    double x;
    if (json_is_string(v) && str_number(json_string_value(v), &x))
        return json_number_or_word(x);
    return json_incref(v);
}

static void take_params(struct table *t)
{
    json_t **params = xcalloc(t->count + 1, sizeof(json_t *));
    const json_t **configs = xcalloc(t->count + 1, sizeof(json_t *));
    for (size_t i = 0; i < t->count; i++) {
        params[i] = t->rows[i].params;
        configs[i] = t->rows[i].config;
    }
    view_fill_params(params, configs, t->count);
    for (size_t i = 0; i < t->count; i++) {
        const char *key;
        json_t *v;
        json_object_foreach(params[i], key, v)
        {
            if (!str_eq(key, "method")) /* a field of every trial says it */
                table_put(t, &t->rows[i], table_column_of(t, COLUMN_KIND_PARAM, key),
                          typed(v));
        }
        json_decref(t->rows[i].params);
        json_decref(t->rows[i].config);
        t->rows[i].params = t->rows[i].config = NULL;
    }
    free(params);
    free(configs);
}

static int read_rows(struct table *t, struct err *err)
{
    const int of = scope(t->query);
    const int64_t id = of == OF_SWEEP ? t->query->sweep : t->query->experiment;
    const struct arg none[] = {{.type = ARG_END}};
    size_t columns[ARRAY_LEN(fields)];
    sqlite3_stmt *stmt;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        columns[i] = table_column_of(t, COLUMN_KIND_FIELD, fields[i]);
    int rc = store_statement(t->store, rows_sql[of],
                             of == OF_ALL ? none : ARGS(A_INT(id)), &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(t->store, stmt, err)) > 0)
        take_row(t, stmt, columns);
    store_done(stmt);
    if (rc == 0)
        take_params(t);
    return rc;
}

struct table_row *table_row_of(const struct table *t, int64_t id)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (t->rows[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->count && t->rows[low].id == id ? &t->rows[low] : NULL;
}

static void take_tag(struct table_row *row, sqlite3_stmt *stmt)
{
    const char *key = (const char *)sqlite3_column_text(stmt, 1),
               *value = (const char *)sqlite3_column_text(stmt, 2);
    const bool hidden = key && value && secret_value(key, value);
    if (!row->tags)
        row->tags = json_object();
    json_object_set_new(row->tags, key,
                        hidden ? json_string(SECRET_SHOWN) : string_of(stmt, 2));
}

static int read_tags(struct table *t, struct err *err)
{
    const int of = scope(t->query);
    const int64_t id = of == OF_SWEEP ? t->query->sweep : t->query->experiment;
    const struct arg none[] = {{.type = ARG_END}};
    sqlite3_stmt *stmt;
    int rc = store_statement(t->store, tags_sql[of],
                             of == OF_ALL ? none : ARGS(A_INT(id)), &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(t->store, stmt, err)) > 0) {
        struct table_row *row = table_row_of(t, sqlite3_column_int64(stmt, 0));
        if (row)
            take_tag(row, stmt);
    }
    store_done(stmt);
    return rc;
}

/* The objectives of their sweeps; a table of a hundred sweeps goes by the newest ones. */
static int read_objectives(struct table *t, struct err *err)
{
    enum { MOST_SWEEPS = 50 };
    json_t *sweeps = json_array();
    int64_t last = 0;
    for (size_t i = t->count; i-- && json_array_size(sweeps) < MOST_SWEEPS;)
        if (t->rows[i].sweep && t->rows[i].sweep != last) {
            last = t->rows[i].sweep;
            json_array_append_new(sweeps, json_pack("{s:I}", "sweep", (json_int_t)last));
        }
    t->objectives = view_rows_objectives(t->store, sweeps, err);
    json_decref(sweeps);
    return t->objectives ? 0 : err_code(err);
}

static void release(struct table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct table_row *row = &t->rows[i];
        free(row->key);
        free(row->note);
        free(row->text);
        json_decref(row->params);
        json_decref(row->config);
        json_decref(row->values);
        json_decref(row->tags);
    }
    for (size_t i = 0; i < t->column_count; i++) {
        free(t->columns[i].name);
        free(t->columns[i].key);
        free(t->columns[i].numbers);
        free(t->columns[i].has);
        json_decref(t->columns[i].first);
    }
    for (size_t i = 0; i < t->key_count; i++)
        free(t->key_names[i]);
    free(t->key_names);
    free(t->by_key);
    free(t->rows);
    free(t->columns);
    strmap_free(t->by_name);
    json_decref(t->objectives);
}

int live_trials(struct store *s, const struct live_query *q, struct buf *out,
                struct err *err)
{
    struct table t = {.store = s, .query = q, .by_name = strmap_new()};
    size_t count = 0, *order = NULL;
    int rc = read_rows(&t, err);
    if (rc >= 0)
        rc = read_tags(&t, err);
    if (rc >= 0)
        rc = read_objectives(&t, err);
    if (rc >= 0)
        rc = table_read_metrics(&t, err);
    if (rc >= 0) {
        order = table_choose(&t, &count, err);
        rc = order ? 0 : err_code(err);
    }
    if (rc >= 0)
        table_answer(&t, order, count, out);
    free(order);
    release(&t);
    return rc;
}

json_t *live_names(struct store *s, int64_t sweep, int64_t experiment, const int64_t *ids,
                   size_t count, struct err *err)
{
    const struct live_query q = {.sweep = sweep, .experiment = sweep ? 0 : experiment};
    struct table t = {.store = s, .query = &q, .by_name = strmap_new()};
    json_t *out = NULL;
    int rc = read_rows(&t, err);
    if (rc >= 0)
        rc = read_tags(&t, err);
    if (rc >= 0)
        out = json_array();
    for (size_t i = 0; i < count && out; i++) {
        const struct table_row *row = table_row_of(&t, ids[i]);
        json_array_append_new(out, row ? table_name(&t, row) : json_null());
    }
    release(&t);
    return out;
}

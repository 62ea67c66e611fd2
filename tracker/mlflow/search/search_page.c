/* tracker/mlflow/search/search_page.c - a page of what a search found: it begins behind the row that
 * its token names, by the values of that row, not by counting. See search_priv.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "tracker/mlflow/search/search_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void search_page_release(struct search_page *page)
{
    free(page->ids);
    free(page->next);
    *page = (struct search_page){0};
}

/* ---- tokens ---- */

/* [k1, ..., kN, id] as a tree; NULL: no token of ours for a search like this. */
static json_t *read_token(const char *token, size_t values, struct err *err)
{
    const size_t n = strlen(token);
    unsigned char *text = n <= SEARCH_MAX_TOKEN ? xmalloc(3 * n / 4 + 4) : NULL;
    int64_t size = text ? str_base64_decode(token, n, text) : -1;
    json_t *at = size > 0
                     ? json_parse((const char *)text, (size_t)size, "page_token", NULL)
                     : NULL;
    free(text);
    if (json_array_size(at) == values && json_is_integer(json_array_get(at, values - 1)))
        return at;
    json_decref(at);
    err_set(err, ERR_USAGE, "Invalid page token '%.100s'", token);
    return NULL;
}

/* false: what is below every number, which JSON has no word for. */
static json_t *column_json(sqlite3_stmt *row, int column)
{
    double number;
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(row, column));
    case SQLITE_FLOAT:
        number = sqlite3_column_double(row, column);
        return isinf(number) ? json_false() : json_real(number);
    case SQLITE_TEXT:
        return json_string((const char *)sqlite3_column_text(row, column));
    default:
        return json_null();
    }
}

/* Columns: id, k1, ... kN. */
static char *make_token(sqlite3_stmt *row)
{
    struct buf text = BUF_INIT;
    json_t *at = json_array();
    for (int i = 1; i < sqlite3_column_count(row); i++)
        json_array_append_new(at, column_json(row, i));
    json_array_append_new(at, column_json(row, 0));
    json_write(&text, at, 0);
    json_decref(at);
    char *token = str_base64_encode(buf_str(&text), text.len);
    buf_release(&text);
    return token;
}

/* ---- order ---- */

static void bind_json(struct search_sql *q, const json_t *value)
{
    if (json_is_integer(value))
        search_sql_int(q, json_integer_value(value));
    else if (json_is_string(value))
        search_sql_text(q, json_string_value(value));
    else
        search_sql_real(q, json_is_false(value) ? -INFINITY : json_real_value(value));
}

/* "k1 IS ?1 AND k2 IS NULL AND ": the first `count` values are those of the token. */
static void add_equal(struct buf *text, const size_t *bound, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bound[i])
            buf_printf(text, "k%zu = ?%zu AND ", i + 1, bound[i]);
        else
            buf_printf(text, "k%zu IS NULL AND ", i + 1);
}

/* (k1 < v1 OR k1 IS NULL) OR (k1 = v1 AND (k2 ...)) OR ... OR (all the same AND id > i): NULL
 * is behind all values. Side by side, since SQL within SQL has a depth that it ends at. */
static void add_behind(struct search_sql *q, const struct search_keys *keys,
                       const json_t *at)
{
    size_t bound[SEARCH_MAX_ORDERS + 2] = {0}; /* numbers of the values; 0: NULL */
    buf_str_add(&q->text, " WHERE ");
    for (size_t i = 0; i < keys->count; i++) {
        const json_t *value = json_array_get(at, i);
        if (json_is_null(value))
            continue;
        buf_char(&q->text, '(');
        add_equal(&q->text, bound, i);
        buf_printf(&q->text, "(k%zu %c ", i + 1, keys->descending[i] ? '<' : '>');
        bind_json(q, value);
        bound[i] = q->count;
        buf_printf(&q->text, " OR k%zu IS NULL)) OR ", i + 1);
    }
    buf_char(&q->text, '(');
    add_equal(&q->text, bound, keys->count);
    buf_printf(&q->text, "id %c ", keys->descending[keys->count] ? '<' : '>');
    bind_json(q, json_array_get(at, keys->count));
    buf_char(&q->text, ')');
}

static void add_order(struct search_sql *q, const struct search_keys *keys)
{
    buf_str_add(&q->text, " ORDER BY ");
    for (size_t i = 0; i < keys->count; i++)
        buf_printf(&q->text, "k%zu %s NULLS LAST, ", i + 1,
                   keys->descending[i] ? "DESC" : "ASC");
    buf_printf(&q->text, "id%s", keys->descending[keys->count] ? " DESC" : "");
}

/* ---- rows ---- */

static int bind_all(struct search_sql *q, struct store *s, sqlite3_stmt *stmt,
                    struct err *err)
{
    for (size_t i = 0; i < q->count; i++) {
        const struct arg *a = &q->binds[i].value;
        const int at = (int)i + 1;
        int rc = a->type == ARG_INT    ? sqlite3_bind_int64(stmt, at, a->i)
                 : a->type == ARG_REAL ? sqlite3_bind_double(stmt, at, a->d)
                 : a->type == ARG_TEXT
                     ? sqlite3_bind_text(stmt, at, a->s, -1, SQLITE_STATIC)
                     : sqlite3_bind_null(stmt, at);
        if (rc != SQLITE_OK)
            return store_sql_error(s, rc, "bind a value", err);
    }
    return 0;
}

static int read_rows(struct store *s, sqlite3_stmt *stmt, size_t limit,
                     struct search_page *out, struct err *err)
{
    size_t cap = 0;
    int rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        if (out->count == limit)
            return 0;
        out->ids = xgrow(out->ids, &cap, out->count + 1, sizeof *out->ids);
        out->ids[out->count++] = sqlite3_column_int64(stmt, 0);
        if (out->count == limit)
            out->next = make_token(stmt);
    }
    free(out->next); /* nothing came behind it */
    out->next = NULL;
    return rc;
}

enum { STEPS_PER_LOOK = 100000 };

/* For who waits behind it: a thread of its own does not mean a processor of its own. */
static int is_late(void *end_s)
{
    return clock_mono_s() > *(const double *)end_s;
}

static int run_statement(struct search_sql *q, struct store *s, size_t limit,
                         struct search_page *out, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct err why = ERR_INIT;
    double end_s = clock_mono_s() + SEARCH_MAX_SECONDS;
    int rc = sqlite3_prepare_v2(s->db, buf_str(&q->text), (int)q->text.len, &stmt, NULL);
    rc = rc == SQLITE_OK ? bind_all(q, s, stmt, &why)
                         : store_sql_error(s, rc, "prepare a search", &why);
    sqlite3_progress_handler(s->db, STEPS_PER_LOOK, is_late, &end_s);
    if (rc == 0)
        rc = read_rows(s, stmt, limit, out, &why);
    sqlite3_progress_handler(s->db, 0, NULL, NULL);
    sqlite3_finalize(stmt);
    if (rc < 0 && is_late(&end_s))
        rc = err_set(err, ERR_USAGE, "search took longer than %d s; ask for less of it",
                     SEARCH_MAX_SECONDS);
    else if (rc < 0)
        err_set(err, why.code, "%s", why.msg);
    if (rc < 0)
        search_page_release(out);
    return rc;
}

int search_page_read(struct search_sql *q, struct store *s,
                     const struct search_keys *keys, size_t limit, const char *token,
                     struct search_page *out, struct err *err)
{
    json_t *at = NULL;
    *out = (struct search_page){0};
    if (token && *token && !(at = read_token(token, keys->count + 1, err)))
        return err_code(err);
    if (at) {
        char *inner = buf_detach(&q->text, NULL);
        buf_printf(&q->text, "WITH found AS MATERIALIZED (%s) SELECT * FROM found",
                   inner);
        free(inner);
        add_behind(q, keys, at);
    }
    add_order(q, keys);
    buf_printf(&q->text, " LIMIT %zu", limit + 1);
    json_decref(at);
    return run_statement(q, s, limit, out, err);
}

/* tracker/view/query.c - read-only SQL for readers.
 *
 * Four locks on one door: the statement must be read-only for SQLite, the connection is
 * query_only while it runs, an authorizer lets through nothing but reading (so ATTACH,
 * PRAGMA with side effects and extension loading are refused, which count as read-only
 * otherwise), and a second statement behind the first is refused.
 *
 * What comes out has no secrets (lib/secret/secret.h): texts and JSON are cleaned, and so is
 * `value` in a row whose `key` names one. Whoever needs a trial's own values, to run it,
 * takes them from store_get_trial and store_sweep_file. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_SQL_BYTES = 1 << 20, MAX_RESULT_BYTES = 256 << 20, STEPS_PER_LOOK = 100000 };

#define READ_LIMIT_S 300.0 /* of each query of a command that only reads */

/* Called every STEPS_PER_LOOK steps of SQLite's machine; other than 0 ends the statement.
 */
static int is_late(void *end_s)
{
    return clock_mono_s() > *(double *)end_s;
}

static bool pragma_only_reads(const char *name, const char *argument)
{
    static const char with_argument[] =
        "table_info|table_xinfo|table_list|index_list|index_info|index_xinfo|"
        "foreign_key_list|integrity_check|quick_check|foreign_key_check";
    static const char alone[] =
        "user_version|application_id|page_size|page_count|freelist_count|"
        "encoding|compile_options|database_list|function_list|table_list|"
        "integrity_check|quick_check|foreign_key_check|data_version";
    return str_in_list(name, argument ? with_argument : alone, '|');
}

static int authorize(void *ctx, int action, const char *a, const char *b,
                     const char *database, const char *view)
{
    (void)ctx;
    (void)database;
    (void)view;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return b && !strcmp(b, "load_extension") ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
        return pragma_only_reads(a, b) ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_UPDATE: /* asked when a table-valued function is first named; the other
                           locks hold for a real one */
        return a && !strcmp(a, "sqlite_master") ? SQLITE_OK : SQLITE_DENY;
    default:
        return SQLITE_DENY;
    }
}

static int refuse_sql(struct store *s, struct err *err)
{
    char *said = str_clean(sqlite3_errmsg(s->db), strlen(sqlite3_errmsg(s->db)));
    int rc =
        sqlite3_errcode(s->db) == SQLITE_AUTH
            ? err_set(err, ERR_USAGE,
                      "query refused: only reading is allowed, as by SELECT (%.300s)",
                      said)
            : err_set(err, ERR_USAGE,
                      "query: %.300s; 'peftlab query \"SELECT name, sql FROM "
                      "sqlite_schema\"' shows tables and views",
                      said);
    free(said);
    return rc;
}

static int prepare_one(struct store *s, const char *text, sqlite3_stmt **out,
                       struct err *err)
{
    const char *tail = text;
    *out = NULL;
    if (strlen(text) > MAX_SQL_BYTES)
        return err_set(err, ERR_USAGE, "query is longer than %d bytes", MAX_SQL_BYTES);
    while (*tail && !*out)
        if (sqlite3_prepare_v2(s->db, tail, -1, out, &tail) != SQLITE_OK)
            return refuse_sql(s, err);
    if (!*out)
        return err_set(err, ERR_USAGE, "query is empty");
    while (*tail) { /* white space and comments may follow */
        sqlite3_stmt *second = NULL;
        int rc = sqlite3_prepare_v2(s->db, tail, -1, &second, &tail);
        sqlite3_finalize(second);
        if (rc != SQLITE_OK || second)
            return err_set(err, ERR_USAGE, "query holds more than one statement");
    }
    if (!sqlite3_stmt_readonly(*out))
        return err_set(err, ERR_USAGE, "query refused: it would write to the store");
    return 0;
}

static int bind_json(struct store *s, sqlite3_stmt *stmt, const json_t *bind,
                     struct err *err)
{
    int wanted = sqlite3_bind_parameter_count(stmt);
    int given = (int)json_array_size(bind);
    if (given != wanted)
        return err_set(err, ERR_USAGE, "query has %d parameters, %d values were given",
                       wanted, given);
    for (int i = 0; i < given; i++) {
        const json_t *v = json_array_get(bind, (size_t)i);
        int rc = SQLITE_OK;
        if (json_is_integer(v))
            rc = sqlite3_bind_int64(stmt, i + 1, json_integer_value(v));
        else if (json_is_real(v))
            rc = sqlite3_bind_double(stmt, i + 1, json_real_value(v));
        else if (json_is_boolean(v))
            rc = sqlite3_bind_int(stmt, i + 1, json_is_true(v));
        else if (json_is_string(v))
            rc = sqlite3_bind_text(stmt, i + 1, json_string_value(v),
                                   (int)json_string_length(v), SQLITE_STATIC);
        else if (!json_is_null(v))
            return err_set(err, ERR_USAGE, "value %d of the query is a list or an object",
                           i + 1);
        if (rc != SQLITE_OK)
            return store_sql_error(s, rc, "bind a value", err);
    }
    return 0;
}

/* Text that is not UTF-8 (it can come from an expression) is repaired. */
static json_t *text_value(const char *text, size_t n)
{
    json_t *j = json_stringn(text, n);
    if (j)
        return j;
    struct buf quoted = BUF_INIT;
    json_put_string(&quoted, text, n);
    j = json_loads(buf_str(&quoted), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    buf_release(&quoted);
    return j ? j : json_null();
}

static json_t *blob_value(const unsigned char *bytes, size_t n)
{
    struct buf hex = BUF_INIT;
    for (size_t i = 0; i < n; i++)
        buf_printf(&hex, "%02x", bytes[i]);
    json_t *j = json_string(buf_str(&hex));
    buf_release(&hex);
    return j;
}

static json_t *column_value(sqlite3_stmt *stmt, int i)
{
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(stmt, i));
    case SQLITE_FLOAT:
        return json_number_or_word(sqlite3_column_double(stmt, i));
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(stmt, i);
        char *clean = secret_json_text(text);
        json_t *j = clean ? json_string(clean)
                          : text_value(text, (size_t)sqlite3_column_bytes(stmt, i));
        free(clean);
        return j;
    }
    case SQLITE_BLOB: {
        const void *bytes = sqlite3_column_blob(stmt, i);
        return blob_value(bytes, (size_t)sqlite3_column_bytes(stmt, i));
    }
    default:
        return json_null();
    }
}

/* A parameter or a tag as a row of its own: (key, value). */
static void hide_value_of_pair(sqlite3_stmt *stmt, int columns, json_t *row)
{
    int key = -1, value = -1;
    for (int i = 0; i < columns; i++) {
        const char *name = sqlite3_column_name(stmt, i);
        key = str_eq(name, "key") ? i : key;
        value = str_eq(name, "value") ? i : value;
    }
    const char *k = key < 0 ? NULL : json_string_value(json_array_get(row, (size_t)key));
    const char *v =
        value < 0 ? NULL : json_string_value(json_array_get(row, (size_t)value));
    if (k && v && secret_value(k, v))
        json_array_set_new(row, (size_t)value, json_string(SECRET_SHOWN));
}

static json_t *row_value(sqlite3_stmt *stmt, int columns, size_t *bytes)
{
    json_t *row = json_array();
    for (int i = 0; i < columns; i++) {
        json_array_append_new(row, column_value(stmt, i));
        *bytes += 16 + (size_t)sqlite3_column_bytes(stmt, i);
    }
    hide_value_of_pair(stmt, columns, row);
    return row;
}

static json_t *collect(struct store *s, sqlite3_stmt *stmt, size_t max_rows,
                       struct err *err)
{
    int columns = sqlite3_column_count(stmt), rc = 1;
    size_t bytes = 0;
    bool truncated = false;
    json_t *names = json_array(), *rows = json_array();
    for (int i = 0; i < columns; i++) {
        const char *name = sqlite3_column_name(stmt, i);
        json_array_append_new(names, text_value(name, strlen(name)));
    }
    while (!truncated && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        truncated = json_array_size(rows) >= max_rows || bytes > MAX_RESULT_BYTES;
        if (!truncated)
            json_array_append_new(rows, row_value(stmt, columns, &bytes));
    }
    if (truncated || rc == SQLITE_DONE)
        return json_pack("{s:o, s:o, s:b}", "columns", names, "rows", rows, "truncated",
                         truncated);
    json_decref(names);
    json_decref(rows);
    if ((rc & 0xff) == SQLITE_ERROR || (rc & 0xff) == SQLITE_AUTH ||
        (rc & 0xff) == SQLITE_READONLY)
        refuse_sql(s, err);
    else if ((rc & 0xff) == SQLITE_INTERRUPT)
        err_set(
            err, ERR_USAGE,
            "query took longer than its time limit; ask for less (or, 'peftlab query', "
            "give it more with --timeout SECONDS)");
    else
        store_sql_error(s, rc, "read", err);
    return NULL;
}

json_t *store_query(struct store *s, const char *text, const json_t *bind,
                    size_t max_rows, struct err *err)
{
    return store_query_within(s, text, bind, max_rows, s->writable ? 0 : READ_LIMIT_S,
                              err);
}

json_t *store_query_within(struct store *s, const char *text, const json_t *bind,
                           size_t max_rows, double limit_s, struct err *err)
{
    double end_s = clock_mono_s() + limit_s;
    sqlite3_stmt *stmt = NULL;
    json_t *result = NULL;
    if (s->writable && store_script(s, "PRAGMA query_only = ON", err) < 0)
        return NULL;
    sqlite3_set_authorizer(s->db, authorize, NULL);
    if (limit_s > 0)
        sqlite3_progress_handler(s->db, STEPS_PER_LOOK, is_late, &end_s);
    if (prepare_one(s, text, &stmt, err) == 0 && bind_json(s, stmt, bind, err) == 0)
        result = collect(s, stmt, max_rows, err);
    sqlite3_finalize(stmt);
    sqlite3_set_authorizer(s->db, NULL, NULL);
    sqlite3_progress_handler(s->db, 0, NULL, NULL);
    if (s->writable)
        store_script(s, "PRAGMA query_only = OFF", NULL);
    return result;
}

/* tracker/store/sql.c - statements, arguments and transactions of a store; see
 * store_priv.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "tracker/store/store_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int sqlite_code;
    enum err_code code;
    const char *hint;
} known_errors[] = {
    {SQLITE_BUSY, ERR_BUSY, "another process holds it; try again"},
    {SQLITE_LOCKED, ERR_BUSY, "another statement holds it; try again"},
    {SQLITE_FULL, ERR_IO, "the disk is full; make room and try again"},
    {SQLITE_IOERR, ERR_IO, "reading or writing failed"},
    {SQLITE_READONLY, ERR_IO, "it may not be written; check its permissions"},
    {SQLITE_CANTOPEN, ERR_IO, "it cannot be opened; check folder and permissions"},
    {SQLITE_PERM, ERR_IO, "access denied"},
    {SQLITE_NOTADB, ERR_PARSE, "it is not a peftlab store"},
    {SQLITE_CORRUPT, ERR_PARSE,
     "it is damaged; restore a backup or salvage with 'sqlite3 FILE .recover'"},
    {SQLITE_TOOBIG, ERR_CONFIG, "a value is too big"},
    {SQLITE_NOMEM, ERR_NOMEM, "not enough memory"},
};

int store_sql_error(struct store *s, int sqlite_code, const char *doing, struct err *err)
{
    const char *path = s->path, *said = s->db ? sqlite3_errmsg(s->db) : "";
    for (size_t i = 0; i < ARRAY_LEN(known_errors); i++)
        if (known_errors[i].sqlite_code == (sqlite_code & 0xff))
            return err_set(err, known_errors[i].code, "store '%s': cannot %s: %s (%s)",
                           path, doing, known_errors[i].hint, said);
    return err_set(err, ERR_BUG, "store '%s': cannot %s: %s; this is a bug", path, doing,
                   said);
}

static int find_or_prepare(struct store *s, const char *text, sqlite3_stmt **out,
                           struct err *err)
{
    for (size_t i = 0; i < s->cache_count; i++)
        if (s->cache[i].text == text) {
            *out = s->cache[i].stmt;
            return 0;
        }
    int rc = sqlite3_prepare_v3(s->db, text, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    if (rc != SQLITE_OK)
        return store_sql_error(s, rc, "prepare a statement", err);
    s->cache = xgrow(s->cache, &s->cache_cap, s->cache_count + 1, sizeof *s->cache);
    s->cache[s->cache_count++] = (struct store_statement){text, *out};
    return 0;
}

static int bind(sqlite3_stmt *stmt, int position, const struct arg *a)
{
    switch (a->type) {
    case ARG_INT:
        return sqlite3_bind_int64(stmt, position, a->i);
    case ARG_REAL:
        return sqlite3_bind_double(stmt, position, a->d);
    case ARG_TEXT:
        return sqlite3_bind_text(stmt, position, a->s, -1, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(stmt, position);
    }
}

int store_statement(struct store *s, const char *text, const struct arg *args,
                    sqlite3_stmt **out, struct err *err)
{
    int rc = find_or_prepare(s, text, out, err);
    if (rc < 0)
        return rc;
    for (int i = 0; args && args[i].type != ARG_END; i++) {
        rc = bind(*out, i + 1, &args[i]);
        if (rc != SQLITE_OK) {
            store_done(*out);
            return store_sql_error(s, rc, "bind a value", err);
        }
    }
    return 0;
}

int store_step(struct store *s, sqlite3_stmt *stmt, struct err *err)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : store_sql_error(s, rc, "read or write", err);
}

void store_done(sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

int store_exec(struct store *s, const char *text, const struct arg *args, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, text, args, &stmt, err);
    if (rc < 0)
        return rc;
    do
        rc = store_step(s, stmt, err);
    while (rc > 0);
    int changed = sqlite3_changes(s->db);
    store_done(stmt);
    return rc < 0 ? rc : changed;
}

int store_int(struct store *s, const char *text, const struct arg *args, int64_t *out,
              struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, text, args, &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    if (rc > 0)
        *out = sqlite3_column_int64(stmt, 0);
    store_done(stmt);
    return rc;
}

int store_script(struct store *s, const char *text, struct err *err)
{
    int rc = sqlite3_exec(s->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_sql_error(s, rc, "set it up", err);
}

char *store_column_text(sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);
    return text ? xstrdup((const char *)text) : NULL;
}

/* ---- transactions ---- */

/* After some failures (a full disk) SQLite has taken back the whole transaction by itself;
 * a savepoint would begin another then. */
static bool is_gone(struct store *s)
{
    return sqlite3_get_autocommit(s->db) != 0;
}

static int say_gone(struct store *s, struct err *err)
{
    return err_set(err, ERR_IO, "store '%s': what was being written was taken back",
                   s->path);
}

static int begin_within(struct store *s, struct err *err)
{
    int rc = is_gone(s) ? say_gone(s, err) : store_exec(s, "SAVEPOINT part", NULL, err);
    if (rc >= 0)
        s->depth++;
    return rc < 0 ? rc : 0;
}

int store_begin(struct store *s, struct err *err)
{
    if (!s->writable)
        return err_set(err, ERR_BUG, "store '%s' was opened for reading; this is a bug",
                       s->path);
    if (s->depth > 0)
        return begin_within(s, err);
    int rc = turn_take(s, STORE_BUSY_MS, err);
    if (rc < 0)
        return rc;
    rc = store_exec(s, "BEGIN IMMEDIATE", NULL, err);
    if (rc < 0) {
        turn_give(s);
        return rc;
    }
    s->depth = 1;
    return 0;
}

/* The log is written back once it has grown to about 4 MB, by whoever holds the turn. */
static void checkpoint_if_due(struct store *s)
{
    enum { DUE_PAGES = 1000 };
    if (s->wal_pages >= DUE_PAGES)
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

int store_commit(struct store *s, struct err *err)
{
    const bool within = s->depth > 1;
    int rc = is_gone(s) ? say_gone(s, err)
             : within   ? store_exec(s, "RELEASE part", NULL, err)
                        : store_exec(s, "COMMIT", NULL, err);
    if (rc < 0) {
        store_rollback(s);
        return rc;
    }
    s->depth--;
    if (within)
        return 0;
    checkpoint_if_due(s);
    turn_give(s);
    return 0;
}

void store_rollback(struct store *s)
{
    if (s->depth == 0)
        return;
    if (!is_gone(s) && s->depth > 1) {
        store_exec(s, "ROLLBACK TO part", NULL, NULL);
        store_exec(s, "RELEASE part", NULL, NULL);
    } else if (!is_gone(s)) {
        store_exec(s, "ROLLBACK", NULL, NULL);
    }
    strmap_free(s->metric_keys); /* may name keys that are not there now */
    s->metric_keys = strmap_new();
    if (--s->depth == 0)
        turn_give(s);
}

int store_end(struct store *s, int rc, struct err *err)
{
    if (rc < 0) {
        store_rollback(s);
        return rc;
    }
    int committed = store_commit(s, err);
    return committed < 0 ? committed : rc;
}

/* ---- texts ---- */

static bool is_utf8(const char *text, size_t n)
{
    json_t *j = json_stringn(text, n); /* jansson refuses what is not */
    json_decref(j);
    return j != NULL;
}

int store_check_name(const char *what, const char *name, struct err *err)
{
    if (!name || !*name)
        return err_set(err, ERR_CONFIG, "%s has an empty name", what);
    size_t n = strlen(name);
    if (n > STORE_MAX_NAME)
        return err_set(err, ERR_CONFIG, "name of %s is %zu bytes long, at most %d", what,
                       n, STORE_MAX_NAME);
    if (!is_utf8(name, n))
        return err_set(err, ERR_CONFIG, "name of %s is not valid UTF-8", what);
    return 0;
}

/* Without what its letters cannot be, and without more than there is room for. */
static char *repaired(const char *text)
{
    size_t n = strlen(text);
    bool cut = n > STORE_MAX_TEXT;
    if (!cut && is_utf8(text, n))
        return xstrdup(text);
    struct buf quoted = BUF_INIT;
    json_put_string(&quoted, text, cut ? STORE_MAX_TEXT : n); /* repairs UTF-8 */
    json_t *j = json_loads(buf_str(&quoted), JSON_DECODE_ANY, NULL);
    buf_release(&quoted);
    char *out = xasprintf("%s%s", j ? json_string_value(j) : "", cut ? " [cut]" : "");
    json_decref(j);
    return out;
}

char *store_repair_text(const char *text)
{
    if (!text)
        return NULL;
    char *clean = secret_text(text), *out = repaired(clean ? clean : text);
    free(clean);
    return out;
}

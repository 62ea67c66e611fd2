/* tracker/foreign/tables.c - see tables.h. */
#include "tracker/foreign/tables.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/foreign/found_files.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 3 };

static int sql_error(struct tables *t, struct err *err)
{
    const int rc = t->db ? sqlite3_errcode(t->db) & 0xff : SQLITE_NOMEM;
    const char *said = t->db ? sqlite3_errmsg(t->db) : "out of memory";
    if (rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT)
        return err_set(err, ERR_PARSE, "the file is damaged: %s", said);
    if (rc == SQLITE_ERROR)
        return err_set(err, ERR_CONFIG,
                       "its tables are not those that this program reads: %s", said);
    return err_set(err, ERR_IO, "cannot read it: %s", said);
}

/* ---- opening ---- */

/* The state of the file and its logs: what is not there is zeros. */
static void stamp_all(const char *path, struct fs_stamp stamps[UNNAMED_FILES])
{
    memset(stamps, 0, UNNAMED_FILES * sizeof *stamps);
    for (int i = 0; i < UNNAMED_FILES; i++) {
        char *name = xasprintf("%s%s", path, unnamed_endings[i]);
        fs_stamp(name, &stamps[i]);
        free(name);
    }
}

static int copy_all(struct tables *t, struct err *err)
{
    int rc = 0;
    for (int i = 0; i < UNNAMED_FILES && rc == 0; i++) {
        char *from = xasprintf("%s%s", t->path, unnamed_endings[i]);
        rc = unnamed_copy(t->copy, i, from, err);
        free(from);
    }
    return rc;
}

static int make_copy(struct tables *t, struct err *err)
{
    struct fs_stamp before[UNNAMED_FILES], after[UNNAMED_FILES];
    t->copy = unnamed_new(err);
    if (!t->copy)
        return err_code(err);
    for (int i = 0; i < TRIES; i++) {
        bool same = true;
        stamp_all(t->path, before);
        int rc = copy_all(t, err);
        if (rc < 0)
            return rc;
        stamp_all(t->path, after);
        for (size_t k = 0; k < ARRAY_LEN(before); k++)
            same = same && fs_stamp_eq(&before[k], &after[k]);
        if (same)
            return 0;
    }
    return err_set(err, ERR_BUSY, "it is written while it is copied; import it later");
}

/* SQLite's name for a file that nobody changes. */
static char *frozen_name(const char *path)
{
    struct buf name = BUF_INIT;
    char *whole = fs_absolute(path);
    buf_str_add(&name, "file://");
    for (const char *c = whole; *c; c++)
        if (strchr("?#%", *c))
            buf_printf(&name, "%%%02x", (unsigned char)*c);
        else
            buf_char(&name, *c);
    buf_str_add(&name, "?immutable=1");
    free(whole);
    return buf_detach(&name, NULL);
}

static int check_head(const char *path, struct err *err)
{
    static const char mark[] = "SQLite format 3"; /* with its NUL */
    char head[sizeof mark] = {0};
    if (!fs_exists(path) || fs_is_dir(path))
        return err_set(err, ERR_NOINPUT, "there is no such file");
    FILE *f = fs_size(path) > 0 ? fopen(path, "rbe") : NULL; /* a pipe's is 0 */
    const size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f)
        fclose(f);
    return n == sizeof head && !memcmp(head, mark, sizeof mark)
               ? 0
               : err_set(err, ERR_PARSE, "it is no SQLite file");
}

/* SQLite keeps a log beside a file that is written, or was when its writer was killed. */
static bool has_log(const char *path)
{
    bool yes = false;
    for (int i = 1; i < UNNAMED_FILES; i++) {
        char *log = xasprintf("%s%s", path, unnamed_endings[i]);
        yes = yes || fs_size(log) > 0;
        free(log);
    }
    return yes;
}

static int open_frozen(struct tables *t)
{
    char *name = frozen_name(t->path);
    const int rc = sqlite3_open_v2(
        name, &t->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    free(name);
    return rc;
}

/* `look`: only for what its schema is; that need not be of one moment with the rest. */
static int open_tables(struct tables *t, const char *path, bool look, struct err *err)
{
    *t = (struct tables){.path = path};
    int rc = check_head(path, err);
    if (rc == 0) {
        t->growing = found_is_growing(path);
        if (has_log(path) || (t->growing && !look))
            rc = make_copy(t, err);
    }
    if (rc == 0 &&
        (t->copy ? unnamed_open(t->copy, &t->db) : open_frozen(t)) != SQLITE_OK)
        rc = sql_error(t, err);
    if (rc == 0) {
        sqlite3_db_config(t->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(t->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(t->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        sqlite3_limit(t->db, SQLITE_LIMIT_LENGTH, TABLES_MAX_TEXT);
        if (sqlite3_exec(
                t->db, "PRAGMA cell_size_check = ON; SELECT count(*) FROM sqlite_schema",
                NULL, NULL, NULL))
            rc = sql_error(t, err);
    }
    if (rc < 0)
        tables_close(t);
    return rc;
}

int tables_open(struct tables *t, const char *path, struct err *err)
{
    return open_tables(t, path, false, err);
}

void tables_close(struct tables *t)
{
    sqlite3_close(t->db);
    unnamed_free(t->copy);
    *t = (struct tables){0};
}

/* ---- asking ---- */

int tables_each(struct tables *t, const char *sql, const char *text, int64_t number,
                tables_row *take, void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0, step = SQLITE_DONE;
    if (sqlite3_prepare_v2(t->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return sql_error(t, err);
    if (text)
        sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC);
    else if (sqlite3_bind_parameter_count(stmt) > 0)
        sqlite3_bind_int64(stmt, 1, number);
    while (rc >= 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
        rc = take(ctx, stmt, err);
    if (rc >= 0 && step != SQLITE_DONE)
        rc = sql_error(t, err);
    sqlite3_finalize(stmt);
    return rc < 0 ? rc : 0;
}

static int keep_text(void *ctx, sqlite3_stmt *row, struct err *err)
{
    char **out = ctx;
    (void)err;
    if (!*out && sqlite3_column_type(row, 0) != SQLITE_NULL)
        *out = xstrdup(column_text(row, 0, NULL));
    return 0;
}

char *tables_text(struct tables *t, const char *sql, const char *text, int64_t number)
{
    char *out = NULL;
    return tables_each(t, sql, text, number, keep_text, &out, NULL) < 0 ? free(out),
           NULL                                                         : out;
}

static bool is_there(struct tables *t, const char *sql, const char *name)
{
    char *found = tables_text(t, sql, name, 0);
    free(found);
    return found != NULL;
}

bool tables_has(struct tables *t, const char *table)
{
    return is_there(t,
                    "SELECT name FROM sqlite_schema WHERE name = ?1 AND type = 'table' "
                    "AND sql LIKE 'CREATE TABLE%'",
                    table);
}

bool tables_has_column(struct tables *t, const char *table, const char *column)
{
    char *sql =
        xasprintf("SELECT name FROM pragma_table_xinfo('%s') WHERE name = ?1", table);
    const bool yes = is_there(t, sql, column);
    free(sql);
    return yes;
}

/* The first of "a|b|c" that is not there, newly allocated; NULL: all are. */
static char *missing_of(struct tables *t, const char *names)
{
    for (const char *at = names; *at;) {
        const size_t n = strcspn(at, "|");
        char *name = xstrndup(at, n);
        if (!tables_has(t, name))
            return name;
        free(name);
        at += n + (at[n] == '|');
    }
    return NULL;
}

int tables_need(struct tables *t, const char *names, const char *what, struct err *err)
{
    char *missing = missing_of(t, names);
    const int rc = missing ? err_set(err, ERR_CONFIG, "it is no %s: it has no table '%s'",
                                     what, missing)
                           : 0;
    free(missing);
    return rc;
}

bool tables_look(const char *path, const char *names)
{
    struct tables t;
    if (open_tables(&t, path, true, NULL) < 0)
        return false;
    char *missing = missing_of(&t, names);
    const bool yes = !missing;
    free(missing);
    tables_close(&t);
    return yes;
}

const char *column_text(sqlite3_stmt *row, int column, size_t *len)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    if (len)
        *len = text ? (size_t)sqlite3_column_bytes(row, column) : 0;
    return text ? text : "";
}

bool column_is(sqlite3_stmt *row, int column, const char *text)
{
    return str_eq(column_text(row, column, NULL), text);
}

/* tracker/store/schema_check.c - whether the tables and views of a file are ours.
 *
 * A store may come from elsewhere, and SQL in its schema runs when it is read or written.
 * So what is ours must be as a store made here has it: tables by their columns (those that
 * were upgraded have another text), views and indexes by their text. Triggers and indexes
 * that are not ours are refused; tables and views under other names are left alone, since
 * nothing here reads them. */
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <stdlib.h>
#include <string.h>

static const char shapes_sql[] =
    "SELECT type, name, tbl_name, CASE type WHEN 'table' THEN (SELECT group_concat("
    "x.name || ' ' || x.type || ' ' || x.\"notnull\" || ' ' || ifnull(x.dflt_value, '-') "
    "|| ' ' || x.pk || ' ' || x.hidden, ', ') FROM pragma_table_xinfo(m.name) AS x) || "
    "iif(m.sql LIKE 'create virtual%', ' virtual', '') ELSE m.sql END FROM sqlite_schema "
    "AS m WHERE type IN ('view', 'trigger') OR name NOT LIKE 'sqlite~_%' ESCAPE '~'";

static const char *text_at(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

static char *shape_at(sqlite3_stmt *stmt)
{
    return xasprintf("%s %s", text_at(stmt, 0), text_at(stmt, 3));
}

/* name -> index into `shapes` of what a new store has */
struct expected {
    struct strmap *by_name;
    char *shapes[64];
    bool seen[64];
    char *names[64];
    size_t count;
};

static int expect(struct expected *e, sqlite3 *fresh, const char *const *scripts)
{
    sqlite3_stmt *stmt = NULL;
    int rc = SQLITE_OK;
    for (size_t i = 0; scripts[i] && rc == SQLITE_OK; i++)
        rc = sqlite3_exec(fresh, scripts[i], NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(fresh, shapes_sql, -1, &stmt, NULL);
    while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW &&
           e->count < ARRAY_LEN(e->shapes)) {
        const char *name = text_at(stmt, 1);
        strmap_put(e->by_name, name, strlen(name), (int64_t)e->count);
        e->names[e->count] = xstrdup(name);
        e->shapes[e->count++] = shape_at(stmt);
    }
    sqlite3_finalize(stmt);
    return rc;
}

static int not_ours(const struct store *s, const char *what, const char *name,
                    struct err *err)
{
    return err_set(
        err, ERR_PARSE,
        "store '%s' is not as peftlab makes one: %s '%.200s'; to read it all the "
        "same, take its tables out with 'sqlite3 FILE .dump' and look at them",
        s->path, what, name);
}

static int judge(const struct store *s, struct expected *e, sqlite3_stmt *stmt,
                 struct err *err)
{
    const char *type = text_at(stmt, 0), *name = text_at(stmt, 1), *of = text_at(stmt, 2);
    int64_t at, table;
    if (str_eq(type, "trigger"))
        return not_ours(s, "it has the trigger", name, err);
    if (!strmap_get(e->by_name, name, strlen(name), &at))
        return str_eq(type, "index") && strmap_get(e->by_name, of, strlen(of), &table)
                   ? not_ours(s, "it has the index", name, err)
                   : 0;
    char *shape = shape_at(stmt);
    const bool same = str_eq(shape, e->shapes[at]);
    free(shape);
    e->seen[at] = true;
    return same ? 0 : not_ours(s, "it has another", name, err);
}

static int compare(struct store *s, struct expected *e, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, shapes_sql, NULL, &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0 && (rc = judge(s, e, stmt, err)) == 0)
        ;
    store_done(stmt);
    for (size_t i = 0; i < e->count && rc == 0; i++)
        if (!e->seen[i])
            rc = not_ours(s, "it lacks", e->names[i], err);
    return rc;
}

int store_check_schema(struct store *s, const char *const *scripts, struct err *err)
{
    struct expected e = {.by_name = strmap_new()};
    sqlite3 *fresh = NULL;
    int rc = sqlite3_open(":memory:", &fresh) == SQLITE_OK &&
                     expect(&e, fresh, scripts) == SQLITE_OK
                 ? 0
                 : err_set(err, ERR_BUG, "the schema does not build; this is a bug");
    sqlite3_close(fresh);
    if (rc == 0)
        rc = compare(s, &e, err);
    for (size_t i = 0; i < e.count; i++) {
        free(e.shapes[i]);
        free(e.names[i]);
    }
    strmap_free(e.by_name);
    return rc;
}

/* tracker/foreign/tables.h - another tracker's SQLite file, only read.
 *
 * The file and its folder are left as they are: where no log of SQLite lies beside it and
 * nobody writes it, it is opened as one that does not change; else it and its log are copied
 * first (of one moment: copied again where they changed meanwhile), and the copy, which has
 * no name (unnamed.h), is read.
 *
 * It is not trusted: no extensions, no triggers, and only ordinary tables are asked (a view
 * may hide anything). Statements name their columns, so that a table that is not what the
 * reader knows is an error that says which column it lacks. Errors do not name the file,
 * whoever opens it does. */
#ifndef TRACKER_FOREIGN_TABLES_H
#define TRACKER_FOREIGN_TABLES_H

#include "lib/err.h"
#include "tracker/foreign/unnamed.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TABLES_MAX_TEXT = 64 << 20 }; /* bytes of a text; more is an error */

struct tables {
    sqlite3 *db;
    struct unnamed *copy; /* NULL: none */
    const char *path;     /* borrowed */
    bool growing;         /* somebody has it open for writing */
};
int tables_open(struct tables *t, const char *path, struct err *err);
void tables_close(struct tables *t);
/* Does the file look like an SQLite file with these tables ("studies|trials")? */
bool tables_look(const char *path, const char *names);
bool tables_has(struct tables *t, const char *table);
bool tables_has_column(struct tables *t, const char *table, const char *column);
/* An error where one of "a|b|c" is not there; `what` is whose they are. */
int tables_need(struct tables *t, const char *names, const char *what, struct err *err);

/* One row; a negative number ends it all. */
typedef int tables_row(void *ctx, sqlite3_stmt *row, struct err *err);
/* ?1 is `text`, or `number` where that is NULL. */
int tables_each(struct tables *t, const char *sql, const char *text, int64_t number,
                tables_row *take, void *ctx, struct err *err);
/* The first column of the first row as a text, newly allocated; NULL where there is none. */
char *tables_text(struct tables *t, const char *sql, const char *text, int64_t number);
/* A column as text ("" where it is NULL); whether it has this text. */
const char *column_text(sqlite3_stmt *row, int column, size_t *len);
bool column_is(sqlite3_stmt *row, int column, const char *text);

#endif

/* cli/store/store_view.h - what the commands share that read a store (ls, show, compare,
 * query): opening it, and printing the rows of tracker/view/view.h as a table, as fields or
 * as JSON (with "schema_version"). */
#ifndef CLI_STORE_STORE_VIEW_H
#define CLI_STORE_STORE_VIEW_H

#include "lib/config/opt.h"
#include "lib/err.h"
#include "tracker/view/view.h"

#define VIEW_SCHEMA_VERSION 1

/* Opens the store of --store for reading. */
int view_open(const json_t *values, struct store **out, struct err *err);
/* The same for writing; made when it is not there. */
int view_open_writable(const json_t *values, struct store **out, struct err *err);
int view_open_existing(const json_t *values, struct store **out, struct err *err);
/* A trial's number as written by the user. */
int view_trial_id(const char *word, int64_t *id, struct err *err);

/* Text of one value; `name` tells the unit by its ending (_bytes, _ms, _s). Caller
 * frees. */
char *view_text(const char *name, const json_t *value);
/* A table on stdout; columns is a list of names for view_value. `fitting`: the first that
 * fit into a terminal (text_table_print_fitting). */
void view_print_table(const json_t *rows, const json_t *columns, bool fitting);
/* "  name  value" of a row's own field, nothing when it has none. */
void view_field(const json_t *row, const char *column);
/* What stands above a column: times are shown as dates, durations as "2.3 s", so their
 * names lose "_ms". Caller frees. */
char *view_heading(const char *column);

/* Prints the object with schema_version in front and releases it. Returns 0. */
int view_print_json(json_t *object);

#endif

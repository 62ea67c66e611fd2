/* cli/store/store_view.h - what the commands share that read a store (ls, show, compare,
 * query).
 *
 * Rows come from the store's views as JSON objects; the same objects are printed as JSON
 * (with "schema_version") or as text. A number that is not one is the word "NaN",
 * "Infinity" or "-Infinity". */
#ifndef CLI_STORE_STORE_VIEW_H
#define CLI_STORE_STORE_VIEW_H

#include "lib/config/opt.h"
#include "lib/err.h"
#include "tracker/store/store.h"

#define VIEW_SCHEMA_VERSION 1

/* Opens the store of --store for reading. */
int view_open(const json_t *values, struct store **out, struct err *err);
/* The same for writing; made when it is not there. */
int view_open_writable(const json_t *values, struct store **out, struct err *err);
int view_open_existing(const json_t *values, struct store **out, struct err *err);
/* An experiment's number; the message names the nearest. */
int view_find_experiment(struct store *s, const char *name, int64_t *id, struct err *err);
/* A trial's number as written by the user. */
int view_trial_id(const char *word, int64_t *id, struct err *err);

/* Rows of a query as objects {column: value}; columns of JSON text named params, config
 * or environment are unfolded. `bind` is taken over (may be NULL). NULL on failure. */
json_t *view_rows(struct store *s, const char *sql, json_t *bind, size_t max_rows,
                  struct err *err);
/* Adds "metrics": {key: value} to each of the rows (objects with "id"), in the order of
 * main metrics first. */
int view_add_metrics(struct store *s, json_t *rows, struct err *err);

/* The metrics that tables show where present, best known first; ends with NULL. */
extern const char *const view_main_metrics[];
/* Lower values are better: losses, bytes, times. */
bool view_lower_is_better(const char *metric);

/* Text of one value; `name` tells the unit by its ending (_bytes, _ms, _s). Caller
 * frees. */
char *view_text(const char *name, const json_t *value);
/* The value of a column, parameter or metric of a row; NULL when it has none. */
const json_t *view_value(const json_t *row, const char *column);
/* A table on stdout; columns is a list of names for view_value. */
void view_print_table(const json_t *rows, const json_t *columns);
/* "  name  value" of a row's own field, nothing when it has none. */
void view_field(const json_t *row, const char *column);
/* What stands above a column: times are shown as dates, durations as "2.3 s", so their
 * names lose "_ms". Caller frees. */
char *view_heading(const char *column);

/* Prints the object with schema_version in front and releases it. Returns 0. */
int view_print_json(json_t *object);

#endif

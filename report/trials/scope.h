/* report/trials/scope.h - which trials a report is about, and the rows of the queries that
 * read them (inside report/trials).
 *
 * A report covers the sweeps and experiments that were named, without a name the newest
 * sweep, else the newest experiment. The queries know them by their numbers, which are
 * bound as two JSON lists. */
#ifndef REPORT_TRIALS_SCOPE_H
#define REPORT_TRIALS_SCOPE_H

#include "lib/buf.h"
#include "lib/err.h"
#include "report/trials/store_data.h"
#include "tracker/store/store.h"
#include <jansson.h>

struct rows {
    json_t *result, *columns, *list; /* the first is the caller's, the others are in it */
};

/* Runs a query (bind: taken over) and adds its rows to what the report's hash is taken of
 * (NULL: not). */
int rows_fetch(struct store *s, const char *sql, json_t *bind, struct rows *out,
               struct buf *hashed, struct err *err);
/* A cell by the name of its column; NULL, 0, "" where there is none. */
json_t *rows_cell(const struct rows *r, size_t row, const char *column);
int64_t rows_int(const struct rows *r, size_t row, const char *column);
const char *rows_text(const struct rows *r, size_t row, const char *column);
/* A JSON object that stands in a cell as text; the caller's, or NULL. */
json_t *rows_object(const struct rows *r, size_t row, const char *column);

/* Numbers of what a report covers, as JSON lists. */
struct scope_ids {
    json_t *sweeps, *experiments;
};
int scope_find(struct store *s, const struct report_scope *scope, struct scope_ids *ids,
               struct err *err);
/* The two lists as bound text: what IN_SCOPE reads. */
json_t *scope_bind(const struct scope_ids *ids);

#define IS_NAMED                                                                         \
    "(sweep IN (SELECT value FROM json_each(?1)) OR "                                    \
    "experiment IN (SELECT value FROM json_each(?2)))"
#define IN_SCOPE "(SELECT id FROM trial_view WHERE " IS_NAMED ")"

#endif

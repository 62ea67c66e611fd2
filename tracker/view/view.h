/* tracker/view/view.h - what readers of a store ask: lists of trials, sweeps and
 * experiments, everything about one trial, a series, what differs between a few.
 *
 * `ls`, `show` and `compare` print these rows; a page or a server prints the same rows
 * otherwise. Nobody else writes SELECTs for them. Rows are JSON objects {column: value} of
 * the store's views (docs/store.md); `params`, `config`, `environment` and `method_facts`
 * are trees, trials carry "metrics", "tags" and "method", the shown name of what they
 * were trained by (until they run, or where a program trains: the parameter of that
 * name). A number that is not one is the word "NaN",
 * "Infinity" or "-Infinity". Everything returned is a new reference, NULL on failure with
 * the error set: NOINPUT for what the store does not have, USAGE for what cannot be asked
 * (a column that no trial has). Free SQL of users is store_query (tracker/store/store.h).
 */
#ifndef TRACKER_VIEW_VIEW_H
#define TRACKER_VIEW_VIEW_H

#include "lib/err.h"
#include "tracker/store/store.h"
#include <jansson.h>

/* ---- lists ---- */

/* Filters are NULL where nobody asked. */
struct view_query {
    const char *experiment, *sweep; /* a name; of a sweep also its number */
    const char *state, *tag;        /* tag: KEY or KEY=VALUE */
    const char
        *sort;      /* a column, parameter or metric; best or least first. With ":asc" or
                         ":desc" behind it so; a metric that is not known to be better high
                         or low needs that (USAGE) */
    int64_t before; /* only trials with smaller numbers: the next page; 0: all */
    int64_t limit;  /* rows at most: by `sort`, else the newest, by number */
};
/* *total: how many there are without the limit. */
json_t *view_trials(struct store *s, const struct view_query *q, int64_t *total,
                    struct err *err);

enum view_group { VIEW_SWEEPS, VIEW_EXPERIMENTS };
json_t *view_groups(struct store *s, enum view_group kind, const char *experiment,
                    int64_t limit, struct err *err);

/* ---- columns of a list of trials: names for view_value ---- */

/* What matters most comes first, so that a narrow table may leave out the end: the method;
 * the metrics that their sweeps are judged by (`objectives`, may be NULL) and what the rows
 * are sorted by (may be NULL), else the best known metric that somebody has, else the first
 * few of any; the state where it varies; the parameters that vary over the rows; state and time; the other main
 * metrics. */
json_t *view_default_columns(const json_t *rows, const json_t *objectives,
                             const char *sort);
/* "a,b,c"; each must be a field or something that one of the rows has. */
json_t *view_chosen_columns(const json_t *rows, const char *list, struct err *err);
bool view_is_field(const char *name); /* a column of every trial */
/* The value of a column, parameter or metric of a row; NULL when it has none. */
const json_t *view_value(const json_t *row, const char *column);
/* The key of "KEY:asc" or "KEY:desc", for the caller; *given: 0 neither, 1 asc, -1 desc. */
char *view_sort_key(const char *sort, int *given);
/* The metrics that tables show where present, best known first; ends with NULL. */
extern const char *const view_main_metrics[];

/* ---- one trial, or a few ---- */

/* Its row with metrics and the lists "runs", "series", "artifacts", "tags", "events", and of
 * MLflow's clients "logged" (parameters of a run of ours) and "inputs" (datasets). */
json_t *view_trial(struct store *s, int64_t id, struct err *err);
/* [{step, value, kind}]; of a longer series about `points`: its ends, and of every part
 * the lowest and highest. */
json_t *view_series(struct store *s, int64_t id, const char *key, int64_t points,
                    struct err *err);
/* {"trials": ids, "facts", "differs" (of the configurations), "metrics", "judged_by"}, the
 * first three after the ids {name: [value of each trial]}, the last the objectives of their
 * sweeps (objective.h). */
json_t *view_comparison(struct store *s, const int64_t *ids, size_t count,
                        struct err *err);

/* ---- parts, for queries of their own ---- */

/* Trials by hand (sweep NULL) have as parameters what their files say. Where some say a key
 * that others leave at its default, the others get that from their configuration; NULL there:
 * a trial of a sweep, which gets nothing. */
void view_fill_params(json_t *const *params, const json_t *const *configs, size_t count);
/* A trial's "method", out of trial_view. */
#define VIEW_METHOD "ifnull(method_facts ->> 'shown', params ->> 'method') AS method"
/* An experiment's number; the message names the nearest. */
int view_find_experiment(struct store *s, const char *name, int64_t *id, struct err *err);
/* `bind` is taken over (may be NULL). */
json_t *view_rows(struct store *s, const char *sql, json_t *bind, size_t max_rows,
                  struct err *err);
/* Add "metrics": {key: value}, main ones first, and "tags": {key: value} to rows with
 * "id". */
int view_add_metrics(struct store *s, json_t *rows, struct err *err);
int view_add_tags(struct store *s, json_t *rows, struct err *err);

#endif

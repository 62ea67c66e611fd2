/* tracker/live/live.h - what a page asks of a store that is written meanwhile.
 *
 * The difference to tracker/view is size and haste: tables of ten thousand trials with
 * all their numbers, curves of hundreds of runs, asked again whenever something changed.
 * So each answer takes a fixed number of SQL statements (or a prepared one per run), and
 * what is large is made small here.
 *
 * Everything returned is a new reference, NULL with the error set; a number that is not one is a word
 * ("NaN", "Infinity", "-Infinity"). A trial that runs, or whose run did not end by itself,
 * shows the last value of each series; any other its summary values. */
#ifndef TRACKER_LIVE_LIVE_H
#define TRACKER_LIVE_LIVE_H

#include "lib/buf.h"
#include "lib/err.h"
#include "tracker/store/store.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* {"experiments": [{id, name, trials, sweeps, last_ms}], "sweeps": [{id, experiment, name,
 * counts: {state: n}, stopped, created_ms, last_ms, note}]} */
json_t *live_overview(struct store *s, struct err *err);

/* ---- the table (table*.c) ---- */

enum live_summary { LIVE_LAST, LIVE_MIN, LIVE_MAX, LIVE_BEST };
int live_summary_from_name(const char *name); /* -1: there is none such */

struct live_query {
    int64_t experiment, sweep; /* 0: any */
    const json_t *ids;         /* only these; NULL: all */
    const char *words;         /* filter: words of its texts, "rank>=8"; NULL: none */
    const char *sort;          /* KEY, KEY:asc, KEY:desc; NULL: by number */
    int64_t limit, offset;
    enum live_summary summary; /* which value of a metric that has a series */
    const json_t *keys;        /* names of the metrics wanted; NULL: all */
};
/* Appends JSON text, as there may be a lot of it: {"total", "varying": [names], "constant": {name: value}, "objectives", "columns":
 * [{name, key, kind: param|metric|field, varies, better, main}], "rows": [{id, name,
 * state, seed, group, tags, note, values}], "groups": [{key, n, ids, metrics: {name:
 * {mean, low, high, n, holds}}}]}; a group has two trials at least. What varies, and what a group has, is that of all that the query's
 * experiment or sweep has, whatever is filtered; groups of which no trial is asked for are
 * left out. Without secrets. holds: how far the 95 % interval of a
 * group goes: "any look" (however often it is looked at), "final" (nothing of this will
 * change any more), "this look" (once, as if planned for it). */
int live_trials(struct store *s, const struct live_query *q, struct buf *out,
                struct err *err);
/* What the table calls these trials of a sweep (else of an experiment), in their order: a
 * list of texts; null where there is nothing to tell them apart by. */
json_t *live_names(struct store *s, int64_t sweep, int64_t experiment, const int64_t *ids,
                   size_t count, struct err *err);

/* ---- series (curves.c) ---- */

struct live_window {
    int64_t points;   /* of a series at most about */
    int64_t from, to; /* steps, both inclusive */
    bool quick;       /* one point of each part, looked up without reading the others */
};
#define LIVE_ALL_STEPS INT64_MAX
/* [{"trial", "points": [[step, value], ...], "n"}] of these trials' newest runs; n: how
 * many the window has. Of more than `points` each part of equal steps keeps its lowest
 * and highest, so that no peak is lost, and both ends stay. */
json_t *live_curves(struct store *s, const int64_t *trials, size_t count, const char *key,
                    const struct live_window *w, struct err *err);
/* [{"key", "trials"}]: the series that these trials have, and how many of them have it. */
json_t *live_keys(struct store *s, const int64_t *trials, size_t count, struct err *err);

#endif

/* sweep/status/status_parts.h - parts of what is told of one sweep; for sweep/status*.c
 * and watch.c only. */
#ifndef SWEEP_STATUS_STATUS_PARTS_H
#define SWEEP_STATUS_STATUS_PARTS_H

#include "sweep/sweep.h"

/* One sweep as JSON, NULL with an error; and the same for people. */
json_t *status_sweep(struct store *store, int64_t sweep, struct err *err);
void status_print(const json_t *s, FILE *f, size_t width); /* 0: as wide as it gets */

/* Rows of a query with ?1 the sweep and, where `text` is not NULL, ?2 that. */
json_t *status_rows(struct store *store, const char *sql, int64_t sweep, const char *text,
                    struct err *err);
/* {"name", "goal"} of the sweep's first objective; null without. */
json_t *status_metric(struct store *store, int64_t sweep, struct err *err);
/* [{"limit", "used", "max", "unit"}] of each limit that is set. */
json_t *status_budget(struct store *store, int64_t sweep, struct err *err);
/* Why what waits is not started: the sweep was stopped, or its budget is used up;
 * null. */
json_t *status_why(struct store *store, int64_t sweep, bool stopped, struct err *err);
/* The configuration with the best mean over its complete seeds: {"label", "n", "mean",
 * "low", "high", "any_look", "rows"}: a 95 % interval that holds however often one looks,
 * its ends null (any_look false) while too few seeds are repeated; rows: 0, or it is over
 * so many evaluation rows of a single run. null: none, or more than 20,000
 * trials are complete: that is the report's business. */
json_t *status_best(struct store *store, int64_t sweep, const json_t *metric,
                    const struct sweep_labels *labels, struct err *err);
/* Adds "step", "steps" (the last; null: not known), "steps_per_s", and of the metric (else
 * the newest loss) "key", "value" and "curve", values at evenly chosen points. The share of
 * this run's updates that is done; 0: not known. */
double status_add_progress(struct store *store, json_t *running, const json_t *metric);
/* Eight heights of U+2581..2588 (of ASCII where there is no more); a gap where a value is
 * no number. */
void status_sparkline(const json_t *curve, struct buf *out);

#endif

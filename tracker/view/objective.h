/* tracker/view/objective.h - what trials are judged by: the one answer for `report`, `ls`,
 * `status`, `advise` and whoever shows a best trial.
 *
 * A sweep says it in its file: `metric: {name, goal}`, else the first of `objectives`; a
 * goal that is not written is "minimize", as for the samplers (docs/sweep-file.md). Where
 * no sweep speaks (imports, trials by hand, another metric asked for), the direction is
 * read from the metric's name, and an unknown name has none: whoever needs one asks. */
#ifndef TRACKER_VIEW_OBJECTIVE_H
#define TRACKER_VIEW_OBJECTIVE_H

#include "lib/err.h"
#include "lib/stats/basic.h"
#include "tracker/store/store.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum direction { DIRECTION_UNKNOWN, DIRECTION_LOWER, DIRECTION_HIGHER };

/* By the words of a name: "eval/mse" lower, "val_f1_macro" higher, "neg_log_loss" higher;
 * unknown where no word is known or where they point both ways. */
enum direction metric_direction(const char *metric);

/* Where its values can lie, by its name and what was seen of them: shares in 0 to 1 (or 0 to
 * 100), correlations in -1 to 1, losses, errors and sizes from 0; infinite where nothing is
 * known, and no tighter than what was seen. */
struct stat_interval metric_scale(const char *metric, double lowest, double highest);

/* "eval/wer" and "test/wer" are one metric on two splits; so is a name and itself. */
bool metric_is_same(const char *a, const char *b);

/* [{"name", "goal"}] of a sweep, its metric first; empty where its file names none. NULL
 * with an error. */
json_t *view_objectives(struct store *s, int64_t sweep, struct err *err);

/* The objectives of the sweeps that these rows name in "sweep", each name once. */
json_t *view_rows_objectives(struct store *s, const json_t *rows, struct err *err);
/* Which way a metric of any of the store's sweeps is better: as those say that name it,
 * where they agree, else by its name. */
int view_direction(struct store *s, const char *metric, enum direction *out,
                   struct err *err);
/* Which way a metric of that sweep is better: as its file says of it or of the same metric
 * on another split, else by its name. `objectives` may be NULL. */
enum direction objective_direction(const json_t *objectives, const char *metric);

#endif

/* report/evidence/row_scores.h - a metric from what each row of a test set got.
 *
 * A score becomes one number per row whose mean is the score: of what is a mean of rows
 * (accuracy, loss, squared error, exact match) the row's own; of what is not (F1,
 * correlation, perplexity, a mean over tokens) the score and what the row's weight moves
 * it by, n d score / d weight (influence values; lib/stats/crossed.h). Ranks (Spearman)
 * have no such form here. */
#ifndef REPORT_EVIDENCE_ROW_SCORES_H
#define REPORT_EVIDENCE_ROW_SCORES_H

#include "tracker/view/row_results.h"

/* `metric` without its split ("macro_f1"); out: rows->count numbers. False: these rows do
 * not say, or the metric has no such form. */
bool row_scores(const struct row_results *rows, const char *metric, double *out);

#endif

/* report/trials/kept_rows.h - what each test row got in the trials of a report, as far as
 * the store keeps it (tracker/view/row_results.h).
 *
 * Of a trial the rows of its newest run that kept some are taken, for the split of the
 * metric ("rows/test" for test/accuracy), and turned into numbers whose mean is the score
 * (report/evidence/row_scores.h). Where they cannot be read, or say another score than
 * the store does, the trial counts as one without; nothing here fails a report. */
#ifndef REPORT_TRIALS_KEPT_ROWS_H
#define REPORT_TRIALS_KEPT_ROWS_H

#include "report/trials/store_data.h"
#include "tracker/view/row_results.h"

/* `scores` of a row file for a metric; false: it does not say. */
typedef bool rows_to_scores(const struct row_results *rows, const char *metric,
                            double *out);

struct trial_rows {
    double *scores; /* count of them; NULL: none were kept, or not to be used */
    size_t count;
    size_t set; /* trials with the same number have the same rows of the same file */
};

struct kept_rows {
    struct trial_rows *of; /* by the trial's index */
    size_t trials;
    size_t with, without; /* of the trials that have the metric */
    size_t unread, unfit; /* of those without: damaged or gone; no rows for this metric */
    char *problem;        /* the first message of the unread ones; NULL: none */
};

void kept_rows_load(const struct store *s, const struct report_data *d,
                    const char *metric, rows_to_scores *scores, struct kept_rows *out);
void kept_rows_release(struct kept_rows *k);

#endif

/* report/evidence/chance.h - both sources of chance in the scores of one column: which
 * seeds a configuration happened to get, and which rows happened to be in the test file.
 *
 * What each row got (report/trials/kept_rows.h) makes a table seeds x rows per
 * configuration (lib/stats/crossed.h). Two configurations that were judged on the same
 * rows are paired by row: what makes a row hard for both cancels. Of mean(a) - mean(b) the
 * rows' part is
 *
 *   (variance over rows of (a's mean - b's mean) - what it varies by from run to run) / R
 *
 * and is added to what seeds make of it (verdict.h, row_variance). Of one configuration
 * beside all others it is the part of its own: what is left of its rows when the mean of
 * all configurations is taken off, by Grubbs's estimator (lib/stats/pooled.h). Where a run
 * has no rows, or other ones, nothing is known (NaN). */
#ifndef REPORT_EVIDENCE_CHANCE_H
#define REPORT_EVIDENCE_CHANCE_H

#include "lib/stats/crossed.h"
#include "report/evidence/verdict.h"
#include "report/trials/kept_rows.h"

struct config_rows {
    bool asked; /* the rest is filled */
    size_t rows, set, seeds;
    double *by_row; /* means over seeds; NULL: not all of its runs have the same rows */
    double own;     /* variance of its mean by rows, beside the others; NaN: not known */
    struct stat_crossed crossed;
};

struct chance {
    const struct report_data *data;
    const struct kept_rows *kept; /* NULL: nothing was kept */
    const char *metric;
    size_t column;
    struct config_rows *configs; /* by group; owned */
    size_t count;
    bool owned; /* `own` is filled */
};

void chance_init(struct chance *c, const struct report_data *d,
                 const struct kept_rows *kept, size_t column);
void chance_release(struct chance *c);
/* rules.row_variance, with rules.rows a struct chance. */
double chance_row_variance(const void *chance, const struct verdict_config *a,
                           const struct verdict_config *b);
/* Filled for the variant that the verdict chose. */
const struct config_rows *chance_of(const struct chance *c,
                                    const struct verdict_config *config);
/* Differences of two single runs row by row, for a test of them; newly allocated, *rows of
 * them; NULL: not the same rows. */
double *chance_differences(const void *chance, const struct verdict_config *a,
                           const struct verdict_config *b, size_t *rows);

/* Variance of a difference by its parts, and what more of each would leave of it. */
struct chance_parts {
    double seeds, rows; /* they add up to se^2 */
    double se, se_twice_seeds, se_twice_rows;
};
/* NaN where rows are not known, or there is one seed. */
struct chance_parts chance_parts_of(const struct chance *c, const struct verdict *v,
                                    const struct verdict_pair *p);

#endif

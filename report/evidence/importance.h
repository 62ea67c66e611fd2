/* report/evidence/importance.h - which parameter moves the score, within one group of the
 * main column (the group with most trials).
 *
 * A balanced full factorial with replicates: omega^2 of every main effect and interaction
 * with percentile intervals (lib/stats/anova.h). Else, from IMPORTANCE_LEAST trials on,
 * PED-ANOVA shares (lib/stats/importance.h), without intervals. Either is relative to the
 * ranges that were searched. */
#ifndef REPORT_EVIDENCE_IMPORTANCE_H
#define REPORT_EVIDENCE_IMPORTANCE_H

#include "report/report.h"

enum { IMPORTANCE_MAX = 12, IMPORTANCE_LEAST = 20, IMPORTANCE_DRAWS = 1000 };

struct importance_bar {
    char name[80]; /* "rank", "rank x alpha" */
    double value;  /* omega^2, or a share of 1 */
    struct stat_interval ci;
};

struct importance {
    size_t group, trials, factors;
    bool anova;
    struct importance_bar bars[IMPORTANCE_MAX]; /* largest first */
    size_t count;
};
/* False: nothing varies, or too few trials. */
bool importance_of(const struct report *r, struct importance *out);

#endif

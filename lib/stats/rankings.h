/* lib/stats/rankings.h - agreement and difference of rankings over several
 * configurations.
 *
 * A NaN anywhere gives NaN results. Kendall 1938 (tau-b, exact p by the number of
 * permutations with so many inversions); Friedman 1937 with the correction for ties. */
#ifndef LIB_STATS_RANKINGS_H
#define LIB_STATS_RANKINGS_H

#include <stddef.h>

struct kendall {
    double tau_b;
    double score;   /* concordant less discordant pairs */
    double p_exact; /* two-sided; NaN with ties: no exact distribution */
};
struct kendall stat_kendall(const double *x, const double *y, size_t n);

struct friedman {
    double statistic, df, p;
};
/* values: blocks x methods (tasks x configurations); mean_ranks: methods, ascending
 * values have ascending ranks; NULL: not wanted. */
struct friedman stat_friedman(const double *values, size_t blocks, size_t methods,
                              double *mean_ranks);

#endif

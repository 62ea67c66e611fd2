/* lib/stats/rankings.h - whether several configurations rank differently over tasks.
 *
 * A NaN anywhere gives NaN results. Friedman 1937 with the correction for ties. */
#ifndef LIB_STATS_RANKINGS_H
#define LIB_STATS_RANKINGS_H

#include <stddef.h>

struct friedman {
    double statistic, df, p;
};
/* values: blocks x methods (tasks x configurations); mean_ranks: methods, ascending
 * values have ascending ranks; NULL: not wanted. */
struct friedman stat_friedman(const double *values, size_t blocks, size_t methods,
                              double *mean_ranks);

#endif

/* lib/stats/sizes.h - how many runs or items a question needs.
 *
 * Two-sided t tests, power from the noncentral t distribution (stat_t_power). */
#ifndef LIB_STATS_SIZES_H
#define LIB_STATS_SIZES_H

#include <stddef.h>

#define PLAN_MOST 1000000 /* more than this counts as never: 0 is returned */

/* Pairs (>= 2) for an effect of d_z = mean difference / its sd. 0: no finite number
 * does. */
size_t plan_seeds_paired(double d_z, double alpha, double power);
/* The smallest difference of two shares that a test set of so many items shows where both
 * answer the same items and disagree on the share `discordant` of them. */
double plan_smallest_paired(size_t items, double discordant, double alpha, double power);

#endif

/* lib/stats/sizes.h - how many runs or items a question needs.
 *
 * Two-sided t tests, power from the noncentral t distribution (stat_t_power). Effects in
 * standard deviations: d = difference / sd of one configuration's scores over seeds. */
#ifndef LIB_STATS_SIZES_H
#define LIB_STATS_SIZES_H

#include <stddef.h>

#define PLAN_MOST 1000000 /* more than this counts as never: 0 is returned */

/* Seeds per configuration (>= 2), two samples. 0: no finite number does. */
size_t plan_seeds_unpaired(double d, double alpha, double power);
/* Pairs (>= 2) where shared seeds correlate the scores by rho: d_z = d / sqrt(2 (1 -
 * rho)). */
double plan_paired_effect(double d, double rho);
size_t plan_seeds_paired(double d_z, double alpha, double power);
/* The smallest difference of two shares that a test set of so many items shows, where a
 * share is p, or where both answer the same items and disagree on `discordant` of them.
 */
double plan_smallest_difference(size_t items, double p, double alpha, double power);
double plan_smallest_paired(size_t items, double discordant, double alpha, double power);

#endif

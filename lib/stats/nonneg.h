/* lib/stats/nonneg.h - least squares with coefficients that cannot be below 0: what a
 * piece of work costs by its parts.
 *
 * The best of all least-squares solutions over subsets of the columns whose coefficients
 * are all positive: with so few columns every subset is tried, so the answer is exact
 * (Lawson and Hanson 1974, chapter 23, without the walk). A column that is a multiple of
 * others, or always 0, gets 0, and those before it stand for it. */
#ifndef LIB_STATS_NONNEG_H
#define LIB_STATS_NONNEG_H

#include <stddef.h>

#define NONNEG_MAX 8 /* columns */

/* x: rows of k columns; fills coefficients[k]. Returns the standard deviation of what is
 * left, over rows less coefficients above 0; NaN where that is no row. */
double stat_nonneg_fit(const double *x, const double *y, size_t rows, size_t k,
                       double *coefficients);

#endif

/* lib/stats/crossed.h - a mean over two sources of chance: every run (seed) was scored on
 * every row of one test set.
 *
 *   y = m + seed + row + rest,   Var(mean) = seed / S + row / R + rest / (S R)
 *
 * with S seeds and R rows; the three variances by the mean squares of the two-way layout
 * (Searle, Casella, McCulloch 1992, 4.6), none below 0. So
 *   se_seeds  other seeds on these rows: the usual s / sqrt(S) of the runs' scores
 *   se_rows   other rows like these, these runs
 *   se        both, by the formula above
 * and the interval is mean +- half with
 *   half^2 = t(S - 1)^2 seed / S + t(R - 1)^2 (row / R + rest / (S R))
 * each part with the quantile of what it was estimated from (Howe 1974). In a simulation
 * of 2 to 8 seeds x 12 to 400 rows it holds in 95 to 97 % at nominal 95 % (93 with two
 * seeds that are all that varies); Satterthwaite's degrees of freedom for the sum had 88
 * to 93 % where seeds matter most, as few seeds often show a small spread and then count
 * little in the degrees of freedom, too. What is no mean of its rows (macro-F1) goes in as its influence values, score + d score / d weight
 * of the row, whose mean is the score (the infinitesimal jackknife, Efron 1982).
 *
 * With one seed nothing is known about seeds: `seed` and se_seeds are NaN, se = se_rows.
 * With one row or none all is NaN. */
#ifndef LIB_STATS_CROSSED_H
#define LIB_STATS_CROSSED_H

#include "lib/stats/basic.h"
#include <stddef.h>

struct stat_crossed {
    size_t seeds, rows;
    double mean;
    double seed, row, rest; /* variances */
    double se_seeds, se_rows, se;
    struct stat_interval ci;
};

/* y: seeds x rows, run after run. */
struct stat_crossed stat_crossed_of(const double *y, size_t seeds, size_t rows,
                                    double level);
/* The standard error that so many seeds and rows would have. */
double stat_crossed_se(const struct stat_crossed *c, double seeds, double rows);

/* Variance of a mean over rows by the choice of rows alone: (variance of the rows' values
 * - what their values vary by from run to run) / rows, not below 0. `by_row`: means over
 * runs; `rest`: variance of such a mean that no row causes (rest / S; of a difference of
 * two groups of runs the sum of both; 0 where single runs cannot tell). */
double stat_row_variance(const double *by_row, size_t rows, double rest);

#endif

/* lib/stats/pooled.h - what all configurations say together about the spread: residual
 * variances of a table of (configuration, block) cells, some of which may be missing.
 *
 * A block is what configurations share (a seed in one environment). Two-way:
 *   x = configuration + block + noise,  var(noise) = its configuration's own
 * so that what a block does to all alike is no noise; cells whose block or configuration
 * occurs once say nothing and are left out. One-way (`paired` false): blocks count as
 * noise, each configuration has the spread of its own cells.
 *
 * With M = I - H the projection on the residuals, E[SS_i] = sum_k A_ik var_k, where A_ik
 * is the sum of M^2 over cells of i and k. `variance` = SS / trace(M) pools all. `own` of
 * configuration i solves these equations for two unknowns, its variance and one of all
 * others: unbiased, and in a full table Grubbs's estimator (1948), k (k - 1) SS_i / ((n -
 * 1) (k - 1) (k - 2)) - SS / ((n - 1) (k - 1) (k - 2)). It can be negative, and with two
 * configurations it cannot be told (NaN). `own_df` = trace(M_ii)^2 / A_ii: those of SS_i
 * if it alone varied (n - 1 in a full table), which is the case that `own` is for.
 * `used`, the larger of pooled and own, is what tests should take: pooling gives power,
 * and a noisy configuration is not taken for a quiet one (docs/verdicts.md has the rates
 * of error; a test of equal variances before pooling erred in 7 to 40 % of sweeps).
 *
 * Numbers are squares of the unit of x. Cost: cells^2 + configurations^3. */
#ifndef LIB_STATS_POOLED_H
#define LIB_STATS_POOLED_H

#include <stdbool.h>
#include <stddef.h>

struct stat_cell {
    size_t config; /* 0..configs-1 */
    size_t block;  /* any numbers */
    double x;
};

struct stat_pooled {
    double variance, df; /* of all; NaN and 0 where nothing is left to tell */
    size_t configs;
    double *own, *own_df; /* by configuration; NaN: cannot be told */
    double *used;         /* >= variance; NaN as variance */
};

/* A (configuration, block) at most once. */
void stat_pooled_init(struct stat_pooled *p, const struct stat_cell *cells, size_t count,
                      size_t configs, bool paired);
void stat_pooled_release(struct stat_pooled *p);

#endif

/* sweep/pareto.h - several objectives at once, all minimised (turn the sign of others).
 *
 * `points` are rows of `m` values. A point dominates another when it is nowhere worse and
 * somewhere better. Rank 0 is the Pareto front, rank k what is the front without the
 * ranks below (Deb et al., NSGA-II, 2002). A point with a NaN is behind all others and
 * dominates nothing. */
#ifndef SWEEP_PARETO_H
#define SWEEP_PARETO_H

#include <stddef.h>

#define PARETO_UNRANKED ((size_t)-1) /* a point with a NaN */

void pareto_ranks(const double *points, size_t n, size_t m, size_t *rank);
/* Optuna's default: 1.1 times the worst value of each objective, 0.9 times a negative
 * one. */
void pareto_reference(const double *points, size_t n, size_t m, double *reference);
/* The volume that the points dominate below the reference; points that are not below it
 * in everything add nothing. Time n^(m - 1) log n. */
double pareto_hypervolume(const double *points, size_t n, size_t m,
                          const double *reference);
/* Best first: by rank, within a rank greedily by what each adds to the hypervolume of the
 * ones before (ties by place). Only the first `wanted` places are sure to be so; the rest
 * comes by rank and place. */
void pareto_order(const double *points, size_t n, size_t m, size_t wanted, size_t *order);

#endif

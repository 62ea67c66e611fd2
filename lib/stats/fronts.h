/* lib/stats/fronts.h - which of several points is worth having when there is more than
 * one goal: fronts, ranks, hypervolume, membership under noise.
 *
 * Points are rows of `dims` numbers; maximize[d] tells the goal of column d. Equal points
 * do not dominate each other, infinities are ordinary values. A point with a NaN is
 * compared with nothing: rank -1, on no front. All functions are pure; what they need on
 * the way they allocate and free.
 *
 * Ranks: non-dominated sorting by peeling (Goldberg 1989). Hypervolume: Zitzler and
 * Thiele 1998, by slicing the last objective (dims <= 8, meant for 2 to 4). */
#ifndef LIB_STATS_FRONTS_H
#define LIB_STATS_FRONTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARETO_MAX_DIMS 8

struct pareto_set {
    const double *points; /* count x dims */
    size_t count, dims;
    const bool *maximize; /* dims */
};

/* No worse anywhere by `slack[d]` (NULL: 0) and better somewhere by more than that:
 * epsilon-dominance, so that differences below what matters decide nothing. */
bool pareto_dominates(const struct pareto_set *s, size_t a, size_t b,
                      const double *slack);
/* rank[i]: 0 on the front, then 1 ...; -1 for a point with a NaN. */
void pareto_ranks(const struct pareto_set *s, int *rank);
/* Only the front: on[i]. O(n^2) at worst; two goals without slack take O(n log n). */
void pareto_front_mark(const struct pareto_set *s, const double *slack, bool *on);
/* The reference point of a set that has none: 10 % beyond the worst of each goal (in the
 * direction of worse), 1e-12 where that is 0. NaN without usable points. */
void pareto_reference(const struct pareto_set *s, double *reference);
double pareto_hypervolume(const struct pareto_set *s, const double *reference);

/* Runs of one configuration: count x dims; all goals of a run are drawn together since
 * they come from the same run. */
struct pareto_runs {
    const double *values;
    size_t count;
};
/* Share of bootstrap draws in which the mean of a configuration's resampled runs is on
 * the front. NaN for all where some configuration has fewer than two runs: nothing to
 * draw from. Random numbers: Philox with (seed, "pareto bootstrap"). */
void pareto_membership(const struct pareto_runs *runs, size_t configs, size_t dims,
                       const bool *maximize, const double *slack, size_t draws,
                       uint64_t seed, double *probability);

#endif

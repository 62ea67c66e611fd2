/* lib/stats/knee.h - how much is enough: knees of score against a cost or a rank, and
 * what more tries would have brought.
 *
 * The one-standard-error rule (Breiman et al. 1984) gives the takeaway, the chord
 * distance (Satopaa et al., Kneedle, 2011) the marker; where its bootstrap spread covers
 * more than two neighbouring points there is no stable knee. */
#ifndef LIB_STATS_KNEE_H
#define LIB_STATS_KNEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NO_KNEE SIZE_MAX

struct one_se {
    size_t best;      /* best score, then lower cost, then first; NO_KNEE: no point */
    double threshold; /* the worst score that still counts as good */
    size_t chosen;    /* cheapest at or above, then better score, then first */
};
/* Points with a NaN are left out. */
struct one_se stat_one_se(const double *cost, const double *score, const double *se,
                          size_t n, bool minimize);

/* x ascending. The first point farthest above the line from the first to the last, both
 * axes (x or log x) scaled to [0, 1]; NO_KNEE where none is above by more than 1e-12,
 * with fewer than 3 points, a flat score or a NaN. distance: n, may be NULL. */
size_t stat_chord_knee(const double *x, const double *y, size_t n, bool log_x,
                       bool minimize, double *distance);

/* How often each point is the knee when the runs behind the points are drawn again. */
struct knee_spread {
    double *share;    /* n; what is missing to 1 had no knee; owned */
    size_t low, high; /* the middle 90 % of the draws with a knee; NO_KNEE without any */
    double none;
    bool stable; /* at most two neighbouring points, and mostly a knee */
};
/* scores[i]: runs[i] scores at x[i]. Philox with (seed, "knee bootstrap"). */
void knee_spread_init(struct knee_spread *k, const double *x, const double *const *scores,
                      const size_t *runs, size_t n, bool log_x, bool minimize,
                      size_t draws, uint64_t seed);
void knee_spread_release(struct knee_spread *k);

/* Expected best of `tries` draws without replacement from the n values: unbiased (Tang
 * et al. 2020). NaN for tries outside 1..n or a NaN value. */
double stat_best_of(const double *values, size_t n, size_t tries, bool minimize);

#endif

/* lib/stats/knee.h - how much is enough: the knee of score against a cost or a rank by
 * the one-standard-error rule (Breiman et al. 1984), and what more tries would have
 * brought. */
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

/* Expected best of `tries` draws without replacement from the n values: unbiased (Tang
 * et al. 2020). NaN for tries outside 1..n or a NaN value. */
double stat_best_of(const double *values, size_t n, size_t tries, bool minimize);

#endif

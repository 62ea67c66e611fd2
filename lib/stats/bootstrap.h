/* lib/stats/bootstrap.h - what resampling the runs says: two-level intervals and the
 * stability of ranks.
 *
 * Percentile intervals are too short below about 8 seeds (coverage .75 at 3, .85 at 5:
 * reference 2.2); callers use the t interval there and print which. Random numbers are
 * Philox with (seed, purpose), so that a report has the same bytes each time; print the
 * seed. */
#ifndef LIB_STATS_BOOTSTRAP_H
#define LIB_STATS_BOOTSTRAP_H

#include "lib/stats/basic.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOTSTRAP_SEED       20261124
#define BOOTSTRAP_DRAWS      10000
#define BOOTSTRAP_LEAST_RUNS 8 /* below it: the t interval */

/* A sample; for two levels one per seed, over its items. */
struct stat_sample {
    const double *x;
    size_t n;
};

struct bootstrap {
    double mean; /* of the seeds' means */
    double se;   /* sd over draws */
    struct stat_interval basic, percentile;
};
/* Seeds are drawn, then items within each drawn seed (differences of paired items make a
 * paired interval). NaN with fewer than two seeds or an empty one. */
struct bootstrap stat_bootstrap_seeds(const struct stat_sample *seeds, size_t count,
                                      double level, size_t draws, uint64_t seed);

struct rank_stability {
    double first, top3;      /* probabilities; a tie for a place shares it */
    double median;           /* rank, 1 = best */
    struct stat_interval ci; /* 90 % of the draws */
};
/* Ranks of the means when each configuration's runs are drawn again; `paired`: the i-th
 * run of all is the same seed and they are drawn together (all n equal). out: configs. A
 * configuration without runs gets NaN and no rank; one with a single run cannot vary,
 * which the caller should say. */
void stat_rank_stability(const struct stat_sample *configs, size_t count, bool minimize,
                         bool paired, size_t draws, uint64_t seed,
                         struct rank_stability *out);

#endif

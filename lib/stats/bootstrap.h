/* lib/stats/bootstrap.h - what resampling the runs says: the stability of ranks.
 *
 * Below about 8 seeds drawing them again says little (percentile intervals cover .75 at 3
 * seeds, .85 at 5: reference 2.2). Random numbers are
 * Philox with (seed, purpose), so that a report has the same bytes each time; print the
 * seed. */
#ifndef LIB_STATS_BOOTSTRAP_H
#define LIB_STATS_BOOTSTRAP_H

#include "lib/stats/basic.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOTSTRAP_SEED 20261124

struct stat_sample {
    const double *x;
    size_t n;
};

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

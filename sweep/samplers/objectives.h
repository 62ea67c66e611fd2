/* sweep/samplers/objectives.h - trials with several objectives in one order, for
 * samplers; fronts and volumes are those of lib/stats/fronts.h. */
#ifndef SWEEP_SAMPLERS_OBJECTIVES_H
#define SWEEP_SAMPLERS_OBJECTIVES_H

#include "lib/stats/fronts.h"

#define PARETO_VOLUME_DIMS 4 /* with more, a front is ordered by place */

/* Best first: by non-domination rank, within a rank greedily by what each adds to the
 * hypervolume of the ones before it (ties by place); points with a NaN last. Only the
 * first `wanted` are sure to be the right set: the front that they cut through is the
 * one ordered by volume. */
void pareto_order(const struct pareto_set *s, size_t wanted, size_t *order);

#endif

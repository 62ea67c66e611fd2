/* runner/optim/groups.h - which parameters one optimiser call serves, and where they lie.
 *
 * Trainable parameters lie in the trainable arena sorted by weight decay, learning rate,
 * format and name, each padded with zeros to 64 bytes; gradients and moments mirror that. Those
 * of one decay, rate and format, one behind the other, are a group: one call updates it. A
 * per_tensor optimiser has a group per parameter. No group has more than VECTOR_MAX
 * floats: what is longer is cut, even within a parameter, at a multiple of every
 * optimiser's block. Counts are 64 bits: a 7B model trained whole has 7e9 of them. */
#ifndef RUNNER_OPTIM_GROUPS_H
#define RUNNER_OPTIM_GROUPS_H

#include "runner/graph/params.h"
#include "runner/optim/optimizer.h"

/* Sets offset and bytes of every trainable parameter. Returns the groups, the caller's,
 * and how many; *floats: size of the arena. */
struct param_group *groups_plan(const struct optimizer *o, const struct params *params,
                                size_t *count, size_t *floats);

#endif

/* sweep/sampler_parts.h - what the rows in sweep/samplers/ share; for sweep/sampler*.c
 * and sweep/samplers/ only. */
#ifndef SWEEP_SAMPLER_PARTS_H
#define SWEEP_SAMPLER_PARTS_H

#include "sweep/sampler.h"
#include "sweep/space.h"

struct sampler {
    const struct sampler_row *row;
    const struct sweep_file *f;
    uint64_t seed;
    struct sweep_space grid; /* grid only */
};

#endif

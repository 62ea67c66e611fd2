/* sweep/samplers/sobol_points.h - Sobol's low-discrepancy sequence.
 *
 * Joe and Kuo's direction numbers (sweep/samplers/joe_kuo.def), Gray-code order (Antonov
 * and Saleev, 1979), 32 bits. Unscrambled the first points of two dimensions are (0, 0)
 * (1/2, 1/2) (3/4, 1/4) (1/4, 3/4); any 2^k points from a multiple of 2^k on fill the
 * strata of every dimension evenly. A digital shift, one random number to exclusive-or
 * per dimension, keeps that. */
#ifndef SWEEP_SAMPLERS_SOBOL_POINTS_H
#define SWEEP_SAMPLERS_SOBOL_POINTS_H

#include <stddef.h>
#include <stdint.h>

#define SOBOL_DIMENSIONS_MAX 300

struct sobol_axis {
    uint32_t direction[32];
};

/* Dimensions count from 0. */
void sobol_axis_init(struct sobol_axis *axis, size_t dimension);
/* The coordinate times 2^32; indices repeat after 2^32. */
uint32_t sobol_bits(const struct sobol_axis *axis, uint64_t index);

#endif

/* kernels/dynamic8.h - the dynamic 8-bit data types of bitsandbytes (Dettmers 2015,
 * arXiv 1511.04561; create_dynamic_map in its functional.py): 256 ascending values in
 * [-1, 1] or [0, 1], seven decades, each cut twice as fine as the one below. */
#ifndef KERNELS_DYNAMIC8_H
#define KERNELS_DYNAMIC8_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

const float *dynamic_map_signed(void);   /* 127 entries per sign, 0 and 1 */
const float *dynamic_map_unsigned(void); /* 254 positive entries, 0 and 1 */

/* The code nearest to x; of two equally near ones the lower. */
static inline uint8_t dynamic_nearest(const float *map, float x)
{
    int low = 0; /* greatest entry <= x, or the first */
    for (int step = 128; step; step /= 2)
        low += x >= map[low + step] ? step : 0;
    const int high = low < 255 ? low + 1 : 255;
    return (uint8_t)(x - map[low] > map[high] - x ? high : low);
}

/* The code of the grid point nearest to x, as bitsandbytes' CPU code has it since 0.50
 * (csrc/cpu_ops.cpp): [-1, 1] is cut into 65,536 points, and a table has the code of each.
 * So an x within 1.6e-5 of a cut between two codes may get the neighbour of the nearest
 * one, and the seven entries within 1e-5 of zero, closer than the grid, are never given. */
uint8_t dynamic_on_grid(const float *map, float x);

/* For a moment that has a sign (state 1): the nearest code, but a negative number does
 * not become 0, which would turn its sign around: it takes the code below, as
 * bitsandbytes' CUDA code does. */
static inline uint8_t dynamic_nearest_signed(const float *map, float x)
{
    const uint8_t code = dynamic_nearest(map, x);
    return x < 0 && map[code] >= 0 ? (uint8_t)(code - 1) : code;
}

#ifdef __cplusplus
}
#endif
#endif

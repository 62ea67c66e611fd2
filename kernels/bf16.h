/* kernels/bf16.h - single numbers as bf16, the upper half of fp32. */
#ifndef KERNELS_BF16_H
#define KERNELS_BF16_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* To the nearest, ties to even; what is no number stays none. */
static inline uint16_t bf16_from(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float bf16_value(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif

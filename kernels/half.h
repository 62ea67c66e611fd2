/* kernels/half.h - numbers of 16 bits: IEEE 754 half and bfloat16. To them by the nearest,
 * ties to even; from them exactly, subnormals and NaN included. */
#ifndef KERNELS_HALF_H
#define KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline float half_to_float(uint16_t h)
{
    const uint32_t size = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h >> 15) << 31;
    float f;
    memcpy(&f, &size, sizeof f);
    f *= 0x1p112f; /* exact, also where h is subnormal */
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    bits |= sign | (size >= 0x0f800000 ? 0x7f800000 : 0); /* infinity, NaN */
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline float bf16_to_float(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint16_t bf16_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) /* NaN: a quiet one */
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint16_t half_of_float(float f);

#endif

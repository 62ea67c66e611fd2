/* kernels/half.h - numbers of 16 bits: IEEE 754 half and bfloat16. To them by the nearest,
 * ties to even; from them exactly, subnormals and NaN included. */
#ifndef KERNELS_HALF_H
#define KERNELS_HALF_H

#include <stdint.h>

float half_to_float(uint16_t h);
uint16_t half_of_float(float f);
float bf16_to_float(uint16_t h);
uint16_t bf16_of_float(float f);

#endif

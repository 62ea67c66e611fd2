/* kernels/half.c - see half.h. */
#include "kernels/half.h"
#include <string.h>

uint16_t half_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const uint32_t size = bits & 0x7fffffff;
    if (size > 0x7f800000) /* NaN: a quiet one */
        return sign | 0x7e00;
    if (size >= 0x477ff000) /* rounds to 65,536 */
        return sign | 0x7c00;
    if (size < 0x38800000) { /* below 2^-14, in steps of 2^-24: the sum rounds */
        float magnitude;
        memcpy(&magnitude, &size, sizeof size);
        magnitude += 0.5f;
        uint32_t sum;
        memcpy(&sum, &magnitude, sizeof sum);
        return (uint16_t)(sign | (sum - 0x3f000000));
    }
    return (uint16_t)(sign | (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13);
}

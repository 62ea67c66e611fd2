/* sweep/samplers/sobol_points.c - see sobol_points.h. */
#include "sweep/samplers/sobol_points.h"
#include "lib/mem.h"

#define DEGREE_MAX 11

static const struct polynomial {
    uint8_t degree;
    uint16_t inner;         /* coefficients between the first and the last */
    uint16_t m[DEGREE_MAX]; /* m[i] odd and below 2^(i + 1) */
} polynomials[] = {
#define JOE_KUO(degree, inner, ...) {degree, inner, {__VA_ARGS__}},
#include "sweep/samplers/joe_kuo.def"
#undef JOE_KUO
};
_Static_assert(ARRAY_LEN(polynomials) == SOBOL_DIMENSIONS_MAX - 1,
               "the first dimension needs no polynomial");

void sobol_axis_init(struct sobol_axis *axis, size_t dimension)
{
    uint32_t *v = axis->direction;
    if (dimension == 0) {
        for (int i = 0; i < 32; i++)
            v[i] = 1u << (31 - i);
        return;
    }
    const struct polynomial *p = &polynomials[dimension - 1];
    int s = p->degree;
    for (int i = 0; i < s; i++)
        v[i] = (uint32_t)p->m[i] << (31 - i);
    for (int i = s; i < 32; i++) {
        v[i] = v[i - s] ^ v[i - s] >> s;
        for (int k = 1; k < s; k++)
            if (p->inner >> (s - 1 - k) & 1)
                v[i] ^= v[i - k];
    }
}

uint32_t sobol_bits(const struct sobol_axis *axis, uint64_t index)
{
    uint32_t gray = (uint32_t)(index ^ index >> 1), x = 0;
    for (; gray; gray &= gray - 1)
        x ^= axis->direction[__builtin_ctz(gray)];
    return x;
}

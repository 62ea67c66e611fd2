/* kernels/cpu/simd/vmath.h - exp, erf and tanh of vectors.
 *
 * Polynomials are minimax fits (Remez exchange in 40 digits) on the intervals named
 * below; largest errors over all floats of the range, against libm in double:
 * exp 1.0 ulp, erf 1.6e-7 relative, tanh 2.5e-7 relative (tests/unit/kernels_cpu_math.c).
 * NaN comes out as NaN, so a diverged training is seen. */
#ifndef KERNELS_CPU_SIMD_VMATH_H
#define KERNELS_CPU_SIMD_VMATH_H

#include "kernels/cpu/simd/vec.h"

/* c[0] + c[1] x + ... (Horner). */
#define VF_POLY(x, ...)                                                                  \
    vf_poly(x, (const float[]){__VA_ARGS__},                                             \
            (int)(sizeof((float[]){__VA_ARGS__}) / sizeof(float)))
INLINE vf vf_poly(vf x, const float *c, int n)
{
    vf y = vf_splat(c[n - 1]);
#pragma GCC unroll 8
    for (int i = n - 2; i >= 0; i--)
        y = vf_fma(y, x, vf_splat(c[i]));
    return y;
}

/* e^x = 2^n e^r with |r| <= ln 2 / 2. The scale is applied in two halves, so that results
 * near the ends of the range overflow and underflow as they should. */
INLINE vf vf_exp(vf x)
{
    const float round = 0x1.8p23f; /* adding it leaves an integer in the low bits */
    x = vf_max(vf_splat(-105.0f), vf_min(vf_splat(89.0f), x));
    vf t = vf_fma(x, vf_splat(0x1.715476p+0f), vf_splat(round));
    vf n = t - round;
    vf r = vf_fma(n, vf_splat(-0x1.62e400p-1f), x);
    r = vf_fma(n, vf_splat(-0x1.7f7d1cp-20f), r);
    vf p = VF_POLY(r, 5.000000095e-01f, 1.666651884e-01f, 4.166620579e-02f,
                   8.368889343e-03f, 1.395049205e-03f);
    p = vf_fma(p, r * r, r) + 1.0f;
    vi k = (vi)t - (vi)vf_splat(round);
    vi half = k >> 1;
    return p * (vf)((half + 127) << 23) * (vf)((k - half + 127) << 23);
}

INLINE vf vf_abs(vf x)
{
    return (vf)((vi)x & 0x7fffffff);
}

INLINE vf vf_copysign(vf magnitude, vf sign)
{
    return (vf)((vi)magnitude | ((vi)sign & (vi)vf_splat(-0.0f)));
}

/* x + x q(x^2) up to 0.95; beyond, 1 - exp(-t r(t)), which is 1 from t = 4 on. */
INLINE vf vf_erf(vf x)
{
    vf t = vf_abs(x), s = x * x;
    vf small = VF_POLY(s, 1.283791423e-01f, -3.761244594e-01f, 1.128132069e-01f,
                       -2.674886440e-02f, 4.967506953e-03f, -5.862082614e-04f);
    vf c = vf_min(vf_splat(4.0f), t);
    vf r =
        VF_POLY(c, 1.128669042e+00f, 6.350682668e-01f, 1.063736014e-01f,
                -2.387933577e-02f, 3.697692290e-03f, -3.363394423e-04f, 1.257913612e-05f);
    vf large = vf_copysign(1.0f - vf_exp(-c * r), x);
    return vf_if_less(t, vf_splat(0.95f), vf_fma(small, x, x), large);
}

/* x + x s q(s), s = x^2, up to 0.625; beyond, 1 - 2 / (e^2t + 1). */
INLINE vf vf_tanh(vf x)
{
    vf t = vf_abs(x), s = x * x;
    vf q = VF_POLY(s, -3.333328393e-01f, 1.333149128e-01f, -5.374349795e-02f,
                   2.065058716e-02f, -5.717045096e-03f);
    vf large = vf_copysign(1.0f - 2.0f / (vf_exp(t + t) + 1.0f), x);
    return vf_if_less(t, vf_splat(0.625f), vf_fma(q * s, x, x), large);
}

#endif

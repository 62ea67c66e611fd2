/* kernels/cpu/simd/vmath.h - exp, log, tanh and the normal distribution of vectors.
 *
 * Polynomials are minimax fits (Remez exchange in 40 digits) on the intervals named
 * below. Errors are tested in tests/unit/kernels/cpu.c: exp 1.2e-7 and tanh 3e-7
 * relative, log 1.2e-7 of max(1, |log|), Phi 1.2e-7 absolute. NaN comes out as NaN, so a
 * diverged training is seen. */
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
#pragma GCC unroll 16
    for (int i = n - 2; i >= 0; i--)
        y = vf_fma(y, x, vf_splat(c[i]));
    return y;
}

/* e^r of r = x - n ln 2, |r| <= ln 2 / 2, and n with an integer's bits in its lower half:
 * e^x = 2^n e^r. */
INLINE vf vf_exp_parts(vf x, vf *n)
{
    const float round = 0x1.8p23f; /* adding it leaves an integer in the low bits */
    *n = vf_fma(x, vf_splat(0x1.715476p+0f), vf_splat(round));
    const vf whole = *n - round;
    vf r = vf_fma(whole, vf_splat(-0x1.62e400p-1f), x);
    r = vf_fma(whole, vf_splat(-0x1.7f7d1cp-20f), r);
    return VF_POLY(r, 1.0f, 1.0f, 5.000000095e-01f, 1.666651884e-01f, 4.166620579e-02f,
                   8.368889343e-03f, 1.395049205e-03f);
}

INLINE vf vf_exp(vf x)
{
    vf n;
    const vf e = vf_exp_parts(vf_min(vf_splat(89), vf_max(vf_splat(-105), x)), &n);
    return vf_scale(e, n - 0x1.8p23f);
}

/* Of x that are not above 0, or hardly: without AVX-512 0 below -87, where e^x is about the
 * least normal number, so that n can be added to the exponent. */
INLINE vf vf_exp_falling(vf x)
{
    vf n;
#if CPU_WIDTH == 16
    const vf e = vf_exp_parts(vf_max(vf_splat(-105), x), &n);
    return vf_scale(e, n - 0x1.8p23f);
#else
    const vf e = vf_exp_parts(x, &n);
    return vf_if_less(x, vf_splat(-87), (vf){0}, (vf)((vu)e + ((vu)n << 23)));
#endif
}

/* For normal x > 0: x = 2^n m with m in [sqrt(1/2), sqrt(2)); log(1 + r) of r = m - 1 is
 * r - r^2 / 2 + r^3 q(r). */
INLINE vf vf_log(vf x)
{
    const vi bits = (vi)x, n = (bits - 0x3f3504f3) >> 23;
    const vf r = (vf)(bits - n * (1 << 23)) - 1.0f, s = r * r;
    vf q = VF_POLY(r, 3.333332860e-01f, -2.500029655e-01f, 2.000146858e-01f,
                   -1.664224760e-01f, 1.420217382e-01f, -1.297223899e-01f,
                   1.271230768e-01f, -8.101558331e-02f);
    const vf y = r + vf_fma(s, vf_splat(-0.5f), s * r * q);
    return vf_fma(__builtin_convertvector(n, vf), vf_splat(0x1.62e430p-1f), y) + (x - x);
}

INLINE vf vf_abs(vf x)
{
    return (vf)((vi)x & 0x7fffffff);
}

INLINE vf vf_copysign(vf magnitude, vf sign)
{
    return (vf)((vi)magnitude | ((vi)sign & (vi)vf_splat(-0.0f)));
}

/* The normal distribution: Phi(x), and phi(x) in *pdf. The upper tail of |x| is
 * exp(-x^2 / 2) q(|x|), q being erfcx in effect, fitted so that |x| Phi(x) has an even
 * error. */
INLINE vf vf_normal_cdf(vf x, vf *pdf)
{
    vf t = vf_abs(x), e = vf_exp_falling(x * x * -0.5f);
    vf c = vf_min(vf_splat(5.5f), t); /* beyond, e alone makes it vanish */
    vf q = VF_POLY(c, 4.999999679e-01f, -3.989393448e-01f, 2.499556725e-01f,
                   -1.327192722e-01f, 6.170234850e-02f, -2.514868064e-02f,
                   8.716814451e-03f, -2.429924119e-03f, 5.074346372e-04f,
                   -7.276234809e-05f, 6.286938559e-06f, -2.441890648e-07f);
    vf tail = e * q;
    *pdf = e * 0x1.988454p-2f; /* 1 / sqrt(2 pi) */
    return vf_if_less(x, (vf){0}, tail, 1.0f - tail);
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

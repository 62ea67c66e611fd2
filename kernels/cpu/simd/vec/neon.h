/* kernels/cpu/simd/vec/neon.h - what vec.h has of its own for Arm's NEON. Included there. */
#ifndef KERNELS_CPU_SIMD_VEC_NEON_H
#define KERNELS_CPU_SIMD_VEC_NEON_H

INLINE vf vf_load_n(const float *p, int n)
{
    const float32x4_t none = {0};
    if (n >= W)
        return vf_load(p);
    if (n & 2) {
        const float32x4_t two = vcombine_f32(vld1_f32(p), vdup_n_f32(0));
        return (vf)(n & 1 ? vld1q_lane_f32(p + 2, two, 2) : two);
    }
    return (vf)(n & 1 ? vld1q_lane_f32(p, none, 0) : none);
}

INLINE void vf_store_n(float *p, vf v, int n)
{
    if (n >= W)
        vf_store(p, v);
    else if (n & 2)
        vst1_f32(p, vget_low_f32((float32x4_t)v));
    if (n == 3)
        p[2] = v[2];
    else if (n == 1)
        p[0] = v[0];
}

INLINE vf vf_fma(vf a, vf b, vf c)
{
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}

/* Not the processor's own, which have another word on what is not a number. */
INLINE vf vf_max(vf a, vf b)
{
    return vf_bits(a > b, a, b);
}

INLINE vf vf_min(vf a, vf b)
{
    return vf_bits(a < b, a, b);
}

INLINE vf vf_sqrt(vf a)
{
    return (vf)vsqrtq_f32((float32x4_t)a);
}

INLINE vu64 vu_mul_even(vu64 a, vu64 b)
{
    return (vu64)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
}

INLINE vf vf_of_bf16(const uint16_t *p)
{
    return (vf)vshll_n_u16(vld1_u16(p), 16);
}

INLINE vf vf_of_half(const uint16_t *p)
{
    return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC

INLINE vf bf16_words(vf a, vf b)
{
    const bfloat16x8_t low = vcvtq_low_bf16_f32((float32x4_t)a);
    return (vf)vreinterpretq_f32_bf16(vcvtq_high_bf16_f32(low, (float32x4_t)b));
}

INLINE vf bf16_rounded(vf x)
{
    return (vf)vshll_n_u16(vreinterpret_u16_bf16(vcvt_bf16_f32((float32x4_t)x)), 16);
}

INLINE vf bf16_fma(vf a, vf b, vf c)
{
    return (vf)vbfdotq_f32((float32x4_t)c, vreinterpretq_bf16_f32((float32x4_t)a),
                           vreinterpretq_bf16_f32((float32x4_t)b));
}

#endif

#endif

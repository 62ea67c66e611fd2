/* kernels/ref/ref.h - the backend that judges the others.
 *
 * Naive loops in the order of the definition in ops.def, one thread, fp32 storage, every
 * sum and every function in double; no cleverness to go wrong. A prepared weight is its
 * plain fp32 copy, or the bytes of q4_layout; a quantised one is unpacked into the
 * workspace for each call. */
#ifndef KERNELS_REF_H
#define KERNELS_REF_H

#include "kernels/backend.h"

const struct backend *ref_backend(void);

/* One function per op: leaving one out does not link. */
#define OP(name, n_in, n_out, in_place) void ref_##name(const struct op_args *args);
#include "kernels/ops.def"
#undef OP

/* Row r of a tensor. */
static inline float *ref_row(const struct tensor *t, int64_t r)
{
    return (float *)t->data + r * t->ld;
}

/* Row r of an index vector (I32, rows x 1). */
static inline int32_t ref_index(const struct tensor *t, int64_t r)
{
    return ((const int32_t *)t->data)[r * t->ld];
}

static inline int ref_accumulates(const struct op_args *args, int output)
{
    return args->accumulate >> output & 1;
}

/* Writes one element of an output, or adds to it. */
static inline void ref_put(const struct op_args *args, int output, float *element,
                           double value)
{
    *element = (float)(ref_accumulates(args, output) ? *element + value : value);
}

/* Sets an output to zero unless it is added to. */
void ref_clear(const struct op_args *args, int output);
/* dst[0..n) += src[0..n) */
void ref_add_row(float *dst, const float *src, int n);
double ref_dot(const float *a, const float *b, int n);

#endif

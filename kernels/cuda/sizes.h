/* kernels/cuda/sizes.h - what the CUDA backend takes and declines, as arithmetic on shapes.
 *
 * Both the backend (kernels/cuda) and the program, which plans for a GPU that is not here
 * (backend_planned), go by these lines, so that such a plan is the backend's own. C and
 * C++, and nothing of CUDA. */
#ifndef KERNELS_CUDA_SIZES_H
#define KERNELS_CUDA_SIZES_H

#include "kernels/backend.h"
#include "kernels/nf4.h"
#include <stdio.h>

#define CUDA_SUMSQ_BLOCK 4096 /* elements that a block of threads adds up */
#define CUDA_NARROW      64   /* inputs or outputs of a product without cuBLAS */

/* What cuBLAS takes by itself: more from Hopper (compute capability 9) on. */
#define CUDA_BLAS_BYTES(major) ((size_t)((major) >= 9 ? 32 : 4) << 20)

typedef struct q4_layout (*q4_layout_fn)(const struct weight_spec *spec);

/* A frozen weight: fp32 as it is, 4 bits as on the host. */
static inline size_t cuda_sizes_weight(const struct weight_spec *spec,
                                       q4_layout_fn layout)
{
    const size_t n = (size_t)spec->rows * (size_t)spec->cols;
    return spec->quant == QUANT_NONE ? n * sizeof(float) : layout(spec).bytes;
}

static inline size_t cuda_sizes_sumsq(const struct tensor *x)
{
    const int64_t n = (int64_t)x->rows * x->cols;
    return (size_t)((n + CUDA_SUMSQ_BLOCK - 1) / CUDA_SUMSQ_BLOCK) * sizeof(double);
}

/* Is this the weight of a forward product that needs no cuBLAS? */
static inline bool cuda_sizes_narrow(const struct tensor *w)
{
    return (w->rows <= CUDA_NARROW || w->cols <= CUDA_NARROW) &&
           (w->dtype != DT_PREPARED || w->spec->quant == QUANT_NONE);
}

static inline size_t cuda_sizes_workspace(enum op op, const struct op_args *shapes,
                                          size_t blas)
{
    const struct tensor *in = shapes->in;
    switch (op) {
    case OP_linear:
    case OP_linear_dx:
        if (op == OP_linear && cuda_sizes_narrow(&in[1]))
            return 0;
        /* 4-bit weights become fp32 before a product */
        return blas + (in[1].dtype == DT_PREPARED && in[1].spec->quant != QUANT_NONE
                           ? (size_t)in[1].rows * (size_t)in[1].cols * sizeof(float)
                           : 0);
    case OP_linear_dw:
        return blas;
    case OP_attention_bwd:
        return (size_t)in[0].rows * (size_t)shapes->attr.heads * sizeof(float);
    case OP_sumsq:
        return cuda_sizes_sumsq(&in[0]);
    default:
        return 0;
    }
}

/* Kernels count elements in 32 bits. */
static inline const struct tensor *cuda_sizes_too_large(const struct tensor *t, int n)
{
    for (int i = 0; i < n; i++)
        if (t[i].data && t[i].dtype != DT_PREPARED &&
            (int64_t)t[i].rows * t[i].cols > INT32_MAX)
            return &t[i];
    return NULL;
}

static inline bool cuda_sizes_takes(const struct op_args *shapes, char *reason,
                                    size_t size)
{
    if (shapes->attr.compute == DT_BF16) {
        snprintf(reason, size,
                 "it computes in float32 only - leave dtype out, or use backend cpu");
        return false;
    }
    const struct tensor *t = cuda_sizes_too_large(shapes->in, OP_MAX_IN);
    if (!t)
        t = cuda_sizes_too_large(shapes->out, OP_MAX_OUT);
    if (t)
        snprintf(reason, size,
                 "a tensor of %d x %d has more than 2^31 elements - try a smaller "
                 "batch_size or max_length",
                 t->rows, t->cols);
    return !t;
}

#endif

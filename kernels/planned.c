/* kernels/planned.c - tables of backends whose device is not here, to plan by. */
#include "kernels/backend.h"
#include "kernels/cuda/sizes.h"
#include "lib/mem.h"

static size_t weight_bytes(const struct weight_spec *spec)
{
    return cuda_sizes_weight(spec, q4_layout);
}

/* `device`: bytes that cuBLAS takes there. */
static size_t workspace_bytes(void *device, enum op op, const struct op_args *shapes)
{
    return cuda_sizes_workspace(op, shapes, *(const size_t *)device);
}

static bool supports(void *device, enum op op, const struct op_args *shapes, char *reason,
                     size_t size)
{
    (void)device, (void)op;
    return cuda_sizes_takes(shapes, reason, size);
}

const struct backend *backend_planned_cuda(int major)
{
    static size_t blas[] = {CUDA_BLAS_BYTES(0), CUDA_BLAS_BYTES(9)};
#define TABLE(i)                                                                         \
    {                                                                                    \
        .abi = BACKEND_ABI, .name = "cuda", .variant = "planned", .device = &blas[i],    \
        .activations = 1u << DT_F32 | 1u << DT_BF16, .supports = supports,               \
        .workspace_bytes = workspace_bytes, .weight_bytes = weight_bytes,                \
    }
    static const struct backend tables[] = {TABLE(0), TABLE(1)};
#undef TABLE
    return &tables[CUDA_BLAS_BYTES(major) == blas[1]];
}

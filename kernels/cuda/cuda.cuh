/* kernels/cuda/cuda.cuh - the host functions of this backend, one per op, and what the
 * files share on the host's side. */
#ifndef KERNELS_CUDA_CUDA_CUH
#define KERNELS_CUDA_CUDA_CUH

#include "kernels/backend.h"
#include "kernels/backend_load.h"
#include "kernels/cuda/blas.cuh"

/* One function per op: leaving one out does not link. */
#define OP(name, n_in, n_out, in_place) void cuda_##name(const struct op_args *args);
#include "kernels/ops.def"
#undef OP

/* Those that may take several calls in one launch (segments.cuh). */
#define CUDA_MANY(X)                                                                     \
    X(embed)                                                                             \
    X(layernorm)                                                                         \
    X(rmsnorm)                                                                           \
    X(linear)                                                                            \
    X(act)                                                                               \
    X(gated_act)                                                                         \
    X(scale)                                                                             \
    X(add)                                                                               \
    X(colscale)                                                                          \
    X(dora_norm)                                                                         \
    X(copy)                                                                              \
    X(round_bf16)                                                                        \
    X(attention)                                                                         \
    X(cache_store)                                                                       \
    X(cached_attention)                                                                  \
    X(gather)
#define X(name) void cuda_many_##name(const struct op_args *args, size_t count);
CUDA_MANY(X)
#undef X

/* What a table's `device` points to. */
struct cuda_device {
    int number; /* CUDA's; module.cu makes it the thread's current one before each call */
    struct blas blas;
};

/* What the program that loaded us offers. */
extern const struct backend_host *cuda_host;

/* ---- weight.cu: frozen weights. fp32 as they are, 4-bit ones as the bytes of q4_layout,
 * which become fp32 again before each product. ---- */
size_t cuda_weight_bytes(const struct weight_spec *spec);
/* Both on the current device. */
int cuda_weight_prepare(const struct weight_spec *spec, const struct weight_rows *rows,
                        void *dst, struct err *err);
void cuda_weight_unpack(const struct weight_spec *spec, const void *src, float *dst);
/* Elements [begin, begin + count) of a 4-bit weight, on the device; begin is even. */
void cuda_dequantize(const struct weight_spec *spec, const void *src, size_t begin,
                     size_t count, float *dst);

#endif

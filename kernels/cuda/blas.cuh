/* kernels/cuda/blas.cuh - the one product that everything else is made of, as cuBLAS
 * computes it.
 *
 * cuBLAS thinks in columns: a row-major matrix is its own transpose there, so that
 * C = op(A) op(B) for row-major matrices is asked for as C^T = op(B)^T op(A)^T. Products
 * are plain fp32 (no TF32). The same call gives the same bits on the same kind of GPU,
 * but cuBLAS chooses its kernel by the shape, so a row's bits may depend on how many
 * rows there are. */
#ifndef KERNELS_CUDA_BLAS_CUH
#define KERNELS_CUDA_BLAS_CUH

#include <cublas_v2.h>
#include "kernels/tensor.h"

/* A matrix in memory, row-major; transposed: its columns are the factor's rows. */
struct factor {
    const float *data;
    int64_t ld;
    bool transposed;
};

/* cuBLAS on one device. */
struct blas {
    cublasHandle_t handle;
    size_t workspace_bytes; /* what it wants to have beside a product, 256-byte aligned */
};

/* On the current device, whose compute capability is `major`.x; fails with a reason when
 * cuBLAS cannot start. */
int blas_open(struct blas *blas, int major, char *reason, size_t size);
/* c[m,n] = alpha op(a)[m,k] op(b)[k,n], added to c if `add`. */
void blas_product(const struct blas *blas, int m, int n, int k, float alpha,
                  struct factor a, struct factor b, bool add, float *c, int64_t ldc,
                  void *workspace);

#endif

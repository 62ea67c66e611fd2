/* kernels/cuda/emul/cublas_v2.h - stands in for cuBLAS's header of that name: what
 * blas.cu calls, done by a plain product on the host (blas.cpp), in column-major terms.
 * Row by row and in the order of k, so here a row's bits do not depend on others. */
#ifndef KERNELS_CUDA_EMUL_CUBLAS_V2_H
#define KERNELS_CUDA_EMUL_CUBLAS_V2_H

#include <stddef.h>

enum cublasStatus_t {
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7
};
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T };
typedef struct emul_cublas *cublasHandle_t;

cublasStatus_t cublasCreate(cublasHandle_t *handle);
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes);
cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t op_a,
                           cublasOperation_t op_b, int m, int n, int k,
                           const float *alpha, const float *a, int lda, const float *b,
                           int ldb, const float *beta, float *c, int ldc);

#endif

/* kernels/cuda/blas.cu - see blas.cuh. */
#include <stdio.h>
#include <stdlib.h>
#include "kernels/cuda/blas.cuh"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/sizes.h"

int blas_open(struct blas *blas, int major, char *reason, size_t size)
{
    blas->workspace_bytes = CUDA_BLAS_BYTES(major);
    const cublasStatus_t status = cublasCreate(&blas->handle);
    if (status == CUBLAS_STATUS_SUCCESS)
        return 0;
    snprintf(reason, size, "cuBLAS cannot start (status %d)", (int)status);
    return -1;
}

static void must(cublasStatus_t status)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return;
    fprintf(stderr, "peftlab: cuBLAS failed with status %d\n", (int)status);
    abort();
}

void blas_product(const struct blas *blas, int m, int n, int k, float alpha,
                  struct factor a, struct factor b, bool add, float *c, int64_t ldc,
                  void *workspace)
{
    const float beta = add ? 1.0f : 0.0f;
    if (m == 0 || n == 0)
        return;
    cuda_count_launch();
    must(cublasSetWorkspace(blas->handle, workspace, blas->workspace_bytes));
    must(cublasSgemm(blas->handle, b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                     a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k, &alpha, b.data,
                     (int)b.ld, a.data, (int)a.ld, &beta, c, (int)ldc));
}

/* kernels/cuda/emul/blas.cpp - c = alpha op(a) op(b) + beta c, column-major: op(a) is
 * m x k, op(b) k x n, and a transposed matrix is stored k x m or n x k. */
#include "cublas_v2.h"
#include "emul.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct emul_cublas {
    void *workspace;
    size_t bytes;
};

cublasStatus_t cublasCreate(cublasHandle_t *handle)
{
    *handle = static_cast<struct emul_cublas *>(calloc(1, sizeof(struct emul_cublas)));
    return *handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes)
{
    if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    emul_memory_check(workspace, bytes, "cublasSetWorkspace");
    handle->workspace = workspace;
    handle->bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

/* Bytes from the first element to the last of a column-major rows x cols matrix. */
static size_t extent(int rows, int cols, int ld)
{
    if (rows == 0 || cols == 0)
        return 0;
    return ((size_t)ld * (cols - 1) + rows) * sizeof(float);
}

enum { ROWS = 16, COLUMNS = 6 };
typedef float rows __attribute__((vector_size(ROWS * sizeof(float))));

/* op(a) by strips of ROWS rows, k after k, the last filled up with zeros. */
static float *packed(cublasOperation_t op, const float *a, int lda, int m, int k)
{
    const size_t strips = (m + ROWS - 1) / ROWS, bytes = strips * k * sizeof(rows);
    float *p = static_cast<float *>(aligned_alloc(sizeof(rows), bytes + sizeof(rows)));
    if (!p)
        emul_fail("no memory for a product of %d x %d", m, k);
    memset(p, 0, bytes);
    for (int i = 0; i < m; i++)
        for (int l = 0; l < k; l++)
            p[((size_t)(i / ROWS) * k + l) * ROWS + i % ROWS] =
                op == CUBLAS_OP_T ? a[(size_t)i * lda + l] : a[(size_t)l * lda + i];
    return p;
}

/* sum[j] = sum over l of a[l] b(l, j), for ROWS rows and COLUMNS columns at once. */
__attribute__((target_clones("avx512f", "avx2", "default"))) static void
tile(const float *a, const float *const b[COLUMNS], size_t b_step, int k,
     float sum[COLUMNS][ROWS])
{
    const rows *column = reinterpret_cast<const rows *>(a);
    rows s[COLUMNS] = {};
    for (int l = 0; l < k; l++)
        for (int j = 0; j < COLUMNS; j++)
            s[j] += column[l] * b[j][l * b_step];
    memcpy(sum, s, sizeof s);
}

static void store(float *c, const float *sum, int n, float alpha, float beta)
{
    for (int i = 0; i < n; i++) /* what is not added to is not read: it may be NaN */
        c[i] = beta == 0 ? alpha * sum[i] : alpha * sum[i] + beta * c[i];
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t op_a,
                           cublasOperation_t op_b, int m, int n, int k,
                           const float *alpha, const float *a, int lda, const float *b,
                           int ldb, const float *beta, float *c, int ldc)
{
    const bool turn_a = op_a == CUBLAS_OP_T, turn_b = op_b == CUBLAS_OP_T;
    if (!handle || m < 0 || n < 0 || k < 0 || lda < (turn_a ? k : m) || lda < 1 ||
        ldb < (turn_b ? n : k) || ldb < 1 || ldc < m || ldc < 1)
        return CUBLAS_STATUS_INVALID_VALUE;
    emul_memory_check(a, turn_a ? extent(k, m, lda) : extent(m, k, lda),
                      "cublasSgemm: a");
    emul_memory_check(b, turn_b ? extent(n, k, ldb) : extent(k, n, ldb),
                      "cublasSgemm: b");
    emul_memory_check(c, extent(m, n, ldc), "cublasSgemm: c");
    emul_memory_open();
    memset(handle->workspace, 0xff, handle->bytes < 4096 ? handle->bytes : 4096);
    float *p = packed(op_a, a, lda, m, k), sum[COLUMNS][ROWS];
    const size_t b_step = turn_b ? ldb : 1, b_column = turn_b ? 1 : ldb;
    for (int i = 0; i < m; i += ROWS)
        for (int j = 0; j < n; j += COLUMNS) {
            const int count = m - i < ROWS ? m - i : ROWS;
            const float *columns[COLUMNS];
            for (int x = 0; x < COLUMNS; x++) /* behind the last: the last again */
                columns[x] = b + (j + x < n ? j + x : n - 1) * b_column;
            tile(p + (size_t)i * k, columns, b_step, k, sum);
            for (int x = 0; x < COLUMNS && j + x < n; x++)
                store(c + (size_t)(j + x) * ldc + i, sum[x], count, *alpha, *beta);
        }
    free(p);
    emul_memory_close();
    return CUBLAS_STATUS_SUCCESS;
}

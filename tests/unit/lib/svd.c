/* tests/unit/lib/svd.c - singular vectors and QR against what defines them: products
 * that give the matrix back, orthogonality, and values known beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/svd.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *noise(int rows, int cols, uint64_t stream)
{
    const struct philox_key key = rng_key(7, "svd test");
    float *w = xmalloc((size_t)rows * cols * sizeof *w);
    for (int i = 0; i < rows * cols; i++)
        w[i] = (float)rng_normal(&key, stream, (uint64_t)i);
    return w;
}

static double product(const double *a, const double *b, int n)
{
    double s = 0;
    for (int i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

static void orthonormal(const double *x, int n, int count)
{
    for (int i = 0; i < count; i++)
        for (int j = 0; j <= i; j++)
            assert_true(fabs(product(x + i * n, x + j * n, n) - (i == j)) < 1e-9);
}

/* u, s, v are singular triplets of w: W v = s u and W^T u = s v. */
static void are_triplets(const float *w, int rows, int cols, int rank, const double *u,
                         const double *s, const double *v)
{
    orthonormal(u, rows, rank);
    orthonormal(v, cols, rank);
    for (int k = 0; k < rank; k++) {
        assert_true(k == 0 || s[k] <= s[k - 1]);
        for (int r = 0; r < rows; r++) {
            double sum = 0;
            for (int c = 0; c < cols; c++)
                sum += w[r * cols + c] * v[k * cols + c];
            assert_true(fabs(sum - s[k] * u[k * rows + r]) < 1e-8 * s[0]);
        }
        for (int c = 0; c < cols; c++) {
            double sum = 0;
            for (int r = 0; r < rows; r++)
                sum += w[r * cols + c] * u[k * rows + r];
            assert_true(fabs(sum - s[k] * v[k * cols + c]) < 1e-8 * s[0]);
        }
    }
}

/* Nothing larger is left when the triplets are taken out: power iteration on the rest. */
static double largest_left(const float *w, int rows, int cols, int rank, const double *u,
                           const double *s, const double *v)
{
    float *rest = xmalloc((size_t)rows * cols * sizeof *rest);
    double *us = xmalloc((size_t)rows * sizeof *us), ss[1],
           *vs = xmalloc((size_t)cols * sizeof *vs);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            double x = w[r * cols + c];
            for (int k = 0; k < rank; k++)
                x -= s[k] * u[k * rows + r] * v[k * cols + c];
            rest[r * cols + c] = (float)x;
        }
    for (int c = 0; c < cols; c++)
        vs[c] = 1 + 0.01 * c;
    for (int i = 0; i < 100; i++) {
        for (int r = 0; r < rows; r++) {
            us[r] = 0;
            for (int c = 0; c < cols; c++)
                us[r] += rest[r * cols + c] * vs[c];
        }
        for (int c = 0; c < cols; c++) {
            vs[c] = 0;
            for (int r = 0; r < rows; r++)
                vs[c] += rest[r * cols + c] * us[r];
        }
        ss[0] = sqrt(product(vs, vs, cols));
        for (int c = 0; c < cols; c++)
            vs[c] /= ss[0];
    }
    free(rest);
    free(us);
    free(vs);
    return sqrt(ss[0]);
}

static void test_svd(void **state)
{
    (void)state;
    static const int shapes[][3] = {
        {1, 1, 1},     {5, 3, 3},      {3, 5, 2},     {32, 32, 4},
        {64, 32, 32},  {40, 130, 8},   {200, 150, 4}, /* these two by iteration */
        {150, 384, 8}, {100, 110, 40},                /* wants too much of it */
    };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        const int rows = shapes[i][0], cols = shapes[i][1], rank = shapes[i][2];
        float *w = noise(rows, cols, i);
        double *u = xmalloc((size_t)rank * rows * sizeof *u),
               *s = xmalloc((size_t)rank * sizeof *s),
               *v = xmalloc((size_t)rank * cols * sizeof *v);
        svd_top(w, rows, cols, rank, u, s, v);
        are_triplets(w, rows, cols, rank, u, s, v);
        if (rank < rows && rank < cols)
            assert_true(largest_left(w, rows, cols, rank, u, s, v) <
                        s[rank - 1] * (1 + 1e-4));
        free(w);
        free(u);
        free(s);
        free(v);
    }
}

/* Of low rank: the values beyond are 0 and nothing is made of them. */
static void test_low_rank(void **state)
{
    (void)state;
    enum { N = 6 };
    float w[N * N] = {0};
    double u[4 * N], s[4], v[4 * N];
    w[0 * N + 2] = 3;
    w[4 * N + 1] = -5;
    svd_top(w, N, N, 4, u, s, v);
    assert_true(fabs(s[0] - 5) < 1e-12 && fabs(s[1] - 3) < 1e-12);
    assert_true(s[2] < 1e-12 && s[3] < 1e-12);
    for (int i = 0; i < 4 * N; i++)
        assert_true(isfinite(u[i]) && isfinite(v[i]));
    memset(w, 0, sizeof w);
    svd_top(w, N, N, 4, u, s, v);
    for (int i = 0; i < 4 * N; i++)
        assert_true(isfinite(u[i]) && isfinite(v[i]));
}

static void test_qr(void **state)
{
    (void)state;
    static const int shapes[][3] = {
        {1, 1, 1}, {7, 7, 7}, {9, 5, 5}, {5, 9, 5}, {40, 30, 8}};
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        const int rows = shapes[i][0], cols = shapes[i][1], rank = shapes[i][2];
        float *w = noise(rows, cols, 50 + i);
        double *q = xmalloc((size_t)rank * rows * sizeof *q),
               *r = xmalloc((size_t)rank * cols * sizeof *r);
        qr_top(w, rows, cols, rank, q, r);
        orthonormal(q, rows, rank);
        for (int k = 0; k < rank; k++)
            for (int c = 0; c < cols; c++) {
                double sum = 0; /* Q^T W = R, zero below the diagonal */
                for (int j = 0; j < rows; j++)
                    sum += q[k * rows + j] * w[j * cols + c];
                assert_true(fabs(sum - r[k * cols + c]) < 1e-10 * cols * rows);
                assert_true(c >= k || r[k * cols + c] == 0);
            }
        free(w);
        free(q);
        free(r);
    }
    float w[] = {3, 1, 4, 2}; /* numpy: R = [[-5, -2.2], [0, 0.4]] */
    double q[4], r[4];
    qr_top(w, 2, 2, 2, q, r);
    assert_true(fabs(r[0] + 5) < 1e-12 && fabs(r[1] + 2.2) < 1e-12);
    assert_true(fabs(r[3] - 0.4) < 1e-12 && fabs(q[0] + 0.6) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_svd),
        cmocka_unit_test(test_low_rank),
        cmocka_unit_test(test_qr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

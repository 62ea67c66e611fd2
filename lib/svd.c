/* lib/svd.c - see svd.h. */
#include "lib/svd.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/rng.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SWEEPS     60
#define MAX_ITERATIONS 300
#define RESIDUAL       1e-9

/* Four chains, so that they overlap; the order of the sum is fixed. */
static double dot(const double *a, const double *b, int n)
{
    double s[4] = {0};
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static void rotate(double *a, double *b, int n, double c, double s)
{
    for (int i = 0; i < n; i++) {
        const double x = a[i], y = b[i];
        a[i] = c * x - s * y;
        b[i] = s * x + c * y;
    }
}

/* Makes n vectors of length m orthogonal by plane rotations; the same rotations go to
 * `also` (n vectors of length n), if there is one. A = (result) (also)^T then. */
static void jacobi(double *a, int m, int n, double *also)
{
    bool rotated = true;
    for (int sweep = 0; rotated && sweep < MAX_SWEEPS; sweep++) {
        rotated = false;
        for (int p = 0; p < n - 1; p++)
            for (int q = p + 1; q < n; q++) {
                double *x = a + (size_t)p * m, *y = a + (size_t)q * m;
                const double xx = dot(x, x, m), yy = dot(y, y, m), xy = dot(x, y, m);
                if (fabs(xy) <= 1e-15 * sqrt(xx * yy) || xy == 0)
                    continue;
                const double zeta = (yy - xx) / (2 * xy);
                const double t = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta));
                const double c = 1 / hypot(1, t);
                rotate(x, y, m, c, c * t);
                if (also)
                    rotate(also + (size_t)p * n, also + (size_t)q * n, n, c, c * t);
                rotated = true;
            }
    }
}

/* Norms of n vectors, and their order from the largest. */
static void norms_and_order(const double *a, int m, int n, double *norm, int *order)
{
    for (int j = 0; j < n; j++) {
        const double *x = a + (size_t)j * m;
        norm[j] = sqrt(dot(x, x, m));
        int at = j;
        for (; at > 0 && norm[order[at - 1]] < norm[j]; at--)
            order[at] = order[at - 1];
        order[at] = j;
    }
}

/* --- products with the matrix, whose vectors are the rows of `w` --- */

struct product {
    const double *w, *in;
    double *out;
    int rows, cols, count;
};

/* out[k][r] = w[r] . in[k] */
static void times_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct product *p = ctx;
    (void)thread;
    for (size_t r = begin; r < end; r++)
        for (int k = 0; k < p->count; k++)
            p->out[(size_t)k * p->rows + r] =
                dot(p->w + r * p->cols, p->in + (size_t)k * p->cols, p->cols);
}

/* out[k] = sum over r of in[k][r] w[r] */
static void times_columns(void *ctx, size_t begin, size_t end, int thread)
{
    const struct product *p = ctx;
    (void)thread;
    for (size_t k = begin; k < end; k++) {
        double *out = p->out + k * p->cols;
        memset(out, 0, (size_t)p->cols * sizeof *out);
        for (int r = 0; r < p->rows; r++) {
            const double x = p->in[k * p->rows + r], *w = p->w + (size_t)r * p->cols;
            for (int c = 0; c < p->cols; c++)
                out[c] += x * w[c];
        }
    }
}

static void product_rows(const double *w, int rows, int cols, const double *in, int count,
                         double *out)
{
    struct product p = {w, in, out, rows, cols, count};
    pool_run(times_rows, &p, (size_t)rows, 16);
}

static void product_columns(const double *w, int rows, int cols, const double *in,
                            int count, double *out)
{
    struct product p = {w, in, out, rows, cols, count};
    pool_run(times_columns, &p, (size_t)count, 1);
}

/* Gram-Schmidt, twice, which is enough (Giraud et al. 2005). A vector that vanishes
 * becomes 0. */
static void orthonormalise(double *a, int m, int n)
{
    for (int j = 0; j < n; j++) {
        double *x = a + (size_t)j * m;
        const double before = sqrt(dot(x, x, m));
        for (int pass = 0; pass < 2; pass++)
            for (int k = 0; k < j; k++) {
                const double *y = a + (size_t)k * m, f = dot(x, y, m);
                for (int i = 0; i < m; i++)
                    x[i] -= f * y[i];
            }
        const double norm = sqrt(dot(x, x, m));
        const double f = norm > 1e-14 * before ? 1 / norm : 0;
        for (int i = 0; i < m; i++)
            x[i] *= f;
    }
}

/* W = left S right^T, `vectors` rows of `length`; left has vectors of `vectors`. */

struct triplets {
    int rank;
    double *s, *left, *right;
};

/* The rows of W are the vectors that Jacobi makes orthogonal: what they become is
 * s times the right vectors; the left ones follow from W. */
static void whole(const double *w, int vectors, int length, struct triplets *t)
{
    double *a = xmalloc((size_t)vectors * length * sizeof *a),
           *norm = xmalloc((size_t)vectors * sizeof *norm);
    int *order = xmalloc((size_t)vectors * sizeof *order);
    memcpy(a, w, (size_t)vectors * length * sizeof *a);
    jacobi(a, length, vectors, NULL);
    norms_and_order(a, length, vectors, norm, order);
    for (int k = 0; k < t->rank; k++) {
        t->s[k] = norm[order[k]];
        for (int i = 0; i < length; i++)
            t->right[(size_t)k * length + i] =
                t->s[k] > 0 ? a[(size_t)order[k] * length + i] / t->s[k] : 0;
    }
    product_rows(w, vectors, length, t->right, t->rank, t->left);
    for (int k = 0; k < t->rank; k++)
        for (int i = 0; i < vectors; i++)
            t->left[(size_t)k * vectors + i] *= t->s[k] > 0 ? 1 / t->s[k] : 0;
    free(a);
    free(norm);
    free(order);
}

/* How far W^T left - s right is from 0, for the wanted triplets. */
static double residual(const struct triplets *t, const double *wl, int length)
{
    double worst = 0;
    for (int k = 0; k < t->rank; k++) {
        double square = 0;
        for (int i = 0; i < length; i++) {
            const size_t at = (size_t)k * length + i;
            const double d = wl[at] - t->s[k] * t->right[at];
            square += d * d;
        }
        worst = fmax(worst, sqrt(square));
    }
    return worst;
}

/* One step: `y` spans the right space (count vectors of length); makes the best triplets
 * of W in it. z: room for count vectors of `vectors`, turn: count x count. */
static void project(const double *w, int vectors, int length, double *y, int count,
                    double *z, double *turn, double *norm, int *order, double *left,
                    struct triplets *t)
{
    orthonormalise(y, length, count);
    product_rows(w, vectors, length, y, count, z);
    memset(turn, 0, (size_t)count * count * sizeof *turn);
    for (int k = 0; k < count; k++)
        turn[(size_t)k * count + k] = 1;
    jacobi(z, vectors, count, turn);
    norms_and_order(z, vectors, count, norm, order);
    for (int k = 0; k < count; k++) {
        const int from = order[k];
        const double f = norm[from] > 0 ? 1 / norm[from] : 0;
        for (int i = 0; i < vectors; i++)
            left[(size_t)k * vectors + i] = f * z[(size_t)from * vectors + i];
        if (k >= t->rank)
            continue;
        double *right = t->right + (size_t)k * length;
        t->s[k] = norm[from];
        memset(right, 0, (size_t)length * sizeof *right);
        for (int q = 0; q < count; q++)
            for (int i = 0; i < length; i++)
                right[i] += turn[(size_t)from * count + q] * y[(size_t)q * length + i];
    }
    memcpy(t->left, left, (size_t)t->rank * vectors * sizeof *left);
}

/* y (count vectors of length) becomes T_d(2 W^T W / cut - 1) y: Chebyshev's polynomial
 * stays within 1 up to `cut` and grows beyond it as fast as any of its degree, so that d
 * pairs of products do what a multiple of d plain steps would (Saad 1984). The degree is
 * kept so low that the largest value's share does not drown the others. */
static void filter(const double *w, int vectors, int length, double *y, int count,
                   double largest, double cut, double *z)
{
    const size_t n = (size_t)count * length;
    double *before = xmalloc(n * sizeof *before), *next = xmalloc(n * sizeof *next);
    const double growth = acosh(fmax(2 * largest / cut - 1, 1 + 1e-9));
    const int degree = (int)fmax(1, fmin(12, 14 / growth));
    memcpy(before, y, n * sizeof *y);
    for (int d = 0; d < degree && cut > 0; d++) {
        product_rows(w, vectors, length, y, count, z);
        product_columns(w, vectors, length, z, count, next);
        for (size_t i = 0; i < n; i++) {
            const double t = 2 * next[i] / cut - y[i];
            const double value = d == 0 ? t : 2 * t - before[i];
            before[i] = y[i];
            y[i] = value;
        }
    }
    free(before);
    free(next);
}

/* False: not close enough after MAX_ITERATIONS. */
static bool iterate(const double *w, int vectors, int length, int count,
                    struct triplets *t)
{
    const struct philox_key key = rng_key(0, "svd");
    double *y = xmalloc((size_t)count * length * sizeof *y),
           *z = xmalloc((size_t)count * vectors * sizeof *z),
           *left = xmalloc((size_t)count * vectors * sizeof *left),
           *turn = xmalloc((size_t)count * count * sizeof *turn),
           *norm = xmalloc((size_t)count * sizeof *norm);
    int *order = xmalloc((size_t)count * sizeof *order);
    bool done = false;
    for (size_t i = 0; i < (size_t)count * length; i++)
        y[i] = rng_normal(&key, 0, i);
    for (int i = 0; i < MAX_ITERATIONS && !done; i++) {
        project(w, vectors, length, y, count, z, turn, norm, order, left, t);
        product_columns(w, vectors, length, left, count, y);
        done = residual(t, y, length) <= RESIDUAL * t->s[0];
        const double last = norm[order[count - 1]];
        if (!done)
            filter(w, vectors, length, y, count, t->s[0] * t->s[0], last * last, z);
    }
    free(y);
    free(z);
    free(left);
    free(turn);
    free(norm);
    free(order);
    return done;
}

void svd_top(const float *w, int rows, int cols, int rank, double *u, double *s,
             double *v)
{
    /* The shorter side counts vectors, the longer one is their length. */
    const bool wide = rows <= cols;
    const int vectors = wide ? rows : cols, length = wide ? cols : rows;
    const int count = 2 * rank + 16;
    double *a = xmalloc((size_t)rows * cols * sizeof *a);
    struct triplets t = {rank, s, wide ? u : v, wide ? v : u};
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            a[wide ? (size_t)r * cols + c : (size_t)c * rows + r] =
                w[(size_t)r * cols + c];
    if (vectors <= 64 || count > vectors / 2 || !iterate(a, vectors, length, count, &t))
        whole(a, vectors, length, &t);
    free(a);
}

/* --- QR --- */

/* dlarfg: x becomes (beta, 0, ...) under I - tau h h^T, h = (1, x[1..] / (alpha -
 * beta)). */
static double reflector(double *x, int n, double *tau)
{
    const double alpha = x[0], tail = sqrt(dot(x + 1, x + 1, n - 1));
    *tau = 0;
    if (tail == 0)
        return alpha;
    const double beta = -copysign(hypot(alpha, tail), alpha);
    *tau = (beta - alpha) / beta;
    for (int i = 1; i < n; i++)
        x[i] /= alpha - beta;
    x[0] = 1;
    return beta;
}

static void reflect(const double *h, double tau, double *x, int n)
{
    const double f = tau * dot(h, x, n);
    for (int i = 0; i < n; i++)
        x[i] -= f * h[i];
}

void qr_top(const float *w, int rows, int cols, int rank, double *q, double *r)
{
    double *a = xmalloc((size_t)rows * cols * sizeof *a), /* columns */
        *tau = xcalloc((size_t)rank, sizeof *tau);
    for (int i = 0; i < rows; i++)
        for (int c = 0; c < cols; c++)
            a[(size_t)c * rows + i] = w[(size_t)i * cols + c];
    memset(r, 0, (size_t)rank * cols * sizeof *r);
    for (int k = 0; k < rank; k++) {
        double *h = a + (size_t)k * rows + k;
        const double beta = reflector(h, rows - k, &tau[k]);
        h[0] = 1;
        for (int c = k + 1; c < cols; c++) {
            double *x = a + (size_t)c * rows + k;
            reflect(h, tau[k], x, rows - k);
            r[(size_t)k * cols + c] = x[0];
        }
        r[(size_t)k * cols + k] = beta;
    }
    for (int j = 0; j < rank; j++) {
        double *x = q + (size_t)j * rows;
        memset(x, 0, (size_t)rows * sizeof *x);
        x[j] = 1;
        for (int k = j; k >= 0; k--)
            reflect(a + (size_t)k * rows + k, tau[k], x + k, rows - k);
    }
    free(a);
    free(tau);
}

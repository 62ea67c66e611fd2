/* lib/stats/nonneg.c - see nonneg.h. */
#include "lib/stats/nonneg.h"
#include <math.h>
#include <string.h>

/* Below this share of its length a column is a mixture of those before it. */
#define PIVOT_LEAST 1e-9

struct normal {
    double xx[NONNEG_MAX][NONNEG_MAX], xy[NONNEG_MAX], yy;
    double length[NONNEG_MAX]; /* columns are scaled to 1 */
    size_t k;
};

static void gather(struct normal *m, const double *x, const double *y, size_t rows,
                   size_t k)
{
    *m = (struct normal){.k = k};
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < k; i++)
            m->length[i] += x[r * k + i] * x[r * k + i];
    for (size_t i = 0; i < k; i++)
        m->length[i] = sqrt(m->length[i]);
    for (size_t r = 0; r < rows; r++) {
        m->yy += y[r] * y[r];
        for (size_t i = 0; i < k; i++) {
            const double a = m->length[i] > 0 ? x[r * k + i] / m->length[i] : 0;
            m->xy[i] += a * y[r];
            for (size_t j = 0; j <= i; j++)
                if (m->length[j] > 0)
                    m->xx[i][j] += a * x[r * k + j] / m->length[j];
        }
    }
}

/* Cholesky over the columns in `set`, in `b` their coefficients; returns what they explain
 * of yy, below 0 where they do not stand for themselves or one is not positive. */
static double solve(const struct normal *m, unsigned set, double *b)
{
    double l[NONNEG_MAX][NONNEG_MAX] = {{0}}, z[NONNEG_MAX], explained = 0;
    size_t of[NONNEG_MAX], n = 0;
    for (size_t i = 0; i < m->k; i++)
        if (set >> i & 1)
            of[n++] = i;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = m->xx[of[i]][of[j]];
            for (size_t t = 0; t < j; t++)
                sum -= l[i][t] * l[j][t];
            if (i == j && !(sum > PIVOT_LEAST))
                return -1;
            l[i][j] = i == j ? sqrt(sum) : sum / l[j][j];
        }
        z[i] = m->xy[of[i]];
        for (size_t t = 0; t < i; t++)
            z[i] -= l[i][t] * z[t];
        z[i] /= l[i][i];
    }
    memset(b, 0, NONNEG_MAX * sizeof *b);
    for (size_t i = n; i-- > 0;) {
        double sum = z[i];
        for (size_t t = i + 1; t < n; t++)
            sum -= l[t][i] * b[of[t]];
        b[of[i]] = sum / l[i][i];
        if (!(b[of[i]] > 0))
            return -1;
        explained += z[i] * z[i];
    }
    return explained;
}

double stat_nonneg_fit(const double *x, const double *y, size_t rows, size_t k,
                       double *coefficients)
{
    struct normal m;
    double best = 0, b[NONNEG_MAX] = {0};
    size_t used = 0;
    gather(&m, x, y, rows, k);
    memset(coefficients, 0, k * sizeof *coefficients);
    for (unsigned set = 1; set < 1U << k; set++) {
        const double explained = solve(&m, set, b);
        if (!(explained > best * (1 + 1e-12)))
            continue;
        best = explained;
        memcpy(coefficients, b, k * sizeof *coefficients);
    }
    double left = 0;
    for (size_t i = 0; i < k; i++) {
        used += coefficients[i] > 0;
        coefficients[i] /= m.length[i] > 0 ? m.length[i] : 1;
    }
    for (size_t r = 0; r < rows; r++) {
        double d = y[r];
        for (size_t i = 0; i < k; i++)
            d -= coefficients[i] * x[r * k + i];
        left += d * d;
    }
    return rows > used ? sqrt(left / (double)(rows - used)) : NAN;
}

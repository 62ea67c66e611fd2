/* lib/stats/basic.c - see basic.h: summaries, intervals and tests. */
#include "lib/stats/basic.h"
#include "lib/mem.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- Summaries ---- */

double stat_mean(const double *x, size_t n)
{
    if (n == 0)
        return NAN;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    double mean = sum / (double)n, rest = 0;
    if (!isfinite(mean))
        return mean;
    /* A second pass takes back the rounding of the first. */
    for (size_t i = 0; i < n; i++)
        rest += x[i] - mean;
    return mean + rest / (double)n;
}

double stat_sd(const double *x, size_t n)
{
    if (n < 2)
        return NAN;
    double mean = stat_mean(x, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A sorted copy; NULL when there is nothing or something that has no order. */
static double *sorted(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(x[i]))
            return NULL;
    if (n == 0)
        return NULL;
    double *copy = xmalloc(n * sizeof *copy);
    memcpy(copy, x, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, ascending);
    return copy;
}

double stat_order_statistic(const double *x, size_t n, size_t k)
{
    double *s = k >= 1 && k <= n ? sorted(x, n) : NULL;
    double v = s ? s[k - 1] : NAN;
    free(s);
    return v;
}

double stat_quantile(const double *x, size_t n, double q)
{
    double *s = q >= 0 && q <= 1 ? sorted(x, n) : NULL;
    if (!s)
        return NAN;
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    double part = at - (double)i;
    double v = part > 0 && i + 1 < n ? s[i] + part * (s[i + 1] - s[i]) : s[i];
    free(s);
    return v;
}

double stat_median(const double *x, size_t n)
{
    return stat_quantile(x, n, 0.5);
}

/* ---- Intervals ---- */

static const struct stat_interval nowhere = {NAN, NAN};

static struct stat_interval around(double middle, double half)
{
    return (struct stat_interval){middle - half, middle + half};
}

struct stat_interval stat_t_interval(const double *x, size_t n, double level)
{
    double sd = stat_sd(x, n);
    if (!(sd >= 0) || !(level > 0 && level < 1))
        return nowhere;
    double t = -stat_t_quantile((1 - level) / 2, (double)n - 1);
    return around(stat_mean(x, n), t * sd / sqrt((double)n));
}

struct stat_interval stat_wilson(size_t hits, size_t n, double level)
{
    if (n == 0 || hits > n || !(level > 0 && level < 1))
        return nowhere;
    double z = -stat_normal_quantile((1 - level) / 2), z2 = z * z, m = (double)n;
    double share = (double)hits / m;
    double middle = (share + z2 / (2 * m)) / (1 + z2 / m);
    double half = z / (1 + z2 / m) * sqrt(share * (1 - share) / m + z2 / (4 * m * m));
    return (struct stat_interval){hits == 0 ? 0 : fmax(0, middle - half),
                                  hits == n ? 1 : fmin(1, middle + half)};
}

double stat_share_looked_p(size_t hits, size_t n, double p)
{
    const double k = (double)hits, rest = (double)n - k;
    int sign;
    if (hits > n || !(p >= 0 && p <= 1))
        return NAN;
    if ((p == 0 && hits > 0) || (p == 1 && hits < n))
        return 0;
    const double likelihood = (hits ? k * log(p) : 0) + (rest > 0 ? rest * log1p(-p) : 0);
    const double mixture = lgamma_r(k + 1, &sign) + lgamma_r(rest + 1, &sign) -
                           lgamma_r((double)n + 2, &sign);
    return fmin(1, exp(likelihood - mixture));
}

/* Where the p value falls below alpha between the share that was seen and `far`. */
static double looked_end(size_t hits, size_t n, double far, double alpha)
{
    double in = (double)hits / (double)n, out = far;
    if (stat_share_looked_p(hits, n, far) >= alpha)
        return far;
    for (int i = 0; i < 60; i++) {
        const double middle = (in + out) / 2;
        if (stat_share_looked_p(hits, n, middle) >= alpha)
            in = middle;
        else
            out = middle;
    }
    return in;
}

struct stat_interval stat_share_looked(size_t hits, size_t n, double level)
{
    if (n == 0 || hits > n)
        return (struct stat_interval){NAN, NAN};
    return (struct stat_interval){looked_end(hits, n, 0, 1 - level),
                                  looked_end(hits, n, 1, 1 - level)};
}

struct stat_interval stat_mean_looked(double mean, double se, double df, size_t k,
                                      double level)
{
    const double first = 3; /* the sum of 1 / (df (df + 1)) from there is 1 / first */
    if (!(df >= first) || !k)
        return (struct stat_interval){NAN, NAN};
    const double wrong = (1 - level) * first / ((double)k * df * (df + 1)),
                 half = -stat_t_quantile(wrong / 2, df) * se;
    return (struct stat_interval){mean - half, mean + half};
}

/* x_(k) with P(Bin(n, q) <= k - 1) >= confidence is an upper bound: the least such k. */
static size_t upper_rank(size_t n, double q, double confidence)
{
    size_t low = 0, high = n + 1; /* too small, large enough (n + 1: none) */
    while (high - low > 1) {
        size_t k = low + (high - low) / 2;
        /* At k = n the cdf is 1 - q^n. */
        if (stat_binom_cdf(k - 1, n, q) >= confidence)
            high = k;
        else
            low = k;
    }
    return high <= n ? high : 0;
}

void stat_quantile_ranks(size_t n, double q, double confidence, size_t *lower,
                         size_t *upper)
{
    *lower = *upper = 0;
    if (!(q > 0 && q < 1) || !(confidence > 0 && confidence < 1))
        return;
    *upper = upper_rank(n, q, confidence);
    /* P(Bin(n, q) >= k) = P(n - Bin <= n - k): the same seen from the other end. */
    size_t mirrored = upper_rank(n, 1 - q, confidence);
    *lower = mirrored ? n + 1 - mirrored : 0;
}

size_t stat_quantile_sample(double q, double confidence)
{
    if (!(q > 0 && q < 1) || !(confidence > 0 && confidence < 1))
        return 0;
    size_t n = (size_t)ceil(log1p(-confidence) / log(q) - 1e-12);
    return n < 1 ? 1 : n;
}

struct stat_interval stat_quantile_interval(const double *x, size_t n, double q,
                                            double level)
{
    size_t lower, upper;
    double *s = level > 0 && level < 1 ? sorted(x, n) : NULL;
    if (!s)
        return nowhere;
    stat_quantile_ranks(n, q, 0.5 + level / 2, &lower, &upper);
    struct stat_interval out = {lower ? s[lower - 1] : NAN, upper ? s[upper - 1] : NAN};
    free(s);
    return out;
}

/* ---- Tests ---- */

static struct stat_test no_test(size_t n, double diff)
{
    return (struct stat_test){.diff = diff,
                              .se = NAN,
                              .df = NAN,
                              .t = NAN,
                              .p = NAN,
                              .ci = {NAN, NAN},
                              .p_tost = NAN,
                              .n = n};
}

/* What follows from diff, se and df, which both tests share. */
static void complete_test(struct stat_test *r, double delta)
{
    r->t = r->diff / r->se;
    r->p = 2 * stat_t_cdf(-fabs(r->t), r->df);
    r->ci = around(r->diff, -stat_t_quantile(0.025, r->df) * r->se);
    if (delta > 0)
        r->p_tost = fmax(stat_t_cdf(-(r->diff + delta) / r->se, r->df),
                         stat_t_cdf((r->diff - delta) / r->se, r->df));
}

struct stat_test stat_paired_t(const double *a, const double *b, size_t n, double delta)
{
    double *d = xmalloc(n * sizeof *d);
    for (size_t i = 0; i < n; i++)
        d[i] = a[i] - b[i];
    struct stat_test r = no_test(n, stat_mean(d, n));
    double sd = stat_sd(d, n);
    if (n >= 2)
        r.df = (double)n - 1;
    if (sd > 0) {
        r.se = sd / sqrt((double)n);
        complete_test(&r, delta);
    }
    free(d);
    return r;
}

struct stat_test stat_welch_t(const double *a, size_t na, const double *b, size_t nb,
                              double delta)
{
    struct stat_test r = no_test(na + nb, stat_mean(a, na) - stat_mean(b, nb));
    double sa = stat_sd(a, na), sb = stat_sd(b, nb);
    double va = sa * sa / (double)na, vb = sb * sb / (double)nb;
    if (!(va + vb > 0) || isinf(va + vb))
        return r;
    r.se = sqrt(va + vb);
    r.df =
        (va + vb) * (va + vb) / (va * va / (double)(na - 1) + vb * vb / (double)(nb - 1));
    complete_test(&r, delta);
    return r;
}

double stat_mcnemar_p(size_t b, size_t c)
{
    return fmin(1, 2 * stat_binom_cdf(b < c ? b : c, b + c, 0.5));
}

struct p_value {
    double p;
    size_t index;
};

static int by_p(const void *a, const void *b)
{
    const struct p_value *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

void stat_holm(const double *p, double *adjusted, size_t n)
{
    struct p_value *sorted_p = xmalloc((n + 1) * sizeof *sorted_p);
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(p[i]))
            sorted_p[m++] = (struct p_value){p[i], i};
    qsort(sorted_p, m, sizeof *sorted_p, by_p);
    for (size_t i = 0; i < n && adjusted != p; i++)
        adjusted[i] = NAN;
    double most = 0;
    for (size_t k = 0; k < m; k++) {
        most = fmax(most, fmin(1, (double)(m - k) * sorted_p[k].p));
        adjusted[sorted_p[k].index] = most;
    }
    free(sorted_p);
}

double stat_smallest_difference(const double *x, size_t n, bool minimize)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
    }
    if (!minimize && low >= 0 && high <= 1)
        return 0.01;
    if (!minimize && low >= 0 && high <= 100)
        return 1;
    double part = fabs(stat_median(x, n)) / 100;
    return part > 0 && isfinite(part) ? pow(10, floor(log10(part))) : 0.01;
}

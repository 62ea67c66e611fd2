/* lib/stats/dist.c - see dist.h. */
#include "lib/stats/dist.h"
#include <float.h>
#include <math.h>
#include <stdbool.h>

/* ---- Normal ---- */

double stat_normal_cdf(double z)
{
    return 0.5 * erfc(-z * M_SQRT1_2);
}

/* Quantile for p <= 1/2: Abramowitz and Stegun 26.2.23 (error < 4.5e-4), then Halley
 * steps on log Phi, which is nearly quadratic, so that far tails converge as well. */
static double lower_normal_quantile(double p)
{
    double w = sqrt(-2 * log(p));
    double z = -(w - (2.515517 + w * (0.802853 + w * 0.010328)) /
                         (1 + w * (1.432788 + w * (0.189269 + w * 0.001308))));
    for (int i = 0; i < 4; i++) {
        double cdf = stat_normal_cdf(z);
        double pdf = exp(-0.5 * z * z) / sqrt(2 * M_PI);
        double f = log(cdf / p), slope = pdf / cdf;
        double curve = -slope * (z + slope);
        double step = f / slope / (1 - 0.5 * f * curve / (slope * slope));
        if (!isfinite(step))
            break;
        z -= step;
    }
    return z;
}

double stat_normal_quantile(double p)
{
    if (!(p >= 0 && p <= 1))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? -INFINITY : INFINITY;
    if (p == 0.5)
        return 0;
    return p < 0.5 ? lower_normal_quantile(p) : -lower_normal_quantile(1 - p);
}

/* ---- Incomplete beta ---- */

static double log_gamma(double x)
{
    int sign; /* lgamma writes a global */
    return lgamma_r(x, &sign);
}

/* log Gamma(x) minus its leading Stirling terms, x >= 10 (DLMF 5.11.1). */
static double stirling_rest(double x)
{
    static const double terms[] = {1.0 / 12,    -1.0 / 360, 1.0 / 1260,
                                   -1.0 / 1680, 1.0 / 1188, -691.0 / 360360};
    double sum = 0, power = 1 / x, square = power * power;
    for (int i = 0; i < 6; i++, power *= square)
        sum += terms[i] * power;
    return sum;
}

/* log B(a, b). With a large argument the gammas are huge and nearly cancel, so the large
 * terms are taken away by hand first. */
static double log_beta(double a, double b)
{
    double p = fmin(a, b), q = fmax(a, b);
    if (q < 10)
        return log_gamma(p) + log_gamma(q) - log_gamma(p + q);
    double rest = stirling_rest(q) - stirling_rest(p + q), share = log1p(-p / (p + q));
    if (p < 10)
        return log_gamma(p) + rest + p - p * log(p + q) + (q - 0.5) * share;
    return 0.5 * log(2 * M_PI / q) + rest + stirling_rest(p) +
           (p - 0.5) * log(p / (p + q)) + q * share;
}

/* The continued fraction of DLMF 8.17.22 by Lentz's method; quick for
 * x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 100000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        const double terms[2] = {even, odd};
        double change = 1;
        for (int i = 0; i < 2; i++) {
            d = 1 + terms[i] * d;
            c = 1 + terms[i] / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            change = c * d;
            f *= change;
        }
        if (fabs(change - 1) < 2 * DBL_EPSILON)
            break;
    }
    return f;
}

/* I_x(a, b) with y = 1 - x given, which the callers know without cancellation. */
static double betainc(double a, double b, double x, double y)
{
    if (!(a > 0 && b > 0 && x >= 0 && y >= 0))
        return NAN;
    if (x == 0 || y == 0)
        return x == 0 ? 0 : 1;
    if (x > (a + 1) / (a + b + 2))
        return 1 - betainc(b, a, y, x);
    double log_front = a * (x < 0.5 ? log(x) : log1p(-y)) +
                       b * (y < 0.5 ? log(y) : log1p(-x)) - log_beta(a, b);
    return exp(log_front) * beta_fraction(a, b, x) / a;
}

double stat_betainc(double a, double b, double x)
{
    return betainc(a, b, x, 1 - x);
}

/* ---- Student's t ---- */

/* P(T > t) for t >= 0. */
static double t_upper(double t, double df)
{
    double square = t * t;
    if (isinf(square))
        return 0;
    return 0.5 * betainc(df / 2, 0.5, df / (df + square), square / (df + square));
}

double stat_t_cdf(double t, double df)
{
    if (isnan(t) || !(df > 0))
        return NAN;
    if (isinf(df))
        return stat_normal_cdf(t);
    return t < 0 ? t_upper(-t, df) : 1 - t_upper(t, df);
}

static double t_density(double t, double df)
{
    return exp(log_gamma((df + 1) / 2) - log_gamma(df / 2) -
               (df + 1) / 2 * log1p(t * t / df)) /
           sqrt(df * M_PI);
}

/* t >= 0 with P(T > t) = p, p < 1/2: bracketed, then Newton on log p (convex), halving
 * the bracket where a step leaves it. */
static double t_upper_quantile(double p, double df)
{
    double low = 0, high = 1;
    while (t_upper(high, df) > p && high < 1e300) {
        low = high;
        high *= 4;
    }
    double t = 0.5 * (low + high);
    for (int i = 0; i < 200; i++) {
        double tail = t_upper(t, df);
        if (tail > p)
            low = t;
        else
            high = t;
        double next = t + log(tail / p) * tail / t_density(t, df);
        if (!(next > low && next < high))
            next = low > 0 && high > 4 * low ? sqrt(low * high) : 0.5 * (low + high);
        bool settled = fabs(next - t) <= 1e-15 * fabs(t);
        t = next;
        if (settled)
            break;
    }
    return t;
}

double stat_t_quantile(double p, double df)
{
    if (!(p >= 0 && p <= 1) || !(df > 0))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? -INFINITY : INFINITY;
    if (isinf(df))
        return stat_normal_quantile(p);
    if (p == 0.5)
        return 0;
    return p < 0.5 ? -t_upper_quantile(p, df) : t_upper_quantile(1 - p, df);
}

/* ---- Incomplete gamma ---- */

/* x^a e^-x / Gamma(a), a > 0, x > 0; for large a around the maximum at x = a, where the
 * large terms are taken away by hand. */
static double gamma_front(double a, double x)
{
    if (a < 10)
        return exp(a * log(x) - x - log_gamma(a));
    double off = (x - a) / a;
    double log_ratio = fabs(off) < 0.5 ? log1p(off) : log(x / a);
    return sqrt(a / (2 * M_PI)) * exp(a * (log_ratio - off) - stirling_rest(a));
}

/* P(a, x) by its power series, quick for x < a + 1. */
static double gamma_series(double a, double x)
{
    double term = 1 / a, sum = term;
    for (double k = a + 1; term > sum * DBL_EPSILON / 4; k++) {
        term *= x / k;
        sum += term;
    }
    return sum * gamma_front(a, x);
}

/* Q(a, x) by Lentz's continued fraction, quick for x > a + 1. */
static double gamma_fraction(double a, double x)
{
    const double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, f = d;
    for (int i = 1; i < 100000; i++) {
        double term = -i * (i - a);
        b += 2;
        d = term * d + b;
        c = b + term / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        f *= c * d;
        if (fabs(c * d - 1) < 2 * DBL_EPSILON)
            break;
    }
    return f * gamma_front(a, x);
}

/* Upper tail. */
static double gammainc(double a, double x)
{
    if (!(a > 0) || isnan(x))
        return NAN;
    if (x <= 0 || isinf(x))
        return x <= 0;
    return x < a + 1 ? 1 - gamma_series(a, x) : gamma_fraction(a, x);
}

double stat_chi2_sf(double x, double df)
{
    return gammainc(df / 2, x / 2);
}

/* ---- F ---- */

/* d1 X / (d1 X + d2) has a beta distribution. */
double stat_f_sf(double x, double df1, double df2)
{
    if (!(df1 > 0 && df2 > 0) || isnan(x))
        return NAN;
    if (x <= 0 || isinf(x))
        return x <= 0;
    double share = df1 * x / (df1 * x + df2), rest = df2 / (df1 * x + df2);
    return betainc(df2 / 2, df1 / 2, rest, share);
}

/* ---- Binomial ---- */

double stat_binom_cdf(size_t k, size_t n, double p)
{
    if (!(p >= 0 && p <= 1))
        return NAN;
    if (k >= n)
        return 1;
    return betainc((double)(n - k), (double)k + 1, 1 - p, p);
}

double stat_binom_sf(size_t k, size_t n, double p)
{
    if (!(p >= 0 && p <= 1))
        return NAN;
    if (k >= n)
        return 0;
    return betainc((double)k + 1, (double)(n - k), p, 1 - p);
}

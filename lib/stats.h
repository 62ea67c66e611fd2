/* lib/stats.h - the statistics that verdicts rest on: distributions, intervals, tests,
 * adjustments.
 *
 * Formulas: reference report-and-cost 2.2. No global state; what sorts works on a copy.
 * Degenerate input (n < 2, zero spread) gives NaN for what cannot be known, never a
 * made-up number. */
#ifndef LIB_STATS_H
#define LIB_STATS_H

#include <stdbool.h>
#include <stddef.h>

double stat_mean(const double *x, size_t n);
double stat_sd(const double *x, size_t n); /* n - 1 */
double stat_median(const double *x, size_t n);
double stat_quantile(const double *x, size_t n,
                     double q); /* linear between order statistics (type 7) */

double stat_normal_cdf(double z);
double stat_normal_quantile(double p);
double stat_betainc(double a, double b, double x); /* regularised */
double stat_t_cdf(double t, double df);
double stat_t_quantile(double p, double df);
double stat_binom_cdf(size_t k, size_t n, double p);

struct stat_interval {
    double low, high;
};
/* Two-sided intervals with the given level (.95). */
struct stat_interval stat_t_interval(const double *x, size_t n, double level);
struct stat_interval stat_wilson(size_t hits, size_t n, double level);
/* Interval for a quantile from order statistics; NaN ends where the sample cannot carry
 * it. */
struct stat_interval stat_quantile_interval(const double *x, size_t n, double q,
                                            double level);

struct stat_test {
    double diff;             /* mean(a) - mean(b) */
    double se, df, t, p;     /* two-sided */
    struct stat_interval ci; /* 95 % of diff */
    double p_tost; /* equivalence within (-delta, delta): the larger of the two one-sided
                      p */
    double dz;     /* effect size with Hedges' factor, paired only */
    size_t n;
};
struct stat_test stat_paired_t(const double *a, const double *b, size_t n, double delta);
struct stat_test stat_welch_t(const double *a, size_t na, const double *b, size_t nb,
                              double delta);
double stat_sign_flip_p(const double *d, size_t n); /* exact, n <= 16 */
double stat_prob_greater(const double *a, size_t na, const double *b,
                         size_t nb); /* P(A > B), ties half */
void stat_holm(const double *p, double *adjusted,
               size_t n); /* NaN entries are left out and stay NaN */
/* Erlang C for M/M/c: probability of waiting, offered load a = lambda / mu; 1 at or above
 * c. */
double stat_erlang_c(int servers, double offered);

#endif

/* lib/stats/basic.h - the statistics that verdicts rest on: summaries, intervals, tests
 * of two configurations, adjustments. Subjects of their own: dist.h (distributions),
 * crossed.h (seeds and rows), pooled.h, range.h, regret.h, anova.h, importance.h,
 * fronts.h, knee.h, bootstrap.h; docs/statistics.md lists all.
 *
 * Formulas: reference report-and-cost 2.2. No global state; what sorts works on a copy.
 * Degenerate input gives NaN for what cannot be known, never a made-up number: a spread
 * from one value, a test without spread. The interval of equal values is that point. */
#ifndef LIB_STATS_BASIC_H
#define LIB_STATS_BASIC_H

#include "lib/stats/dist.h"
#include <stdbool.h>
#include <stddef.h>

double stat_mean(const double *x, size_t n);
double stat_sd(const double *x, size_t n); /* n - 1 */
double stat_median(const double *x, size_t n);
/* The k-th smallest, k from 1; NaN for k outside 1..n or a NaN among x. */
double stat_order_statistic(const double *x, size_t n, size_t k);
/* Linear between order statistics (type 7) */
double stat_quantile(const double *x, size_t n, double q);

struct stat_interval {
    double low, high;
};
/* Two-sided intervals with the given level (.95). */
struct stat_interval stat_t_interval(const double *x, size_t n, double level);
struct stat_interval stat_wilson(size_t hits, size_t n, double level);
/* The same for a share that is looked at again and again while items come in: with `level`
 * .95 it is right at all looks in at least 95 % of watches. Robbins' mixture over a uniform
 * prior (1970): p is in while p^k (1 - p)^(n - k) / B(k + 1, n - k + 1) >= 1 - level; that
 * ratio (stat_share_looked_p) is a p value of "the share is p" that is valid at any time.
 * Items are exchangeable, and the model does not change between looks. */
struct stat_interval stat_share_looked(size_t hits, size_t n, double level);
double stat_share_looked_p(size_t hits, size_t n, double p);
/* The same for the best of k means, each of runs that come in one by one, where the spread
 * is pooled over all of them: `df` (runs less means) grows with every run that can move an
 * end. From df 3 on (below: NaN, as nobody wants to see so wide an interval) a look costs
 * 3 / (k df (df + 1)) of 1 - level, over all df and all k together 1 - level (Bonferroni).
 * So it holds for whichever of them is shown, however often one looks. Take as `se` the
 * larger of pooled and own. */
struct stat_interval stat_mean_looked(double mean, double se, double df, size_t k,
                                      double level);
/* Which order statistics bound the q-quantile, each with the confidence: x_(lower) from
 * below, x_(upper) from above, counted from 1; 0: the sample cannot carry it. */
void stat_quantile_ranks(size_t n, double q, double confidence, size_t *lower,
                         size_t *upper);
/* Least sample whose maximum bounds the q-quantile from above: 1 - q^n >= confidence. */
size_t stat_quantile_sample(double q, double confidence);
/* Interval for a quantile from order statistics; NaN ends where the sample cannot carry
 * it. */
struct stat_interval stat_quantile_interval(const double *x, size_t n, double q,
                                            double level);

struct stat_test {
    double diff;             /* mean(a) - mean(b) */
    double se, df, t, p;     /* two-sided */
    struct stat_interval ci; /* 95 % of diff */
    double p_tost; /* equivalence within (-delta, delta): larger of both one-sided p */
    size_t n;
};
struct stat_test stat_paired_t(const double *a, const double *b, size_t n, double delta);
struct stat_test stat_welch_t(const double *a, size_t na, const double *b, size_t nb,
                              double delta);
/* Exact McNemar test on b and c discordant items: min(1, 2 P(Bin(b + c, 1/2) <= min)). */
double stat_mcnemar_p(size_t b, size_t c);
/* NaN entries are left out and stay NaN */
void stat_holm(const double *p, double *adjusted, size_t n);

/* What a difference of scores must have to matter, where nobody says: one point of shares
 * or percentages that are to be high, else 1 % of the median, rounded down to a power of
 * ten. The report and the rule of `until` go by the same. */
double stat_smallest_difference(const double *x, size_t n, bool minimize);

#endif

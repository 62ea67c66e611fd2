/* lib/stats/range.h - the studentised range: how far apart the largest and the smallest of
 * k equal means lie by chance (Tukey 1953).
 *
 * Q = (largest - smallest of k independent normal means) / s, with s^2 an independent
 * estimate of their variance on df degrees of freedom (INFINITY: known). A difference of
 * two of k means, divided by the standard error *of one mean*, is compared with it; of a
 * statistic |d| / se(d) it is sqrt(2) times as much. P(Q > q) then holds for all k(k-1)/2
 * differences at once.
 *
 * P(Q > q) = int density of s * V(q s) ds, V(w) = 1 - k int phi(z) (Phi(z) - Phi(z -
 * w))^(k-1) dz, both by the trapezoid rule, whose error falls exponentially for such
 * integrands, and V as a tail and never as 1 - W. V depends on k alone: a table of log V
 * is prepared once and interpolated (relative error about 1e-7). */
#ifndef LIB_STATS_RANGE_H
#define LIB_STATS_RANGE_H

#include <stddef.h>

#define RANGE_NODES 242

struct stat_range {
    size_t k;
    double log_tail[RANGE_NODES]; /* log V(i * step) */
};

/* k from 2. Nothing to release. */
void stat_range_init(struct stat_range *r, size_t k);
/* P(Q > q); NaN for df <= 0. */
double stat_range_sf(const struct stat_range *r, double q, double df);
/* The q that is exceeded with probability `tail`, 0 < tail < 1. */
double stat_range_quantile(const struct stat_range *r, double tail, double df);

/* The same for many values of df: exact at even steps of 1 / sqrt(df) from 0 to 1, between
 * them a cubic through the logarithms of four (relative error below 1e-5); below df 1
 * exact. */
#define RANGE_DF_NODES 97
struct stat_range_critical {
    const struct stat_range *range;
    double tail, log_q[RANGE_DF_NODES];
};
void stat_range_critical_init(struct stat_range_critical *c, const struct stat_range *r,
                              double tail);
double stat_range_critical(const struct stat_range_critical *c, double df);

#endif

/* lib/stats/dist.h - distribution functions and their inverses.
 *
 * cdf = P(X <= x), sf = P(X > x) computed as a tail and never as 1 - cdf, so that small
 * probabilities keep their relative accuracy (about 1e-12); quantile = least x with
 * cdf(x) >= p. Arguments outside the domain give NaN. The incomplete beta is the
 * continued fraction of DLMF 8.17.22, the incomplete gamma DLMF 8.11.4 and 8.9.2. */
#ifndef LIB_STATS_DIST_H
#define LIB_STATS_DIST_H

#include <stddef.h>

double stat_normal_cdf(double z);
double stat_normal_quantile(double p);
double stat_betainc(double a, double b, double x); /* regularised */
double stat_t_cdf(double t, double df);
double stat_t_quantile(double p, double df);

double stat_chi2_sf(double x, double df);
double stat_f_sf(double x, double df1, double df2);

double stat_binom_cdf(size_t k, size_t n, double p);
double stat_binom_sf(size_t k, size_t n, double p);

#endif

/* lib/stats/regret.h - what choosing an arm now may cost, and how likely it costs much.
 *
 * An arm is a configuration with what is known of its true score: mean, standard error,
 * degrees of freedom; higher is better. With a flat prior the true score is then
 * mean + se * t(df). From the posteriors of all arms together
 *     expected = E[max over arms - this arm]       the expected regret
 *     chance   = P(max over arms - this arm > delta)
 * Both are statements about what is known now, not error rates, so that they may be
 * looked at as often as one likes (Bayesian simple regret; Chick and Inoue, New
 * Two-Stage and Sequential Procedures for Selecting the Best, 2001).
 *
 * Arms usually share one pooled variance. If that is too small, all arms look surer than
 * they are at once, so the scales move together: given the variance's quantile u every
 * arm is normal with se * sqrt(df / chi2_u(df)), arms are independent, and the mean over
 * u is taken. Equal df: exactly the multivariate t of the pooled analysis of variance.
 *
 * No shrinkage towards the mean of the arms. It was tried (empirical Bayes of the means,
 * tests/golden/stats/make_regret.py keeps the simulation): against the lucky best it is
 * not needed, since the flat prior counts every runner-up as a possible best and so errs
 * to the careful side; with it the expected regret is half of the true one where a single
 * configuration leads by one standard deviation (.16 for .34 of four, two seeds each),
 * without it .36. The flat prior says too much where nothing differs (.47 for 0, of
 * eight) and too little for one leader of s.d. 1 among many (.51 for .64, of sixteen).
 *
 * By numerical integration: deterministic, the same in any order of arms; about 1e-4 of
 * the largest se, milliseconds for 63 arms. */
#ifndef LIB_STATS_REGRET_H
#define LIB_STATS_REGRET_H

#include <stddef.h>

struct stat_arm {
    double mean, se, df; /* df INFINITY: normal */
};

struct stat_regret {
    double expected; /* NaN: not to be had, see below */
    double chance;
};

/* An arm without a mean (NaN) is left out and gets NaN. If an arm with a mean has no se
 * or no df (> 0), nothing is known of any. `expected` is NaN where some df is at most 1:
 * the posterior has no mean then. delta >= 0. The least expected
 * regret is that of the highest mean. */
void stat_regret(const struct stat_arm *arms, size_t count, double delta,
                 struct stat_regret *out);

#endif

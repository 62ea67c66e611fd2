/* sweep/space/distribution.h - what a parameter's draws follow, with W&B's names.
 *
 * A distribution is its quantile function: a sampler that has a number in (0, 1) for a
 * parameter has a value. So random and Sobol differ only in where the number comes from,
 * and the prior of TPE is the same as what random draws.
 *
 *   values [+ probabilities]       the choice at that share of the probabilities
 *   int_uniform                    every integer from min to max alike
 *   uniform                        between min and max
 *   log_uniform_values             the logarithm is uniform between those of min and max
 *   log_uniform                    the same; min and max are natural exponents
 *   inv_log_uniform_values         as log_uniform_values
 *   inv_log_uniform                exp(-x) with x uniform between min and max
 *   normal, log_normal             mu (0) and sigma (1), of the logarithm for the latter
 *   beta                           a and b, in (0, 1)
 *   q_...                          rounded to the nearest multiple of q (1); the nearest
 *                                  multiple may lie up to q/2 outside min and max */
#ifndef SWEEP_SPACE_DISTRIBUTION_H
#define SWEEP_SPACE_DISTRIBUTION_H

#include "sweep/file/sweep_file.h"

enum distribution_family { DIST_CHOICE, DIST_INT, DIST_UNIFORM, DIST_NORMAL, DIST_BETA };

struct distribution {
    enum distribution_family family;
    bool log;         /* low, high, mu and sigma are of the logarithm */
    double low, high; /* uniform, int */
    double mu, sigma; /* normal */
    double a, b;      /* beta */
    double q;         /* 0: not rounded */
    size_t count;     /* choices */
    double *share;    /* owned: probability of each choice, NULL: all alike */
};

/* For an axis or a range. ERR_CONFIG without a place when the numbers make none: missing,
 * min above max, not whole, or values that overflow. */
int distribution_init(struct distribution *d, const struct sweep_param *p,
                      struct err *err);
void distribution_release(struct distribution *d);

double distribution_share(const struct distribution *d, size_t choice);
/* 0 < u < 1; u = 0 where the distribution has a lower end. */
size_t distribution_choice(const struct distribution *d, double u);
double distribution_quantile(const struct distribution *d, double u);
/* The share below x, before rounding; not for choices. */
double distribution_cdf(const struct distribution *d, double x);
/* The value as the sweep writes it: whole numbers are integers, multiples of q short
 * decimals. New reference. */
json_t *distribution_value(const struct distribution *d, double x);

#endif

/* lib/stats/range.c - see range.h. */
#include "lib/stats/range.h"
#include "lib/stats/dist.h"
#include <math.h>

#define STEP  0.05 /* of the table, in w */
#define REACH 9.0  /* of the standard normal, either side */

/* P(range of k standard normal values > w): k int phi(z) (Phi(z)^(k-1) - (Phi(z) - Phi(z
 * - w))^(k-1)) dz, where z is the largest. */
static double normal_tail(size_t k, double w)
{
    const double h = 0.125;
    double sum = 0, power = (double)k - 1;
    for (double z = -REACH; z <= REACH; z += h) {
        double below = stat_normal_cdf(z), cut = stat_normal_cdf(z - w) / below;
        double part = cut < 1 ? -expm1(power * log1p(-cut)) : 1;
        sum += exp(-0.5 * z * z + power * log(below)) * part;
    }
    double tail = (double)k * h * sum / sqrt(2 * M_PI);
    return tail < 1 ? tail : 1;
}

void stat_range_init(struct stat_range *r, size_t k)
{
    r->k = k;
    for (size_t i = 0; i < RANGE_NODES; i++)
        r->log_tail[i] = log(normal_tail(k, STEP * (double)i));
}

/* V(w): cubic through the four nodes around it. Beyond the table (w = 20, V < 1e-44) 0. */
static double tail_at(const struct stat_range *r, double w)
{
    double at = w / STEP;
    if (!(at < RANGE_NODES - 2))
        return 0;
    size_t i = (size_t)at;
    i = i < 1 ? 1 : i;
    const double *f = &r->log_tail[i - 1];
    double t = at - (double)i;
    double c0 = -t * (t - 1) * (t - 2) / 6, c1 = (t + 1) * (t - 1) * (t - 2) / 2,
           c2 = -(t + 1) * t * (t - 2) / 2, c3 = (t + 1) * t * (t - 1) / 6;
    return exp(c0 * f[0] + c1 * f[1] + c2 * f[2] + c3 * f[3]);
}

/* Over u = log s: its density is proportional to exp(df (u - e^(2u) / 2)), largest at 0.
 * Weights are normed by their own sum. */
double stat_range_sf(const struct stat_range *r, double q, double df)
{
    if (!(df > 0) || isnan(q))
        return NAN;
    if (!(q > 0))
        return 1;
    if (df > 1e7)
        return tail_at(r, q);
    double h = 0.25 / sqrt(df), sum = 0, mass = 0;
    if (h > 0.0625)
        h = 0.0625;
    for (int side = 0; side < 2; side++)
        for (int i = side; i < 100000; i++) {
            double u = (side ? -h : h) * (double)i;
            double log_weight = df * (u - 0.5 * exp(2 * u) + 0.5);
            if (log_weight < -46)
                break;
            double weight = exp(log_weight);
            mass += weight;
            sum += weight * tail_at(r, q * exp(u));
        }
    return sum / mass;
}

/* By bisection: once per table, so that speed does not count. */
double stat_range_quantile(const struct stat_range *r, double tail, double df)
{
    if (!(tail > 0 && tail < 1) || !(df > 0))
        return NAN;
    double low = 0, high = 8;
    while (stat_range_sf(r, high, df) > tail && high < 1e9)
        high *= 2;
    for (int i = 0; i < 100 && high - low > 1e-11 * high; i++) {
        double middle = (low + high) / 2;
        if (stat_range_sf(r, middle, df) > tail)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

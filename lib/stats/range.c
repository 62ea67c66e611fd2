/* lib/stats/range.c - see range.h. */
#include "lib/stats/range.h"
#include "lib/stats/dist.h"
#include <math.h>

#define STEP  0.0625 /* of the table, in w */
#define REACH 9.0    /* of the standard normal, either side */

enum {
    STRIDE = 4 /* steps of z in one integral */,
    POINTS = 289 /* 2 REACH / STEP + 1 */
};

/* V(w) = P(range of k standard normal values > w): k int phi(z) (Phi(z)^(k-1) - (Phi(z) -
 * Phi(z - w))^(k-1)) dz, where z is the largest. w and z lie on one grid, so that Phi is
 * asked once for each of its points. */
void stat_range_init(struct stat_range *r, size_t k)
{
    double cdf[POINTS + RANGE_NODES], front[POINTS], power = (double)k - 1;
    for (int i = 0; i < POINTS + RANGE_NODES; i++)
        cdf[i] = stat_normal_cdf(STEP * (i - RANGE_NODES) - REACH);
    for (int i = 0; i < POINTS; i++) {
        double z = STEP * i - REACH;
        front[i] = exp(-0.5 * z * z + power * log(cdf[i + RANGE_NODES]));
    }
    r->k = k;
    for (int at = 0; at < RANGE_NODES; at++) {
        double sum = 0;
        for (int i = 0; i < POINTS; i += STRIDE) {
            double cut = cdf[i + RANGE_NODES - at] / cdf[i + RANGE_NODES];
            sum += front[i] * (power * cut < 1e-9 ? power * cut
                               : cut < 1          ? -expm1(power * log1p(-cut))
                                                  : 1);
        }
        double tail = (double)k * STRIDE * STEP * sum / sqrt(2 * M_PI);
        r->log_tail[at] = tail < 1 ? log(tail) : 0;
    }
}

/* The cubic through the four nodes around `at`, the second of which is f[i]. */
static double cubic(const double *node, size_t i, double at)
{
    const double *f = &node[i - 1];
    double t = at - (double)i;
    double c0 = -t * (t - 1) * (t - 2) / 6, c1 = (t + 1) * (t - 1) * (t - 2) / 2,
           c2 = -(t + 1) * t * (t - 2) / 2, c3 = (t + 1) * t * (t - 1) / 6;
    return c0 * f[0] + c1 * f[1] + c2 * f[2] + c3 * f[3];
}

/* V(w). Beyond the table (w = 15, V < 1e-22) 0. */
static double tail_at(const struct stat_range *r, double w)
{
    double at = w / STEP;
    if (!(at < RANGE_NODES - 2))
        return 0;
    size_t i = (size_t)at;
    return exp(cubic(r->log_tail, i < 1 ? 1 : i, at));
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

/* False position on the logarithm of the tail, which is nearly straight in q; an end that
 * stays twice has its weight halved (Illinois). */
double stat_range_quantile(const struct stat_range *r, double tail, double df)
{
    if (!(tail > 0 && tail < 1) || !(df > 0))
        return NAN;
    double low = 0, high = 4, at_low = -log(tail), at_high;
    while ((at_high = log(stat_range_sf(r, high, df) / tail)) > 0 && high < 1e9) {
        low = high;
        at_low = at_high;
        high *= 2;
    }
    int stayed = 0;
    for (int i = 0; i < 200 && high - low > 1e-11 * high && at_high < 0; i++) {
        double q = low + (high - low) * at_low / (at_low - at_high);
        double at = log(stat_range_sf(r, q, df) / tail);
        if (fabs(at) < 1e-12)
            return q;
        if (at > 0) {
            low = q;
            at_low = at;
            at_high *= stayed == 1 ? 0.5 : 1;
            stayed = 1;
        } else {
            high = q;
            at_high = at;
            at_low *= stayed == -1 ? 0.5 : 1;
            stayed = -1;
        }
    }
    return fabs(at_low) < fabs(at_high) ? low : high;
}

void stat_range_critical_init(struct stat_range_critical *c, const struct stat_range *r,
                              double tail)
{
    c->range = r;
    c->tail = tail;
    for (int i = 0; i < RANGE_DF_NODES; i++)
        c->log_q[i] = log(stat_range_quantile(
            r, tail, i ? pow((double)(RANGE_DF_NODES - 1) / i, 2) : INFINITY));
}

double stat_range_critical(const struct stat_range_critical *c, double df)
{
    if (!(df >= 1))
        return stat_range_quantile(c->range, c->tail, df);
    double at = (RANGE_DF_NODES - 1) / sqrt(df);
    size_t i = (size_t)at;
    i = i < 1 ? 1 : i > RANGE_DF_NODES - 3 ? RANGE_DF_NODES - 3 : i;
    return exp(cubic(c->log_q, i, at));
}

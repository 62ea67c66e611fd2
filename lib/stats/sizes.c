/* lib/stats/sizes.c - see sizes.h. */
#include "lib/stats/sizes.h"
#include "lib/stats/dist.h"
#include <math.h>
#include <stdbool.h>

static double paired_power(size_t n, double d_z, double alpha)
{
    return stat_t_power(d_z * sqrt((double)n), (double)n - 1, alpha);
}

static double unpaired_power(size_t n, double d, double alpha)
{
    return stat_t_power(d * sqrt((double)n / 2), 2 * (double)n - 2, alpha);
}

/* Power grows with n: doubling, then bisection. */
static size_t least_n(double (*power_of)(size_t n, double d, double alpha), double d,
                      double alpha, double power)
{
    if (!(fabs(d) > 0) || !(alpha > 0 && alpha < 1) || !(power > 0 && power < 1))
        return 0;
    size_t low = 1, high = 2; /* too few, enough */
    while (power_of(high, d, alpha) < power) {
        low = high;
        high *= 2;
        if (low > PLAN_MOST)
            return 0;
    }
    while (high - low > 1) {
        size_t n = low + (high - low) / 2;
        *(power_of(n, d, alpha) >= power ? &high : &low) = n;
    }
    return high <= PLAN_MOST ? high : 0;
}

size_t plan_seeds_unpaired(double d, double alpha, double power)
{
    return least_n(unpaired_power, d, alpha, power);
}

double plan_paired_effect(double d, double rho)
{
    return d / sqrt(2 * (1 - rho));
}

size_t plan_seeds_paired(double d_z, double alpha, double power)
{
    return least_n(paired_power, d_z, alpha, power);
}

static double shown(double variance, double alpha, double power)
{
    double z = -stat_normal_quantile(alpha / 2) + stat_normal_quantile(power);
    return z * sqrt(variance);
}

double plan_smallest_difference(size_t items, double p, double alpha, double power)
{
    return shown(2 * p * (1 - p) / (double)items, alpha, power);
}

double plan_smallest_paired(size_t items, double discordant, double alpha, double power)
{
    return shown(discordant / (double)items, alpha, power);
}

/* lib/stats/sizes.c - see sizes.h. */
#include "lib/stats/sizes.h"
#include "lib/stats/dist.h"
#include <math.h>

static double paired_power(size_t n, double d_z, double alpha)
{
    return stat_t_power(d_z * sqrt((double)n), (double)n - 1, alpha);
}

/* Power grows with n: doubling, then bisection. */
size_t plan_seeds_paired(double d_z, double alpha, double power)
{
    if (!(fabs(d_z) > 0) || !(alpha > 0 && alpha < 1) || !(power > 0 && power < 1))
        return 0;
    size_t low = 1, high = 2; /* too few, enough */
    while (paired_power(high, d_z, alpha) < power) {
        low = high;
        high *= 2;
        if (low > PLAN_MOST)
            return 0;
    }
    while (high - low > 1) {
        size_t n = low + (high - low) / 2;
        *(paired_power(n, d_z, alpha) >= power ? &high : &low) = n;
    }
    return high <= PLAN_MOST ? high : 0;
}

double plan_smallest_paired(size_t items, double discordant, double alpha, double power)
{
    double z = -stat_normal_quantile(alpha / 2) + stat_normal_quantile(power);
    return z * sqrt(discordant / (double)items);
}

/* lib/stats/regret.c - see regret.h. Over the common scale by the trapezoidal rule in the
 * logit of u, whose weight falls off exponentially at both ends; over scores by the
 * trapezoidal rule on one grid for all arms, which for normal shapes is exact to many
 * digits from a step of half a standard deviation on. */
#include "lib/stats/regret.h"
#include "lib/mem.h"
#include "lib/stats/dist.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define REACH       7    /* standard deviations on either side that count */
#define STEPS_OF_SD 3    /* steps of the grid in the smallest of them */
#define GRID_MOST   2048 /* then narrow arms are taken as a step wide */

/* ---- the scale ---- */

/* x with P(chi2(df) <= x) = u. */
static double chi2_quantile(double u, double df)
{
    int sign;
    /* From the first term of the series: a lower bound, and the answer in the tail. */
    double low = log(2) + (log(u) + lgamma_r(df / 2 + 1, &sign)) * 2 / df;
    if (u < 1e-8)
        return exp(low);
    double high = fmax(low, log(df)) + 1;
    while (stat_chi2_sf(exp(high), df) > 1 - u)
        high += 1;
    for (int i = 0; i < 40; i++) {
        double middle = (low + high) / 2;
        if (stat_chi2_sf(exp(middle), df) > 1 - u)
            low = middle;
        else
            high = middle;
    }
    return exp((low + high) / 2);
}

static void scale_arms(const struct stat_arm *arms, size_t count, double u, double *sd)
{
    double df = NAN, scale = 1;
    for (size_t i = 0; i < count; i++) {
        if (arms[i].df != df) {
            df = arms[i].df;
            scale = isinf(df) ? 1 : sqrt(df / chi2_quantile(u, df));
        }
        sd[i] = arms[i].se * scale;
    }
}

/* ---- given the scale ---- */

struct grid {
    double low, step;
    size_t n;
};

/* From where a second arm can be the best, less delta, to where none is above. */
static struct grid grid_of(const struct stat_arm *arms, const double *sd, size_t count,
                           double delta)
{
    double first = -INFINITY, second = -INFINITY, high = -INFINITY, least = INFINITY;
    for (size_t i = 0; i < count; i++) {
        double low = arms[i].mean - REACH * sd[i];
        second = fmax(second, fmin(low, first));
        first = fmax(first, low);
        high = fmax(high, arms[i].mean + REACH * sd[i]);
        least = fmin(least, sd[i]);
    }
    struct grid g = {.low = second - delta};
    double steps = ceil((high - g.low) / (least / STEPS_OF_SD));
    g.n = steps < GRID_MOST ? (size_t)fmax(steps, 1) : GRID_MOST;
    g.step = (high - g.low) / (double)g.n;
    return g;
}

/* P(no arm is above x). */
static double none_above(const struct stat_arm *arms, const double *sd, size_t count,
                         double x)
{
    double p = 1;
    for (size_t i = 0; i < count && p > 0; i++) {
        double z = (x - arms[i].mean) / sd[i];
        if (z < REACH)
            p *= stat_normal_cdf(z);
    }
    return p;
}

/* E[max] = high - integral of P(none above) from where that is 0. */
static double expected_best(const struct stat_arm *arms, const double *sd, size_t count)
{
    struct grid g = grid_of(arms, sd, count, 0);
    double sum = 0;
    for (size_t k = 0; k <= g.n; k++) {
        double x = g.low + (double)k * g.step;
        sum += none_above(arms, sd, count, x) * (k == 0 || k == g.n ? 0.5 : 1);
    }
    return g.low + ((double)g.n - sum) * g.step;
}

/* Adds weight * P(no other arm is more than delta above arm i), over where arm i is. */
static void add_near_best(const struct stat_arm *arms, const double *sd, size_t count,
                          double delta, double weight, double *near_best)
{
    const struct grid g = grid_of(arms, sd, count, delta);
    for (size_t k = 0; k <= g.n; k++) {
        const double x = g.low + (double)k * g.step;
        const double all = none_above(arms, sd, count, x + delta);
        for (size_t i = 0; i < count && all > 0; i++) {
            double z = (x - arms[i].mean) / sd[i];
            if (fabs(z) > REACH)
                continue;
            double own = stat_normal_cdf((x + delta - arms[i].mean) / sd[i]);
            near_best[i] +=
                weight * exp(-0.5 * z * z) / sqrt(2 * M_PI) / sd[i] * g.step * all / own;
        }
    }
}

/* Arms without spread next to others: as wide as the grid can tell. */
static void widen(const struct stat_arm *arms, double *sd, size_t count)
{
    double widest = 0, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        widest = fmax(widest, sd[i]);
        low = fmin(low, arms[i].mean);
        high = fmax(high, arms[i].mean);
    }
    const double least = fmax(widest, (high - low) / 1000) * 5e-3;
    for (size_t i = 0; i < count; i++)
        sd[i] = fmax(sd[i], least);
}

/* ---- over the scale ---- */

static double least_df(const struct stat_arm *arms, size_t count)
{
    double df = INFINITY;
    for (size_t i = 0; i < count; i++)
        df = fmin(df, arms[i].df);
    return df;
}

static void integrate(const struct stat_arm *arms, size_t count, double delta,
                      struct stat_regret *out)
{
    const double df = least_df(arms, count);
    /* The expected regret falls off as u^(1 - 1/df) on the side of large scales. */
    const int from = isinf(df) ? 0 : df > 1.3 ? -(int)ceil(14 / (1 - 1 / df)) : -60;
    const int to = isinf(df) ? 0 : 14;
    double *sd = xcalloc(count, sizeof *sd), *near_best = xcalloc(count, sizeof *sd);
    double total = 0, best = 0;
    for (int z = from; z <= to; z++) {
        const double u = 1 / (1 + exp(-z)), weight = u / (1 + exp(z));
        scale_arms(arms, count, u, sd);
        widen(arms, sd, count);
        total += weight;
        best += weight * expected_best(arms, sd, count);
        add_near_best(arms, sd, count, delta, weight, near_best);
    }
    for (size_t i = 0; i < count; i++) {
        out[i].expected = df > 1 ? fmax(best / total - arms[i].mean, 0) : NAN;
        out[i].chance = fmin(fmax(1 - near_best[i] / total, 0), 1);
    }
    free(sd);
    free(near_best);
}

/* No arm has any spread. */
static void compare_points(const struct stat_arm *arms, size_t count, double delta,
                           struct stat_regret *out)
{
    double best = -INFINITY;
    for (size_t i = 0; i < count; i++)
        best = fmax(best, arms[i].mean);
    for (size_t i = 0; i < count; i++)
        out[i] = (struct stat_regret){best - arms[i].mean, best - arms[i].mean > delta};
}

void stat_regret(const struct stat_arm *arms, size_t count, double delta,
                 struct stat_regret *out)
{
    struct stat_arm *known = xcalloc(count + 1, sizeof *known);
    struct stat_regret *found = xcalloc(count + 1, sizeof *found);
    size_t n = 0;
    bool usable = delta >= 0, spread = false;
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct stat_regret){NAN, NAN};
        if (isnan(arms[i].mean))
            continue;
        usable = usable && arms[i].se >= 0 && isfinite(arms[i].se) && arms[i].df > 0;
        spread = spread || arms[i].se > 0;
        known[n++] = arms[i];
    }
    if (usable && n == 1)
        found[0] = (struct stat_regret){0, 0};
    else if (usable && n > 1)
        (spread ? integrate : compare_points)(known, n, delta, found);
    for (size_t i = 0, k = 0; i < count && usable; i++)
        if (!isnan(arms[i].mean))
            out[i] = found[k++];
    free(known);
    free(found);
}

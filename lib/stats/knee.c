/* lib/stats/knee.c - see knee.h. */
#include "lib/stats/knee.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct one_se stat_one_se(const double *cost, const double *score, const double *se,
                          size_t n, bool minimize)
{
    double sign = minimize ? -1 : 1;
    struct one_se out = {NO_KNEE, NAN, NO_KNEE};
    for (size_t i = 0; i < n; i++) {
        if (isnan(cost[i]) || isnan(score[i]) || isnan(se[i]))
            continue;
        double gain = out.best == NO_KNEE ? 1 : sign * (score[i] - score[out.best]);
        if (gain > 0 || (gain == 0 && cost[i] < cost[out.best]))
            out.best = i;
    }
    if (out.best == NO_KNEE)
        return out;
    double least = sign * score[out.best] - se[out.best];
    out.threshold = sign * least;
    for (size_t i = 0; i < n; i++) {
        if (isnan(cost[i]) || isnan(se[i]) || !(sign * score[i] >= least))
            continue;
        size_t c = out.chosen;
        if (c == NO_KNEE || cost[i] < cost[c] ||
            (cost[i] == cost[c] && sign * score[i] > sign * score[c]))
            out.chosen = i;
    }
    return out;
}

/* Distances above the chord; false where there is no curve. */
static bool above_chord(const double *x, const double *y, size_t n, bool log_x,
                        bool minimize, double *distance)
{
    double sign = minimize ? -1 : 1, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (isnan(y[i]) || isnan(x[i]))
            return false;
        low = fmin(low, sign * y[i]);
        high = fmax(high, sign * y[i]);
    }
    double first = n ? log_x ? log(x[0]) : x[0] : NAN;
    double width = n ? (log_x ? log(x[n - 1]) : x[n - 1]) - first : NAN;
    if (n < 3 || !(high > low) || !(width > 0) || !isfinite(width))
        return false;
    double v0 = (sign * y[0] - low) / (high - low);
    double rise = (sign * y[n - 1] - low) / (high - low) - v0;
    for (size_t i = 0; i < n; i++) {
        double u = ((log_x ? log(x[i]) : x[i]) - first) / width;
        double v = (sign * y[i] - low) / (high - low);
        distance[i] = (v - v0 - u * rise) / hypot(1, rise);
    }
    return true;
}

size_t stat_chord_knee(const double *x, const double *y, size_t n, bool log_x,
                       bool minimize, double *distance)
{
    double *d = xcalloc(n + 1, sizeof *d), most = 0;
    bool curve = above_chord(x, y, n, log_x, minimize, d);
    size_t knee = NO_KNEE;
    for (size_t i = 0; i < n && curve; i++)
        most = fmax(most, d[i]);
    for (size_t i = 0; i < n && most > 1e-12 && knee == NO_KNEE; i++)
        if (d[i] >= most - 1e-12)
            knee = i;
    for (size_t i = 0; i < n && distance; i++)
        distance[i] = curve ? d[i] : NAN;
    free(d);
    return knee;
}

/* ---- spread ---- */

/* From the counts: which points hold the middle 90 %. */
static void find_middle(struct knee_spread *k, size_t n, size_t draws, double found)
{
    double sum = 0;
    k->low = k->high = NO_KNEE;
    for (size_t i = 0; i < n && found > 0; i++) {
        sum += k->share[i];
        if (k->low == NO_KNEE && sum >= 0.05 * found)
            k->low = i;
        if (k->high == NO_KNEE && sum >= 0.95 * found)
            k->high = i;
        k->share[i] /= (double)draws;
    }
    k->none = 1 - found / (double)draws;
    k->stable = k->low != NO_KNEE && k->high - k->low <= 1 && k->none <= 0.1;
}

void knee_spread_init(struct knee_spread *k, const double *x, const double *const *scores,
                      const size_t *runs, size_t n, bool log_x, bool minimize,
                      size_t draws, uint64_t seed)
{
    struct philox_key key = rng_key(seed, "knee bootstrap");
    *k = (struct knee_spread){.share = xcalloc(n + 1, sizeof *k->share)};
    double *mean = xcalloc(n + 1, sizeof *mean), found = 0;
    for (uint64_t b = 0; b < draws; b++) {
        for (size_t i = 0; i < n; i++) {
            mean[i] = runs[i] ? 0 : NAN;
            for (size_t r = 0; r < runs[i]; r++)
                mean[i] +=
                    scores[i][rng_below(&key, b << 20 | i, r, runs[i])] / (double)runs[i];
        }
        size_t at = stat_chord_knee(x, mean, n, log_x, minimize, NULL);
        if (at != NO_KNEE) {
            k->share[at]++;
            found++;
        }
    }
    find_middle(k, n, draws, found);
    free(mean);
}

void knee_spread_release(struct knee_spread *k)
{
    free(k->share);
    *k = (struct knee_spread){0};
}

/* ---- best of n ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stat_best_of(const double *values, size_t n, size_t tries, bool minimize)
{
    if (tries < 1 || tries > n)
        return NAN;
    double *v = xmalloc(n * sizeof *v), sum = 0;
    for (size_t i = 0; i < n; i++)
        v[i] = minimize ? -values[i] : values[i];
    qsort(v, n, sizeof *v, ascending);
    /* Weight of the i-th smallest: C(i - 1, k - 1) / C(n, k); k / n for the largest. */
    double weight = (double)tries / (double)n;
    for (size_t i = n; i >= tries; i--) {
        sum += weight * v[i - 1];
        if (i > 1)
            weight *= (double)(i - tries) / (double)(i - 1);
    }
    for (size_t i = 0; i < n; i++)
        if (isnan(values[i]))
            sum = NAN;
    free(v);
    return minimize ? -sum : sum;
}

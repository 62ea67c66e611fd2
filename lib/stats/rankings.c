/* lib/stats/rankings.c - see rankings.h. */
#include "lib/stats/rankings.h"
#include "lib/mem.h"
#include "lib/stats/dist.h"
#include <math.h>
#include <stdlib.h>

/* P(at most `most` inversions) of a random permutation of n. */
static double inversions_cdf(size_t n, size_t most)
{
    double *p = xcalloc(most + 1, sizeof *p), *next = xcalloc(most + 1, sizeof *next);
    p[0] = 1;
    /* The k-th element adds 0..k-1 inversions, equally likely. */
    for (size_t k = 2; k <= n; k++) {
        double window = 0;
        for (size_t i = 0; i <= most; i++) {
            window += p[i] - (i >= k ? p[i - k] : 0);
            next[i] = window / (double)k;
        }
        double *swap = p;
        p = next;
        next = swap;
    }
    double sum = 0;
    for (size_t i = 0; i <= most; i++)
        sum += p[i];
    free(p);
    free(next);
    return sum;
}

struct kendall stat_kendall(const double *x, const double *y, size_t n)
{
    struct kendall out = {NAN, NAN, NAN};
    double score = 0, tied_x = 0, tied_y = 0, pairs = (double)n * ((double)n - 1) / 2;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i]) || isnan(y[i]))
            return out;
        for (size_t j = 0; j < i; j++) {
            int sx = (x[i] > x[j]) - (x[i] < x[j]), sy = (y[i] > y[j]) - (y[i] < y[j]);
            score += sx * sy;
            tied_x += sx == 0;
            tied_y += sy == 0;
        }
    }
    if (!(pairs > tied_x && pairs > tied_y))
        return out;
    out.score = score;
    out.tau_b = score / sqrt((pairs - tied_x) * (pairs - tied_y));
    if (tied_x == 0 && tied_y == 0) {
        double fewer =
            (pairs - fabs(score)) / 2; /* inversions seen from the nearer end */
        out.p_exact = fmin(1, 2 * inversions_cdf(n, (size_t)fewer));
    }
    return out;
}

struct friedman stat_friedman(const double *values, size_t blocks, size_t methods,
                              double *mean_ranks)
{
    double n = (double)blocks, k = (double)methods, tie_sum = 0, square = 0;
    double *ranks = xcalloc(methods + 1, sizeof *ranks);
    for (size_t b = 0; b < blocks; b++) {
        const double *v = &values[b * methods];
        for (size_t i = 0; i < methods; i++) {
            double below = 0, same = 0;
            for (size_t j = 0; j < methods; j++) {
                below += v[j] < v[i];
                same += v[j] == v[i];
            }
            ranks[i] += same > 0 ? below + (same + 1) / 2 : NAN;
            tie_sum += same * same - 1; /* over a tie of t: t^3 - t */
        }
    }
    for (size_t i = 0; i < methods; i++) {
        double off = ranks[i] - n * (k + 1) / 2;
        square += off * off;
        if (mean_ranks)
            mean_ranks[i] = ranks[i] / n;
    }
    free(ranks);
    double correction = 1 - tie_sum / (n * k * (k * k - 1));
    struct friedman out = {NAN, k - 1, NAN};
    if (blocks >= 1 && methods >= 2 && correction > 0) {
        out.statistic = 12 * square / (n * k * (k + 1)) / correction;
        out.p = stat_chi2_sf(out.statistic, out.df);
    }
    return out;
}

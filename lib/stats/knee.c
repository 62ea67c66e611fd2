/* lib/stats/knee.c - see knee.h. */
#include "lib/stats/knee.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>

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

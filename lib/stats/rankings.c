/* lib/stats/rankings.c - see rankings.h. */
#include "lib/stats/rankings.h"
#include "lib/mem.h"
#include "lib/stats/dist.h"
#include <math.h>
#include <stdlib.h>

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

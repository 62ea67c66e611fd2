/* lib/stats/bootstrap.c - see bootstrap.h. */
#include "lib/stats/bootstrap.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <stdlib.h>

static double drawn_mean(const struct stat_sample *s, const struct philox_key *key,
                         uint64_t stream)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += s->x[rng_below(key, stream, i, s->n)];
    return sum / (double)s->n;
}

/* Share of places 1..most that are `above` + 1 .. above + ties, evenly among the tied. */
static double share_of_top(double above, double ties, double most)
{
    return fmin(fmax(most - above, 0), ties) / ties;
}

/* Counts one draw; rank[i] is the mid-rank. */
static void count_ranks(const double *mean, size_t count, struct rank_stability *out,
                        double *rank, size_t stride)
{
    for (size_t i = 0; i < count; i++) {
        double above = 0, ties = 0;
        for (size_t j = 0; j < count; j++) {
            above += mean[j] > mean[i];
            ties += mean[j] == mean[i];
        }
        rank[i * stride] = ties > 0 ? above + (ties + 1) / 2 : NAN;
        if (ties > 0) {
            out[i].first += share_of_top(above, ties, 1);
            out[i].top3 += share_of_top(above, ties, 3);
        }
    }
}

void stat_rank_stability(const struct stat_sample *configs, size_t count, bool minimize,
                         bool paired, size_t draws, uint64_t seed,
                         struct rank_stability *out)
{
    struct philox_key key = rng_key(seed, "rank bootstrap");
    double *mean = xcalloc(count + 1, sizeof *mean);
    double *ranks = xcalloc(count * draws + 1, sizeof *ranks); /* config x draw */
    for (size_t i = 0; i < count; i++)
        out[i] = (struct rank_stability){0};
    for (uint64_t b = 0; b < draws; b++) {
        for (uint64_t i = 0; i < count; i++) {
            uint64_t stream = b << 20 | (paired ? 0 : i + 1);
            mean[i] = configs[i].n ? drawn_mean(&configs[i], &key, stream) : NAN;
            if (minimize)
                mean[i] = -mean[i];
        }
        count_ranks(mean, count, out, &ranks[b], draws);
    }
    for (size_t i = 0; i < count; i++) {
        const double *r = &ranks[i * draws];
        bool known = configs[i].n > 0 && draws > 0;
        out[i].first = known ? out[i].first / (double)draws : NAN;
        out[i].top3 = known ? out[i].top3 / (double)draws : NAN;
        out[i].median = stat_median(r, draws);
        out[i].ci = (struct stat_interval){stat_quantile(r, draws, 0.05),
                                           stat_quantile(r, draws, 0.95)};
    }
    free(mean);
    free(ranks);
}

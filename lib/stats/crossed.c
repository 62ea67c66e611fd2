/* lib/stats/crossed.c - see crossed.h. */
#include "lib/stats/crossed.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>

static double square(double x)
{
    return x * x;
}

double stat_row_variance(const double *by_row, size_t rows, double rest)
{
    return fmax(0, square(stat_sd(by_row, rows)) - rest) / (double)rows;
}

/* Mean squares of seeds, rows and the rest. */
struct squares {
    double seed, row, rest;
};

static struct squares mean_squares(const double *y, size_t seeds, size_t rows,
                                   struct stat_crossed *c)
{
    double *by_seed = xcalloc(seeds + rows + 1, sizeof *by_seed),
           *by_row = by_seed + seeds, rest = 0;
    const double s = (double)seeds, r = (double)rows;
    for (size_t i = 0; i < seeds; i++) {
        by_seed[i] = stat_mean(y + i * rows, rows);
        for (size_t k = 0; k < rows; k++)
            by_row[k] += y[i * rows + k] / s;
    }
    c->mean = stat_mean(by_seed, seeds);
    for (size_t i = 0; i < seeds; i++)
        for (size_t k = 0; k < rows; k++)
            rest += square(y[i * rows + k] - by_seed[i] - by_row[k] + c->mean);
    const struct squares m = {.seed = r * square(stat_sd(by_seed, seeds)),
                              .row = s * square(stat_sd(by_row, rows)),
                              .rest = rest / ((s - 1) * (r - 1))};
    free(by_seed);
    return m;
}

static double quantile_square(double level, double df, double variance)
{
    const double t = stat_t_quantile((1 - level) / 2, df);
    return variance > 0 ? t * t * variance : 0;
}

struct stat_crossed stat_crossed_of(const double *y, size_t seeds, size_t rows,
                                    double level)
{
    struct stat_crossed c = {.seeds = seeds,
                             .rows = rows,
                             .mean = NAN,
                             .seed = NAN,
                             .row = NAN,
                             .rest = NAN,
                             .se_seeds = NAN,
                             .se_rows = NAN,
                             .se = NAN,
                             .ci = {NAN, NAN}};
    if (seeds < 1 || rows < 2)
        return c;
    const struct squares m = mean_squares(y, seeds, rows, &c);
    const double s = (double)seeds, r = (double)rows;
    c.se_rows = sqrt(m.row / (s * r));
    c.row = m.row; /* of one run row and rest are one */
    c.rest = 0;
    if (seeds > 1) {
        c.seed = fmax(0, m.seed - m.rest) / r;
        c.row = fmax(0, m.row - m.rest) / s;
        c.rest = m.rest;
        c.se_seeds = sqrt(m.seed / (s * r));
    }
    c.se = stat_crossed_se(&c, s, r);
    const double half = sqrt(quantile_square(level, s - 1, c.seed / s) +
                             quantile_square(level, r - 1, c.row / r + c.rest / (s * r)));
    c.ci = (struct stat_interval){c.mean - half, c.mean + half};
    return c;
}

double stat_crossed_se(const struct stat_crossed *c, double seeds, double rows)
{
    const double seed = isnan(c->seed) ? 0 : c->seed;
    return sqrt(seed / seeds + c->row / rows + c->rest / (seeds * rows));
}

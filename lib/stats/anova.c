/* lib/stats/anova.c - see anova.h. */
#include "lib/stats/anova.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/stats/dist.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the grid ---- */

struct grid {
    size_t factors, cells, replicates;
    size_t level_count[ANOVA_MAX_FACTORS];
    size_t *cell; /* of each row, the last factor fastest */
    double *y;    /* cell after cell, replicates together */
};

static void grid_release(struct grid *g)
{
    free(g->cell);
    free(g->y);
}

/* Position of each row's level among the factor's own, in order of appearance. */
static size_t number_levels(const size_t *levels, size_t rows, size_t factors, size_t k,
                            size_t *number)
{
    size_t n = 0, *seen = xcalloc(rows + 1, sizeof *seen);
    for (size_t r = 0; r < rows; r++) {
        size_t i = 0;
        while (i < n && seen[i] != levels[r * factors + k])
            i++;
        if (i == n)
            seen[n++] = levels[r * factors + k];
        number[r] = i;
    }
    free(seen);
    return n;
}

/* Puts y in the order of cells; false where a cell has not its replicates. */
static bool fill_cells(struct grid *g, const double *y, size_t rows)
{
    size_t *filled = xcalloc(g->cells + 1, sizeof *filled);
    bool even = g->replicates * g->cells == rows;
    for (size_t r = 0; r < rows && even; r++) {
        size_t c = g->cell[r];
        even = filled[c] < g->replicates;
        if (even)
            g->y[c * g->replicates + filled[c]++] = y[r];
    }
    free(filled);
    return even;
}

/* `err` is the caller's own and empty. */
static int grid_init(struct grid *g, const size_t *levels, const double *y, size_t rows,
                     size_t factors, struct err *err)
{
    *g = (struct grid){.factors = factors, .cells = 1};
    if (factors < 1 || factors > ANOVA_MAX_FACTORS)
        return err_set(err, ERR_CONFIG, "analysis of variance: %zu factors (1 to %d)",
                       factors, ANOVA_MAX_FACTORS);
    g->cell = xcalloc(rows + 1, sizeof *g->cell);
    g->y = xcalloc(rows + 1, sizeof *g->y);
    size_t *number = xcalloc(rows + 1, sizeof *number);
    for (size_t k = 0; k < factors; k++) {
        size_t n = number_levels(levels, rows, factors, k, number);
        g->level_count[k] = n;
        for (size_t r = 0; r < rows; r++)
            g->cell[r] = g->cell[r] * n + number[r];
        /* No more cells than rows, or the grid has holes; this also bounds the
         * product. */
        g->cells = n && g->cells <= rows ? g->cells * n : rows + 1;
        if (n < 2)
            err_set(err, ERR_CONFIG, "analysis of variance: factor %zu has %zu level%s",
                    k + 1, n, n == 1 ? "" : "s");
    }
    free(number);
    if (err->code)
        goto fail;
    g->replicates = g->cells <= rows ? rows / g->cells : 0;
    if (g->replicates && fill_cells(g, y, rows))
        return 0;
    err_set(err, ERR_CONFIG,
            "analysis of variance: %zu rows are no full grid with equal replicates",
            rows);
fail:
    grid_release(g);
    return -ERR_CONFIG;
}

/* ---- sums of squares ---- */

/* Cell number that keeps only the factors in `mask`. */
static size_t project(const struct grid *g, size_t cell, unsigned mask)
{
    size_t out = 0, scale = 1;
    for (size_t k = g->factors; k-- > 0;) {
        size_t level = cell % g->level_count[k];
        cell /= g->level_count[k];
        if (mask >> k & 1) {
            out += level * scale;
            scale *= g->level_count[k];
        }
    }
    return out;
}

/* Sum over rows of (marginal mean - grand mean)^2. */
static double marginal_ss(const struct grid *g, const double *cell_mean, double grand,
                          unsigned mask)
{
    size_t margins = 1;
    for (size_t k = 0; k < g->factors; k++)
        margins *= mask >> k & 1 ? g->level_count[k] : 1;
    double *sum = xcalloc(margins, sizeof *sum), ss = 0;
    double each = (double)(g->cells / margins);
    for (size_t c = 0; c < g->cells; c++)
        sum[project(g, c, mask)] += cell_mean[c] - grand;
    for (size_t m = 0; m < margins; m++)
        ss += sum[m] / each * (sum[m] / each);
    free(sum);
    return ss * each * (double)g->replicates;
}

/* Fills what follows from the values; terms[].factors are set. */
static void compute(const struct grid *g, const double *y, struct anova *a)
{
    size_t rows = g->cells * g->replicates;
    double grand = stat_mean(y, rows), *mean = xcalloc(g->cells, sizeof *mean);
    a->ss_error = a->ss_total = 0;
    for (size_t c = 0; c < g->cells; c++) {
        const double *v = &y[c * g->replicates];
        mean[c] = stat_mean(v, g->replicates);
        for (size_t i = 0; i < g->replicates; i++) {
            a->ss_error += (v[i] - mean[c]) * (v[i] - mean[c]);
            a->ss_total += (v[i] - grand) * (v[i] - grand);
        }
    }
    a->df_error = (double)(rows - g->cells);
    a->mse = a->df_error > 0 ? a->ss_error / a->df_error : NAN;
    for (size_t t = 0; t < a->count; t++) {
        struct anova_term *term = &a->terms[t];
        term->ss = marginal_ss(g, mean, grand, term->factors);
        for (size_t s = 0; s < t; s++)
            if ((a->terms[s].factors & ~term->factors) == 0)
                term->ss -= a->terms[s].ss;
        term->df = 1;
        for (size_t k = 0; k < g->factors; k++)
            if (term->factors >> k & 1)
                term->df *= (double)(g->level_count[k] - 1);
        term->ms = term->ss / term->df;
        term->f = a->mse > 0 ? term->ms / a->mse : NAN;
        term->p = stat_f_sf(term->f, term->df, a->df_error);
        double all = a->ss_total + a->mse;
        term->omega2 = all > 0 ? (term->ss - term->df * a->mse) / all : NAN;
    }
    free(mean);
}

/* The set of factors of which the first member comes first is first: A, B, A:B. */
static bool comes_before(unsigned a, unsigned b)
{
    unsigned differ = a ^ b;
    return (a & (differ & -differ)) != 0;
}

static void name_terms(size_t factors, struct anova *a)
{
    a->terms = xcalloc((size_t)1 << factors, sizeof *a->terms);
    for (int size = 1; size <= (int)factors; size++)
        for (unsigned mask = 1; mask < 1u << factors; mask++) {
            if (__builtin_popcount(mask) != size)
                continue;
            size_t at = a->count++;
            for (; at > 0 && __builtin_popcount(a->terms[at - 1].factors) == size &&
                   comes_before(mask, a->terms[at - 1].factors);
                 at--)
                a->terms[at] = a->terms[at - 1];
            a->terms[at].factors = mask;
        }
}

int stat_anova(const size_t *levels, const double *y, size_t rows, size_t factors,
               struct anova *out, struct err *err)
{
    struct grid g;
    struct err own = ERR_INIT;
    *out = (struct anova){0};
    if (grid_init(&g, levels, y, rows, factors, &own) != 0)
        return err_set(err, own.code, "%s", own.msg);
    name_terms(factors, out);
    compute(&g, g.y, out);
    grid_release(&g);
    return 0;
}

void anova_release(struct anova *a)
{
    free(a->terms);
    *a = (struct anova){0};
}

/* ---- bootstrap ---- */

/* Deviations from the cell means, enlarged by what fitting the means took from them. */
static void residuals(const struct grid *g, double *mean, double *rest)
{
    double n = (double)g->replicates, scale = sqrt(n / (n - 1));
    for (size_t c = 0; c < g->cells; c++) {
        const double *v = &g->y[c * g->replicates];
        mean[c] = stat_mean(v, g->replicates);
        for (size_t i = 0; i < g->replicates; i++)
            rest[c * g->replicates + i] = scale * (v[i] - mean[c]);
    }
}

/* omega^2 of every term in every draw, term after term. */
static void draw_omegas(const struct grid *g, struct anova *a, size_t draws,
                        uint64_t seed, double *omega)
{
    size_t rows = g->cells * g->replicates;
    struct philox_key key = rng_key(seed, "anova bootstrap");
    double *rest = xcalloc(rows + 1, sizeof *rest), *y = xcalloc(rows + 1, sizeof *y);
    double *mean = xcalloc(g->cells + 1, sizeof *mean);
    residuals(g, mean, rest);
    for (size_t b = 0; b < draws; b++) {
        for (size_t i = 0; i < rows; i++)
            y[i] = mean[i / g->replicates] + rest[rng_below(&key, b, i, rows)];
        compute(g, y, a);
        for (size_t t = 0; t < a->count; t++)
            omega[t * draws + b] = a->terms[t].omega2;
    }
    free(mean);
    free(y);
    free(rest);
}

int stat_anova_intervals(const size_t *levels, const double *y, size_t rows,
                         size_t factors, double level, size_t draws, uint64_t seed,
                         struct stat_interval *intervals, struct err *err)
{
    struct grid g;
    struct err own = ERR_INIT;
    struct anova a = {0};
    if (grid_init(&g, levels, y, rows, factors, &own) != 0)
        return err_set(err, own.code, "%s", own.msg);
    name_terms(factors, &a);
    double *omega = xcalloc(a.count * draws + 1, sizeof *omega);
    if (g.replicates >= 2)
        draw_omegas(&g, &a, draws, seed, omega);
    for (size_t t = 0; t < a.count; t++) {
        const double *x = &omega[t * draws];
        intervals[t] =
            g.replicates < 2
                ? (struct stat_interval){NAN, NAN}
                : (struct stat_interval){stat_quantile(x, draws, (1 - level) / 2),
                                         stat_quantile(x, draws, (1 + level) / 2)};
    }
    free(omega);
    anova_release(&a);
    grid_release(&g);
    return 0;
}

/* lib/stats/importance.c - see importance.h. */
#include "lib/stats/importance.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CELLS 50

/* ---- cells ---- */

static double scaled(const struct importance_space *s, double x)
{
    return s->log ? log(x) : x;
}

static size_t cell_count(const struct importance_space *s)
{
    double cells = MOST_CELLS;
    if (s->kind == IMPORTANCE_CATEGORICAL)
        return s->choices;
    if (s->kind == IMPORTANCE_INT && s->log)
        cells = ceil(log2(s->high - s->low + 1)) + 1;
    else if (s->kind == IMPORTANCE_INT || s->step > 0)
        cells = rint((s->high - s->low) / (s->step > 0 ? s->step : 1)) + 1;
    return cells < MOST_CELLS ? (size_t)cells : MOST_CELLS;
}

static size_t cell_of(const struct importance_space *s, size_t cells, double x)
{
    double at = x;
    if (s->kind != IMPORTANCE_CATEGORICAL) {
        double low = scaled(s, s->low);
        double width = (scaled(s, s->high) - low) / (double)(cells - 1);
        at = ceil((scaled(s, x) - low) / width - 0.5);
    }
    return at <= 0 ? 0 : at >= (double)cells ? cells - 1 : (size_t)at;
}

static bool single(const struct importance_space *s)
{
    return s->kind == IMPORTANCE_CATEGORICAL ? s->choices <= 1 : s->low == s->high;
}

static bool same_space(const struct importance_space *a, const struct importance_space *b)
{
    return a->kind == b->kind && a->low == b->low && a->high == b->high &&
           a->step == b->step && a->log == b->log && a->choices == b->choices;
}

/* ---- densities over cells ---- */

/* Scott's rule on the counts, with the interquartile range where that is less; at least
 * so wide that a cell holds a normal's 90 %. */
static double bandwidth(const double *counts, size_t cells, double n)
{
    double mean = 0, square = 0, sum = 0;
    for (size_t i = 0; i < cells; i++)
        mean += counts[i] * (double)i / n;
    for (size_t i = 0; i < cells; i++)
        square += counts[i] * ((double)i - mean) * ((double)i - mean);
    double sd = sqrt(square / fmax(1, n - 1));
    double q1 = NAN, q3 = NAN, last = 0;
    for (size_t i = 0; i < cells; i++) {
        sum += counts[i];
        if (counts[i] > 0) {
            last = (double)i;
            if (isnan(q1) && sum >= floor(n / 4))
                q1 = (double)i;
            if (isnan(q3) && sum > floor(n * 3 / 4))
                q3 = (double)i;
        }
    }
    if (isnan(q3))
        q3 = last;
    double width = 1.059 * fmin((q3 - q1) / 1.34, sd) * pow(n, -0.2);
    return fmax(width, 0.5 / 1.64);
}

/* Phi(b) - Phi(a) for a <= b, from the tail where both are small. */
static double normal_mass(double a, double b)
{
    return a > 0 ? stat_normal_cdf(-a) - stat_normal_cdf(-b)
                 : stat_normal_cdf(b) - stat_normal_cdf(a);
}

/* Adds a normal around `mu`, cut to the cells. */
static void add_normal(double *out, size_t cells, double mu, double sigma, double weight)
{
    double all = normal_mass((-0.5 - mu) / sigma, ((double)cells - 0.5 - mu) / sigma);
    for (size_t x = 0; x < cells; x++)
        out[x] +=
            weight / all *
            normal_mass(((double)x - 0.5 - mu) / sigma, ((double)x + 0.5 - mu) / sigma);
}

/* A kernel per cell that was hit, weighted by its count, and a wide prior of weight 1. */
static void numeric_density(const double *counts, size_t cells, double n, double *out)
{
    double width = bandwidth(counts, cells, n);
    for (size_t i = 0; i < cells; i++)
        if (counts[i] > 0)
            add_normal(out, cells, (double)i, width, counts[i] / (n + 1));
    add_normal(out, cells, (double)(cells - 1) / 2, (double)cells, 1 / (n + 1));
}

/* Kernels of (1 + 1/m at the choice, 1/m elsewhere), m = choices that were hit +
 * prior. */
static void categorical_density(const double *counts, size_t cells, double n, double *out)
{
    double kernels = 1;
    for (size_t i = 0; i < cells; i++)
        kernels += counts[i] > 0;
    double base = 1 / kernels, total = (double)cells * base + 1;
    for (size_t i = 0; i < cells; i++)
        out[i] = n / (n + 1) * base / total + counts[i] / (n + 1) / total +
                 1 / (n + 1) / (double)cells;
}

static void density(const struct importance_space *s, const double *counts, size_t cells,
                    double n, double *out)
{
    memset(out, 0, cells * sizeof *out);
    if (s->kind == IMPORTANCE_CATEGORICAL)
        categorical_density(counts, cells, n, out);
    else
        numeric_density(counts, cells, n, out);
    for (size_t i = 0; i < cells; i++)
        out[i] += 1e-12; /* no division by nothing */
}

/* ---- divergence ---- */

/* Pearson divergence of the best from all in one regime. */
static double divergence(const struct importance_space *s, const double *best_counts,
                         double best_n, const double *counts, double n, size_t cells)
{
    double *best = xcalloc(2 * cells, sizeof *best), *all = best + cells, sum = 0;
    density(s, best_counts, cells, best_n, best);
    density(s, counts, cells, n, all);
    for (size_t i = 0; i < cells; i++) {
        double off = best[i] / all[i] - 1;
        sum += all[i] * off * off;
    }
    free(best);
    return sum;
}

/* The contribution of the trials with the given space. */
static double regime(const struct importance_space *s,
                     const struct importance_value *trials, const bool *best,
                     size_t count, double best_count)
{
    size_t cells = cell_count(s);
    if (single(s) || cells < 2)
        return 0;
    double *best_hits = xcalloc(2 * cells, sizeof *best_hits), *hits = best_hits + cells;
    double n = 0, best_n = 0;
    for (size_t i = 0; i < count; i++) {
        if (!trials[i].space || !same_space(trials[i].space, s))
            continue;
        size_t cell = cell_of(s, cells, trials[i].value);
        hits[cell]++;
        n++;
        if (best[i]) {
            best_hits[cell]++;
            best_n++;
        }
    }
    double share = best_n / best_count, out = 0;
    if (n >= 2 && best_n > 0)
        out = share * share / (n / (double)count) *
              divergence(s, best_hits, best_n, hits, n, cells);
    free(best_hits);
    return out;
}

/* The best `quantile` of the trials and all that equal the worst of them. */
static size_t mark_best(const double *objective, size_t count, bool minimize,
                        double quantile, bool *best)
{
    size_t want = (size_t)ceil(quantile * (double)count), n = 0;
    double *x = xmalloc((count + 1) * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = minimize ? objective[i] : -objective[i];
    double cut = stat_order_statistic(x, count, want < 1 ? 1 : want);
    for (size_t i = 0; i < count; i++) {
        best[i] = x[i] <= cut;
        n += best[i];
    }
    free(x);
    return n;
}

double stat_ped_anova(const struct importance_value *trials, const double *objective,
                      size_t count, bool minimize, double quantile)
{
    if (count < 2)
        return 0;
    bool *best = xcalloc(count, sizeof *best);
    double best_count = (double)mark_best(objective, count, minimize, quantile, best);
    double gamma = best_count / (double)count, sum = 0;
    for (size_t i = 0; i < count && best_count > 0; i++) {
        const struct importance_space *s = trials[i].space;
        bool first = s != NULL;
        for (size_t j = 0; j < i && first; j++)
            first = !trials[j].space || !same_space(trials[j].space, s);
        if (first)
            sum += regime(s, trials, best, count, best_count);
    }
    free(best);
    return sum * gamma * gamma;
}

void stat_importance_normalize(double *raw, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += raw[i];
    for (size_t i = 0; i < count; i++)
        raw[i] = sum > 0 ? raw[i] / sum : 1 / (double)count;
}

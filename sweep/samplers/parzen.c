/* sweep/samplers/parzen.c - kernels and their densities; see parzen.h. */
#include "sweep/samplers/parzen.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include <math.h>
#include <stdlib.h>

#define NEWEST_ALIKE 25

static void fill_weights(double *w, size_t n)
{
    double sum = 1;
    for (size_t i = 0; i < n; i++) {
        size_t old = n > NEWEST_ALIKE ? n - NEWEST_ALIKE : 0;
        double first = 1.0 / (double)n;
        w[i] = i >= old   ? 1
               : old == 1 ? first
                          : first + (1 - first) * (double)i / (double)(old - 1);
        sum += w[i];
    }
    w[n] = 1; /* the prior */
    for (size_t i = 0; i <= n; i++)
        w[i] /= sum;
}

static void fit_choices(struct tpe_kernels *k, const struct tpe_domain *d,
                        const double *values, size_t n)
{
    double share = 1.0 / (double)k->count, whole = 1 + (double)d->choices * share;
    k->probability = xcalloc(d->choices, sizeof *k->probability);
    for (size_t c = 0; c < d->choices; c++) {
        double prior = d->share ? d->share[c] : 1.0 / (double)d->choices;
        double even = prior * (double)d->choices * share;
        k->probability[c] = k->weight[n] * prior;
        for (size_t i = 0; i < n; i++)
            k->probability[c] += k->weight[i] * (even + ((size_t)values[i] == c)) / whole;
    }
}

struct place {
    double mu;
    size_t index;
};

static int by_mu(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->mu != y->mu)
        return x->mu < y->mu ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static void fill_sigmas(struct tpe_kernels *k)
{
    size_t n = k->count;
    double range = k->high - k->low;
    double least = range / fmin(100, 1 + (double)n);
    struct place *order = xcalloc(n, sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = (struct place){k->mu[i], i};
    qsort(order, n, sizeof *order, by_mu);
    for (size_t i = 0; i < n; i++) {
        double left = order[i].mu - (i ? order[i - 1].mu : k->low);
        double right = (i + 1 < n ? order[i + 1].mu : k->high) - order[i].mu;
        double gap = n < 2        ? fmax(left, right)
                     : !i         ? right
                     : i + 1 == n ? left
                                  : fmax(left, right);
        k->sigma[order[i].index] = fmin(fmax(gap, least), range);
    }
    k->sigma[n - 1] = range;
    free(order);
}

/* log Phi(z); below -30 the asymptotic series, since erfc underflows. */
static double log_normal_cdf(double z)
{
    if (z > -30)
        return log(0.5 * erfc(-z * M_SQRT1_2));
    double s = 1 / (z * z);
    return -z * z / 2 - log(-z) - 0.5 * log(2 * M_PI) +
           log1p(-s * (1 - 3 * s * (1 - 5 * s)));
}

/* Log of the normal mass between a and b, taken from the nearer tail. */
static double log_mass(double a, double b)
{
    if (a > 0) {
        double t = a;
        a = -b;
        b = -t;
    }
    double upper = log_normal_cdf(b), lower = log_normal_cdf(a);
    return upper + log1p(-exp(lower - upper));
}

void tpe_kernels_init(struct tpe_kernels *k, const struct tpe_domain *d,
                      const double *values, size_t n)
{
    *k = (struct tpe_kernels){.count = n + 1};
    k->weight = xcalloc(k->count, sizeof *k->weight);
    fill_weights(k->weight, n);
    if (d->choices) {
        fit_choices(k, d, values, n);
        return;
    }
    k->low = d->low - d->step / 2;
    k->high = d->high + d->step / 2;
    if (d->log) {
        k->low = log(k->low);
        k->high = log(k->high);
    }
    k->mu = xcalloc(k->count, sizeof *k->mu);
    k->sigma = xcalloc(k->count, sizeof *k->sigma);
    for (size_t i = 0; i < n; i++)
        k->mu[i] = d->log ? log(values[i]) : values[i];
    k->mu[n] = (k->low + k->high) / 2;
    fill_sigmas(k);
    k->log_whole = xcalloc(k->count, sizeof *k->log_whole);
    for (size_t i = 0; i < k->count; i++)
        k->log_whole[i] = log_mass((k->low - k->mu[i]) / k->sigma[i],
                                   (k->high - k->mu[i]) / k->sigma[i]);
}

void tpe_kernels_release(struct tpe_kernels *k)
{
    free(k->weight);
    free(k->mu);
    free(k->sigma);
    free(k->log_whole);
    free(k->probability);
    *k = (struct tpe_kernels){0};
}

static double log_kernel(const struct tpe_kernels *k, const struct tpe_domain *d,
                         size_t i, double x, bool optuna_3_1_0)
{
    double mu = k->mu[i], sigma = k->sigma[i], whole = k->log_whole[i];
    if (d->step > 0 && !d->log)
        return log_mass((fmax(x - d->step / 2, k->low) - mu) / sigma,
                        (fmin(x + d->step / 2, k->high) - mu) / sigma) -
               whole;
    double z = (x - mu) / sigma;
    return -z * z / 2 - 0.5 * log(2 * M_PI) - (optuna_3_1_0 ? 0 : log(sigma)) - whole;
}

double tpe_log_density(const struct tpe_kernels *k, const struct tpe_domain *d,
                       double value, bool optuna_3_1_0)
{
    if (d->choices)
        return log(k->probability[(size_t)value]);
    double x = d->log ? log(value) : value, top = -INFINITY, sum = 0;
    double *terms = xcalloc(k->count, sizeof *terms);
    for (size_t i = 0; i < k->count; i++) {
        terms[i] = log_kernel(k, d, i, x, optuna_3_1_0) + log(k->weight[i]);
        top = fmax(top, terms[i]);
    }
    for (size_t i = 0; i < k->count; i++)
        sum += exp(terms[i] - top);
    free(terms);
    return top + log(sum);
}

/* The place at which a cumulated share passes u. */
static size_t pick(const double *share, size_t n, double u)
{
    double sum = 0;
    for (size_t i = 0; i + 1 < n; i++)
        if (u < (sum += share[i]))
            return i;
    return n - 1;
}

double tpe_draw(const struct tpe_kernels *k, const struct tpe_domain *d, double u,
                double v)
{
    if (d->choices)
        return (double)pick(k->probability, d->choices, u);
    size_t i = pick(k->weight, k->count, u);
    double a = stat_normal_cdf((k->low - k->mu[i]) / k->sigma[i]);
    double b = stat_normal_cdf((k->high - k->mu[i]) / k->sigma[i]);
    double x = k->mu[i] + k->sigma[i] * stat_normal_quantile(a + v * (b - a));
    x = fmin(fmax(x, k->low), k->high);
    double value = d->log ? exp(x) : x;
    if (d->step > 0)
        value = d->low + nearbyint((value - d->low) / d->step) * d->step;
    return fmin(fmax(value, d->low), d->high);
}

/* sweep/space/distribution.c - quantiles of the named distributions. */
#include "sweep/space/distribution.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include "sweep/space/value.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INT_LIMIT 9007199254740992.0 /* 2^53 */
#define SMALLEST  0x1p-54            /* no sampler comes closer to 0, */
#define LARGEST   (1 - 0x1p-53)      /* nor to 1 */

/* How min and max of a logarithmic range are meant. */
enum ends { ENDS_PLAIN, ENDS_VALUES, ENDS_EXPONENTS, ENDS_INVERSE };

static const struct row {
    const char *name; /* without q_ */
    enum distribution_family family;
    bool log;
    enum ends ends;
} rows[] = {
    {"int_uniform", DIST_INT, false, ENDS_PLAIN},
    {"uniform", DIST_UNIFORM, false, ENDS_PLAIN},
    {"log_uniform_values", DIST_UNIFORM, true, ENDS_VALUES},
    {"log_uniform", DIST_UNIFORM, true, ENDS_EXPONENTS},
    {"inv_log_uniform_values", DIST_UNIFORM, true, ENDS_VALUES},
    {"inv_log_uniform", DIST_UNIFORM, true, ENDS_INVERSE},
    {"normal", DIST_NORMAL, false, ENDS_PLAIN},
    {"log_normal", DIST_NORMAL, true, ENDS_PLAIN},
    {"beta", DIST_BETA, false, ENDS_PLAIN},
};

static int need(const struct sweep_param *p, const char *a, const char *b,
                struct err *err)
{
    if (json_is_number(json_object_get(p->spec, a)) &&
        json_is_number(json_object_get(p->spec, b)))
        return 0;
    return err_set(err, ERR_CONFIG, "%s needs %s and %s", p->distribution, a, b);
}

static int read_limits(struct distribution *d, const struct sweep_param *p,
                       enum ends ends, struct err *err)
{
    double min = json_get_num(p->spec, "min", 0), max = json_get_num(p->spec, "max", 0);
    if (min > max)
        return err_set(err, ERR_CONFIG, "min %g is above max %g", min, max);
    if (ends == ENDS_VALUES && !(min > 0))
        return err_set(err, ERR_CONFIG, "%s needs min > 0, got %g", p->distribution, min);
    if (d->family == DIST_INT && (min != trunc(min) || max != trunc(max)))
        return err_set(err, ERR_CONFIG, "int_uniform needs whole numbers, got %g to %g",
                       min, max);
    if (d->family == DIST_INT && (min < -INT_LIMIT || max > INT_LIMIT))
        return err_set(err, ERR_CONFIG, "int_uniform ends at 2^53, got %g to %g", min,
                       max);
    d->low = ends == ENDS_VALUES ? log(min) : ends == ENDS_INVERSE ? -max : min;
    d->high = ends == ENDS_VALUES ? log(max) : ends == ENDS_INVERSE ? -min : max;
    return 0;
}

static int read_range(struct distribution *d, const struct sweep_param *p,
                      struct err *err)
{
    bool rounded = str_has_prefix(p->distribution, "q_");
    const char *base = p->distribution + (rounded ? 2 : 0);
    size_t i = 0;
    while (i < ARRAY_LEN(rows) && !str_eq(rows[i].name, base))
        i++;
    if (i == ARRAY_LEN(rows))
        return err_set(err, ERR_CONFIG, "%s needs %s", p->distribution,
                       str_eq(base, "constant") ? "a value" : "values");
    d->family = rows[i].family;
    d->log = rows[i].log;
    d->mu = json_get_num(p->spec, "mu", 0);
    d->sigma = json_get_num(p->spec, "sigma", 1);
    d->a = json_get_num(p->spec, "a", 1);
    d->b = json_get_num(p->spec, "b", 1);
    d->q = rounded ? json_get_num(p->spec, "q", 1) : 0;
    int rc = 0;
    if (d->family == DIST_BETA)
        rc = need(p, "a", "b", err);
    else if (d->family != DIST_NORMAL && (rc = need(p, "min", "max", err)) == 0)
        rc = read_limits(d, p, rows[i].ends, err);
    if (rc < 0)
        return rc;
    double low = distribution_quantile(d, SMALLEST);
    double high = distribution_quantile(d, LARGEST);
    if (isfinite(low) && isfinite(high) && isfinite(high - low))
        return 0;
    return err_set(err, ERR_CONFIG, "%s reaches %g and %g, which are no numbers to use",
                   p->distribution, low, high);
}

int distribution_init(struct distribution *d, const struct sweep_param *p,
                      struct err *err)
{
    *d = (struct distribution){.family = DIST_CHOICE, .count = p->count};
    if (p->kind == PARAM_RANGE)
        return read_range(d, p, err);
    const json_t *shares = json_object_get(p->spec, "probabilities");
    if (!shares)
        return 0;
    d->share = xcalloc(p->count, sizeof *d->share);
    for (size_t i = 0; i < p->count; i++)
        d->share[i] = json_number_value(json_array_get(shares, i));
    return 0;
}

void distribution_release(struct distribution *d)
{
    free(d->share);
    *d = (struct distribution){0};
}

double distribution_share(const struct distribution *d, size_t choice)
{
    return d->share ? d->share[choice] : 1.0 / (double)d->count;
}

size_t distribution_choice(const struct distribution *d, double u)
{
    size_t last = d->count - 1;
    if (!d->share) {
        size_t i = (size_t)(u * (double)d->count);
        return i < last ? i : last;
    }
    double sum = 0;
    while (last > 0 && d->share[last] == 0)
        last--;
    for (size_t i = 0; i < last; i++)
        if (u < (sum += d->share[i]))
            return i;
    return last;
}

/* Bisection on the regularised incomplete beta; in log x, so that ends near 0 keep their
 * relative accuracy. */
static double beta_quantile(double a, double b, double u)
{
    if (stat_betainc(a, b, 0.5) < u)
        return 1 - beta_quantile(b, a, 1 - u);
    double low = -700, high = log(0.5);
    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;
        if (stat_betainc(a, b, exp(middle)) < u)
            low = middle;
        else
            high = middle;
    }
    return exp((low + high) / 2);
}

static double base_quantile(const struct distribution *d, double u)
{
    switch (d->family) {
    case DIST_INT:
        return fmin(d->high, d->low + floor(u * (d->high - d->low + 1)));
    case DIST_UNIFORM:
        return d->low + u * (d->high - d->low);
    case DIST_NORMAL:
        return d->mu + d->sigma * stat_normal_quantile(u);
    case DIST_BETA:
        return beta_quantile(d->a, d->b, u);
    default:
        return NAN;
    }
}

double distribution_quantile(const struct distribution *d, double u)
{
    double x = base_quantile(d, u);
    if (d->log)
        x = exp(x);
    return d->q > 0 ? nearbyint(x / d->q) * d->q : x;
}

double distribution_cdf(const struct distribution *d, double x)
{
    if (d->log && x <= 0)
        return 0;
    double y = d->log ? log(x) : x;
    switch (d->family) {
    case DIST_INT:
        return fmin(1, fmax(0, (floor(y) - d->low + 1) / (d->high - d->low + 1)));
    case DIST_UNIFORM:
        return d->high > d->low ? fmin(1, fmax(0, (y - d->low) / (d->high - d->low))) : 1;
    case DIST_NORMAL:
        return stat_normal_cdf((y - d->mu) / d->sigma);
    case DIST_BETA:
        return stat_betainc(d->a, d->b, fmin(1, fmax(0, y)));
    default:
        return NAN;
    }
}

json_t *distribution_value(const struct distribution *d, double x)
{
    if (d->q > 0) { /* 12 * 0.05 is 0.6000000000000001 */
        char text[40];
        snprintf(text, sizeof text, "%.15g", x);
        x = strtod(text, NULL);
    }
    json_t *real = json_real(x), *v = value_canon(real);
    json_decref(real);
    return v;
}

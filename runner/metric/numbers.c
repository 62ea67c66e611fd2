/* runner/metric/numbers.c - metrics of a regression and of several labels per row. */
#include "lib/mem.h"
#include "runner/metric/metric.h"
#include <math.h>
#include <stdlib.h>

/* --- regression --- */

double regression_mse(const struct metric_rows *r)
{
    const size_t n = r->count * r->width;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)r->logits[i] - r->targets[i];
        sum += d * d;
    }
    return n ? sum / (double)n : NAN;
}

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

static double correlation(const double *x, const double *y, size_t n)
{
    const double mx = mean_of(x, n), my = mean_of(y, n);
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / (sqrt(xx) * sqrt(yy)) : NAN;
}

struct ranked {
    double value;
    size_t at;
};

static int by_value(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* Ranks in place of values; equal ones share their mean. */
static void to_ranks(double *x, size_t n)
{
    struct ranked *s = xcalloc(n, sizeof *s);
    for (size_t i = 0; i < n; i++)
        s[i] = (struct ranked){x[i], i};
    qsort(s, n, sizeof *s, by_value);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && s[j].value == s[i].value; j++)
            ;
        for (size_t k = i; k < j; k++)
            x[s[k].at] = 0.5 * (double)(i + j - 1);
    }
    free(s);
}

/* Mean over the outputs of the correlation of values or of ranks. */
static double mean_correlation(const struct metric_rows *r, bool ranks)
{
    if (!r->count)
        return NAN;
    double *x = xcalloc(r->count, sizeof *x), *y = xcalloc(r->count, sizeof *y), sum = 0;
    for (size_t c = 0; c < r->width; c++) {
        for (size_t i = 0; i < r->count; i++) {
            x[i] = r->logits[i * r->width + c];
            y[i] = r->targets[i * r->width + c];
        }
        if (ranks) {
            to_ranks(x, r->count);
            to_ranks(y, r->count);
        }
        sum += correlation(x, y, r->count);
    }
    free(x);
    free(y);
    return sum / (double)r->width;
}

double regression_pearson(const struct metric_rows *r)
{
    return mean_correlation(r, false);
}

double regression_spearman(const struct metric_rows *r)
{
    return mean_correlation(r, true);
}

/* --- several labels --- */

static bool is_predicted(const struct metric_rows *r, size_t i)
{
    return r->logits[i] > 0;
}

static bool is_true(const struct metric_rows *r, size_t i)
{
    return r->targets[i] > 0.5f;
}

double labels_accuracy(const struct metric_rows *r)
{
    size_t right = 0;
    for (size_t i = 0; i < r->count; i++) {
        size_t c = 0;
        while (c < r->width &&
               is_predicted(r, i * r->width + c) == is_true(r, i * r->width + c))
            c++;
        right += c == r->width;
    }
    return r->count ? (double)right / (double)r->count : NAN;
}

/* F1 over the elements first, first + step, ... */
static double f1(const struct metric_rows *r, size_t first, size_t step)
{
    size_t hit = 0, seen = 0; /* TP, 2 TP + FP + FN */
    for (size_t i = first; i < r->count * r->width; i += step) {
        hit += is_predicted(r, i) && is_true(r, i);
        seen += (size_t)is_predicted(r, i) + is_true(r, i);
    }
    return seen ? 2.0 * (double)hit / (double)seen : 0;
}

double labels_micro_f1(const struct metric_rows *r)
{
    return r->count ? f1(r, 0, 1) : NAN;
}

double labels_macro_f1(const struct metric_rows *r)
{
    double sum = 0;
    for (size_t c = 0; c < r->width; c++)
        sum += f1(r, c, r->width);
    return r->count ? sum / (double)r->width : NAN;
}

double labels_loss(const struct metric_rows *r)
{
    const size_t n = r->count * r->width;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double x = r->logits[i];
        sum += fmax(x, 0) - x * r->targets[i] + log1p(exp(-fabs(x)));
    }
    return n ? sum / (double)n : NAN;
}

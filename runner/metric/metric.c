/* runner/metric/metric.c - the table, and the formulas for one class per row; sums in
 * double, in row order. */
#include "runner/metric/metric.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>

size_t metric_class(const float *logits, size_t classes)
{
    size_t best = 0;
    for (size_t c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    return best;
}

double classes_accuracy(const struct metric_rows *r)
{
    size_t right = 0;
    for (size_t i = 0; i < r->count; i++)
        right += metric_class(r->logits + i * r->width, r->width) == (size_t)r->labels[i];
    return r->count ? (double)right / (double)r->count : NAN;
}

/* F1 = 2 TP / (2 TP + FP + FN); a class that was seen has a denominator above zero. */
double classes_macro_f1(const struct metric_rows *r)
{
    size_t *hit = xcalloc(r->width + 1, sizeof *hit);   /* TP */
    size_t *seen = xcalloc(r->width + 1, sizeof *seen); /* 2 TP + FP + FN */
    for (size_t i = 0; i < r->count; i++) {
        size_t p = metric_class(r->logits + i * r->width, r->width);
        size_t y = (size_t)r->labels[i];
        hit[p] += p == y;
        seen[p]++;
        seen[y]++;
    }
    double sum = 0;
    size_t n = 0;
    for (size_t c = 0; c < r->width; c++)
        if (seen[c]) {
            sum += 2.0 * (double)hit[c] / (double)seen[c];
            n++;
        }
    free(hit);
    free(seen);
    return n ? sum / (double)n : NAN;
}

double classes_loss(const struct metric_rows *r)
{
    double total = 0;
    for (size_t i = 0; i < r->count; i++) {
        const float *z = r->logits + i * r->width;
        double top = z[metric_class(z, r->width)], sum = 0;
        for (size_t c = 0; c < r->width; c++)
            sum += exp(z[c] - top);
        total += top + log(sum) - z[r->labels[i]];
    }
    return r->count ? total / (double)r->count : NAN;
}

/* --- tokens --- */

float token_nll(const float *z, size_t width, int32_t label, bool *right)
{
    const size_t best = metric_class(z, width);
    double sum = 0;
    for (size_t c = 0; c < width; c++)
        sum += exp((double)z[c] - z[best]);
    *right = best == (size_t)label;
    return (float)(z[best] + log(sum) - z[label]);
}

double tokens_accuracy(const struct metric_rows *r)
{
    size_t right = 0;
    for (size_t i = 0; i < r->count; i++)
        right += r->right[i];
    return r->count ? (double)right / (double)r->count : NAN;
}

double tokens_loss(const struct metric_rows *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->count; i++)
        sum += r->nll[i];
    return r->count ? sum / (double)r->count : NAN;
}

double tokens_perplexity(const struct metric_rows *r)
{
    return exp(tokens_loss(r));
}

const struct metric_def metric_defs[] = {
#define METRIC(name_, goal_, of_class, of_numbers, of_labels, of_tokens, help_)          \
    {.name = #name_,                                                                     \
     .goal = goal_,                                                                      \
     .help = help_,                                                                      \
     .value[LABEL_class] = of_class,                                                     \
     .value[LABEL_numbers] = of_numbers,                                                 \
     .value[LABEL_set] = of_labels,                                                      \
     .value[LABEL_token] = of_tokens},
#include "runner/metric/metrics.def"
#undef METRIC
};
const size_t metric_count = ARRAY_LEN(metric_defs);

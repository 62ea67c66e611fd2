/* runner/metric/metric.c - the formulas; sums in double, in row order. */
#include "runner/metric/metric.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>

static size_t predicted(const float *logits, size_t classes)
{
    size_t best = 0;
    for (size_t c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    return best;
}

static double classification_accuracy(const float *logits, const int32_t *labels,
                                      size_t rows, size_t classes)
{
    size_t right = 0;
    for (size_t i = 0; i < rows; i++)
        right += predicted(logits + i * classes, classes) == (size_t)labels[i];
    return rows ? (double)right / (double)rows : NAN;
}

/* F1 = 2 TP / (2 TP + FP + FN); a class that was seen has a denominator above zero. */
static double classification_macro_f1(const float *logits, const int32_t *labels,
                                      size_t rows, size_t classes)
{
    size_t *hit = xcalloc(classes + 1, sizeof *hit);   /* TP */
    size_t *seen = xcalloc(classes + 1, sizeof *seen); /* 2 TP + FP + FN */
    for (size_t i = 0; i < rows; i++) {
        size_t p = predicted(logits + i * classes, classes), y = (size_t)labels[i];
        hit[p] += p == y;
        seen[p]++;
        seen[y]++;
    }
    double sum = 0;
    size_t n = 0;
    for (size_t c = 0; c < classes; c++)
        if (seen[c]) {
            sum += 2.0 * (double)hit[c] / (double)seen[c];
            n++;
        }
    free(hit);
    free(seen);
    return n ? sum / (double)n : NAN;
}

static double classification_loss(const float *logits, const int32_t *labels, size_t rows,
                                  size_t classes)
{
    double total = 0;
    for (size_t i = 0; i < rows; i++) {
        const float *z = logits + i * classes;
        double top = z[predicted(z, classes)], sum = 0;
        for (size_t c = 0; c < classes; c++)
            sum += exp(z[c] - top);
        total += top + log(sum) - z[labels[i]];
    }
    return rows ? total / (double)rows : NAN;
}

const struct metric_def metric_defs[] = {
#define METRIC(name, goal, help) {#name, goal, help, classification_##name},
#include "runner/metric/metrics.def"
#undef METRIC
};
const size_t metric_count = ARRAY_LEN(metric_defs);

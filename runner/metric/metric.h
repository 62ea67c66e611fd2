/* runner/metric/metric.h - evaluation metrics as registry rows (metrics.def: name, goal,
 * what it is).
 *
 * Classification: accuracy, macro_f1 (mean of the per-class F1 over the classes that
 * occur in labels or predictions, scikit-learn's f1_score(average="macro")), loss (mean
 * negative log-likelihood). Ties in logits go to the lower class. Labels are
 * 0..classes-1; NaN when there are no rows. A new metric is a line in metrics.def and a
 * function in metric.c. */
#ifndef RUNNER_METRIC_METRIC_H
#define RUNNER_METRIC_METRIC_H

#include <stddef.h>
#include <stdint.h>

struct metric_def {
    const char *name, *goal, *help; /* goal: "maximize" or "minimize" */
    double (*classification)(const float *logits, const int32_t *labels, size_t rows,
                             size_t classes);
};
extern const struct metric_def metric_defs[];
extern const size_t metric_count;

#endif

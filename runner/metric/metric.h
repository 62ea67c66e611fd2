/* runner/metric/metric.h - evaluation metrics as registry rows (metrics.def: name, goal,
 * what it is).
 *
 * Classification: accuracy, macro_f1 (mean of the per-class F1; a class with neither
 * label nor prediction counts 0, as scikit-learn with zero_division=0 over the union of
 * seen classes), loss (mean negative log-likelihood). Ties in logits go to the lower
 * class. */
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

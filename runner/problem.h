/* runner/problem.h - what a classifier's head is trained on, as transformers'
 * problem_type: one class per row (cross entropy), numbers (mean squared error), or any
 * number of labels per row (binary cross entropy of each). */
#ifndef RUNNER_PROBLEM_H
#define RUNNER_PROBLEM_H

#include "lib/err.h"
#include "runner/options.h"
#include <stdbool.h>

#define PROBLEMS(X)                                                                      \
    X(single_label_classification)                                                       \
    X(regression)                                                                        \
    X(multi_label_classification)
enum problem {
#define X(name) PROBLEM_##name,
    PROBLEMS(X)
#undef X
        PROBLEM_COUNT
};
extern const char *const problem_names[PROBLEM_COUNT];

/* By the trial's problem_type, or the model's, or num_labels: 1 is a regression. What of
 * the trial is for classes alone is refused for the others. */
int problem_of(const struct trial *trial, const json_t *config, enum problem *out,
               struct err *err);

#endif

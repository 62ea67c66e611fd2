/* runner/metric/metric.h - evaluation metrics as registry rows (metrics.def: name, goal,
 * a function for each kind of labels that it has a meaning for, what it is). Which of
 * them a task reports is said by its row.
 *
 * One class per row: ties in logits go to the lower class; macro_f1 is the mean over the
 * classes that occur in labels or predictions (scikit-learn's f1_score(average="macro")).
 * Several labels: a label is predicted where its logit is above 0 and true where its
 * target is above one half; F1 of a label that occurs nowhere is 0, as scikit-learn has
 * it. Correlations are scipy's (ties share their mean rank), NaN for a constant.
 * Of a language model's tokens, which have too many logits to be kept, only the likelihood
 * of the label is. Everything is NaN when there are no rows. A new metric is a line in metrics.def and a
 * function. */
#ifndef RUNNER_METRIC_METRIC_H
#define RUNNER_METRIC_METRIC_H

#include "runner/data/dataset.h"
#include <stddef.h>
#include <stdint.h>

/* A text that a model wrote, against its reference; see texts.c. */
struct metric_text {
    bool exact;
    double rouge_l;
    uint32_t row; /* of the split, that was asked */
};
struct metric_text text_compare(const char *ours, const char *reference);

/* The class that a row's logits say; ties go to the lower one. */
size_t metric_class(const float *logits, size_t classes);

struct metric_rows {
    const float *logits;   /* count x width */
    const int32_t *labels; /* classes, 0..width - 1 */
    const float *targets;  /* numbers or labels, count x width */
    size_t count, width;
    /* of tokens: each one's negative log-likelihood in place of its logits, and whether
     * its largest logit is the label */
    const float *nll;
    const bool *right;
    /* what it wrote; NULL: nobody asked */
    const struct metric_text *texts;
    size_t text_count;
};
struct metric_def {
    const char *name, *goal, *help; /* goal: "maximize" or "minimize" */
    double (*value[LABEL_KINDS])(const struct metric_rows *rows); /* NULL: no meaning */
};
extern const struct metric_def metric_defs[];
extern const size_t metric_count;

/* What metrics.def names. */
double classes_accuracy(const struct metric_rows *rows);
double classes_macro_f1(const struct metric_rows *rows);
double classes_loss(const struct metric_rows *rows);
double regression_pearson(const struct metric_rows *rows);
double regression_spearman(const struct metric_rows *rows);
double regression_mse(const struct metric_rows *rows);
double labels_accuracy(const struct metric_rows *rows);
double labels_macro_f1(const struct metric_rows *rows);
double labels_micro_f1(const struct metric_rows *rows);
double labels_loss(const struct metric_rows *rows);
double tokens_accuracy(const struct metric_rows *rows);
double tokens_loss(const struct metric_rows *rows);
double tokens_perplexity(const struct metric_rows *rows);
double texts_exact_match(const struct metric_rows *rows);
double texts_rouge_l(const struct metric_rows *rows);
/* What of a token's logits the three look at; ties go to the lower class. */
float token_nll(const float *logits, size_t width, int32_t label, bool *right);

#endif

/* runner/evaluate.h - evaluation of an allocated session: logits in the order of the
 * file, metrics, latency. */
#ifndef RUNNER_EVALUATE_H
#define RUNNER_EVALUATE_H

#include "runner/metric/metric.h"
#include "runner/session.h"

struct evaluation {
    float *logits;  /* picks x num_labels; owned. NULL: a language model's, not kept */
    double *values; /* metric_count values, as in metric_defs; owned */
    int64_t rows, picks;
    double nll; /* sum over a language model's labelled tokens */
    double seconds;
};

int evaluate_split(struct session *s, int split, struct evaluation *out, struct err *err);
/* ERR_NAN where a logit is no finite number: such scores are those of no model. */
int evaluation_check(const struct evaluation *e, const struct dataset *d, int32_t width,
                     struct err *err);
void evaluation_release(struct evaluation *e);
/* What the trivial answer reaches on a split, metric_count values: for every row the class
 * frequencies (so the majority class), the means or the labels' shares of the training
 * data. A score that is not above it has learned nothing. */
void evaluate_baseline(const struct session *s, int split, double *values);
/* How many different classes the logits answer; 0: they are no classes. One, for all rows:
 * the model has collapsed. */
int32_t evaluation_classes(const struct evaluation *e, const struct goal *g);

/* As many following rows as fit the budgets. */
int64_t evaluate_batch_end(const struct session *s, const struct dataset *d,
                           int64_t begin);
/* Runs rows [begin, end) of a split; returns the rows of logits. */
int32_t evaluate_batch(struct session *s, const struct graph *g, int split, int64_t begin,
                       int64_t end, float *logits);
/* evaluate_tokens.c: the same as the functions above for a language model, whose logits
 * are looked at batch by batch and kept only where goal.every_token asks for them: those
 * of all tokens of all rows. */
int evaluate_tokens(struct session *s, int split, struct evaluation *out,
                    struct err *err);
void evaluate_tokens_baseline(const struct session *s, int split, double *values);
/* By the metrics' functions; NaN where one has no meaning. */
void evaluate_metrics(const struct session *s, const struct metric_rows *all,
                      double *values);

struct latency {
    double *ms; /* per request, sorted; owned */
    size_t requests;
    double
        others_cores; /* kept busy by others meanwhile; NaN: not known (lib/os/load.h) */
    double p50_ms, p95_ms, p99_ms;
    double p99_high_ms; /* one-sided 95 % upper bound of p99; NaN where the sample
                           cannot carry it */
};

/* Single requests through one of the session's graphs for evaluation, one row each, one
 * after the other, through rows of the evaluation data (or else the training data); a few
 * are run before to warm up. Tokenising is not included. */
int evaluate_latency(struct session *s, const struct graph *g, size_t requests,
                     struct latency *out, struct err *err);
void latency_release(struct latency *l);

#endif

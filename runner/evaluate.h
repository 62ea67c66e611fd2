/* runner/evaluate.h - evaluation of an allocated session: logits in the order of the
 * file, metrics, latency. */
#ifndef RUNNER_EVALUATE_H
#define RUNNER_EVALUATE_H

#include "runner/metric/metric.h"
#include "runner/session.h"

/* What a language model wrote to a split's rows (generate/answers.h). */
struct answers {
    struct metric_text *texts; /* NULL: nobody asked; owned */
    size_t count;
    int64_t tokens, reference_tokens, stopped; /* new ones; by an end token */
    double seconds;
};

struct evaluation {
    struct answers answers;
    float *logits; /* picks x num_labels; owned. NULL: a language model's, never kept */
    float
        *token_nll; /* of a language model's labelled tokens, in the order of the file */
    bool *token_right; /* whether each one's largest logit is the label; both owned */
    double *values;    /* metric_count values, as in metric_defs; owned */
    int64_t rows, picks;
    double nll; /* sum over a language model's labelled tokens */
    double seconds;
};

/* Takes the logits of an evaluation, rows x num_labels, in the order of the file. */
struct logit_sink {
    int (*take)(struct logit_sink *sink, const float *logits, int64_t rows,
                struct err *err);
};
/* logits: NULL where nobody asks for them. Of a language model those of all real tokens of
 * all rows are handed over, chunk by chunk, where somebody does; else only labelled tokens
 * go through its head. */
int evaluate_split(struct session *s, int split, struct logit_sink *logits,
                   struct evaluation *out, struct err *err);
/* Rows of logits that a sink gets. */
int64_t evaluate_logit_rows(const struct session *s, int split);
/* ERR_NAN where a logit is no finite number: such scores are those of no model. Of a
 * language model the sum of the losses says so. */
int evaluation_check(const struct evaluation *e, const struct dataset *d, int32_t width,
                     struct err *err);
void evaluation_release(struct evaluation *e);
/* What the trivial answer reaches on a split, metric_count values: for every row the class
 * frequencies (so the majority class), the means or the labels' shares of the training
 * data. A score that is not above it has learned nothing. */
void evaluate_baseline(const struct session *s, int split, double *values);
/* The labels of a split's picks, beside no logits yet; release by evaluate_labels_release. */
struct metric_rows evaluate_labels(const struct session *s, int split);
void evaluate_labels_release(struct metric_rows *a);
/* How many different classes the logits answer; 0: they are no classes. One, for all rows:
 * the model has collapsed. */
int32_t evaluation_classes(const struct evaluation *e, const struct goal *g);

/* As many following rows as fit the budgets. */
int64_t evaluate_batch_end(const struct session *s, const struct dataset *d,
                           int64_t begin);
/* Runs rows [begin, end) of a split; returns the rows of logits. logits: NULL where they
 * are not to be fetched. */
int32_t evaluate_batch(struct session *s, const struct graph *g, int split, int64_t begin,
                       int64_t end, float *logits);
/* evaluate_tokens.c: the same as the functions above for a language model, whose logits
 * are looked at chunk by chunk. */
int evaluate_tokens(struct session *s, int split, struct logit_sink *logits,
                    struct evaluation *out, struct err *err);
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
 * are run before to warm up. Tokenising is not included. Large models get through fewer:
 * after 20 s, or a signal to stop, what was measured so far is it (one at least). */
int evaluate_latency(struct session *s, const struct graph *g, size_t requests,
                     struct latency *out, struct err *err);
/* Whether measuring that began then has gone on for long enough. */
bool latency_is_late(double start_s);
void latency_release(struct latency *l);
/* Takes `ms` of so many requests over; others: cores that others kept busy. */
void latency_of(struct latency *l, double *ms, size_t requests, double others);

#endif

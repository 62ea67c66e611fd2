/* runner/evaluate.c - see evaluate.h. */
#include "runner/evaluate.h"
#include "lib/mem.h"
#include "lib/os/load.h"
#include "lib/os/proc.h"
#include "lib/stats/basic.h"
#include "runner/features.h"
#include "runner/metric/metric.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP   5
#define LONGEST_S 20

int64_t evaluate_batch_end(const struct session *s, const struct dataset *d,
                           int64_t begin)
{
    const struct extent *most = &s->eval_graph.budget;
    int64_t end = begin;
    int32_t tokens = 0;
    while (end < (int64_t)d->count && end - begin < most->of[ROWS_SEQUENCES] &&
           tokens + d->rows[end].n + s->net.change.prompt_rows <= most->of[ROWS_TOKENS])
        tokens += d->rows[end++].n + s->net.change.prompt_rows;
    return end;
}

int32_t evaluate_batch(struct session *s, const struct graph *g, int split, int64_t begin,
                       int64_t end, float *logits)
{
    const struct op_step step = {.seed = s->course.seed};
    const struct extent e = session_load_batch(s, split, NULL, begin, end);
    graph_run(g, s->backend, &s->memory, &e, &step);
    const struct tensor t = graph_tensor(g, &s->memory, g->logits, &e);
    if (logits)
        s->backend->download(s->backend->device, logits, t.data,
                             (size_t)t.rows * (size_t)t.cols * sizeof(float));
    return t.rows;
}

struct metric_rows evaluate_labels(const struct session *s, int split)
{
    const struct dataset *d = s->data[split];
    const size_t n = (size_t)session_picks(s, split, 0, (int64_t)d->count);
    int32_t *labels = xcalloc(n + 1, sizeof *labels),
            *rows = xcalloc(n + 1, sizeof *rows);
    float *targets = xcalloc(n * (size_t)goal_targets(&s->goal) + 1, sizeof *targets);
    struct picks picks = {rows, labels, targets, 0};
    for (size_t i = 0; i < d->count; i++)
        s->goal.task->kind->pick(&s->goal, &d->rows[i], 0,
                                 d->rows[i].n + s->net.change.prompt_rows, &picks);
    free(rows);
    return (struct metric_rows){.labels = labels,
                                .targets = targets,
                                .count = n,
                                .width = (size_t)s->goal.num_labels};
}

void evaluate_labels_release(struct metric_rows *a)
{
    free((int32_t *)a->labels);
    free((float *)a->targets);
}

void evaluate_metrics(const struct session *s, const struct metric_rows *all,
                      double *values)
{
    for (size_t m = 0; m < metric_count; m++)
        values[m] = goal_has_metric(&s->goal, m)
                        ? metric_defs[m].value[s->goal.labels](all)
                        : NAN;
}

/* One row of logits that is the best constant for what the training data hold; shares are
 * counted from one half, so that none is 0. */
static void constant_logits(const struct session *s, float *logits)
{
    const size_t width = (size_t)s->goal.num_labels;
    struct metric_rows train = evaluate_labels(s, SPLIT_TRAIN);
    double *sum = xcalloc(width + 1, sizeof *sum);
    for (size_t i = 0; i < train.count; i++) {
        if (s->goal.labels == LABEL_class)
            sum[train.labels[i]]++;
        for (size_t c = 0; s->goal.labels != LABEL_class && c < width; c++)
            sum[c] += (double)train.targets[i * width + c];
    }
    for (size_t c = 0; c < width; c++) {
        const double n = (double)train.count, share = (sum[c] + .5) / (n + 1);
        logits[c] = s->goal.labels == LABEL_numbers ? (float)(sum[c] / fmax(n, 1))
                    : s->goal.labels == LABEL_set   ? (float)log(share / (1 - share))
                                                    : (float)log(share);
    }
    free(sum);
    evaluate_labels_release(&train);
}

void evaluate_baseline(const struct session *s, int split, double *values)
{
    if (s->goal.labels == LABEL_token) {
        evaluate_tokens_baseline(s, split, values);
        return;
    }
    struct metric_rows all = evaluate_labels(s, split);
    float *logits = xcalloc((all.count + 1) * all.width, sizeof *logits);
    constant_logits(s, logits + all.count * all.width);
    for (size_t i = 0; i < all.count; i++)
        memcpy(logits + i * all.width, logits + all.count * all.width,
               all.width * sizeof *logits);
    all.logits = logits;
    evaluate_metrics(s, &all, values);
    free(logits);
    evaluate_labels_release(&all);
}

int32_t evaluation_classes(const struct evaluation *e, const struct goal *g)
{
    const size_t width = (size_t)g->num_labels;
    bool *seen = xcalloc(width + 1, sizeof *seen);
    int32_t n = 0;
    for (int64_t i = 0; g->labels == LABEL_class && i < e->picks; i++) {
        const size_t best = metric_class(e->logits + (size_t)i * width, width);
        n += !seen[best];
        seen[best] = true;
    }
    free(seen);
    return n;
}

int64_t evaluate_logit_rows(const struct session *s, int split)
{
    const struct dataset *d = s->data[split];
    return s->goal.labels == LABEL_token ? (int64_t)d->total_tokens
                                         : session_picks(s, split, 0, (int64_t)d->count);
}

int evaluate_split(struct session *s, int split, struct logit_sink *logits,
                   struct evaluation *out, struct err *err)
{
    const struct dataset *d = s->data[split];
    const int32_t width = s->goal.num_labels;
    const double start = clock_mono_s();
    if (s->goal.labels == LABEL_token)
        return evaluate_tokens(s, split, logits, out, err);
    *out = (struct evaluation){.rows = (int64_t)d->count,
                               .picks = session_picks(s, split, 0, (int64_t)d->count),
                               .values = xcalloc(metric_count, sizeof *out->values)};
    out->logits = mem_try_aligned((size_t)out->picks * (size_t)width * sizeof(float));
    if (!out->logits)
        return err_set(err, ERR_NOMEM, "no memory for the logits of %zu rows", d->count);
    int64_t done = 0;
    for (int64_t b = 0, e; b < out->rows; b = e) {
        e = evaluate_batch_end(s, d, b);
        features_begin(s, split, NULL, b, e);
        done +=
            evaluate_batch(s, &s->eval_graph, split, b, e, out->logits + done * width);
        features_end(s, split);
    }
    struct metric_rows all = evaluate_labels(s, split);
    all.logits = out->logits;
    evaluate_metrics(s, &all, out->values);
    evaluate_labels_release(&all);
    out->seconds = clock_mono_s() - start;
    return logits ? logits->take(logits, out->logits, out->picks, err) : 0;
}

int evaluation_check(const struct evaluation *e, const struct dataset *d, int32_t width,
                     struct err *err)
{
    if (!isfinite(e->nll))
        return err_set(err, ERR_NAN,
                       "the loss on '%s' is %g: the model's weights or the adapter's are "
                       "no numbers, or too large",
                       d->path, e->nll);
    for (int64_t i = 0; e->logits && i < e->picks * width; i++)
        if (!isfinite(e->logits[i]))
            return err_set(
                err, ERR_NAN,
                "row %lld of '%s' has the logit %g: the model's weights or the "
                "adapter's are no numbers, or too large",
                (long long)(i / width) + 1, d->path, (double)e->logits[i]);
    return 0;
}

void evaluation_release(struct evaluation *e)
{
    mem_free_aligned(e->logits);
    free(e->token_nll);
    free(e->token_right);
    free(e->values);
    free(e->answers.texts);
    *e = (struct evaluation){0};
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void latency_of(struct latency *l, double *ms, size_t requests, double others)
{
    *l = (struct latency){.ms = ms, .requests = requests, .others_cores = others};
    l->p50_ms = stat_quantile(ms, requests, 0.5);
    l->p95_ms = stat_quantile(ms, requests, 0.95);
    l->p99_ms = stat_quantile(ms, requests, 0.99);
    l->p99_high_ms = stat_quantile_interval(ms, requests, 0.99, 0.90).high;
    qsort(ms, requests, sizeof *ms, ascending);
}

bool latency_is_late(double start_s)
{
    return clock_mono_s() - start_s > LONGEST_S || proc_signals(NULL);
}

int evaluate_latency(struct session *s, const struct graph *g, size_t requests,
                     struct latency *out, struct err *err)
{
    const int split = s->data[SPLIT_TEST]   ? SPLIT_TEST
                      : s->data[SPLIT_EVAL] ? SPLIT_EVAL
                                            : SPLIT_TRAIN;
    const struct dataset *d = s->data[split];
    /* Who takes one token of a vocabulary fetches its number. */
    float *logits = s->goal.labels == LABEL_token
                        ? NULL
                        : xcalloc((size_t)s->goal.num_labels, sizeof *logits);
    *out = (struct latency){.ms = xcalloc(requests + 1, sizeof *out->ms),
                            .requests = requests};
    (void)err;
    struct load_watch watch;
    load_watch_start(&watch);
    const double start = clock_mono_s();
    size_t done = 0;
    for (size_t i = 0; done < requests; i++) {
        const int64_t row = (int64_t)(i % d->count);
        const double begin = clock_mono_s();
        const bool late = latency_is_late(start);
        if (done && late)
            break;
        evaluate_batch(s, g, split, row, row + 1, logits);
        s->backend->sync(s->backend->device);
        if (i >= WARM_UP || late)
            out->ms[done++] = 1e3 * (clock_mono_s() - begin);
    }
    free(logits);
    latency_of(out, out->ms, done, load_watch_others(&watch));
    return 0;
}

void latency_release(struct latency *l)
{
    free(l->ms);
    l->ms = NULL;
}

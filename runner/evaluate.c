/* runner/evaluate.c - see evaluate.h. */
#include "runner/evaluate.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/stats/basic.h"
#include "runner/metric/metric.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP 5

/* As many following rows as fit the budgets. */
static int64_t batch_end(const struct session *s, const struct dataset *d, int64_t begin)
{
    const struct extent *most = &s->eval_graph.budget;
    int64_t end = begin;
    int32_t tokens = 0;
    while (end < (int64_t)d->count && end - begin < most->of[ROWS_SEQUENCES] &&
           tokens + d->rows[end].n + s->net.change.prompt_rows <= most->of[ROWS_TOKENS])
        tokens += d->rows[end++].n + s->net.change.prompt_rows;
    return end;
}

/* Returns the rows of logits. */
static int32_t forward(struct session *s, const struct graph *g, int split, int64_t begin,
                       int64_t end, float *logits)
{
    const struct op_step step = {.seed = s->course.seed};
    const struct extent e = session_load_batch(s, split, NULL, begin, end);
    graph_run(g, s->backend, &s->memory, &e, &step);
    const struct tensor t = graph_tensor(g, &s->memory, g->logits, &e);
    s->backend->download(s->backend->device, logits, t.data,
                         (size_t)t.rows * (size_t)t.cols * sizeof(float));
    return t.rows;
}

static void compute_metrics(const struct session *s, const struct dataset *d,
                            struct evaluation *out)
{
    const size_t width = (size_t)s->goal.num_labels, n = (size_t)out->picks;
    int32_t *labels = xcalloc(n, sizeof *labels), *rows = xcalloc(n, sizeof *rows);
    float *targets = xcalloc(n * (size_t)goal_targets(&s->goal) + 1, sizeof *targets);
    struct picks picks = {rows, labels, targets, 0};
    for (size_t i = 0; i < d->count; i++)
        s->goal.task->kind->pick(&s->goal, &d->rows[i], 0, d->rows[i].n, &picks);
    const struct metric_rows all = {out->logits, labels, targets, n, width};
    for (size_t m = 0; m < metric_count; m++)
        out->values[m] = goal_has_metric(&s->goal, m)
                             ? metric_defs[m].value[s->goal.labels](&all)
                             : NAN;
    free(rows);
    free(labels);
    free(targets);
}

int evaluate_split(struct session *s, int split, struct evaluation *out, struct err *err)
{
    const struct dataset *d = s->data[split];
    const int32_t width = s->goal.num_labels;
    const double start = clock_mono_s();
    *out = (struct evaluation){.rows = (int64_t)d->count,
                               .picks = session_picks(s, split, 0, (int64_t)d->count),
                               .values = xcalloc(metric_count, sizeof *out->values)};
    out->logits = mem_try_aligned((size_t)out->picks * (size_t)width * sizeof(float));
    if (!out->logits)
        return err_set(err, ERR_NOMEM, "no memory for the logits of %zu rows", d->count);
    int64_t done = 0;
    for (int64_t b = 0, e; b < out->rows; b = e) {
        e = batch_end(s, d, b);
        done += forward(s, &s->eval_graph, split, b, e, out->logits + done * width);
    }
    compute_metrics(s, d, out);
    out->seconds = clock_mono_s() - start;
    return 0;
}

int evaluation_check(const struct evaluation *e, const struct dataset *d, int32_t width,
                     struct err *err)
{
    for (int64_t i = 0; i < e->picks * width; i++)
        if (!isfinite(e->logits[i]))
            return err_set(err, ERR_NAN,
                           "%s %lld of '%s' has the logit %g: the model's weights or the "
                           "adapter's are no numbers, or too large",
                           e->picks == e->rows ? "row" : "labelled token",
                           (long long)(i / width) + 1, d->path, (double)e->logits[i]);
    return 0;
}

void evaluation_release(struct evaluation *e)
{
    mem_free_aligned(e->logits);
    free(e->values);
    *e = (struct evaluation){0};
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int evaluate_latency(struct session *s, const struct graph *g, size_t requests,
                     struct latency *out, struct err *err)
{
    const int split = s->data[SPLIT_TEST]   ? SPLIT_TEST
                      : s->data[SPLIT_EVAL] ? SPLIT_EVAL
                                            : SPLIT_TRAIN;
    const struct dataset *d = s->data[split];
    float *logits = xcalloc((size_t)goal_most_picks(&s->goal, d->longest, 1) *
                                (size_t)s->goal.num_labels,
                            sizeof *logits);
    *out = (struct latency){.ms = xcalloc(requests + 1, sizeof *out->ms),
                            .requests = requests};
    (void)err;
    for (size_t i = 0; i < requests + WARM_UP; i++) {
        const int64_t row = (int64_t)(i % d->count);
        const double begin = clock_mono_s();
        forward(s, g, split, row, row + 1, logits);
        s->backend->sync(s->backend->device);
        if (i >= WARM_UP)
            out->ms[i - WARM_UP] = 1e3 * (clock_mono_s() - begin);
    }
    free(logits);
    out->p50_ms = stat_quantile(out->ms, requests, 0.5);
    out->p95_ms = stat_quantile(out->ms, requests, 0.95);
    out->p99_ms = stat_quantile(out->ms, requests, 0.99);
    out->p99_high_ms = stat_quantile_interval(out->ms, requests, 0.99, 0.90).high;
    qsort(out->ms, requests, sizeof *out->ms, ascending);
    return 0;
}

void latency_release(struct latency *l)
{
    free(l->ms);
    l->ms = NULL;
}

/* runner/evaluate_tokens.c - see evaluate.h: a token has as many logits as there are words,
 * so that they are seen a chunk at a time and only the likelihood of the label is kept. */
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/evaluate.h"
#include "runner/features.h"
#include "runner/generate/answers.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is known of the labelled tokens so far, and who takes all tokens' logits. */
struct tally {
    struct graph_reader reader;
    const struct session *s;
    const struct dataset *data;
    struct logit_sink *sink; /* NULL: nobody does */
    float *chunk;            /* logits of one, of the sink's tokens in the end */
    int32_t sequence;        /* of the batch, that the last token was in */
    int64_t taken;           /* tokens, by the sink */
    float *nll;
    bool *right;
    size_t count, width;
    int rc;
    struct err *err;
};

/* Whether pick i of the batch is one of a row's own tokens, no virtual one; t->sequence
 * goes along with i. */
static bool is_own_token(struct tally *t, int32_t i)
{
    const struct session *s = t->s;
    const int32_t *seq = s->host_batch[SLOT_seq], row = s->host_batch[SLOT_picked][i];
    while (row >= seq[t->sequence + 1])
        t->sequence++;
    return row >= seq[t->sequence] + s->net.change.prompt_rows;
}

static int check_finite(const struct tally *t, int64_t rows)
{
    for (int64_t i = 0; i < rows * (int64_t)t->width; i++)
        if (!isfinite(t->chunk[i]))
            return err_set(t->err, ERR_NAN,
                           "token %lld of '%s' has the logit %g: the model's weights or "
                           "the adapter's are no numbers, or too large",
                           (long long)(t->taken + i / (int64_t)t->width) + 1,
                           t->data->path, (double)t->chunk[i]);
    return 0;
}

/* Virtual tokens' rows go out of the chunk; the rest is the sink's. */
static void hand_over(struct tally *t, int32_t begin, int32_t rows)
{
    int64_t own = 0;
    for (int32_t i = 0; i < rows; i++) {
        if (!is_own_token(t, begin + i))
            continue;
        if (own < i)
            memcpy(t->chunk + (size_t)own * t->width, t->chunk + (size_t)i * t->width,
                   t->width * sizeof *t->chunk);
        own++;
    }
    if (!t->rc)
        t->rc = check_finite(t, own);
    if (!t->rc)
        t->rc = t->sink->take(t->sink, t->chunk, own, t->err);
    t->taken += own;
}

static void see_chunk(struct graph_reader *r, const struct tensor *logits, int32_t begin)
{
    struct tally *t = (struct tally *)r;
    const struct backend *b = t->s->backend;
    b->download(b->device, t->chunk, logits->data,
                (size_t)logits->rows * t->width * sizeof *t->chunk);
    for (int32_t i = 0; i < logits->rows; i++) {
        const float *z = t->chunk + (size_t)i * t->width;
        const int32_t label = t->s->host_batch[SLOT_labels][begin + i];
        if (label < 0)
            continue;
        t->nll[t->count] = token_nll(z, t->width, label, &t->right[t->count]);
        t->count++;
    }
    if (t->sink)
        hand_over(t, begin, logits->rows);
}

static void summarise(const struct session *s, const struct tally *t,
                      struct evaluation *out)
{
    const struct metric_rows all = {.count = t->count,
                                    .width = t->width,
                                    .nll = t->nll,
                                    .right = t->right,
                                    .texts = out->answers.texts,
                                    .text_count = out->answers.count};
    evaluate_metrics(s, &all, out->values);
    for (size_t i = 0; i < t->count; i++)
        out->nll += t->nll[i];
}

static void run_rows(struct session *s, int split, int64_t rows, struct tally *t)
{
    s->memory.reader = &t->reader;
    s->goal.every_token = t->sink;
    for (int64_t b = 0, e; b < rows && !t->rc; b = e) {
        e = evaluate_batch_end(s, t->data, b);
        t->sequence = 0;
        features_begin(s, split, NULL, b, e);
        evaluate_batch(s, &s->eval_graph, split, b, e, NULL);
        features_end(s, split);
    }
    s->memory.reader = NULL;
    s->goal.every_token = false;
}

int evaluate_tokens(struct session *s, int split, struct logit_sink *logits,
                    struct evaluation *out, struct err *err)
{
    const struct dataset *d = s->data[split];
    const size_t width = (size_t)s->goal.num_labels;
    const struct extent chunk = graph_chunk_extent(&s->eval_graph, &s->eval_graph.budget);
    const size_t picks = (size_t)session_picks(s, split, 0, (int64_t)d->count);
    const double start = clock_mono_s();
    *out = (struct evaluation){.rows = (int64_t)d->count,
                               .picks = (int64_t)picks,
                               .values = xcalloc(metric_count, sizeof *out->values)};
    struct tally t = {.reader = {see_chunk},
                      .s = s,
                      .data = d,
                      .sink = logits,
                      .nll = xcalloc(picks + 1, sizeof *t.nll),
                      .right = xcalloc(picks + 1, sizeof *t.right),
                      .width = width,
                      .err = err,
                      .chunk = mem_try_aligned((size_t)chunk.of[ROWS_PICKED] * width *
                                               sizeof *t.chunk)};
    if (!t.chunk)
        t.rc = err_set(err, ERR_NOMEM, "no memory for the logits of %d tokens",
                       chunk.of[ROWS_PICKED]);
    run_rows(s, split, out->rows, &t);
    if (!t.rc && s->goal.generates)
        t.rc = answers_generate(s, split, &out->answers, err);
    if (!t.rc)
        summarise(s, &t, out);
    mem_free_aligned(t.chunk);
    out->token_nll = t.nll;
    out->token_right = t.right;
    out->seconds = clock_mono_s() - start;
    return t.rc;
}

/* --- the trivial answer: how often each word is a label in the training data --- */

struct counts {
    double *of; /* counted from one half, so that none is 0 */
    size_t width, best;
    double sum;
};

/* Calls `see` for each label of a split. */
static void for_labels(const struct session *s, int split,
                       void (*see)(void *ctx, int32_t label), void *ctx)
{
    const struct dataset *d = s->data[split];
    const int32_t prompt = s->net.change.prompt_rows;
    const size_t most = (size_t)(d->longest + prompt) + 1;
    int32_t *rows = xcalloc(most, sizeof *rows), *labels = xcalloc(most, sizeof *labels);
    for (size_t i = 0; i < d->count; i++) {
        struct picks p = {rows, labels, NULL, 0};
        s->goal.task->kind->pick(&s->goal, &d->rows[i], 0, d->rows[i].n + prompt, &p);
        for (int32_t k = 0; k < p.count; k++)
            if (labels[k] >= 0)
                see(ctx, labels[k]);
    }
    free(rows);
    free(labels);
}

static void count_label(void *ctx, int32_t label)
{
    struct counts *c = ctx;
    c->of[label]++;
    c->sum++;
    if (c->of[label] > c->of[c->best])
        c->best = (size_t)label;
}

struct answer {
    const struct counts *counts;
    struct tally tally;
};

static void answer_label(void *ctx, int32_t label)
{
    struct answer *a = ctx;
    struct tally *t = &a->tally;
    t->nll[t->count] = (float)-log(a->counts->of[label] / a->counts->sum);
    t->right[t->count++] = (size_t)label == a->counts->best;
}

void evaluate_tokens_baseline(const struct session *s, int split, double *values)
{
    const size_t width = (size_t)s->goal.num_labels;
    const size_t picks =
        (size_t)session_picks(s, split, 0, (int64_t)s->data[split]->count);
    struct counts counts = {
        .of = xcalloc(width + 1, sizeof *counts.of), .width = width, .sum = width / 2.0};
    for (size_t c = 0; c < width; c++)
        counts.of[c] = 0.5;
    for_labels(s, SPLIT_TRAIN, count_label, &counts);
    struct answer a = {&counts,
                       {.nll = xcalloc(picks + 1, sizeof *a.tally.nll),
                        .right = xcalloc(picks + 1, sizeof *a.tally.right),
                        .width = width}};
    for_labels(s, split, answer_label, &a);
    struct evaluation e = {.values = values};
    summarise(s, &a.tally, &e);
    free(counts.of);
    free(a.tally.nll);
    free(a.tally.right);
}

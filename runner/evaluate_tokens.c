/* runner/evaluate_tokens.c - see evaluate.h: a token has as many logits as there are words,
 * so that of most only the likelihood of the label is kept. */
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/evaluate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is known of the labelled tokens so far, and where kept logits go. */
struct tally {
    float *nll;
    bool *right;
    size_t count;
    float *kept; /* NULL: none is */
    size_t width;
};

/* Whether pick i of the batch that was just run is one of a row's own tokens, no virtual
 * one; *sequence goes along with i. */
static bool is_own_token(const struct session *s, int32_t i, int32_t *sequence)
{
    const int32_t *seq = s->host_batch[SLOT_seq], row = s->host_batch[SLOT_picked][i];
    while (row >= seq[*sequence + 1])
        ++*sequence;
    return row >= seq[*sequence] + s->net.change.prompt_rows;
}

static void see_batch(const struct session *s, const float *logits, int32_t rows,
                      struct tally *t)
{
    int32_t sequence = 0;
    for (int32_t i = 0; i < rows; i++) {
        const float *z = logits + (size_t)i * t->width;
        const int32_t label = s->host_batch[SLOT_labels][i];
        if (label >= 0) {
            t->nll[t->count] = token_nll(z, t->width, label, &t->right[t->count]);
            t->count++;
        }
        if (!t->kept || !is_own_token(s, i, &sequence))
            continue;
        memcpy(t->kept, z, t->width * sizeof *z);
        t->kept += t->width;
    }
}

static void summarise(const struct session *s, const struct tally *t,
                      struct evaluation *out)
{
    const struct metric_rows all = {
        .count = t->count, .width = t->width, .nll = t->nll, .right = t->right};
    evaluate_metrics(s, &all, out->values);
    for (size_t i = 0; i < t->count; i++)
        out->nll += t->nll[i];
}

int evaluate_tokens(struct session *s, int split, struct evaluation *out, struct err *err)
{
    const struct dataset *d = s->data[split];
    const size_t width = (size_t)s->goal.num_labels;
    const size_t most = (size_t)s->eval_graph.budget.of[ROWS_PICKED];
    const size_t picks = (size_t)session_picks(s, split, 0, (int64_t)d->count);
    const double start = clock_mono_s();
    *out = (struct evaluation){.rows = (int64_t)d->count,
                               .picks = (int64_t)picks,
                               .values = xcalloc(metric_count, sizeof *out->values)};
    struct tally t = {.nll = xcalloc(picks + 1, sizeof *t.nll),
                      .right = xcalloc(picks + 1, sizeof *t.right),
                      .width = width};
    float *logits = mem_try_aligned(most * width * sizeof *logits);
    if (s->goal.every_token) {
        out->picks = (int64_t)d->total_tokens;
        out->logits = mem_try_aligned(d->total_tokens * width * sizeof *logits);
        t.kept = out->logits;
    }
    int rc = 0;
    if (!logits || (s->goal.every_token && !out->logits))
        rc = err_set(err, ERR_NOMEM, "no memory for the logits of %zu tokens of '%s'",
                     d->total_tokens, d->path);
    for (int64_t b = 0, e; b < out->rows && !rc; b = e) {
        e = evaluate_batch_end(s, d, b);
        const int32_t rows = evaluate_batch(s, &s->eval_graph, split, b, e, logits);
        see_batch(s, logits, rows, &t);
    }
    if (!rc)
        summarise(s, &t, out);
    mem_free_aligned(logits);
    free(t.nll);
    free(t.right);
    out->seconds = clock_mono_s() - start;
    return rc;
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

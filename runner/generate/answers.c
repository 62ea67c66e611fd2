/* runner/generate/answers.c - see answers.h. */
#include "runner/generate/answers.h"
#include "lib/mem.h"
#include "lib/os/load.h"
#include "lib/os/proc.h"
#include "runner/generate/generator.h"
#include "runner/generate/prompter.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AT_A_TIME 8   /* answers of an evaluation */
#define PIECE     256 /* tokens of prompts read at a time */
#define MOST_NEW  128 /* where the trial says nothing */

static int64_t most_new(const struct session *s)
{
    return s->trial.max_new_tokens ? s->trial.max_new_tokens : MOST_NEW;
}

bool answers_reference(const struct example *e, int32_t *begin, int32_t *end)
{
    int32_t at = e->token_labels ? e->n : 0;
    while (at > 0 && e->token_labels[at - 1] < 0)
        at--;
    *end = at;
    while (at > 0 && e->token_labels[at - 1] >= 0)
        at--;
    *begin = at;
    return *begin > 0;
}

int answers_plan(struct session *s, struct err *err)
{
    int32_t longest = 0;
    size_t rows = 0;
    for (int i = SPLIT_EVAL; i < SPLIT_COUNT; i++)
        if (s->data[i]) {
            longest = s->data[i]->longest > longest ? s->data[i]->longest : longest;
            rows = s->data[i]->count > rows ? s->data[i]->count : rows;
        }
    if (!rows)
        return err_set(err, ERR_CONFIG,
                       "'predict_with_generate' needs eval_data or test_data");
    if (!s->tokenizer && !s->assume)
        return err_set(err, ERR_NOINPUT,
                       "'predict_with_generate': model folder '%s' has no "
                       "tokenizer.json to make texts with",
                       s->hf->dir);
    const int64_t most = longest + most_new(s), room = generator_room(s);
    s->decode = (struct decode_size){
        .sequences = rows < AT_A_TIME ? (int32_t)rows : AT_A_TIME,
        .capacity = generator_length(s, (int32_t)(most < room ? most : room), 0),
        .tokens = PIECE};
    return 0;
}

/* --- a split --- */

struct asked {
    struct generation *texts;
    int32_t (*references)[2]; /* begin and end in the row */
    const struct example **rows;
    uint32_t *numbers; /* of these rows in the split */
    size_t count;
};

static struct asked ask(const struct session *s, int split, size_t most)
{
    const struct dataset *d = s->data[split];
    const int32_t room = generator_room(s);
    struct asked a = {.texts = xcalloc(d->count + 1, sizeof *a.texts),
                      .references = xcalloc(d->count + 1, sizeof *a.references),
                      .rows = xcalloc(d->count + 1, sizeof *a.rows),
                      .numbers = xcalloc(d->count + 1, sizeof *a.numbers)};
    for (size_t i = 0; i < d->count && a.count < most; i++) {
        int32_t begin, end;
        if (!answers_reference(&d->rows[i], &begin, &end) || begin >= room)
            continue;
        const int64_t new = most_new(s);
        a.rows[a.count] = &d->rows[i];
        a.numbers[a.count] = (uint32_t)i;
        a.references[a.count][0] = begin;
        a.references[a.count][1] = end;
        a.texts[a.count++] = (struct generation){
            .prompt = d->rows[i].ids,
            .n_prompt = begin,
            .most = (int32_t)(new < room - begin ? new : room - begin),
            .stream = i};
    }
    return a;
}

static void release(struct asked *a)
{
    for (size_t i = 0; i < a->count; i++)
        generation_release(&a->texts[i]);
    free(a->texts);
    free(a->references);
    free(a->rows);
    free(a->numbers);
}

static void compare(const struct session *s, const struct asked *a, struct answers *out)
{
    struct buf ours = BUF_INIT, theirs = BUF_INIT;
    for (size_t i = 0; i < a->count; i++) {
        const struct generation *g = &a->texts[i];
        const int32_t begin = a->references[i][0], end = a->references[i][1];
        buf_clear(&ours);
        buf_clear(&theirs);
        tokenizer_decode(s->tokenizer, g->ids, (size_t)g->n, true, &ours, NULL);
        tokenizer_decode(s->tokenizer, a->rows[i]->ids + begin, (size_t)(end - begin),
                         true, &theirs, NULL);
        out->texts[i] = text_compare(buf_str(&ours), buf_str(&theirs));
        out->texts[i].row = a->numbers[i];
        out->tokens += g->n;
        out->reference_tokens += end - begin;
        out->stopped += g->stopped;
    }
    buf_release(&ours);
    buf_release(&theirs);
}

int answers_generate(struct session *s, int split, struct answers *out, struct err *err)
{
    struct prompter prompter;
    struct generator g;
    const double start = clock_mono_s();
    struct asked a = ask(s, split, SIZE_MAX);
    *out = (struct answers){.texts = xcalloc(a.count + 1, sizeof *out->texts),
                            .count = a.count};
    int rc = prompter_open(&prompter, s, NULL, err);
    if (!rc) {
        generator_init(&g, s, &SAMPLING_GREEDY, prompter.stops, prompter.n_stops);
        rc = generator_run(&g, a.texts, a.count, NULL, NULL, err);
        generator_release(&g);
    }
    if (!rc)
        compare(s, &a, out);
    out->seconds = clock_mono_s() - start;
    prompter_release(&prompter);
    release(&a);
    return rc;
}

int answers_latency(struct session *s, size_t requests, struct latency *first,
                    struct latency *each, struct err *err)
{
    struct generator g;
    struct load_watch watch;
    const int split = s->data[SPLIT_TEST] ? SPLIT_TEST : SPLIT_EVAL;
    struct asked a = ask(s, split, requests);
    double *ms[] = {xcalloc(a.count + 1, sizeof(double)),
                    xcalloc(a.count + 1, sizeof(double))};
    const double start = clock_mono_s();
    size_t done = 0;
    int rc = 0;
    load_watch_start(&watch);
    for (; done < a.count && !rc && !(done && latency_is_late(start)); done++) {
        struct generation *t = &a.texts[done];
        generator_init(&g, s, &SAMPLING_GREEDY, NULL, 0);
        rc = generator_run(&g, t, 1, NULL, NULL, err);
        generator_release(&g);
        ms[0][done] = 1e3 * (t->first_s - t->begin_s);
        ms[1][done] = 1e3 * (t->end_s - t->first_s) / (t->n > 1 ? t->n - 1 : 1);
    }
    const double others = load_watch_others(&watch);
    latency_of(first, ms[0], done, others);
    latency_of(each, ms[1], done, others);
    release(&a);
    return rc;
}

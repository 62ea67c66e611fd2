/* cli/serve/bench_engine.c - a bench of the engine in this process: no HTTP, texts are
 * tokenised before. */
#include "cli/serve/bench_target.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/run_folder.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct engine_target {
    struct load_target load;
    struct serve_base base;
    struct shelf shelf;
    struct engine *engine;
    char **names;
    size_t count, cap;
    const struct bench_texts *texts;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    size_t answers, seen; /* so far; before the last wait */
};

static double now(struct load_target *t)
{
    (void)t;
    return clock_mono_s();
}

struct sent {
    struct engine_target *target;
    struct load_record *record;
};

static void on_done(struct engine_request *r)
{
    struct sent *s = r->ctx;
    struct engine_target *t = s->target;
    s->record->queue_s = r->begin_s - r->put_s;
    s->record->run_s = r->run_s;
    s->record->cold = r->cold;
    pthread_mutex_lock(&t->lock);
    load_answer(&t->load, s->record, r->rc == 0, false);
    t->answers++;
    pthread_cond_signal(&t->answered);
    pthread_mutex_unlock(&t->lock);
    engine_request_free(r);
    free(s);
}

static void send_request(struct load_target *load, struct load_record *record)
{
    struct engine_target *t = (struct engine_target *)load;
    const struct example *e = &t->texts->examples[record->text];
    const size_t bytes = (size_t)e->n * sizeof *e->ids;
    struct engine_request *r = xcalloc(1, sizeof *r);
    struct sent *s = xcalloc(1, sizeof *s);
    struct err err = ERR_INIT;
    double retry_s;
    *s = (struct sent){t, record};
    record->tokens = (uint32_t)e->n;
    r->rows = xcalloc(1, sizeof *r->rows);
    r->count = 1;
    r->done = on_done;
    r->ctx = s;
    r->rows[0].example = (struct example){
        .ids = memcpy(xmalloc(bytes), e->ids, bytes),
        .type_ids = e->type_ids ? memcpy(xmalloc(bytes), e->type_ids, bytes) : NULL,
        .n = e->n};
    r->rows[0].adapter = shelf_want(&t->shelf, t->names[record->adapter], 1);
    if (engine_put(t->engine, r, &retry_s, &err) == 0)
        return;
    shelf_done(&t->shelf, r->rows[0].adapter, 1);
    engine_request_free(r);
    free(s);
    load_answer(load, record, false, true);
}

static void wait_until(struct load_target *load, double until_s)
{
    struct engine_target *t = (struct engine_target *)load;
    const struct timespec at = {(time_t)until_s,
                                (long)((until_s - floor(until_s)) * 1e9)};
    pthread_mutex_lock(&t->lock);
    if (t->answers == t->seen) /* else one came before this wait */
        pthread_cond_timedwait(&t->answered, &t->lock, &at);
    t->seen = t->answers;
    pthread_mutex_unlock(&t->lock);
}

/* --- adapters --- */

struct adding {
    struct engine_target *target;
    size_t clone;
};

static int add_clones(void *ctx, const char *name, const char *dir, struct err *err)
{
    const struct adding *a = ctx;
    struct engine_target *t = a->target;
    int rc = 0;
    for (size_t k = 0; k < a->clone && !rc; k++) {
        char *own = a->clone == 1 ? xstrdup(name) : xasprintf("%s-%zu", name, k + 1);
        rc = shelf_add(&t->shelf, own, dir, false, err);
        t->names = xgrow(t->names, &t->cap, t->count + 1, sizeof *t->names);
        t->names[t->count++] = own;
    }
    return rc;
}

/* The folder is an adapter's, or holds some. */
static int add_adapters(struct engine_target *t, const struct bench_file *b,
                        struct err *err)
{
    struct adding a = {t, b->clone};
    char *dir = fs_join(b->base_dir, b->adapter_dir), *itself = run_folder_adapter(dir);
    const int rc = itself ? add_clones(&a, b->adapter_dir, itself, err)
                          : run_folder_adapters(dir, add_clones, &a, err);
    free(itself);
    free(dir);
    return rc;
}

/* --- start and end --- */

static void end(struct bench_target *target)
{
    struct engine_target *t = target->own;
    if (t->engine) {
        engine_stop(t->engine);
        engine_free(t->engine);
    }
    shelf_release(&t->shelf);
    serve_base_close(&t->base);
    for (size_t i = 0; i < t->count; i++)
        free(t->names[i]);
    free(t->names);
    pthread_cond_destroy(&t->answered);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void init_locks(struct engine_target *t)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static int open_all(struct engine_target *t, const struct bench_file *b,
                    struct bench_texts *texts, struct err *err)
{
    char *model = fs_join(b->base_dir, b->model);
    const struct serve_options o = {
        .most = extent_of(b->max_tokens, b->max_rows, b->max_rows)};
    int rc = serve_base_open(&t->base, fs_exists(model) ? model : b->model, &o, err);
    free(model);
    if (rc || (rc = add_adapters(t, b, err)))
        return rc;
    const struct net_shape *s = &t->base.session.net.shape;
    rc = bench_texts_read(texts, b, t->base.session.tokenizer, s->vocab_size,
                          s->max_positions, err);
    if (!rc && !texts->examples)
        rc =
            err_set(err, ERR_CONFIG, "the base has no tokenizer: requests: {tokens: 24}");
    const struct engine_options e = {.wait_s = b->wait_s,
                                     .queue = {.most_rows = 1 << 20}};
    return rc ? rc : engine_start(&t->engine, &t->shelf, &e, err);
}

int bench_target_engine(struct bench_target *target, const struct bench_file *b,
                        struct bench_texts *texts, struct err *err)
{
    struct engine_target *t = xcalloc(1, sizeof *t);
    t->load = (struct load_target){now, send_request, wait_until, 0};
    t->texts = texts;
    init_locks(t);
    shelf_init(&t->shelf, &t->base, b->resident_bytes);
    *target = (struct bench_target){.load = &t->load, .end = end, .own = t};
    const int rc = open_all(t, b, texts, err);
    target->adapters = t->count;
    return rc;
}

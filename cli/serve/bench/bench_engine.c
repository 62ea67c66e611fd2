/* cli/serve/bench/bench_engine.c - a bench of the engine in this process: no HTTP, texts are
 * tokenised before. */
#include "cli/serve/bench/bench_target.h"
#include "cli/serve/served_tasks.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/merge/merge.h"
#include "runner/nn/peft/method.h"
#include "runner/run_folder.h"
#include "runner/serve/mould.h"
#include "runner/serve/bare.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct engine_target;

/* An engine with its adapters, and so much room for them. */
struct venue {
    struct load_target load;
    struct engine_target *target;
    enum bench_kind kind;
    size_t slots;
    struct shelf shelf;
    struct engine *engine;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    size_t answers, seen;              /* so far; before the last wait */
    struct batch_seen *batches, *told; /* since somebody looked; until then */
    size_t count, cap;
    struct shelf_counts before;
    struct venue *next;
};

struct adapter_name {
    char *name, *dir;
};

struct engine_target {
    const struct bench_file *file;
    const struct bench_texts *texts;
    struct serve_base base;
    struct serve_base merged; /* once it is asked for */
    char *merged_dir;         /* its folder; NULL: not yet */
    struct adapter_name *adapters;
    size_t count, cap;
    size_t largest; /* bytes of an adapter in memory */
    char method[128];
    struct venue *venues;
};

static double now(struct load_target *t)
{
    (void)t;
    return clock_mono_s();
}

struct sent {
    struct venue *venue;
    struct load_record *record;
};

static void on_done(struct engine_request *r)
{
    struct sent *s = r->ctx;
    struct venue *v = s->venue;
    s->record->queue_s = r->begin_s - r->put_s;
    s->record->run_s = r->run_s;
    s->record->cold = r->cold;
    pthread_mutex_lock(&v->lock);
    load_answer(&v->load, s->record, r->rc == 0, false);
    v->answers++;
    pthread_cond_signal(&v->answered);
    pthread_mutex_unlock(&v->lock);
    engine_request_free(r);
    free(s);
}

static void on_batch(void *ctx, const struct batch_seen *seen)
{
    struct venue *v = ctx;
    pthread_mutex_lock(&v->lock);
    v->batches = xgrow(v->batches, &v->cap, v->count + 1, sizeof *v->batches);
    v->batches[v->count++] = *seen;
    pthread_mutex_unlock(&v->lock);
}

static void send_request(struct load_target *load, struct load_record *record)
{
    struct venue *v = (struct venue *)load;
    struct engine_target *t = v->target;
    const struct example *e = &t->texts->examples[record->text];
    const size_t bytes = (size_t)e->n * sizeof *e->ids;
    struct engine_request *r = xcalloc(1, sizeof *r);
    struct sent *s = xcalloc(1, sizeof *s);
    struct err err = ERR_INIT;
    double retry_s;
    *s = (struct sent){v, record};
    record->tokens = (uint32_t)e->n;
    r->rows = xcalloc(1, sizeof *r->rows);
    r->count = 1;
    r->done = on_done;
    r->ctx = s;
    r->rows[0].example = (struct example){
        .ids = memcpy(xmalloc(bytes), e->ids, bytes),
        .type_ids = e->type_ids ? memcpy(xmalloc(bytes), e->type_ids, bytes) : NULL,
        .n = e->n};
    r->rows[0].adapter = shelf_want(&v->shelf, t->adapters[record->adapter].name, 1);
    if (engine_put(v->engine, r, &retry_s, &err) == 0)
        return;
    shelf_done(&v->shelf, r->rows[0].adapter, 1);
    engine_request_free(r);
    free(s);
    load_answer(load, record, false, true);
}

static void wait_until(struct load_target *load, double until_s)
{
    struct venue *v = (struct venue *)load;
    const struct timespec at = {(time_t)until_s,
                                (long)((until_s - floor(until_s)) * 1e9)};
    pthread_mutex_lock(&v->lock);
    if (v->answers == v->seen) /* else one came before this wait */
        pthread_cond_timedwait(&v->answered, &v->lock, &at);
    v->seen = v->answers;
    pthread_mutex_unlock(&v->lock);
}

/* --- adapters --- */

static int add_folder(void *ctx, const char *name, const char *dir, struct err *err)
{
    struct engine_target *t = ctx;
    (void)err;
    t->adapters = xgrow(t->adapters, &t->cap, t->count + 1, sizeof *t->adapters);
    t->adapters[t->count++] = (struct adapter_name){xstrdup(name), xstrdup(dir)};
    return 0;
}

/* The first ones are of all folders, so that any number of them is as mixed as it can be. */
static void clone_all(struct engine_target *t, size_t clone)
{
    const size_t folders = t->count;
    for (size_t k = 1; k < clone; k++)
        for (size_t i = 0; i < folders; i++) {
            char *name = xasprintf("%s-%zu", t->adapters[i].name, k + 1);
            add_folder(t, name, t->adapters[i].dir, NULL);
            free(name);
        }
}

static int add_tasks(struct engine_target *t, const struct bench_file *b, struct err *err)
{
    struct served_tasks tasks;
    char *file = fs_join(b->base_dir, b->adapter_tasks);
    const int rc = served_tasks_find(file, b->store, NULL, b->model, &tasks, err);
    for (size_t i = 0; i < tasks.count && !rc; i++)
        add_folder(t, tasks.tasks[i].name, tasks.tasks[i].adapter, err);
    served_tasks_release(&tasks);
    free(file);
    return rc;
}

/* The folder is an adapter's, or holds some. */
static int add_dir(struct engine_target *t, const struct bench_file *b, struct err *err)
{
    char *dir = fs_join(b->base_dir, b->adapter_dir);
    char *itself = fs_is_dir(dir) ? run_folder_adapter(dir) : NULL;
    const int rc = !fs_is_dir(dir) ? err_set(err, ERR_NOINPUT, "no folder '%s'", dir)
                   : itself        ? add_folder(t, b->adapter_dir, itself, err)
                                   : run_folder_adapters(dir, add_folder, t, err);
    free(itself);
    free(dir);
    return rc;
}

static int find_adapters(struct engine_target *t, const struct bench_file *b,
                         struct err *err)
{
    const int rc = b->adapter_tasks ? add_tasks(t, b, err) : add_dir(t, b, err);
    if (!rc)
        clone_all(t, b->clone);
    return rc;
}

/* Which methods they are, and how much memory the largest one takes: each folder is opened
 * once. */
static int look_at_adapters(struct engine_target *t, struct err *err)
{
    const size_t folders = t->count / t->file->clone;
    for (size_t i = 0; i < folders; i++) {
        struct guest g;
        const int rc =
            guest_open(&g, &t->base, t->adapters[i].dir, t->adapters[i].name, err);
        if (rc)
            return rc;
        const char *name = g.mould->net.method->name;
        const size_t have = strlen(t->method);
        if (!str_in_list(name, t->method, ',') &&
            have + strlen(name) + 2 < sizeof t->method)
            snprintf(t->method + have, sizeof t->method - have, "%s%s", have ? "," : "",
                     name);
        t->largest = g.bytes > t->largest ? g.bytes : t->largest;
        guest_close(&g, &t->base);
    }
    return 0;
}

/* --- venues --- */

static int open_base(struct engine_target *t, struct serve_base *base, const char *model,
                     struct err *err)
{
    const struct bench_file *b = t->file;
    const struct serve_options o = {
        .most = extent_of(b->max_tokens, b->max_rows, b->max_rows)};
    return serve_base_open(base, model, &o, err);
}

/* The first adapter, worked into the base, in a folder that goes with the bench. */
static int open_merged(struct engine_target *t, struct err *err)
{
    struct merge_report report;
    struct guest g;
    int rc = guest_open(&g, &t->base, t->adapters[0].dir, t->adapters[0].name, err);
    if (rc)
        return rc;
    t->merged_dir = fs_temp_folder("bench", err);
    rc = t->merged_dir ? 0 : err_code(err);
    const struct merge_target to = {.out = t->merged_dir, .dtype = DT_COUNT};
    if (!rc)
        rc = merge_folder(g.mould->resolved, ".", t->adapters[0].dir, &to, &report, err);
    guest_close(&g, &t->base);
    return rc ? rc : open_base(t, &t->merged, t->merged_dir, err);
}

static void init_locks(struct venue *v)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void close_venue(struct venue *v)
{
    if (v->engine) {
        engine_stop(v->engine);
        engine_free(v->engine);
    }
    shelf_release(&v->shelf);
    pthread_cond_destroy(&v->answered);
    pthread_mutex_destroy(&v->lock);
    free(v->batches);
    free(v->told);
    free(v);
}

static int open_venue(struct engine_target *t, const struct bench_case *c,
                      struct venue **out, struct err *err)
{
    const bool plain = c->kind != BENCH_adapters;
    const struct engine_options e = {.wait_s = t->file->wait_s,
                                     .queue = {.most_rows = 1 << 20},
                                     .run = plain ? serve_bare_run : NULL,
                                     .on_batch = on_batch,
                                     .ctx = xcalloc(1, sizeof(struct venue))};
    struct venue *v = e.ctx;
    int rc = c->kind == BENCH_merged && !t->merged_dir ? open_merged(t, err) : 0;
    *v = (struct venue){.load = {now, send_request, wait_until, 0, 0},
                        .target = t,
                        .kind = c->kind,
                        .slots = c->slots,
                        .next = t->venues};
    init_locks(v);
    shelf_init(&v->shelf, c->kind == BENCH_merged ? &t->merged : &t->base,
               c->slots ? c->slots * t->largest : t->file->resident_bytes);
    for (size_t i = 0; i < t->count && !rc; i++)
        rc = shelf_add(&v->shelf, t->adapters[i].name, t->adapters[i].dir, false, err);
    if (!rc)
        rc = engine_start(&v->engine, &v->shelf, &e, err);
    if (rc) {
        close_venue(v);
        return rc;
    }
    *out = t->venues = v;
    return 0;
}

static struct load_target *at(struct bench_target *target, const struct bench_case *c,
                              struct err *err)
{
    struct engine_target *t = target->own;
    struct venue *v = t->venues;
    while (v && (v->kind != c->kind || v->slots != c->slots))
        v = v->next;
    return v || !open_venue(t, c, &v, err) ? &v->load : NULL;
}

static void look(struct bench_target *target, struct load_target *load,
                 struct bench_inside *out)
{
    struct venue *v = (struct venue *)load;
    struct shelf_counts c;
    (void)target;
    pthread_mutex_lock(&v->lock);
    free(v->told);
    v->told = v->batches;
    *out = (struct bench_inside){.batches = v->told, .count = v->count};
    v->batches = NULL;
    v->count = v->cap = 0;
    pthread_mutex_unlock(&v->lock);
    shelf_count(&v->shelf, &c);
    out->loads = c.loads - v->before.loads;
    out->evictions = c.evictions - v->before.evictions;
    out->load_s = c.load_s - v->before.load_s;
    out->resident_bytes = c.resident_bytes;
    v->before = c;
}

/* --- start and end --- */

static void end(struct bench_target *target)
{
    struct engine_target *t = target->own;
    for (struct venue *v = t->venues, *next; v; v = next) {
        next = v->next;
        close_venue(v);
    }
    if (t->merged_dir) {
        if (t->merged.trial)
            serve_base_close(&t->merged);
        fs_remove_tree(t->merged_dir, NULL);
        free(t->merged_dir);
    }
    serve_base_close(&t->base);
    for (size_t i = 0; i < t->count; i++) {
        free(t->adapters[i].name);
        free(t->adapters[i].dir);
    }
    free(t->adapters);
    free(t);
}

static int open_all(struct engine_target *t, const struct bench_file *b,
                    struct bench_texts *texts, struct err *err)
{
    char *model = fs_join(b->base_dir, b->model);
    int rc = open_base(t, &t->base, fs_exists(model) ? model : b->model, err);
    free(model);
    if (rc || (rc = find_adapters(t, b, err)) || (rc = look_at_adapters(t, err)))
        return rc;
    const struct net_shape *s = &t->base.session.net.shape;
    rc = bench_texts_read(texts, b, t->base.session.tokenizer, s->vocab_size,
                          s->max_positions, err);
    return rc || texts->examples
               ? rc
               : err_set(err, ERR_CONFIG,
                         "the base has no tokenizer: requests: {tokens: 24}");
}

int bench_target_engine(struct bench_target *target, const struct bench_file *b,
                        struct bench_texts *texts, struct err *err)
{
    struct engine_target *t = xcalloc(1, sizeof *t);
    t->file = b;
    t->texts = texts;
    *target = (struct bench_target){
        .known = true, .at = at, .look = look, .end = end, .own = t};
    const int rc = open_all(t, b, texts, err);
    target->adapters = t->count;
    target->method = t->method;
    target->backend = rc ? "" : t->base.session.backend->name;
    return rc;
}

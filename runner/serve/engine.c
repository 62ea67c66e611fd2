/* runner/serve/engine.c - see engine.h. */
#include "runner/serve/engine.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct engine {
    struct shelf *shelf;
    struct engine_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct queue queue;
    bool stopping;
    struct engine_counts counts;
};

int engine_put(struct engine *e, struct engine_request *r, double *retry_s,
               struct err *err)
{
    *retry_s = 0;
    pthread_mutex_lock(&e->lock);
    const int rc = e->stopping ? err_set(err, ERR_BUSY, "the server is stopping")
                               : queue_put(&e->queue, r, clock_mono_s(), retry_s, err);
    if (rc)
        e->counts.refused++;
    else
        pthread_cond_signal(&e->filled);
    pthread_mutex_unlock(&e->lock);
    return rc;
}

void engine_count(struct engine *e, struct engine_counts *out)
{
    pthread_mutex_lock(&e->lock);
    *out = e->counts;
    out->queued_rows = e->queue.rows;
    pthread_mutex_unlock(&e->lock);
}

/* --- a batch --- */

struct load {
    struct queue_pick *picked;
    struct serve_row *rows;
    size_t count;
    int64_t tokens;
    int32_t cold; /* adapters that were loaded for it */
    double begin_s;
};

/* One row more has its answer. Whoever is told of the last one reads the adapters of all, so
 * none is given back before; what is given back stays until the batch is through. */
static void finish(struct engine *e, struct engine_request *r)
{
    if (--r->left)
        return;
    for (size_t i = 0; i < r->count; i++)
        shelf_done(e->shelf, r->rows[i].adapter, 1);
    r->done(r);
}

static void fail(struct engine *e, struct queue_pick p, int rc, const struct err *err)
{
    pthread_mutex_lock(&e->lock);
    e->counts.failed++;
    pthread_mutex_unlock(&e->lock);
    if (!p.request->rc) {
        p.request->rc = rc;
        p.request->err = *err;
    }
    finish(e, p.request);
}

static int check_length(const struct engine_row *row, int32_t most, struct err *err)
{
    const struct net *net = &row->adapter->guest.mould->net;
    const int32_t room = net->shape.max_positions - net->change.virtual_tokens;
    const int32_t limit =
        room < most - net->change.prompt_rows ? room : most - net->change.prompt_rows;
    return row->example.n > limit
               ? err_set(err, ERR_CONFIG, "a text of %d tokens: '%s' takes %d",
                         (int)row->example.n, row->adapter->name, (int)limit)
               : 0;
}

/* Rows from `from` on wait again. */
static void put_back(struct engine *e, struct load *l, size_t from)
{
    pthread_mutex_lock(&e->lock);
    while (l->count > from)
        queue_put_back(&e->queue, &l->picked[--l->count]);
    pthread_mutex_unlock(&e->lock);
}

/* Rows whose adapter cannot be opened, or that is too long with its virtual tokens, are
 * answered so; those that are too many once all are open wait for the next batch. */
static void open_adapters(struct engine *e, struct load *l)
{
    const struct extent *most = &e->shelf->base->session.serves;
    size_t kept = 0;
    int64_t tokens = 0;
    for (size_t i = 0; i < l->count; i++) {
        const struct queue_pick p = l->picked[i];
        struct engine_row *row = &p.request->rows[p.row];
        struct err err = ERR_INIT;
        bool loaded;
        int rc = shelf_take(e->shelf, row->adapter, &loaded, &err);
        p.request->cold |= !rc && loaded;
        l->cold += !rc && loaded;
        if (!rc && kept && tokens + queue_row_tokens(row) > most->of[ROWS_TOKENS]) {
            put_back(e, l, i);
            break;
        }
        if (!rc)
            rc = check_length(row, most->of[ROWS_TOKENS], &err);
        if (rc) {
            fail(e, p, rc, &err);
            continue;
        }
        tokens += queue_row_tokens(row);
        row->logits =
            xcalloc((size_t)mould_width(row->adapter->guest.mould), sizeof(float));
        l->rows[kept] =
            (struct serve_row){&row->adapter->guest, &row->example, row->logits};
        l->picked[kept++] = p;
    }
    l->count = kept;
    l->tokens = tokens;
}

static int64_t different(const struct load *l)
{
    int64_t n = 0;
    for (size_t i = 0; i < l->count; i++) {
        size_t k = 0;
        while (k < i && l->rows[k].guest != l->rows[i].guest)
            k++;
        n += k == i;
    }
    return n;
}

static void account(struct engine *e, const struct load *l, double seconds)
{
    pthread_mutex_lock(&e->lock);
    e->counts.batches++;
    e->counts.rows += (int64_t)l->count;
    e->counts.tokens += l->tokens;
    e->counts.adapters += different(l);
    e->counts.run_s += seconds;
    pace_note(&e->queue.pace, l->tokens, seconds);
    pthread_mutex_unlock(&e->lock);
}

/* Once per batch, however many rows of it are in there. */
static void count_run(struct engine_request *r, int64_t batch, double seconds)
{
    if (r->run_s > 0 && r->batch == batch)
        return;
    r->run_s += seconds;
    r->batch = batch;
}

static void run_load(struct engine *e, struct load *l)
{
    const double begin = clock_mono_s();
    struct err err = ERR_INIT;
    l->begin_s = begin;
    l->cold = 0;
    for (size_t i = 0; i < l->count; i++)
        if (!l->picked[i].row)
            l->picked[i].request->begin_s = begin;
    open_adapters(e, l);
    if (!l->count)
        return;
    const int rc = e->options.run(e->shelf->base, l->rows, l->count, &err);
    const double seconds = clock_mono_s() - begin;
    account(e, l, seconds);
    for (size_t i = 0; i < l->count; i++)
        count_run(l->picked[i].request, e->shelf->batch, seconds);
    for (size_t i = 0; i < l->count; i++) {
        if (rc)
            fail(e, l->picked[i], rc, &err);
        else
            finish(e, l->picked[i].request);
    }
}

/* Those whose deadline has passed are answered so. */
static void refuse_late(struct engine *e, struct engine_request *r)
{
    struct engine_request *next;
    const double now = clock_mono_s();
    for (; r; r = next) {
        next = r->after;
        r->late = true;
        r->rc = err_set(&r->err, ERR_BUSY, "its limit of %.3g s passed while it waited",
                        r->limit_s);
        if (!r->next)
            r->begin_s = now;
        for (size_t i = r->next, end = r->count; i < end; i++)
            finish(e, r); /* the last one ends it */
    }
}

static void tell(const struct engine *e, const struct load *l)
{
    const struct batch_seen seen = {.rows = (int32_t)l->count,
                                    .tokens = (int32_t)l->tokens,
                                    .adapters = (int32_t)different(l),
                                    .cold = l->cold,
                                    .seconds = clock_mono_s() - l->begin_s};
    if (e->options.on_batch && l->count)
        e->options.on_batch(e->options.ctx, &seen);
}

/* --- the thread --- */

static void sleep_s(double s)
{
    const struct timespec t = {(time_t)s, (long)((s - floor(s)) * 1e9)};
    nanosleep(&t, NULL);
}

static bool wait_for_rows(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    while (!e->queue.first && !e->stopping)
        pthread_cond_wait(&e->filled, &e->lock);
    const bool some = e->queue.first != NULL;
    pthread_mutex_unlock(&e->lock);
    return some;
}

static void *serve(void *ctx)
{
    struct engine *e = ctx;
    const size_t most = (size_t)e->queue.options.batch.of[ROWS_SEQUENCES];
    struct load l = {.picked = xcalloc(most, sizeof *l.picked),
                     .rows = xcalloc(most, sizeof *l.rows)};
    while (wait_for_rows(e)) {
        if (e->options.wait_s > 0)
            sleep_s(e->options.wait_s);
        pthread_mutex_lock(&e->lock);
        struct engine_request *late = queue_take_late(&e->queue, clock_mono_s());
        for (struct engine_request *r = late; r; r = r->after)
            e->counts.late++;
        l.count = queue_take(&e->queue, l.picked);
        pthread_mutex_unlock(&e->lock);
        refuse_late(e, late);
        if (l.count)
            run_load(e, &l);
        shelf_tidy(e->shelf);
        tell(e, &l);
    }
    free(l.picked);
    free(l.rows);
    return NULL;
}

int engine_start(struct engine **out, struct shelf *shelf,
                 const struct engine_options *options, struct err *err)
{
    struct engine *e = xcalloc(1, sizeof *e);
    e->shelf = shelf;
    e->options = *options;
    if (!e->options.run)
        e->options.run = serve_batch_run;
    e->queue.options = options->queue;
    e->queue.options.batch = shelf->base->session.serves;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->filled, NULL);
    if (pthread_create(&e->thread, NULL, serve, e)) {
        free(e);
        return err_set(err, ERR_DEVICE, "no thread could be started");
    }
    *out = e;
    return 0;
}

void engine_stop(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_signal(&e->filled);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
}

void engine_free(struct engine *e)
{
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->filled);
    free(e);
}

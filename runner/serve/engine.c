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
    struct engine_request *first; /* in the order in which they are served */
    bool stopping;
    struct engine_counts counts;
    double row_s; /* of late */
};

void engine_request_free(struct engine_request *r)
{
    for (size_t i = 0; r && i < r->count; i++) {
        free(r->rows[i].example.ids);
        free(r->rows[i].example.type_ids);
        free(r->rows[i].logits);
    }
    if (r)
        free(r->rows);
    free(r);
}

/* --- the queue --- */

static void append(struct engine *e, struct engine_request *r)
{
    struct engine_request **at = &e->first;
    while (*at)
        at = &(*at)->after;
    r->after = NULL;
    *at = r;
}

int engine_put(struct engine *e, struct engine_request *r, double *retry_s,
               struct err *err)
{
    r->put_s = clock_mono_s();
    r->left = r->count;
    pthread_mutex_lock(&e->lock);
    const size_t ahead = e->counts.queued_rows;
    const double wait = (double)ahead * e->row_s;
    const bool full = ahead + r->count > e->options.most_rows,
               late = e->options.most_wait_s > 0 && wait > e->options.most_wait_s,
               refused = e->stopping || full || late;
    if (refused) {
        e->counts.refused++;
    } else {
        e->counts.queued_rows += r->count;
        append(e, r);
        pthread_cond_signal(&e->filled);
    }
    pthread_mutex_unlock(&e->lock);
    *retry_s = wait;
    return refused
               ? err_set(err, ERR_BUSY, "%zu rows wait, which takes %.3g s", ahead, wait)
               : 0;
}

void engine_count(struct engine *e, struct engine_counts *out)
{
    pthread_mutex_lock(&e->lock);
    *out = e->counts;
    pthread_mutex_unlock(&e->lock);
}

/* --- a batch --- */

struct picked {
    struct engine_request *request;
    size_t row;
};

struct load {
    struct picked *picked;
    struct serve_row *rows;
    size_t count;
    int64_t tokens;
};

static int32_t tokens_of(const struct engine_row *row)
{
    return row->example.n +
           (row->adapter->resident ? row->adapter->guest.net.change.prompt_rows : 0);
}

/* Moves rows from the head of the queue until the batch is full. What is not resident yet
 * counts once it is. */
static void pick_rows(struct engine *e, struct load *l)
{
    const struct extent *most = &e->shelf->base->session.serves;
    while (e->first && l->count < (size_t)most->of[ROWS_SEQUENCES]) {
        struct engine_request *r = e->first;
        const int32_t n = tokens_of(&r->rows[r->next]);
        if (l->count && l->tokens + n > most->of[ROWS_TOKENS])
            return;
        l->picked[l->count++] = (struct picked){r, r->next};
        l->tokens += n;
        e->counts.queued_rows--;
        if (++r->next == r->count)
            e->first = r->after;
    }
}

static void finish(struct engine *e, struct engine_request *r, size_t row)
{
    shelf_done(e->shelf, r->rows[row].adapter, 1);
    if (--r->left == 0)
        r->done(r);
}

static void fail(struct engine *e, struct picked p, int rc, const struct err *err)
{
    pthread_mutex_lock(&e->lock);
    e->counts.failed++;
    pthread_mutex_unlock(&e->lock);
    if (!p.request->rc) {
        p.request->rc = rc;
        p.request->err = *err;
    }
    finish(e, p.request, p.row);
}

static int check_length(const struct engine_row *row, int32_t most, struct err *err)
{
    const struct net *net = &row->adapter->guest.net;
    const int32_t room = net->shape.max_positions - net->change.virtual_tokens;
    const int32_t limit =
        room < most - net->change.prompt_rows ? room : most - net->change.prompt_rows;
    return row->example.n > limit
               ? err_set(err, ERR_CONFIG, "a text of %d tokens: '%s' takes %d",
                         (int)row->example.n, row->adapter->name, (int)limit)
               : 0;
}

/* Rows from `from` on go to the head of the queue again. */
static void put_back(struct engine *e, struct load *l, size_t from)
{
    pthread_mutex_lock(&e->lock);
    while (l->count > from) {
        struct engine_request *r = l->picked[--l->count].request;
        if (r->next-- == r->count) {
            r->after = e->first;
            e->first = r;
        }
        e->counts.queued_rows++;
    }
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
        const struct picked p = l->picked[i];
        struct engine_row *row = &p.request->rows[p.row];
        struct err err = ERR_INIT;
        bool loaded;
        int rc = shelf_take(e->shelf, row->adapter, &loaded, &err);
        p.request->cold |= !rc && loaded;
        if (!rc && kept && tokens + tokens_of(row) > most->of[ROWS_TOKENS]) {
            put_back(e, l, i);
            break;
        }
        if (!rc)
            rc = check_length(row, most->of[ROWS_TOKENS], &err);
        if (rc) {
            fail(e, p, rc, &err);
            continue;
        }
        tokens += tokens_of(row);
        row->adapter->used = e->shelf->batch;
        row->logits = xcalloc((size_t)row->adapter->guest.goal.num_labels, sizeof(float));
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
    const double row_s = seconds / (double)l->count;
    e->row_s = e->row_s > 0 ? .8 * e->row_s + .2 * row_s : row_s;
    pthread_mutex_unlock(&e->lock);
}

static void run_load(struct engine *e, struct load *l)
{
    const double begin = clock_mono_s();
    struct err err = ERR_INIT;
    for (size_t i = 0; i < l->count; i++)
        if (!l->picked[i].row)
            l->picked[i].request->begin_s = begin;
    open_adapters(e, l);
    if (!l->count)
        return;
    const int rc = serve_batch_run(e->shelf->base, l->rows, l->count, &err);
    const double seconds = clock_mono_s() - begin;
    account(e, l, seconds);
    for (size_t i = 0; i < l->count; i++) {
        if (!i || l->picked[i].request != l->picked[i - 1].request)
            l->picked[i].request->run_s += seconds;
        if (rc)
            fail(e, l->picked[i], rc, &err);
        else
            finish(e, l->picked[i].request, l->picked[i].row);
    }
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
    while (!e->first && !e->stopping)
        pthread_cond_wait(&e->filled, &e->lock);
    const bool some = e->first != NULL;
    pthread_mutex_unlock(&e->lock);
    return some;
}

static void *serve(void *ctx)
{
    struct engine *e = ctx;
    const size_t most = (size_t)e->shelf->base->session.serves.of[ROWS_SEQUENCES];
    struct load l = {.picked = xcalloc(most, sizeof *l.picked),
                     .rows = xcalloc(most, sizeof *l.rows)};
    while (wait_for_rows(e)) {
        if (e->options.wait_s > 0)
            sleep_s(e->options.wait_s);
        l.count = 0;
        l.tokens = 0;
        pthread_mutex_lock(&e->lock);
        pick_rows(e, &l);
        pthread_mutex_unlock(&e->lock);
        run_load(e, &l);
        shelf_tidy(e->shelf);
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

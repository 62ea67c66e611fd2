/* cli/ui/desk.c - see desk.h. */
#include "cli/ui/desk.h"
#include "lib/mem.h"
#include "tracker/store/batch.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 16, MOST_TOGETHER = 1024 };

struct asked {
    const struct desk_job *job;
    void *ctx;
    struct asked *next;
};

struct desk {
    enum desk_kind kind;
    pthread_t threads[MOST_THREADS];
    struct store *stores[MOST_THREADS];
    int thread_count;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct asked *first, **end;
    bool closes, closed;
};

/* The next ones, `most` at most, NULL where none will come any more. */
static struct asked *take(struct desk *d, size_t most)
{
    pthread_mutex_lock(&d->lock);
    while (!d->first && !d->closes)
        pthread_cond_wait(&d->more, &d->lock);
    struct asked *taken = d->first, *last = taken;
    for (size_t n = 1; last && n < most && last->next; n++)
        last = last->next;
    if (last) {
        d->first = last->next;
        last->next = NULL;
    }
    if (!d->first)
        d->end = &d->first;
    pthread_mutex_unlock(&d->lock);
    return taken;
}

static void read_one(struct store *s, struct asked *a)
{
    struct err err = ERR_INIT;
    const int rc = a->job->work(s, a->ctx, &err);
    a->job->done(a->ctx, rc, &err);
    free(a);
}

static void write_all(struct store *s, struct asked *first)
{
    struct store_job jobs[MOST_TOGETHER];
    struct asked *each[MOST_TOGETHER];
    size_t n = 0;
    for (struct asked *a = first; a; a = a->next) {
        each[n] = a;
        jobs[n++] = (struct store_job){.work = a->job->work, .ctx = a->ctx};
    }
    store_batch(s, jobs, n);
    for (size_t i = 0; i < n; i++) {
        each[i]->job->done(each[i]->ctx, jobs[i].rc, &jobs[i].err);
        free(each[i]);
    }
}

struct seat {
    struct desk *desk;
    struct store *store;
};

static void *work(void *arg)
{
    struct seat seat = *(struct seat *)arg;
    const bool writes = seat.desk->kind == DESK_WRITE;
    struct asked *a;
    free(arg);
    while ((a = take(seat.desk, writes ? MOST_TOGETHER : 1))) {
        if (writes)
            write_all(seat.store, a);
        else
            read_one(seat.store, a);
    }
    return NULL;
}

static int start_thread(struct desk *d, const char *path, struct err *err)
{
    struct store **s = &d->stores[d->thread_count];
    int rc =
        store_open(path, d->kind == DESK_WRITE ? STORE_CREATE : STORE_READ_ONLY, s, err);
    if (rc < 0)
        return rc;
    struct seat *seat = xmalloc(sizeof *seat);
    *seat = (struct seat){d, *s};
    if (pthread_create(&d->threads[d->thread_count], NULL, work, seat) == 0) {
        d->thread_count++;
        return 0;
    }
    free(seat);
    store_close(*s);
    return err_set(err, ERR_DEVICE, "no thread could be started");
}

int desk_open(struct desk **out, const char *path, enum desk_kind kind, int threads,
              struct err *err)
{
    struct desk *d = xcalloc(1, sizeof *d);
    const int wanted = kind == DESK_WRITE       ? 1
                       : threads > MOST_THREADS ? MOST_THREADS
                                                : threads;
    int rc = 0;
    d->kind = kind;
    d->end = &d->first;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->more, NULL);
    for (int i = 0; i < wanted && rc == 0; i++)
        rc = start_thread(d, path, err);
    if (rc == 0) {
        *out = d;
        return 0;
    }
    desk_close(d);
    desk_free(d);
    return rc;
}

void desk_ask(struct desk *d, const struct desk_job *job, void *ctx)
{
    struct asked *a = xcalloc(1, sizeof *a);
    *a = (struct asked){.job = job, .ctx = ctx};
    pthread_mutex_lock(&d->lock);
    const bool open = !d->closes;
    if (open) {
        *d->end = a;
        d->end = &a->next;
        pthread_cond_signal(&d->more);
    }
    pthread_mutex_unlock(&d->lock);
    if (open)
        return;
    struct err err = ERR_INIT;
    const int rc = err_set(&err, ERR_BUSY, "the server is stopping");
    job->done(ctx, rc, &err);
    free(a);
}

void desk_close(struct desk *d)
{
    pthread_mutex_lock(&d->lock);
    d->closes = true;
    pthread_cond_broadcast(&d->more);
    pthread_mutex_unlock(&d->lock);
    for (int i = 0; i < d->thread_count && !d->closed; i++) {
        pthread_join(d->threads[i], NULL);
        store_close(d->stores[i]);
    }
    d->closed = true;
}

void desk_free(struct desk *d)
{
    if (!d)
        return;
    pthread_cond_destroy(&d->more);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

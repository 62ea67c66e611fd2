/* runner/serve/write/writer.c - see writer.h: the queue, and the thread that writes. */
#include "runner/serve/write/writer.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/serve/write/waiting.h"
#include "runner/serve/write/writing.h"
#include <stdlib.h>

struct writer {
    struct writing writing;    /* the thread's alone */
    struct shelf_entry **busy; /* whose texts have slots; the thread's alone */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct waiting waiting;
    bool stopping;
    int64_t refused;
    struct writer_counts counts; /* as of the last step */
};

int32_t writer_room(const struct serve_base *b)
{
    const int32_t positions = net_room(&b->session.net),
                  capacity = b->session.decode.capacity;
    return positions < capacity ? positions : capacity;
}

/* --- the queue --- */

static int check_prompt(const struct serve_base *b, const struct writer_request *r,
                        struct err *err)
{
    const int32_t vocabulary = b->session.net.shape.vocab_size;
    if (r->n_prompt < 1)
        return err_set(err, ERR_CONFIG, "a prompt without tokens");
    if (r->n_prompt >= writer_room(b))
        return err_set(err, ERR_CONFIG,
                       "a prompt of %d tokens: there is room for %d with what is written",
                       r->n_prompt, writer_room(b));
    for (int32_t i = 0; i < r->n_prompt; i++)
        if (r->prompt[i] < 0 || r->prompt[i] >= vocabulary)
            return err_set(err, ERR_CONFIG, "token %d of a prompt is no id below %d",
                           i + 1, vocabulary);
    return 0;
}

int writer_put(struct writer *w, struct writer_request *r, double *retry_s,
               struct err *err)
{
    *retry_s = 0;
    int rc = check_prompt(w->writing.base, r, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&w->lock);
    rc = w->stopping ? err_set(err, ERR_BUSY, "the server is stopping")
                     : waiting_put(&w->waiting, r, w->counts.writing, clock_mono_s(),
                                   retry_s, err);
    if (!rc)
        pthread_cond_signal(&w->filled);
    w->refused += rc != 0;
    pthread_mutex_unlock(&w->lock);
    return rc;
}

void writer_count(struct writer *w, struct writer_counts *out)
{
    pthread_mutex_lock(&w->lock);
    *out = w->counts;
    out->waiting = w->waiting.count;
    out->refused = w->refused;
    pthread_mutex_unlock(&w->lock);
}

/* --- the thread --- */

/* False: there is nothing to do any more. */
static bool wait_for_work(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->waiting.first && !w->counts.writing && !w->stopping)
        pthread_cond_wait(&w->filled, &w->lock);
    const bool some = w->waiting.first || w->counts.writing;
    pthread_mutex_unlock(&w->lock);
    return some;
}

/* The next that gets a slot; NULL: nobody waits, or there is none. */
static struct writer_request *take_next(struct writer *w)
{
    if (!writing_room(&w->writing))
        return NULL;
    const size_t busy = writing_busy(&w->writing, w->busy);
    pthread_mutex_lock(&w->lock);
    struct writer_request *r = waiting_take(&w->waiting, w->busy, busy);
    w->counts.writing += r != NULL; /* somewhere it must be counted */
    pthread_mutex_unlock(&w->lock);
    return r;
}

static struct writer_request *take_late(struct writer *w)
{
    const double now = clock_mono_s();
    pthread_mutex_lock(&w->lock);
    struct writer_request *late = waiting_take_late(&w->waiting, now);
    pthread_mutex_unlock(&w->lock);
    for (struct writer_request *r = late; r; r = r->after) {
        r->late = true;
        r->begin_s = r->first_s = r->end_s = now;
        r->rc = err_set(&r->err, ERR_BUSY, "its limit of %.3g s passed while it waited",
                        r->limit_s);
    }
    return late;
}

/* Counts first, so that whoever is told of an end finds it counted. */
static void end_all(struct writer *w, struct writer_request *ended)
{
    const double now = clock_mono_s();
    for (struct writer_request *r = ended; r; r = r->after)
        writing_end(&w->writing, r);
    pthread_mutex_lock(&w->lock);
    w->counts = w->writing.counts;
    for (struct writer_request *r = ended; r; r = r->after) {
        const double s = now - r->begin_s;
        double *of_late = &w->waiting.text_s;
        if (r->n)
            *of_late = *of_late > 0 ? .9 * *of_late + .1 * s : s;
    }
    pthread_mutex_unlock(&w->lock);
    for (struct writer_request *next; ended; ended = next) {
        next = ended->after;
        ended->done(ended);
    }
}

static void *write_texts(void *ctx)
{
    struct writer *w = ctx;
    while (wait_for_work(w)) {
        end_all(w, take_late(w));
        for (struct writer_request *r; (r = take_next(w));)
            if (!writing_begin(&w->writing, r)) {
                r->after = NULL;
                end_all(w, r);
            }
        end_all(w, writing_step(&w->writing));
        shelf_tidy(w->writing.shelf);
    }
    return NULL;
}

int writer_start(struct writer **out, struct shelf *shelf,
                 const struct writer_options *options, struct err *err)
{
    struct writer *w = xcalloc(1, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->filled, NULL);
    int rc = writing_init(&w->writing, shelf, options->stops, options->n_stops, err);
    w->counts = w->writing.counts;
    w->waiting = (struct waiting){.most = options->most_waiting,
                                  .most_wait_s = options->most_wait_s,
                                  .share = options->share,
                                  .slots = (size_t)w->writing.slots.size.sequences};
    w->busy = xcalloc(w->waiting.slots + 1, sizeof *w->busy);
    if (!rc && pthread_create(&w->thread, NULL, write_texts, w))
        rc = err_set(err, ERR_DEVICE, "no thread could be started");
    if (rc)
        writer_free(w);
    else
        *out = w;
    return rc;
}

void writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->filled);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
}

void writer_free(struct writer *w)
{
    writing_release(&w->writing);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->filled);
    free(w->busy);
    free(w);
}

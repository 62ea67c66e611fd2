/* runner/serve/engine.h - requests wait in a queue, one thread takes as many as a batch
 * holds and runs them.
 *
 * Batches arise by themselves: while one runs, others arrive, and the next takes what is
 * there, of any adapters, the earliest deadline first, and first come, first served where
 * nobody has one. Nobody is made to wait for company, unless `wait_s` says so. A request's
 * rows may go through several batches. Order, limits and shares are the queue's (queue.h,
 * which has no thread and no clock, so that they can be tested); what is here is the thread,
 * the lock around the queue, and the adapters of what was taken.
 *
 * Whose deadline has passed when its turn comes is not run: `done` is called with `late`.
 * A batch that has begun is finished, so an answer may still come some milliseconds behind
 * its deadline; it is given then.
 *
 * engine_put is for any thread; `done` is called in the engine's thread. */
#ifndef RUNNER_SERVE_ENGINE_H
#define RUNNER_SERVE_ENGINE_H

#include "lib/load/batch_times.h"
#include "runner/serve/batch.h"
#include "runner/serve/queue.h"

struct engine_options {
    double wait_s;              /* for company, once a request is there */
    struct queue_options queue; /* its `batch` is taken from the base */
    /* What runs a batch: serve_batch_run where NULL, or serve_bare_run (bare.h). */
    int (*run)(struct serve_base *b, const struct serve_row *rows, size_t count,
               struct err *err);
    /* Behind each batch, in the engine's thread: what was in it, and how long it took from
     * its beginning until the next could begin. NULL: nobody asks. */
    void (*on_batch)(void *ctx, const struct batch_seen *seen);
    void *ctx;
};

struct engine_counts {
    int64_t batches, rows, tokens, refused, failed;
    int64_t late;     /* requests whose deadline passed while they waited */
    int64_t adapters; /* different ones in a batch, summed over batches */
    double run_s;
    size_t queued_rows;
};

struct engine;
int engine_start(struct engine **out, struct shelf *shelf,
                 const struct engine_options *options, struct err *err);
/* Takes the request over; `done` will be called. ERR_BUSY: refused, *retry_s is when it may be
 * asked again; the request is still the caller's. */
int engine_put(struct engine *e, struct engine_request *r, double *retry_s,
               struct err *err);
void engine_count(struct engine *e, struct engine_counts *out);
/* Answers what waits, then ends; requests are refused from here on. */
void engine_stop(struct engine *e);
void engine_free(struct engine *e); /* once it is stopped, and nobody asks any more */

#endif

/* runner/serve/engine.h - requests wait in a queue, one thread takes as many as a batch
 * holds and runs them.
 *
 * Batches arise by themselves: while one runs, others arrive, and the next takes what is
 * there, of any adapters, first come, first served. Nobody is made to wait for company,
 * unless `wait_s` says so. A request's rows may go through several batches.
 *
 * A request that would wait for longer than `most_wait_s`, by the rate of late, is refused
 * at once (engine_put gives ERR_BUSY and the seconds): whoever asks can go elsewhere, and
 * those that are taken are answered in time.
 *
 * engine_put is for any thread; `done` is called in the engine's thread. */
#ifndef RUNNER_SERVE_ENGINE_H
#define RUNNER_SERVE_ENGINE_H

#include "runner/serve/batch.h"
#include "runner/serve/shelf.h"

struct engine_request;

/* A row of a request. */
struct engine_row {
    struct shelf_entry *adapter;
    struct example example; /* ids: owned */
    float *logits;          /* adapter's num_labels of them, once it ran; owned */
};

struct engine_request {
    struct engine_row *rows; /* owned */
    size_t count;
    void (*done)(struct engine_request *r);
    void *ctx;
    /* Once it is done: why it was not answered, 0 where it was; when it was taken from the queue and
     * how long its batches ran. */
    int rc;
    struct err err;
    double put_s, begin_s, run_s;
    bool cold; /* an adapter of it was loaded for it */
    /* the engine's */
    size_t next, left;
    struct engine_request *after;
};

struct engine_options {
    double wait_s;      /* for company, once a request is there */
    double most_wait_s; /* 0: no limit */
    size_t most_rows;   /* that wait */
};

struct engine_counts {
    int64_t batches, rows, tokens, refused, failed;
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

void engine_request_free(struct engine_request *r);

#endif

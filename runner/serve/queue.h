/* runner/serve/queue.h - requests that wait for a batch, and in which order their rows are
 * taken.
 *
 * The earliest deadline goes first. A request may say how long it can wait for its answer
 * (limit_s, from when it is put); one that says nothing is ranked as if it had said
 * `most_wait_s`, or QUEUE_PATIENCE_S where there is no such option: so it waits behind those
 * that are in a hurry, but not for ever. Where nobody says anything that is first come,
 * first served.
 *
 * Three ways to be refused:
 * - at once, where more rows than `most_rows` would wait;
 * - at once, where the rows ahead of it take longer than `most_wait_s`, or those and its
 *   own longer than its limit, by the rate of late (pace.h): whoever asks can go elsewhere,
 *   and those that are taken are answered in time. Where nothing waits it is taken whatever
 *   its limit: else one slow batch would be the last that is ever measured;
 * - later, where its limit has passed when a batch would take it (queue_take_late): an
 *   answer that nobody waits for any more is not computed. This does not happen to one that
 *   gave no limit.
 *
 * A batch takes rows in that order until it is full; a row that does not fit ends it, so
 * that long texts are not overtaken for ever. With `share` an adapter gets at most that part
 * of a batch while rows of others wait; what is left over is then filled in order, so that
 * no place stays empty. A request's rows may go into several batches.
 *
 * No thread, no lock and no clock in here: who uses it brings them (engine.h). */
#ifndef RUNNER_SERVE_QUEUE_H
#define RUNNER_SERVE_QUEUE_H

#include "runner/serve/pace.h"
#include "runner/serve/shelf.h"

#define QUEUE_PATIENCE_S 1.0

/* A row of a request. */
struct engine_row {
    struct shelf_entry *adapter;
    struct example example; /* ids: owned */
    float *logits;          /* mould_width of them, once it ran; owned */
};

struct engine_request {
    struct engine_row *rows; /* owned */
    size_t count;
    double limit_s; /* to its answer; 0: none */
    void (*done)(struct engine_request *r);
    void *ctx;
    /* Once it is done: why it was not answered, 0 where it was; when it was taken from the
     * queue and how long its batches ran. */
    int rc;
    struct err err;
    double put_s, begin_s, run_s;
    bool cold; /* an adapter of it was loaded for it */
    bool late; /* its limit passed while it waited (rc is -ERR_BUSY) */
    /* the queue's and the engine's */
    size_t next, left; /* rows that are taken; that are not answered */
    double rank_s;
    int64_t number, batch; /* of arrival; its last batch */
    struct engine_request *after;
};
void engine_request_free(struct engine_request *r);

struct queue_options {
    size_t most_rows;    /* that wait */
    double most_wait_s;  /* 0: no limit */
    double share;        /* 0 to 1; 0: no such cap */
    struct extent batch; /* the largest: tokens and sequences */
};

struct queue {
    struct queue_options options;
    struct engine_request *first; /* by rank_s, then by number */
    size_t rows;                  /* that wait */
    int64_t tokens;               /* of them */
    int64_t number;
    struct engine_request *last;
    struct pace pace; /* whoever runs batches notes them */
};

/* ERR_BUSY: refused, *retry_s is when it may be asked again; it is still the caller's. */
int queue_put(struct queue *q, struct engine_request *r, double now_s, double *retry_s,
              struct err *err);

struct queue_pick {
    struct engine_request *request;
    size_t row;
};
/* The rows of a batch; `out` has room for the largest. A request whose rows are all taken
 * leaves the queue. */
size_t queue_take(struct queue *q, struct queue_pick *out);
/* The last of them go back to their places; later picks first. */
void queue_put_back(struct queue *q, const struct queue_pick *pick);
/* Requests whose limit has passed leave the queue, in a chain by `after`. */
struct engine_request *queue_take_late(struct queue *q, double now_s);

/* What a row takes of a batch: virtual tokens as well, where it is known how many. */
int32_t queue_row_tokens(const struct engine_row *row);

#endif

/* runner/serve/write/writing.h - the texts that are being written, step by step, without a thread
 * (inside writer.c; tests call it too).
 *
 * Each slot of the cache has a request, or none. A step reads what slots_divide gives each,
 * rows of an adapter one after the other (parts.h), chooses the next token of those whose
 * prompts are read, several at a time, and tells them. */
#ifndef RUNNER_SERVE_WRITE_WRITING_H
#define RUNNER_SERVE_WRITE_WRITING_H

#include "runner/generate/slots.h"
#include "runner/serve/parts.h"
#include "runner/serve/write/writer.h"

/* What a slot is busy with. */
struct written {
    struct writer_request *request;
    struct guest *guest;
    struct generation text;
};

/* A row of a step whose prompt is read: what was chosen for it. */
struct chosen {
    struct slot *slot;
    float *logits;
    struct writer_token token;
    int rc;
    struct err err;
};

struct writing {
    struct shelf *shelf;
    struct serve_base *base;
    const int32_t *stops;
    size_t n_stops;
    struct guest alone; /* the base, as one of its guests */
    struct slots slots;
    struct written *written; /* of each slot */
    struct slot **order;     /* those of a step, by guest */
    struct parts parts;
    struct chosen *chosen;    /* of a step */
    struct sampler *samplers; /* of threads */
    int threads;
    size_t width;  /* of the vocabulary */
    float *logits; /* a row for each slot */
    struct writer_counts counts;
};

int writing_init(struct writing *w, struct shelf *shelf, const int32_t *stops,
                 size_t n_stops, struct err *err);
void writing_release(struct writing *w); /* nothing is being written */

/* Slots that are free. */
int32_t writing_room(const struct writing *w);
/* Whose texts have the others; `out` has room for all. */
size_t writing_busy(const struct writing *w, struct shelf_entry **out);
/* Takes the request into one; false: it ended at once, and why is in there. */
bool writing_begin(struct writing *w, struct writer_request *r);
/* One step of all. Those that ended, linked by `after`; adapters are given back by
 * writing_end. */
struct writer_request *writing_step(struct writing *w);
/* Behind a step or a beginning: the request is done. */
void writing_end(struct writing *w, struct writer_request *r);

#endif

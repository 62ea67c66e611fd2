/* runner/serve/parts.h - the rows of a batch by guest, and the batch through the base.
 *
 * Whoever makes a batch puts tokens into the base's batch buffers and says here whose they
 * are, row after row, those of a guest one after the other; parts_run then takes what memory
 * the guests' own nodes need and runs all of it. One token of a row has logits. */
#ifndef RUNNER_SERVE_PARTS_H
#define RUNNER_SERVE_PARTS_H

#include "runner/serve/base.h"

struct parts {
    struct serve_base *base;
    struct graph_part *items;
    size_t count;
    size_t *first_row;           /* of each, then the number of rows */
    float **logits;              /* of rows */
    const struct mould **moulds; /* of parts */
    int32_t *seq;                /* of parts, each with its end */
    size_t seqs, rows;
    int32_t tokens;                /* so far: where the next row's begin */
    const struct graft_once *once; /* run before (twins.h); NULL: nothing */
};

void parts_init(struct parts *p, struct serve_base *base, size_t most_rows);
void parts_release(struct parts *p);
void parts_clear(struct parts *p); /* for the next batch */
/* The next row, of so many tokens; token `pick` of these gives the logits (room for the
 * guest's num_labels; NULL: nobody asks for them). */
void parts_add(struct parts *p, const struct guest *guest, int32_t tokens, int32_t pick,
               float *logits);
int parts_run(struct parts *p, struct err *err);

#endif

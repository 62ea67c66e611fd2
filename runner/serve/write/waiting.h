/* runner/serve/write/waiting.h - texts that wait for a slot, and in which order they get one
 * (inside writer.c; tests call it too).
 *
 * As rows of a classifier (queue.h) the earliest deadline goes first. A text's limit (limit_s, from
 * when it is put) is for its first token: how long the whole takes is up to the model, which
 * nobody knows beforehand. One that says nothing is ranked as if it had said `most_wait_s`, or
 * WAITING_PATIENCE_S where there is no such option; where nobody says anything that is first
 * come, first served.
 *
 * Refused is at once what would be more than `most`, or waits longer than `most_wait_s` or than
 * its own limit behind those that go before it, by how long texts have had a slot for of
 * late; and later, whose limit has passed before there was a slot (waiting_take_late). Where a
 * slot is free it is taken whatever its limit, and is never late.
 *
 * With `share` the texts of one adapter get at most that part of the slots (one at least)
 * while others wait; a slot that nobody else wants it still gets.
 *
 * No thread, no lock and no clock in here. */
#ifndef RUNNER_SERVE_WRITE_WAITING_H
#define RUNNER_SERVE_WRITE_WAITING_H

#include "runner/serve/write/writer.h"

#define WAITING_PATIENCE_S 10.0

struct waiting {
    size_t most;        /* texts, without those that a slot is free for */
    double most_wait_s; /* 0: no limit */
    double share;       /* 0 to 1; 0: no such cap */
    size_t slots;       /* all there are */
    double text_s;      /* that a text has a slot for, of late; whoever writes notes it */
    /* its own */
    struct writer_request *first; /* by rank_s, then by arrival */
    size_t count;
};

/* `writing`: slots in use. ERR_BUSY: refused, *retry_s is when it may be asked again. */
int waiting_put(struct waiting *w, struct writer_request *r, size_t writing, double now_s,
                double *retry_s, struct err *err);
/* The next that gets a slot; NULL: nobody waits. `busy`: whose texts have slots now. */
struct writer_request *waiting_take(struct waiting *w, struct shelf_entry *const *busy,
                                    size_t n_busy);
/* Whose limit has passed, in a chain by `after`. */
struct writer_request *waiting_take_late(struct waiting *w, double now_s);

#endif

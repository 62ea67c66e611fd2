/* runner/serve/twins.h - rows of a batch that read the same: one text for many adapters.
 *
 * Below the lowest layer that any adapter of the batch changes, rows with the same tokens have
 * the same numbers. There each text goes through the base once, whoever asks for it; behind
 * that its numbers are copied to the rows of all, which go on by themselves (graft_once).
 * L layers with K adapters in the upper k of them cost L - k + K k instead of K L. */
#ifndef RUNNER_SERVE_TWINS_H
#define RUNNER_SERVE_TWINS_H

#include "runner/serve/batch.h"

struct twins {
    struct graft_once once;
    const struct serve_row **texts; /* a row of each text, in the order of the rows */
    int32_t *source, *seq, *text_seq;
};

/* Of rows as they will lie. False: there are none, or nothing is gained. */
bool twins_find(struct twins *t, const struct serve_base *b,
                const struct serve_row *const *rows, size_t count);
void twins_release(struct twins *t);
/* Puts the texts into the batch buffers and runs the base over them. */
void twins_run(const struct twins *t, struct serve_base *b);

#endif

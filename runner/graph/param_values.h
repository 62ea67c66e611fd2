/* runner/graph/param_values.h - the values that parameters start from, some rows at a time:
 * a large model's are converted piece by piece on their way from the mapped file to where
 * they go, and never lie in fp32 as a whole.
 *
 * What cannot be read by rows is held whole while its source is open: values from an
 * adapter's folder or an initialiser, weights that stand turned in their file, that lie in
 * 4 bits there, that something is taken out of (PiSSA, OLoRA), or that go through 4 bits
 * and back (params.h, round_trip). */
#ifndef RUNNER_GRAPH_PARAM_VALUES_H
#define RUNNER_GRAPH_PARAM_VALUES_H

#include "runner/graph/params.h"

struct param_source {
    const struct param *p;
    const struct st *file; /* what was read of it is dropped again */
    const float *whole;    /* NULL: read by rows */
    float *owned;
};

/* Borrows both; `file` may be NULL. Close it also where this fails. */
int param_source_open(struct param_source *s, const struct param *p,
                      const struct st *file, uint64_t seed, struct err *err);
/* The read of struct weight_rows. */
int param_source_read(void *ctx, int32_t first, int32_t count, float *dst,
                      struct err *err);
void param_source_close(struct param_source *s);
/* Rows that make a piece of about a megabyte. */
int32_t param_piece_rows(const struct param *p);

#endif

/* lib/load/batch_times.h - how long a batch takes on a server of many adapters, by what is
 * in it.
 *
 *   seconds = fixed + token * tokens + row * rows + adapter * adapters + cold * cold
 *
 * with the different adapters of the batch, and those of them that were loaded for it. The
 * coefficients are none below 0, by least squares over batches that were measured: that
 * linear form is what GPU servers show, too (arXiv 2508.08343). What is left over is kept
 * as its standard deviation; whoever needs the spread itself draws from the batches
 * (simulate.h). */
#ifndef LIB_LOAD_BATCH_TIMES_H
#define LIB_LOAD_BATCH_TIMES_H

#include <stddef.h>
#include <stdint.h>

/* A batch, and what it took until the next one could begin. */
struct batch_seen {
    int32_t rows, tokens;
    int32_t adapters, cold; /* different ones; of these loaded for it */
    uint32_t point;         /* in which it was seen: the caller's number */
    double seconds;
};

struct batch_times {
    double fixed_s, token_s, row_s, adapter_s, cold_s;
    double residual_s; /* standard deviation; NaN: too few batches */
    size_t batches;    /* that were fitted; 0: nothing is known */
};

void batch_times_fit(const struct batch_seen *seen, size_t count,
                     struct batch_times *out);
double batch_times_of(const struct batch_times *t, const struct batch_seen *b);

#endif

/* runner/data/bins.h - which rows share a bin: best fit, decreasing.
 *
 * Krell et al. 2021 (arXiv 2107.02027), as TRL's packing_strategy "bfd": the longest row
 * first (of equal ones the first in the file), each into the bin with the least room that
 * is enough; of several such the one that has had this room for the longest time; else a
 * bin of its own. TRL packs every 1000 rows for themselves, here all go together.
 *
 * A bin is only a schedule: sequences do not see one another, and the loss of an update
 * is the mean over its labelled tokens. */
#ifndef RUNNER_DATA_BINS_H
#define RUNNER_DATA_BINS_H

#include <stddef.h>
#include <stdint.h>

struct bins {
    uint32_t *rows; /* of the bins, one after the other */
    uint32_t *ends; /* where in `rows` each ends */
    size_t count;   /* 0: rows are not packed */
};

/* Lengths above `capacity` count as it; rows of length 0 go into no bin. */
void bins_pack(struct bins *b, const int32_t *lengths, size_t rows, int32_t capacity);
void bins_release(struct bins *b);

#endif

/* sweep/pruners/ranking.h - the finished trials of a rung in order; for promotion
 * rules. */
#ifndef SWEEP_PRUNERS_RANKING_H
#define SWEEP_PRUNERS_RANKING_H

#include "sweep/pruners/pruner.h"

struct ranked {
    size_t index;
    uint64_t number;
    double value; /* smaller is better; NaN last */
};

/* Best first, ties by number. Returns how many; `out` has room for `count`. */
size_t rank_at_rung(const struct curve *curves, size_t count, int64_t resource,
                    bool maximize, struct ranked *out);
/* The first of the `slots` best that waits there and may go on, else NULL. */
const struct ranked *first_to_promote(const struct curve *curves,
                                      const struct ranked *best, size_t slots,
                                      int64_t resource);

#endif

/* lib/load/tails.h - the same run as its adapters met it: those asked most and those asked
 * least, and whether some get less than others. */
#ifndef LIB_LOAD_TAILS_H
#define LIB_LOAD_TAILS_H

#include "lib/load/generator.h"

enum { TAILS_ASKED_LEAST = 20 };

struct load_tails {
    double hot_p99_ms; /* of the adapter that was asked most */
    double
        median_p99_ms;  /* median over adapters that were asked TAILS_ASKED_LEAST times */
    double cold_p99_ms; /* of all requests to the tenth of the adapters asked least */
    double fairness;    /* least share within the limit of such an adapter over the median
                             one; NaN: no limit, or nobody was asked so often */
    size_t asked;       /* adapters that were asked at all */
};

/* Of requests with an intended time from `from_s` to `to_s`. limit_ms: 0 none. */
void load_measure_tails(const struct load_record *records, size_t count, double from_s,
                        double to_s, double limit_ms, struct load_tails *out);

#endif

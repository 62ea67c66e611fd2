/* lib/load/measures.h - what the records of a run say: latency with intervals, rates,
 * whether the rate can be kept, and whether the generator can be believed. */
#ifndef LIB_LOAD_MEASURES_H
#define LIB_LOAD_MEASURES_H

#include "lib/load/generator.h"
#include "lib/stats/basic.h"

struct load_measures {
    size_t sent, answered, refused, failed, open; /* open: not answered when it ended */
    double offered, completed; /* per second, of the time that is counted */
    double p50_ms, p95_ms, p99_ms, mean_ms, longest_ms;
    struct stat_interval p50, p95, p99; /* 95 %, by order statistics; NaN ends where there
                                           are too few */
    double lag_p99_ms;                  /* of sending */
    bool generator_bound; /* the generator was late: lag_p99_ms is more than 1 ms, or than
                             1 % of the median latency. Not to be used. */
    double growth;     /* mean latency of the last third over that of the middle third */
    double attainment; /* share of all sent that was answered within the limit; NaN: no
                          limit */
    double goodput;    /* ... per second */
    size_t cold;
};

/* Of requests with an intended time from `warmup_s` to `end_s`. limit_ms: 0 none. */
void load_measure(const struct load_record *records, size_t count, double warmup_s,
                  double end_s, double limit_ms, struct load_measures *out);
/* The rate can be kept: p99's upper end within the limit (its value, where there are too
 * few for an end), 98 % answered, no growth beyond 1.2. As latency counts from the intended
 * time, a generator that was late can only have made it look worse: a yes is a yes. */
bool load_is_sustained(const struct load_measures *p, double limit_ms);

/* The highest rate that `kept` says yes to: from `first` on up or down by the factor `step`,
 * which grows, then in between, until it is known to `resolution` (.05: 5 %); sixteen are tried at most,
 * and none below `least`. 0: none was kept. */
struct load_search {
    double first, step, resolution, least;
};
double load_find_rate(const struct load_search *q, bool (*kept)(void *ctx, double rate),
                      void *ctx);

#endif

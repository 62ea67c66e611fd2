/* lib/load/streams.h - answers that come in pieces: when the first token comes, and how fast
 * the others.
 *
 * TTFT is from the intended time to the first token, TPOT the time from the first to the last
 * over the tokens between them, of each request. ITL are the gaps between pieces as they
 * arrive, of all requests together: a stall within an answer shows there and hardly in TPOT.
 * Tokens are counted as the server says (usage), else by pieces; never by the text. */
#ifndef LIB_LOAD_STREAMS_H
#define LIB_LOAD_STREAMS_H

#include "lib/load/generator.h"

/* Milliseconds; 0: no limit. */
struct load_limits {
    double answer_ms, first_ms, token_ms;
};

struct load_streams {
    double ttft_p50_ms, ttft_p99_ms;
    double tpot_p50_ms, tpot_p99_ms;
    double itl_p50_ms, itl_p99_ms;
    double tokens_per_s;
    double attainment;    /* share of all sent that kept every limit; NaN: no limit */
    double goodput_per_s; /* of them */
};

/* Of requests with an intended time from `from_s` to `to_s`. gaps_s: between pieces. */
void load_measure_streams(const struct load_record *records, size_t count, double from_s,
                          double to_s, const double *gaps_s, size_t gap_count,
                          const struct load_limits *limits, struct load_streams *out);

#endif

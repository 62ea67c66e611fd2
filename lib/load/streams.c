/* lib/load/streams.c - see streams.h. */
#include "lib/load/streams.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include <math.h>
#include <stdlib.h>

/* NaN: it has no second token. */
static double token_ms_of(const struct load_record *r)
{
    return r->pieces > 1 ? (r->done_s - r->first_s) * 1e3 / (double)(r->pieces - 1) : NAN;
}

static bool keeps(double ms, double limit_ms)
{
    return limit_ms <= 0 || isnan(ms) || ms <= limit_ms;
}

void load_measure_streams(const struct load_record *r, size_t count, double from_s,
                          double to_s, const double *gaps_s, size_t gap_count,
                          const struct load_limits *l, struct load_streams *out)
{
    double *first = xcalloc(count + 1, sizeof *first),
           *token = xcalloc(count + 1, sizeof *token), tokens = 0;
    size_t sent = 0, firsts = 0, several = 0, kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (r[i].intended_s < from_s || r[i].intended_s >= to_s)
            continue;
        sent++;
        if (!r[i].done || !r[i].ok || isnan(r[i].first_s))
            continue;
        const double first_ms = (r[i].first_s - r[i].intended_s) * 1e3,
                     token_ms = token_ms_of(&r[i]);
        first[firsts++] = first_ms;
        if (!isnan(token_ms))
            token[several++] = token_ms;
        tokens += r[i].pieces;
        kept += keeps((r[i].done_s - r[i].intended_s) * 1e3, l->answer_ms) &&
                keeps(first_ms, l->first_ms) && keeps(token_ms, l->token_ms);
    }
    const bool limited = l->answer_ms > 0 || l->first_ms > 0 || l->token_ms > 0;
    *out = (struct load_streams){
        .ttft_p50_ms = stat_quantile(first, firsts, .5),
        .ttft_p99_ms = stat_quantile(first, firsts, .99),
        .tpot_p50_ms = stat_quantile(token, several, .5),
        .tpot_p99_ms = stat_quantile(token, several, .99),
        .itl_p50_ms = 1e3 * stat_quantile(gaps_s, gap_count, .5),
        .itl_p99_ms = 1e3 * stat_quantile(gaps_s, gap_count, .99),
        .tokens_per_s = tokens / (to_s - from_s),
        .attainment = limited && sent ? (double)kept / (double)sent : NAN,
        .goodput_per_s = (double)kept / (to_s - from_s)};
    free(first);
    free(token);
}

/* cli/serve/bench/bench_order.c - which points are measured, in which order; the highest rates. */
#include "cli/serve/bench/bench.h"
#include <math.h>

/* Requests of a point that can say whether a rate is kept. Where a highest rate is looked
 * for first: as far off as that of another setting, or of another seed, may be. */
#define SENT_LEAST   10
#define STEP_UNKNOWN 2.0
#define STEP_SETTING 1.25
#define STEP_SEED    1.08

typedef int one_case(struct bench *b, struct bench_state *s, size_t seed,
                     struct err *err);

/* Seed by seed all settings, forwards and backwards. */
static int in_turns(struct bench *b, one_case *run, struct err *err)
{
    int rc = 0;
    for (size_t k = 0; k < b->file.seed_count; k++)
        for (size_t i = 0; i < b->state_count && !rc; i++)
            rc = run(b, &b->states[k % 2 ? b->state_count - 1 - i : i], k, err);
    return rc;
}

static int run_closed(struct bench *b, struct bench_state *s, size_t seed,
                      struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < b->file.client_count && !rc; i++)
        rc = bench_run_point(b, s, BENCH_CLOSED, (double)b->file.clients[i], NAN,
                             b->file.seeds[seed], err);
    return rc;
}

static int run_rates(struct bench *b, struct bench_state *s, size_t seed, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < b->file.rate_count && !rc; i++)
        rc = bench_run_point(b, s, BENCH_OPEN, b->file.rates[i], NAN, b->file.seeds[seed],
                             err);
    return rc;
}

static int run_trace(struct bench *b, struct bench_state *s, size_t seed, struct err *err)
{
    return bench_run_point(b, s, BENCH_TRACE, (double)b->trace_count / b->trace_s, NAN,
                           b->file.seeds[seed], err);
}

/* --- the highest rate that is kept --- */

struct looking {
    struct bench *b;
    struct bench_state *s;
    uint64_t seed;
    int rc;
    struct err *err;
};

/* Of answers in pieces nearly all keep all limits. */
static bool is_sustained(const struct bench *b, const struct bench_result *x)
{
    const struct bench_file *f = &b->file;
    const bool kept =
        load_is_sustained(&x->measured, f->limit_ms > 0 ? f->limit_ms : INFINITY);
    return kept && (!f->output || x->row.attainment >= .99);
}

/* A no that the generator may be to blame for is asked again. */
static bool is_kept(void *ctx, double rate)
{
    enum { ASKED_MOST = 2 };
    struct looking *l = ctx;
    const struct load_measures *m = NULL;
    bool kept = false;
    for (int i = 0; i < ASKED_MOST && !kept && !l->rc && (!m || m->generator_bound);
         i++) {
        l->rc = bench_run_point(l->b, l->s, BENCH_TRIED, rate, NAN, l->seed, l->err);
        m = &l->b->results[l->b->result_count - 1].measured;
        kept = !l->rc && is_sustained(l->b, &l->b->results[l->b->result_count - 1]);
    }
    return kept;
}

static struct load_search search_of(const struct bench *b, const struct bench_state *s,
                                    size_t seed)
{
    const double least = SENT_LEAST / b->file.duration_s;
    for (size_t k = seed; k-- > 0;)
        if (s->rates[k] > 0)
            return (struct load_search){s->rates[k], STEP_SEED, b->file.resolution,
                                        least};
    for (size_t i = 0; i < b->state_count; i++)
        if (b->states[i].rates[seed] > 0)
            return (struct load_search){b->states[i].rates[seed], STEP_SETTING,
                                        b->file.resolution, least};
    const size_t n = b->file.rate_count;
    return (struct load_search){n ? b->file.rates[n - 1] : 20, STEP_UNKNOWN,
                                b->file.resolution, least};
}

static int look_for_rate(struct bench *b, struct bench_state *s, size_t seed,
                         struct err *err)
{
    struct looking l = {b, s, b->file.seeds[seed], 0, err};
    const struct load_search q = search_of(b, s, seed);
    s->rates[seed] = load_find_rate(&q, is_kept, &l);
    return l.rc;
}

/* At shares of the setting's highest rate over all seeds. */
static int run_shares(struct bench *b, struct bench_state *s, size_t seed,
                      struct err *err)
{
    double sum = 0;
    size_t n = 0;
    int rc = 0;
    for (size_t k = 0; k < b->file.seed_count; k++)
        if (s->rates[k] > 0) {
            sum += log(s->rates[k]);
            n++;
        }
    for (size_t i = 0; n && i < b->file.share_count && !rc; i++)
        rc = bench_run_point(b, s, BENCH_OPEN, b->file.shares[i] * exp(sum / (double)n),
                             b->file.shares[i], b->file.seeds[seed], err);
    return rc;
}

int bench_run_all(struct bench *b, struct err *err)
{
    for (size_t i = 0; i < b->state_count; i++)
        for (size_t k = 0; k < BENCH_LIST_MOST; k++)
            b->states[i].rates[k] = NAN;
    bench_print_head(b);
    if (b->trace)
        return in_turns(b, run_trace, err);
    int rc = in_turns(b, run_closed, err);
    if (!rc)
        rc = in_turns(b, run_rates, err);
    if (!rc && b->file.find_rate)
        rc = in_turns(b, look_for_rate, err);
    if (!rc && b->file.find_rate && b->target.known)
        rc = in_turns(b, run_shares, err);
    return rc;
}

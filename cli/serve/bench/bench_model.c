/* cli/serve/bench/bench_model.c - what the points of a setting say together: the highest rate and
 * phi, what a batch costs, and what a simulation makes of it. */
#include "cli/serve/bench/bench.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <stdlib.h>

/* Batches kept of a setting, and how few of other points are too few to simulate one. */
enum { KEPT_MOST = 4000, OTHERS_LEAST = 50 };

void bench_take_batches(struct bench_state *s, const struct bench_inside *in,
                        uint32_t point)
{
    const struct philox_key key = rng_key(0, "bench batches");
    if (!s->batches)
        s->batches = xcalloc(KEPT_MOST, sizeof *s->batches);
    for (size_t i = 0; i < in->count; i++, s->seen++) {
        const size_t at = s->kept < KEPT_MOST
                              ? s->kept++
                              : (size_t)rng_below(&key, s->seen, 0, s->seen + 1);
        if (at >= KEPT_MOST)
            continue;
        s->batches[at] = in->batches[i];
        s->batches[at].point = point;
    }
}

/* --- rates --- */

/* The mean of logarithms, as the number itself, with its interval over seeds. */
static void mean_of_logs(const double *logs, size_t n, double *value, double *low,
                         double *high)
{
    const struct stat_interval i = stat_t_interval(logs, n, .95);
    *value = n ? exp(stat_mean(logs, n)) : NAN;
    *low = n > 1 ? exp(i.low) : NAN;
    *high = n > 1 ? exp(i.high) : NAN;
}

static void reckon_rate(const struct bench *b, const struct bench_state *base,
                        struct bench_state *s)
{
    double logs[BENCH_LIST_MOST] = {0}, ratios[BENCH_LIST_MOST] = {0};
    size_t n = 0, pairs = 0, looked = 0;
    for (size_t k = 0; k < b->file.seed_count; k++) {
        looked += !isnan(s->rates[k]);
        if (s->rates[k] > 0)
            logs[n++] = log(s->rates[k]);
        if (base && base->rates[k] > 0 && s->rates[k] > 0)
            ratios[pairs++] = log(s->rates[k] / base->rates[k]);
    }
    struct bench_setting *x = &s->row;
    mean_of_logs(logs, n, &x->rate, &x->rate_low, &x->rate_high);
    mean_of_logs(ratios, pairs, &x->phi, &x->phi_low, &x->phi_high);
    if (n < looked) { /* by some seed no rate was kept */
        x->rate = 0;
        x->rate_low = x->rate_high = x->phi = x->phi_low = x->phi_high = NAN;
    }
}

/* Of so many clients the mean over seeds; the most of all. */
static double capacity_of(const struct bench *b, size_t setting)
{
    double most = NAN;
    for (size_t c = 0; c < b->file.client_count; c++) {
        double sum = 0;
        size_t n = 0;
        for (size_t i = 0; i < b->result_count; i++) {
            const struct bench_point *p = &b->results[i].row;
            if (p->setting != (int64_t)setting || *p->kind != 'c' ||
                p->load != (double)b->file.clients[c])
                continue;
            sum += p->completed_per_s;
            n++;
        }
        if (n)
            most = fmax(most, sum / (double)n);
    }
    return most;
}

/* --- batches --- */

static double mean_tokens(const struct bench *b)
{
    double sum = 0;
    for (size_t i = 0; b->texts.examples && i < b->texts.count; i++)
        sum += b->texts.examples[i].n;
    return sum > 0 ? sum / (double)b->texts.count : NAN;
}

static void reckon_batches(struct bench_state *s)
{
    struct bench_setting *x = &s->row;
    struct batch_times t;
    x->fixed_s = x->token_s = x->row_s = x->adapter_s = x->cold_s = x->residual_s = NAN;
    x->batches = (int64_t)s->kept;
    if (!s->kept)
        return;
    batch_times_fit(s->batches, s->kept, &t);
    x->fixed_s = t.fixed_s;
    x->token_s = t.token_s;
    x->row_s = t.row_s;
    x->adapter_s = t.adapter_s;
    x->cold_s = t.cold_s;
    x->residual_s = t.residual_s;
}

/* Requests of a point through a simulated server that draws the batches of all other
 * points of the setting: none of what it is compared with. */
static void simulate_point(const struct bench *b, const struct bench_state *s,
                           struct bench_result *x)
{
    struct batch_seen *others = xcalloc(s->kept + 1, sizeof *others);
    size_t n = 0, count;
    for (size_t i = 0; i < s->kept; i++)
        if (s->batches[i].point != x->row.number)
            others[n++] = s->batches[i];
    struct simulated_server server = {
        .seen = others,
        .seen_count = n,
        .max_rows = b->file.max_rows,
        .max_tokens = b->file.max_tokens,
        .wait_s = b->file.wait_s,
        .slots = s->c.slots,
        .loaded = b->file.cold ? 0
                  : s->c.slots ? s->c.slots
                               : s->c.adapters,
        .overhead_s = s->outside_count ? s->outside_s / (double)s->outside_count : 0,
        .seed = (uint64_t)x->row.seed};
    batch_times_fit(others, n, &server.times);
    if (n >= OTHERS_LEAST) {
        struct planned_request *plan =
            bench_plan(b, s, x->row.load, (uint64_t)x->row.seed, &count);
        struct load_record *r = xcalloc(count + 1, sizeof *r);
        int32_t *tokens = xcalloc(b->texts.count + 1, sizeof *tokens);
        struct load_measures m;
        for (size_t i = 0; i < b->texts.count; i++)
            tokens[i] = b->texts.examples[i].n;
        load_simulate(&server, plan, count, tokens, r);
        load_measure(r, count, b->file.warmup_s, bench_seconds(b), b->file.limit_ms, &m);
        x->row.simulated_p50_ms = m.p50_ms;
        x->row.simulated_p95_ms = m.p95_ms;
        x->row.simulated_p99_ms = m.p99_ms;
        free(plan);
        free(r);
        free(tokens);
    }
    free(others);
}

void bench_reckon(struct bench *b)
{
    const struct bench_state *base = NULL;
    for (size_t i = 0; i < b->state_count; i++)
        if (b->states[i].c.kind == BENCH_base)
            base = &b->states[i];
    for (size_t i = 0; i < b->state_count; i++) {
        struct bench_state *s = &b->states[i];
        s->row = (struct bench_setting){
            .number = (int64_t)i,
            .kind = s->c.kind,
            .adapters = s->c.kind == BENCH_base ? 0 : (int64_t)s->c.adapters,
            .popularity = s->c.popularity->name,
            .slots = (int64_t)s->c.slots,
            .tokens = mean_tokens(b)};
        reckon_rate(b, base, s);
        s->row.capacity = capacity_of(b, i);
        reckon_batches(s);
    }
    for (size_t i = 0; i < b->result_count; i++) {
        struct bench_result *x = &b->results[i];
        if (b->target.known && *x->row.kind != 'c')
            simulate_point(b, &b->states[x->row.setting], x);
    }
}

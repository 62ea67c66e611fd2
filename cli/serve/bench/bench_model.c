/* cli/serve/bench/bench_model.c - what the points of a setting say together: the highest rate and
 * phi, what a batch costs, and what a simulation makes of it. */
#include "cli/serve/bench/bench.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <stdlib.h>

/* Batches kept of a setting, and how few of other points are too few to simulate one. */
enum { KEPT_MOST = 4000, OTHERS_LEAST = 50, SIMULATIONS = 16 };

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

/* Completed per second by so many clients and that seed; NaN: not measured. */
static double completed_by(const struct bench *b, const struct bench_state *s,
                           size_t clients, uint64_t seed)
{
    for (size_t i = 0; i < b->result_count; i++) {
        const struct bench_point *p = &b->results[i].row;
        if (&b->states[p->setting] == s && *p->kind == 'c' &&
            p->load == (double)clients && p->seed == (int64_t)seed)
            return p->completed_per_s;
    }
    return NAN;
}

/* The most of all numbers of clients, by the mean over seeds; and by as many clients as give
 * it that rate over the base's, seed by seed. */
static void reckon_capacity(const struct bench *b, const struct bench_state *base,
                            struct bench_state *s)
{
    s->row.capacity = s->over_base = s->over_base_low = s->over_base_high = NAN;
    for (size_t c = 0; c < b->file.client_count; c++) {
        double sum = 0, ratios[BENCH_LIST_MOST] = {0};
        const size_t n = b->file.seed_count, clients = b->file.clients[c];
        for (size_t k = 0; k < n; k++) {
            const double mine = completed_by(b, s, clients, b->file.seeds[k]);
            sum += mine;
            if (base)
                ratios[k] = log(mine / completed_by(b, base, clients, b->file.seeds[k]));
        }
        if (sum / (double)n <= s->row.capacity)
            continue;
        s->row.capacity = sum / (double)n;
        if (base)
            mean_of_logs(ratios, n, &s->over_base, &s->over_base_low, &s->over_base_high);
    }
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

/* The mean of several simulations: which batch times are drawn matters for few requests. */
static void simulate_often(const struct bench *b, const struct bench_state *s,
                           struct simulated_server *server, struct bench_result *x)
{
    size_t count;
    struct planned_request *plan =
        bench_plan(b, s, x->row.load, (uint64_t)x->row.seed, &count);
    struct load_record *r = xcalloc(count + 1, sizeof *r);
    int32_t *tokens = xcalloc(b->texts.count + 1, sizeof *tokens);
    double p50 = 0, p95 = 0, p99 = 0;
    for (size_t i = 0; i < b->texts.count; i++)
        tokens[i] = b->texts.examples[i].n;
    for (server->seed = 0; server->seed < SIMULATIONS; server->seed++) {
        struct load_measures m;
        load_simulate(server, plan, count, tokens, r);
        load_measure(r, count, b->file.warmup_s, bench_seconds(b), b->file.limit_ms, &m);
        p50 += m.p50_ms / SIMULATIONS;
        p95 += m.p95_ms / SIMULATIONS;
        p99 += m.p99_ms / SIMULATIONS;
    }
    x->row.simulated_p50_ms = p50;
    x->row.simulated_p95_ms = p95;
    x->row.simulated_p99_ms = p99;
    free(plan);
    free(r);
    free(tokens);
}

/* Requests of a point through a simulated server that draws the batches of all other
 * points of the setting: none of what it is compared with. */
static void simulate_point(const struct bench *b, const struct bench_state *s,
                           struct bench_result *x)
{
    struct batch_seen *others = xcalloc(s->kept + 1, sizeof *others);
    size_t n = 0;
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
        .overhead_s = s->outside_count ? s->outside_s / (double)s->outside_count : 0};
    batch_times_fit(others, n, &server.times);
    if (n >= OTHERS_LEAST)
        simulate_often(b, s, &server, x);
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
        reckon_capacity(b, base, s);
        reckon_batches(s);
    }
    for (size_t i = 0; i < b->result_count; i++) {
        struct bench_result *x = &b->results[i];
        if (b->target.known && *x->row.kind != 'c')
            simulate_point(b, &b->states[x->row.setting], x);
    }
}

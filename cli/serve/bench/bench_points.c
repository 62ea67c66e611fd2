/* cli/serve/bench/bench_points.c - one point: requests are planned, sent, measured. */
#include "cli/serve/bench/bench.h"
#include "lib/load/tails.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>

static const char *const arrival_names[] = {"open", "open", "closed", "trace"};

double bench_longest_ms(const struct bench *b)
{
    const struct bench_file *f = &b->file;
    return f->limit_ms > 0
               ? f->limit_ms
               : f->first_ms + fmax(f->token_ms, f->first_ms / 10) * f->output;
}

double bench_seconds(const struct bench *b)
{
    return b->trace ? b->trace_s : b->file.warmup_s + b->file.duration_s;
}

/* What the trace does not say is drawn as for requests of an even rate. */
static void put_trace(const struct bench *b, const struct bench_state *s,
                      struct planned_request *plan)
{
    for (size_t i = 0; i < b->trace_count; i++) {
        plan[i].at_s = b->trace[i].at_s;
        if (b->trace_adapters)
            plan[i].adapter = b->trace[i].adapter % (uint32_t)s->c.adapters;
        if (b->trace_texts)
            plan[i].text = b->trace[i].text % (uint32_t)b->texts.count;
    }
}

struct planned_request *bench_plan(const struct bench *b, const struct bench_state *s,
                                   double rate, uint64_t seed, size_t *count)
{
    const struct bench_file *f = &b->file;
    struct schedule_spec spec = {.rate = rate,
                                 .cv = f->cv,
                                 .fan_out = f->fan_out,
                                 .duration_s = bench_seconds(b),
                                 .popularity = s->c.popularity->kind,
                                 .number = s->c.popularity->number,
                                 .adapters = s->c.adapters,
                                 .texts = b->texts.count,
                                 .seed = seed};
    if (b->trace) {
        spec.rate = 1;
        spec.cv = 0;
        spec.duration_s = (double)b->trace_count + .5;
    }
    struct planned_request *plan = schedule_draw(&spec, count);
    if (b->trace)
        put_trace(b, s, plan);
    return plan;
}

/* Each adapter that there is room for is asked once. */
static void warm_up(const struct bench *b, struct bench_state *s, struct load_target *t)
{
    enum { CLIENTS = 32, LONGEST_S = 600 };
    const size_t n = s->c.slots ? s->c.slots : s->c.adapters;
    struct planned_request *plan = xcalloc(n, sizeof *plan);
    struct load_record *r = xcalloc(n, sizeof *r);
    for (size_t i = 0; i < n; i++)
        plan[i] = (struct planned_request){0, (uint32_t)(n - 1 - i),
                                           (uint32_t)(i % b->texts.count)};
    if (!s->warm && !b->file.cold && b->target.known)
        load_closed_loop(t, plan, n, CLIENTS, LONGEST_S, r, n);
    s->warm = true;
    free(plan);
    free(r);
}

/* What of a request's time is neither queue nor batch: sending late, waking up. */
static void take_outside(struct bench_state *s, const struct load_record *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double left = r[i].done_s - r[i].intended_s - r[i].queue_s - r[i].run_s;
        if (!r[i].done || !r[i].ok || isnan(left))
            continue;
        s->outside_s += left;
        s->outside_count++;
    }
}

static void fill_row(const struct bench *b, struct bench_result *x,
                     const struct load_record *r, size_t n, double end_s)
{
    const struct load_measures *m = &x->measured;
    struct bench_point *p = &x->row;
    struct load_tails t;
    load_measure_tails(r, n, b->file.warmup_s, end_s, b->file.limit_ms, &t);
    p->sent = (int64_t)m->sent;
    p->answered = (int64_t)m->answered;
    p->refused = (int64_t)m->refused;
    p->failed = (int64_t)m->failed;
    p->cold = (int64_t)m->cold;
    p->generator_late = m->generator_bound;
    p->completed_per_s = m->completed;
    p->goodput_per_s = m->goodput;
    p->attainment = m->attainment;
    p->mean_ms = m->mean_ms;
    p->p50_ms = m->p50_ms;
    p->p50_low_ms = m->p50.low;
    p->p50_high_ms = m->p50.high;
    p->p95_ms = m->p95_ms;
    p->p95_low_ms = m->p95.low;
    p->p95_high_ms = m->p95.high;
    p->p99_ms = m->p99_ms;
    p->p99_low_ms = m->p99.low;
    p->p99_high_ms = m->p99.high;
    p->longest_ms = m->longest_ms;
    p->growth = m->growth;
    p->simulated_p50_ms = p->simulated_p95_ms = p->simulated_p99_ms = NAN;
    p->hot_p99_ms = t.hot_p99_ms;
    p->median_p99_ms = t.median_p99_ms;
    p->cold_p99_ms = t.cold_p99_ms;
    p->fairness = t.fairness;
#define X(name) p->name = NAN;
    BENCH_STREAM_NUMBERS(X)
#undef X
}

static void measure_streams(const struct bench *b, struct bench_result *x,
                            const struct load_record *r, size_t n, double end_s)
{
    const struct bench_file *f = &b->file;
    const struct load_limits limits = {f->limit_ms, f->first_ms, f->token_ms};
    struct load_streams s;
    if (!f->output)
        return;
    load_measure_streams(r, n, f->warmup_s, end_s, x->inside.gaps_s, x->inside.gap_count,
                         &limits, &s);
    x->row.attainment = s.attainment;
    x->row.goodput_per_s = s.goodput_per_s;
#define X(name) x->row.name = s.name;
    BENCH_STREAM_NUMBERS(X)
#undef X
}

static struct load_record *send_all(struct bench *b, struct bench_state *s,
                                    struct load_target *t, enum bench_arrivals arrivals,
                                    double load, uint64_t seed, size_t *count)
{
    enum { MOST = 4000000, GIVE_UP = 20 /* times the limit */ };
    const double seconds = bench_seconds(b);
    const bool closed = arrivals == BENCH_CLOSED;
    size_t n;
    struct planned_request *plan =
        bench_plan(b, s, closed ? 1e4 / seconds : load, seed, &n);
    struct load_record *r = xcalloc(closed ? MOST : n + 1, sizeof *r);
    t->give_up_s = arrivals == BENCH_TRIED ? GIVE_UP * bench_longest_ms(b) / 1e3 : 0;
    if (closed)
        n = load_closed_loop(t, plan, n, (size_t)load, seconds, r, MOST);
    else
        load_open_loop(t, plan, n, INFINITY, r); /* each is answered, or given up */
    free(plan);
    *count = n;
    return r;
}

int bench_run_point(struct bench *b, struct bench_state *s, enum bench_arrivals arrivals,
                    double load, double share, uint64_t seed, struct err *err)
{
    const double end_s = bench_seconds(b);
    struct load_target *t = b->target.at(&b->target, &s->c, err);
    size_t n;
    if (!t)
        return err_code(err);
    warm_up(b, s, t);
    b->results =
        xgrow(b->results, &b->result_cap, b->result_count + 1, sizeof *b->results);
    struct bench_result *x = &b->results[b->result_count];
    *x = (struct bench_result){.row = {.kind = arrival_names[arrivals],
                                       .number = (int64_t)b->result_count,
                                       .setting = s - b->states,
                                       .load = load,
                                       .share = share,
                                       .seed = (int64_t)seed}};
    b->result_count++;
    b->target.look(&b->target, t, &x->inside);
    struct load_record *r = send_all(b, s, t, arrivals, load, seed, &n);
    b->target.look(&b->target, t, &x->inside);
    bench_take_batches(s, &x->inside, (uint32_t)x->row.number);
    load_measure(r, n, b->file.warmup_s, end_s, b->file.limit_ms, &x->measured);
    if (arrivals == BENCH_CLOSED) /* nothing is intended here */
        x->measured.generator_bound = false;
    else
        take_outside(s, r, n);
    fill_row(b, x, r, n, end_s);
    measure_streams(b, x, r, n, end_s);
    bench_out_requests(b, r, n);
    bench_print_point(b, x);
    free(r);
    return bench_out_point(b, x, err);
}

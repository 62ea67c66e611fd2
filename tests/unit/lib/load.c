/* tests/unit/lib/load.c - the bench proves itself: a simulated server of known service times gives the waits of
 * queueing theory, a stall is met by all requests of its time, schedules are what they say. The
 * server has its own clock, so nothing here depends on the machine's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/load/measures.h"
#include "lib/load/streams.h"
#include "lib/load/tails.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <stdlib.h>

/* --- a server with one place, on a clock of its own --- */

struct fake {
    struct load_target target;
    double now_s, free_s; /* when it has done all that it has */
    double service_s;
    bool exponential;
    double stall_at_s, stall_s; /* it stands still then; 0: it does not */
    uint64_t seed, served;
    struct {
        struct load_record *record;
        double at_s;
    } * queue; /* in order */
    size_t first, count, cap;
};

static double fake_now(struct load_target *t)
{
    return ((struct fake *)t)->now_s;
}

static void fake_send(struct load_target *t, struct load_record *r)
{
    struct fake *f = (struct fake *)t;
    const struct philox_key key = rng_key(f->seed, "service");
    double begin = f->free_s > f->now_s ? f->free_s : f->now_s;
    if (f->stall_s > 0 && begin >= f->stall_at_s && begin < f->stall_at_s + f->stall_s)
        begin = f->stall_at_s + f->stall_s;
    const double u = rng_uniform(&key, f->served++, 0);
    f->free_s = begin + (f->exponential ? -log(1 - u) : 1) * f->service_s;
    r->queue_s = begin - f->now_s;
    f->queue = xgrow(f->queue, &f->cap, f->count + 1, sizeof *f->queue);
    f->queue[f->count].record = r;
    f->queue[f->count++].at_s = f->free_s;
}

static void fake_wait(struct load_target *t, double until_s)
{
    struct fake *f = (struct fake *)t;
    if (f->first < f->count && f->queue[f->first].at_s <= until_s) {
        f->now_s = f->queue[f->first].at_s;
        load_answer(t, f->queue[f->first++].record, true, false);
    } else {
        f->now_s = until_s;
    }
}

static void fake_init(struct fake *f, double service_s, bool exponential, uint64_t seed)
{
    *f = (struct fake){.target = {fake_now, fake_send, fake_wait, 0, 0},
                       .now_s = 100,
                       .service_s = service_s,
                       .exponential = exponential,
                       .seed = seed};
}

/* Mean wait in the queue of one run, without its first tenth. */
static double mean_wait(double rate, double service_s, bool exponential, uint64_t seed)
{
    const struct schedule_spec s = {.rate = rate,
                                    .cv = 1,
                                    .duration_s = 400,
                                    .adapters = 1,
                                    .texts = 1,
                                    .seed = seed};
    struct fake f;
    size_t n;
    struct planned_request *plan = schedule_draw(&s, &n);
    struct load_record *r = xcalloc(n, sizeof *r);
    fake_init(&f, service_s, exponential, seed);
    load_open_loop(&f.target, plan, n, 100, r);
    double sum = 0;
    size_t counted = 0;
    for (size_t i = n / 10; i < n; i++, counted++) {
        assert_true(r[i].done && r[i].ok);
        sum += r[i].queue_s;
    }
    free(plan);
    free(r);
    free(f.queue);
    return sum / (double)counted;
}

/* Theory (Pollaczek and Khinchine) lies in the 99.9 % interval of 20 runs. */
static void check_queue(double rho, bool exponential)
{
    enum { RUNS = 20 };
    const double rate = 100, service_s = rho / rate;
    const double theory = rho * service_s / (1 - rho) * (exponential ? 1 : .5);
    double waits[RUNS];
    for (uint64_t k = 0; k < RUNS; k++)
        waits[k] = mean_wait(rate, service_s, exponential, 100 + k);
    const struct stat_interval i = stat_t_interval(waits, RUNS, .999);
    if (theory < i.low || theory > i.high || i.high - i.low > .2 * theory)
        fail_msg("rho %g: waits of %g to %g s, theory %g", rho, i.low, i.high, theory);
}

static void test_waits_are_those_of_theory(void **state)
{
    (void)state;
    check_queue(.5, false);
    check_queue(.8, false);
    check_queue(.5, true);
    check_queue(.8, true);
}

static void test_bursts_come_at_once_with_one_text(void **state)
{
    (void)state;
    enum { FAN_OUT = 16, ADAPTERS = 4, TEXTS = 1000 };
    const struct schedule_spec s = {.rate = 3 * FAN_OUT,
                                    .cv = 1,
                                    .fan_out = FAN_OUT,
                                    .duration_s = 2000,
                                    .popularity = POPULARITY_round_robin,
                                    .adapters = ADAPTERS,
                                    .texts = TEXTS,
                                    .seed = 7};
    size_t n, same = 0;
    struct planned_request *plan = schedule_draw(&s, &n);
    assert_int_equal(n % FAN_OUT, 0);
    for (size_t i = 0; i < n; i++) {
        const struct planned_request *first = &plan[i / FAN_OUT * FAN_OUT];
        assert_true(plan[i].at_s == first->at_s && plan[i].text == first->text);
        assert_int_equal(plan[i].adapter, i % ADAPTERS);
        same += i >= FAN_OUT && i % FAN_OUT == 0 && plan[i].text == plan[i - 1].text;
    }
    /* 3 bursts a second, of a Poisson process: 6000, 99.9 % within 3.3 sqrt(6000). */
    assert_in_range(n / FAN_OUT, 6000 - 256, 6000 + 256);
    assert_true(same < 30); /* bursts have texts of their own: 6 of these by chance */
    free(plan);
}

static void test_a_stall_is_met_by_all_of_its_time(void **state)
{
    (void)state;
    const struct schedule_spec s = {
        .rate = 200, .cv = 1, .duration_s = 20, .adapters = 1, .texts = 1, .seed = 5};
    struct fake f;
    size_t n;
    struct planned_request *plan = schedule_draw(&s, &n);
    struct load_record *r = xcalloc(4 * n, sizeof *r);
    size_t in_stall = 0, late = 0;
    fake_init(&f, .001, false, 1);
    f.stall_at_s = 100 + 5;
    f.stall_s = 1;
    load_open_loop(&f.target, plan, n, 10, r);
    for (size_t i = 0; i < n; i++) {
        in_stall += plan[i].at_s >= 5 && plan[i].at_s < 5.9;
        late += r[i].done_s - r[i].intended_s > .1;
    }
    assert_true(in_stall > 150);
    assert_true(late >=
                in_stall); /* and those behind it that wait until all are served */
    assert_true(late < in_stall + 60);

    /* One client in a circle meets it once: that is what closed loops do not see. */
    free(f.queue);
    fake_init(&f, .001, false, 1);
    f.stall_at_s = 100 + 5;
    f.stall_s = 1;
    const size_t sent = load_closed_loop(&f.target, plan, n, 1, 10, r, 4 * n);
    late = 0;
    for (size_t i = 0; i < sent; i++)
        late += r[i].done_s - r[i].intended_s > .1;
    assert_int_equal(late, 1);
    free(plan);
    free(r);
    free(f.queue);
}

static void test_a_rate_is_kept_or_not(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const struct schedule_spec s = {.rate = k ? 105 : 70,
                                        .cv = 1,
                                        .duration_s = 60,
                                        .adapters = 1,
                                        .texts = 1,
                                        .seed = 9};
        struct fake f;
        struct load_measures p;
        size_t n;
        struct planned_request *plan = schedule_draw(&s, &n);
        struct load_record *r = xcalloc(n, sizeof *r);
        fake_init(&f, .01, false, 1);
        load_open_loop(&f.target, plan, n, 100, r);
        load_measure(r, n, 10, 60, 200, &p);
        assert_false(p.generator_bound);
        assert_int_equal(load_is_sustained(&p, 200), !k);
        assert_true(k ? p.growth > 1.2 : p.growth < 1.2);
        assert_true(p.p50.low <= p.p50_ms && p.p50_ms <= p.p50.high);
        assert_true(k ? p.attainment < .5 : p.attainment > .99);
        assert_true(fabs(p.offered - s.rate) < 5);
        free(plan);
        free(r);
        free(f.queue);
    }
}

/* Requests that are never answered are counted, and end the run. */
static void drop(struct load_target *t, struct load_record *r)
{
    (void)t, (void)r;
}

static void test_what_is_open_is_counted(void **state)
{
    (void)state;
    const struct schedule_spec s = {
        .rate = 10, .cv = 0, .duration_s = 10, .adapters = 1, .texts = 1, .seed = 1};
    struct fake f;
    struct load_measures p;
    size_t n;
    struct planned_request *plan = schedule_draw(&s, &n);
    struct load_record *r = xcalloc(n, sizeof *r);
    fake_init(&f, .01, false, 1);
    f.target.send = drop;
    load_open_loop(&f.target, plan, n, 2, r);
    load_measure(r, n, 0, 10, 200, &p);
    assert_int_equal(p.sent, n);
    assert_int_equal(p.open, n);
    assert_false(load_is_sustained(&p, 200));
    free(plan);
    free(r);
}

/* Twice as much as can be served for 10 s: a limit of a second ends it when it is waited for
 * so long, after some 2 s. */
static void test_what_cannot_be_kept_ends(void **state)
{
    (void)state;
    const struct schedule_spec s = {
        .rate = 200, .cv = 0, .duration_s = 10, .adapters = 1, .texts = 1, .seed = 1};
    struct fake f;
    size_t n, done = 0;
    struct planned_request *plan = schedule_draw(&s, &n);
    struct load_record *r = xcalloc(n, sizeof *r);
    struct load_measures p;
    fake_init(&f, .01, false, 1);
    f.target.give_up_s = 1;
    load_open_loop(&f.target, plan, n, INFINITY, r);
    for (size_t i = 0; i < n; i++)
        done += r[i].done;
    assert_int_equal(done, f.served);
    assert_true(done > 350 && done < 450);
    load_measure(r, n, 0, 10, 200, &p);
    assert_int_equal(p.sent, n);
    assert_int_equal(p.open, n - done);
    assert_false(load_is_sustained(&p, 5000));
    free(plan);
    free(r);
    free(f.queue);
}

struct threshold {
    double rate;
    int asked;
};

static bool below(void *ctx, double rate)
{
    struct threshold *t = ctx;
    t->asked++;
    return rate <= t->rate;
}

static void test_the_highest_rate_is_found(void **state)
{
    (void)state;
    const double rates[] = {1, 7.3, 20, 137, 900};
    const struct load_search q = {.first = 20, .step = 2, .resolution = .05},
                             near = {.first = 20, .step = 1.1, .resolution = .02};
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        struct threshold t = {rates[i], 0};
        const double found = load_find_rate(&q, below, &t);
        if (found > rates[i] || found * 1.05 < rates[i] || t.asked > 12)
            fail_msg("%g found for %g after %d", found, rates[i], t.asked);
    }
    struct load_search bounded = q;
    bounded.least = 4;
    struct threshold slow = {1, 0};
    assert_true(load_find_rate(&bounded, below, &slow) == 0);
    assert_int_equal(slow.asked, 3); /* 20, 10, 5 */
    struct threshold none = {0, 0}, close = {21, 0};
    assert_true(load_find_rate(&q, below, &none) == 0);
    const double found = load_find_rate(&near, below, &close);
    assert_true(found <= 21 && found * 1.02 >= 21 && close.asked <= 6);
}

/* Adapter 0 is asked 100 times, 1 to 3 20 times, of which 1 waits longer than the limit each
 * second time; 4 to 13 once. */
static void test_tails_of_adapters(void **state)
{
    (void)state;
    struct load_record r[170];
    struct load_tails t;
    size_t n = 0;
    for (uint32_t a = 0; a < 14; a++)
        for (int i = 0; i < (a ? a < 4 ? 20 : 1 : 100); i++, n++)
            r[n] = (struct load_record){.intended_s = 1 + .01 * (double)n,
                                        .done_s = 1 + .01 * (double)n +
                                                  (a == 1 && i % 2 ? .2 : .001 * (a + 1)),
                                        .adapter = a,
                                        .done = true,
                                        .ok = true};
    load_measure_tails(r, n, 0, 100, 50, &t);
    assert_int_equal(t.asked, 14);
    assert_float_equal(t.hot_p99_ms, 1, 1e-6);
    assert_float_equal(t.median_p99_ms, (3 + 4) / 2., 1e-6); /* of 1, 200, 3, 4 */
    assert_true(t.cold_p99_ms >= 5 && t.cold_p99_ms <= 14);  /* two of the last ten */
    assert_float_equal(t.fairness, .5, 1e-9);
    load_measure_tails(r, n, 50, 100, 50, &t);
    assert_int_equal(t.asked, 0);
    assert_true(isnan(t.hot_p99_ms) && isnan(t.fairness));
}

/* Ten answers of five tokens, the first after .1 s, the others .02 s apart; one of one token,
 * one that is too slow, one that failed. */
static void test_answers_in_pieces(void **state)
{
    (void)state;
    struct load_record r[13];
    const double gaps[] = {.02, .02, .02, .5};
    const struct load_limits limits = {.first_ms = 200, .token_ms = 30};
    struct load_streams s;
    for (int i = 0; i < 13; i++)
        r[i] = (struct load_record){.intended_s = i,
                                    .sent_s = i,
                                    .first_s = i + .1,
                                    .done_s = i + .18,
                                    .pieces = 5,
                                    .done = true,
                                    .ok = true};
    r[10].pieces = 1;
    r[11].done_s += 2;
    r[12].ok = false;
    load_measure_streams(r, 13, 0, 13, gaps, 4, &limits, &s);
    assert_float_equal(s.ttft_p50_ms, 100, 1e-6);
    assert_float_equal(s.tpot_p50_ms, 20, 1e-6);
    assert_true(s.tpot_p99_ms > 400 && s.itl_p99_ms > 400);
    assert_float_equal(s.itl_p50_ms, 20, 1e-6);
    assert_float_equal(s.tokens_per_s, 56 / 13., 1e-9);
    assert_float_equal(s.attainment, 11 / 13., 1e-9);
    load_measure_streams(r, 10, 20, 30, gaps, 0, &limits, &s);
    assert_true(isnan(s.ttft_p50_ms) && isnan(s.itl_p50_ms) && isnan(s.attainment));
}

/* --- schedules --- */

static void test_gaps_have_their_mean_and_spread(void **state)
{
    (void)state;
    const double cvs[] = {0, .5, 1, 2, 4};
    for (size_t k = 0; k < ARRAY_LEN(cvs); k++) {
        const struct schedule_spec s = {.rate = 50,
                                        .cv = cvs[k],
                                        .duration_s = 4000,
                                        .adapters = 1,
                                        .texts = 1,
                                        .seed = 3};
        size_t n;
        struct planned_request *p = schedule_draw(&s, &n);
        double *gaps = xcalloc(n, sizeof *gaps);
        for (size_t i = 0; i < n; i++)
            gaps[i] = p[i].at_s - (i ? p[i - 1].at_s : 0);
        const double mean = stat_mean(gaps, n), cv = stat_sd(gaps, n) / mean;
        if (fabs(mean * 50 - 1) > .05 || fabs(cv - cvs[k]) > .05 + .05 * cvs[k])
            fail_msg("cv %g: mean %g, cv %g", cvs[k], mean, cv);
        free(gaps);
        free(p);
    }
}

static void test_who_is_asked(void **state)
{
    (void)state;
    enum { ADAPTERS = 8 };
    const struct {
        enum popularity kind;
        double number, share[2]; /* of the first and the second */
    } cases[] = {
        {POPULARITY_uniform, 0, {1. / 8, 1. / 8}},
        {POPULARITY_round_robin, 0, {1. / 8, 1. / 8}},
        {POPULARITY_zipf, 1, {.36794, .18397}}, /* 1 / 2.71786, half of it */
        {POPULARITY_hot, .8, {.8, .2 / 7}},
        {POPULARITY_power, .5, {.35355, .14645}}, /* (1/8)^.5, (2/8)^.5 - (1/8)^.5 */
    };
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        const struct schedule_spec s = {.rate = 100,
                                        .cv = 1,
                                        .duration_s = 400,
                                        .popularity = cases[k].kind,
                                        .number = cases[k].number,
                                        .adapters = ADAPTERS,
                                        .texts = 5,
                                        .seed = 4};
        size_t n, hits[ADAPTERS] = {0}, texts[5] = {0};
        struct planned_request *p = schedule_draw(&s, &n);
        for (size_t i = 0; i < n; i++) {
            assert_true(p[i].adapter < ADAPTERS && p[i].text < 5);
            hits[p[i].adapter]++;
            texts[p[i].text]++;
        }
        for (int j = 0; j < 2; j++) {
            const double share = (double)hits[j] / (double)n;
            if (fabs(share - cases[k].share[j]) > .01)
                fail_msg("%s: share %g of adapter %d", popularity_names[cases[k].kind],
                         share, j);
        }
        for (int j = 0; j < 5; j++)
            assert_true(fabs((double)texts[j] / (double)n - .2) < .01);
        free(p);
    }
}

static void test_a_longer_schedule_begins_as_a_shorter_one(void **state)
{
    (void)state;
    struct schedule_spec s = {.rate = 20,
                              .cv = 2,
                              .duration_s = 10,
                              .popularity = POPULARITY_zipf,
                              .number = 1.1,
                              .adapters = 100,
                              .texts = 7,
                              .seed = 8};
    size_t n, m;
    struct planned_request *a = schedule_draw(&s, &n);
    s.duration_s = 30;
    struct planned_request *b = schedule_draw(&s, &m);
    assert_true(n > 50 && m > n);
    for (size_t i = 0; i < n; i++)
        assert_true(a[i].at_s == b[i].at_s && a[i].adapter == b[i].adapter &&
                    a[i].text == b[i].text);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_are_those_of_theory),
        cmocka_unit_test(test_bursts_come_at_once_with_one_text),
        cmocka_unit_test(test_a_stall_is_met_by_all_of_its_time),
        cmocka_unit_test(test_a_rate_is_kept_or_not),
        cmocka_unit_test(test_what_is_open_is_counted),
        cmocka_unit_test(test_what_cannot_be_kept_ends),
        cmocka_unit_test(test_the_highest_rate_is_found),
        cmocka_unit_test(test_tails_of_adapters),
        cmocka_unit_test(test_answers_in_pieces),
        cmocka_unit_test(test_gaps_have_their_mean_and_spread),
        cmocka_unit_test(test_who_is_asked),
        cmocka_unit_test(test_a_longer_schedule_begins_as_a_shorter_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

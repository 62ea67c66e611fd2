/* tests/unit/lib/load_simulate.c - what batches cost is found again from their times; a simulated
 * server batches, loads and gives way as the engine does, and waits as queueing theory has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/load/measures.h"
#include "lib/load/simulate.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/stats/nonneg.h"
#include <math.h>
#include <stdlib.h>

static struct batch_seen some_batch(uint64_t i)
{
    const struct philox_key key = rng_key(1, "batches");
    struct batch_seen b = {.rows = 1 + (int32_t)rng_below(&key, i, 0, 32)};
    b.tokens = b.rows * (8 + (int32_t)rng_below(&key, i, 1, 40));
    b.adapters = 1 + (int32_t)rng_below(&key, i, 2, (uint64_t)b.rows);
    b.cold = (int32_t)rng_below(&key, i, 3, 2);
    return b;
}

static void test_costs_are_found_again(void **state)
{
    (void)state;
    enum { N = 400 };
    const struct batch_times truth = {.002, 5e-5, 0, 2e-4, 8e-4, 0, 0};
    struct batch_seen seen[N];
    struct batch_times t;
    for (uint64_t i = 0; i < N; i++) {
        seen[i] = some_batch(i);
        seen[i].seconds = batch_times_of(&truth, &seen[i]);
    }
    batch_times_fit(seen, N, &t);
    assert_float_equal(t.fixed_s, .002, 1e-9);
    assert_float_equal(t.token_s, 5e-5, 1e-10);
    assert_float_equal(t.row_s, 0, 1e-9);
    assert_float_equal(t.adapter_s, 2e-4, 1e-9);
    assert_float_equal(t.cold_s, 8e-4, 1e-9);
    assert_float_equal(t.residual_s, 0, 1e-9);
    assert_int_equal(t.batches, N);
    /* Adapters that make a batch faster: their cost is 0, the others are those of a fit
     * without them. */
    for (uint64_t i = 0; i < N; i++)
        seen[i].seconds = .01 + 1e-4 * seen[i].tokens - 2e-5 * seen[i].adapters;
    batch_times_fit(seen, N, &t);
    assert_true(t.adapter_s == 0 && t.residual_s > 0);
    assert_float_equal(t.token_s, 1e-4, 5e-6);
    batch_times_fit(seen, 0, &t);
    assert_true(t.fixed_s == 0 && isnan(t.residual_s));
}

static void test_a_column_twice_counts_once(void **state)
{
    (void)state;
    const double x[] = {1, 2, 2, 4, 3, 6, 4, 8}, y[] = {3, 6, 9, 12};
    double c[2];
    const double left = stat_nonneg_fit(x, y, 4, 2, c);
    assert_float_equal(c[0] + 2 * c[1], 3, 1e-9);
    assert_true(c[0] == 0 || c[1] == 0);
    assert_float_equal(left, 0, 1e-9);
}

static void test_batches_are_what_is_there(void **state)
{
    (void)state;
    const struct planned_request plan[] = {{0, 0, 0},  {.1, 1, 0}, {.2, 0, 0},
                                           {.3, 1, 0}, {.4, 2, 0}, {9, 0, 0}};
    const int32_t tokens[] = {10};
    struct load_record r[6];
    struct simulated_server s = {.times = {.fixed_s = 1, .cold_s = .5},
                                 .max_rows = 3,
                                 .max_tokens = 1000,
                                 .slots = 2,
                                 .overhead_s = .25};
    load_simulate(&s, plan, 6, tokens, r);
    /* adapter 0 is loaded for the first; three of the others fit, 1 is loaded; then 2 */
    assert_float_equal(r[0].done_s, 1.75, 1e-12);
    for (int i = 1; i < 4; i++)
        assert_float_equal(r[i].done_s, 1.5 + 1.5 + .25, 1e-12);
    assert_float_equal(r[4].done_s, 3 + 1.5 + .25, 1e-12);
    assert_float_equal(r[2].queue_s, 1.3, 1e-12);
    /* 0 gave way to 2: of 0 and 1, used in one batch, it comes first */
    const bool cold[] = {true, true, false, false, true, true};
    for (int i = 0; i < 6; i++)
        assert_int_equal(r[i].cold, cold[i]);
    s.max_tokens = 25;
    s.slots = 0;
    s.loaded = 3;
    load_simulate(&s, plan, 6, tokens, r);
    assert_float_equal(r[2].done_s, 2.25, 1e-12);
    assert_float_equal(r[3].done_s, 3.25, 1e-12);
    assert_false(r[0].cold || r[4].cold || r[5].cold);
}

/* One row at a time, batches drawn from measured ones: the waits of M/D/1 (all equal) and,
 * from exponential ones, of M/M/1, in the 99.9 % interval of 20 runs. */
static void check_waits(bool exponential)
{
    enum { RUNS = 20, SEEN = 20000 };
    const double rho = .7, service = .01;
    const int32_t tokens[] = {1};
    struct batch_seen *seen = xcalloc(SEEN, sizeof *seen);
    const struct philox_key key = rng_key(3, "service");
    double waits[RUNS];
    for (uint64_t i = 0; i < SEEN; i++)
        seen[i] = (struct batch_seen){
            1, 1, 1,
            0, 0, service * (exponential ? -log(1 - rng_uniform(&key, i, 0)) : 1)};
    struct simulated_server s = {.times = {.fixed_s = service},
                                 .seen = seen,
                                 .seen_count = SEEN,
                                 .max_rows = 1,
                                 .max_tokens = 1};
    for (uint64_t k = 0; k < RUNS; k++) {
        const struct schedule_spec spec = {.rate = rho / service,
                                           .cv = 1,
                                           .duration_s = 400,
                                           .adapters = 1,
                                           .texts = 1,
                                           .seed = 50 + k};
        size_t n, counted = 0;
        struct planned_request *plan = schedule_draw(&spec, &n);
        struct load_record *r = xcalloc(n, sizeof *r);
        s.seed = k;
        load_simulate(&s, plan, n, tokens, r);
        waits[k] = 0;
        for (size_t i = n / 10; i < n; i++, counted++)
            waits[k] += r[i].queue_s;
        waits[k] /= (double)counted;
        free(plan);
        free(r);
    }
    free(seen);
    const double theory = rho * service / (1 - rho) * (exponential ? 1 : .5);
    const struct stat_interval i = stat_t_interval(waits, RUNS, .999);
    if (theory < i.low || theory > i.high || i.high - i.low > .2 * theory)
        fail_msg("waits of %g to %g s, theory %g", i.low, i.high, theory);
}

static void test_waits_of_one_row_at_a_time(void **state)
{
    (void)state;
    check_waits(false);
    check_waits(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs_are_found_again),
        cmocka_unit_test(test_a_column_twice_counts_once),
        cmocka_unit_test(test_batches_are_what_is_there),
        cmocka_unit_test(test_waits_of_one_row_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

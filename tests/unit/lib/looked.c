/* Shares that are looked at again and again: never wrong in 95 % of watches, at any rate. */
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define WATCHES 10000
#define ITEMS   400

/* Share of watches, a look after each item, in which the truth is ever outside. */
static double ever_wrong(double p)
{
    const struct philox_key key = rng_key(7, "watches");
    size_t wrong = 0;
    for (uint64_t w = 0; w < WATCHES; w++) {
        size_t hits = 0, n = 1;
        bool out = false;
        for (; n <= ITEMS && !out; n++) {
            hits += rng_uniform(&key, w, n) < p;
            out = stat_share_looked_p(hits, n, p) < 0.05;
        }
        wrong += out;
    }
    return (double)wrong / WATCHES;
}

static void no_rate_is_ever_wrong_too_often(void **state)
{
    (void)state;
    const double rates[] = {.5, .6, .7, .8, .9, .95, .98, .99};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        const double wrong = ever_wrong(rates[i]);
        print_message("rate %.2f: ever wrong in %.2f %%\n", rates[i], 100 * wrong);
        assert_true(wrong <= 0.05 && wrong > 0.005);
    }
}

/* For comparison: the interval for one look is wrong in far more watches. */
static void one_look_is_not_many(void **state)
{
    (void)state;
    const struct philox_key key = rng_key(8, "watches");
    size_t wrong = 0;
    for (uint64_t w = 0; w < 1000; w++) {
        size_t hits = 0;
        bool out = false;
        for (size_t n = 1; n <= ITEMS && !out; n++) {
            hits += rng_uniform(&key, w, n) < 0.9;
            const struct stat_interval i = stat_wilson(hits, n, .95);
            out = i.low > 0.9 || i.high < 0.9;
        }
        wrong += out;
    }
    assert_true(wrong > 200);
}

static void ends_are_where_the_p_value_is_alpha(void **state)
{
    (void)state;
    const size_t cases[][2] = {{0, 1}, {1, 1}, {3, 10}, {90, 100}, {700, 1000}, {0, 500}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const size_t hits = cases[k][0], n = cases[k][1];
        const struct stat_interval i = stat_share_looked(hits, n, .95);
        const double seen = (double)hits / (double)n;
        assert_true(i.low <= seen && seen <= i.high && i.low < i.high);
        assert_true(i.low == 0 || fabs(stat_share_looked_p(hits, n, i.low) - .05) < 1e-6);
        assert_true(i.high == 1 ||
                    fabs(stat_share_looked_p(hits, n, i.high) - .05) < 1e-6);
        const struct stat_interval once = stat_wilson(hits, n, .95);
        assert_true(i.high - i.low > once.high - once.low);
    }
    /* 1 of 1: p >= alpha B(2, 1) = .025; 2^-10 / B(11, 1) = 11 / 1024 */
    assert_true(fabs(stat_share_looked(1, 1, .95).low - .025) < 1e-9);
    assert_true(fabs(stat_paired_looked_p(10, 0) - 11.0 / 1024) < 1e-12);
    assert_true(stat_paired_looked_p(3, 3) == 1 && stat_paired_looked_p(0, 0) == 1);
    assert_true(isnan(stat_share_looked(0, 0, .95).low));
    assert_true(isnan(stat_share_looked_p(3, 2, .5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rate_is_ever_wrong_too_often),
        cmocka_unit_test(one_look_is_not_many),
        cmocka_unit_test(ends_are_where_the_p_value_is_alpha),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

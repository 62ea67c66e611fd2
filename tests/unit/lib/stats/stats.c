/* Statistics: what must hold for any input. Reference numbers: stats_golden.c and its
 * neighbours. */
#include "lib/rng.h"
#include "lib/mem.h"
#include "lib/stats/range.h"
#include "lib/stats/basic.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Golden numbers leave out what they cannot say: degenerate input. */
static void degenerate_input_gives_nan(void **state)
{
    (void)state;
    const double same[] = {3, 3, 3}, one[] = {1}, holed[] = {1, NAN, 2};
    assert_true(isnan(stat_mean(one, 0)));
    assert_true(isnan(stat_sd(one, 1)));
    assert_true(isnan(stat_median(one, 0)));
    assert_true(isnan(stat_median(holed, 3)));
    assert_true(stat_t_interval(same, 3, .95).low == 3);
    assert_true(isnan(stat_t_interval(one, 1, .95).high));
    struct stat_test r = stat_paired_t(same, same, 3, 1);
    assert_true(r.diff == 0 && isnan(r.p) && isnan(r.t) && isnan(r.p_tost));
    r = stat_paired_t(one, one, 1, 1);
    assert_true(isnan(r.se) && isnan(r.df));
    r = stat_welch_t(same, 3, one, 1, 1);
    assert_true(r.diff == 2 && isnan(r.p) && isnan(r.ci.low));
    r = stat_welch_t(same, 3, same, 3, 1);
    assert_true(isnan(r.p) && isnan(r.se));
    assert_true(isnan(stat_wilson(0, 0, .95).low));
    assert_true(isnan(stat_wilson(2, 1, .95).low));
    assert_true(isnan(stat_normal_quantile(-.1)));
    assert_true(isnan(stat_t_quantile(.5, 0)));
    assert_true(isnan(stat_betainc(0, 1, .5)));
}

static void quantiles_of_a_sample(void **state)
{
    (void)state;
    const double x[] = {4, 1, 3, 2};
    assert_true(stat_median(x, 4) == 2.5);
    assert_true(stat_quantile(x, 4, 0) == 1);
    assert_true(stat_quantile(x, 4, 1) == 4);
    assert_true(fabs(stat_quantile(x, 4, .9) - 3.7) < 1e-15);
    assert_true(x[0] == 4); /* the caller's order stays */
}

/* A sum of large numbers with a small difference keeps its digits. */
static void mean_and_sd_of_large_numbers(void **state)
{
    (void)state;
    double x[1000];
    for (int i = 0; i < 1000; i++)
        x[i] = 1e9 + (i & 1);
    assert_true(fabs(stat_mean(x, 1000) - (1e9 + .5)) < 1e-6);
    assert_true(fabs(stat_sd(x, 1000) - sqrt(250.0 / 999)) < 1e-9);
}

static void holm_leaves_out_nan(void **state)
{
    (void)state;
    const double p[] = {.04, NAN, .01};
    double adjusted[3];
    stat_holm(p, adjusted, 3);
    assert_true(isnan(adjusted[1]));
    assert_true(fabs(adjusted[2] - .02) < 1e-15);
    assert_true(fabs(adjusted[0] - .04) < 1e-15);
    double same[] = {.04, NAN, .01};
    stat_holm(same, same, 3); /* in place */
    assert_memory_equal(same, adjusted, sizeof same);
}

static void inverses_invert(void **state)
{
    (void)state;
    struct philox_key key = rng_key(7, "stats test");
    for (uint64_t i = 0; i < 2000; i++) {
        double p = pow(10, -12 * rng_uniform(&key, 0, i)) / 2;
        double df = pow(10, 4 * rng_uniform(&key, 1, i));
        double z = stat_normal_quantile(p), t = stat_t_quantile(p, df);
        assert_true(fabs(stat_normal_cdf(z) / p - 1) < 1e-11);
        assert_true(fabs(stat_t_cdf(t, df) / p - 1) < 1e-9);
    }
}

/* The table of critical values against the values themselves, between its nodes. */
static void critical_values_by_table(void **state)
{
    (void)state;
    static const size_t ks[] = {3, 60, 1500};
    static const double dfs[] = {1,   1.02, 1.5,   2,   2.7,      3.1,
                                 7.9, 30.3, 799.5, 1e5, INFINITY, .6};
    for (size_t a = 0; a < ARRAY_LEN(ks); a++) {
        struct stat_range r;
        struct stat_range_critical c;
        stat_range_init(&r, ks[a]);
        stat_range_critical_init(&c, &r, .05);
        for (size_t i = 0; i < ARRAY_LEN(dfs); i++) {
            double exact = stat_range_quantile(&r, .05, dfs[i]);
            double got = stat_range_critical(&c, dfs[i]);
            if (!(fabs(got / exact - 1) < 1e-5))
                fail_msg("k %zu, df %g: %.9g, not %.9g", ks[a], dfs[i], got, exact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(critical_values_by_table),
        cmocka_unit_test(degenerate_input_gives_nan),
        cmocka_unit_test(quantiles_of_a_sample),
        cmocka_unit_test(mean_and_sd_of_large_numbers),
        cmocka_unit_test(holm_leaves_out_nan),
        cmocka_unit_test(inverses_invert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

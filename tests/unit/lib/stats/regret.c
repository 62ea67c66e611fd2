/* Regret of a choice: what must hold for any arms. Reference numbers: stats_golden.c with
 * tests/golden/stats/regret.json. */
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include "lib/stats/regret.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define N 63

static void fill(struct stat_arm *arms, size_t n)
{
    const struct philox_key key = rng_key(4, "arms");
    for (size_t i = 0; i < n; i++)
        arms[i] = (struct stat_arm){0.8 + 0.02 * rng_normal(&key, i, 0),
                                    0.005 + 0.01 * rng_uniform(&key, i, 1), 2 + i % 3};
}

static void order_and_units_do_not_matter(void **state)
{
    (void)state;
    struct stat_arm arms[N], other[N];
    struct stat_regret r[N], s[N];
    fill(arms, N);
    for (size_t i = 0; i < N; i++)
        other[N - 1 - i] =
            (struct stat_arm){100 * arms[i].mean - 7, 100 * arms[i].se, arms[i].df};
    stat_regret(arms, N, 0.01, r);
    stat_regret(other, N, 1, s);
    for (size_t i = 0; i < N; i++) {
        assert_true(fabs(100 * r[i].expected - s[N - 1 - i].expected) < 1e-9);
        assert_true(fabs(r[i].chance - s[N - 1 - i].chance) < 1e-9);
    }
}

/* The highest mean loses least; how much less than another is the difference of means. */
static void the_highest_mean_loses_least(void **state)
{
    (void)state;
    struct stat_arm arms[N];
    struct stat_regret r[N];
    fill(arms, N);
    stat_regret(arms, N, 0.01, r);
    for (size_t i = 1; i < N; i++) {
        assert_true(r[i].expected > 0 && r[i].chance >= 0 && r[i].chance <= 1);
        assert_true(fabs(r[i].expected - r[0].expected - arms[0].mean + arms[i].mean) <
                    1e-12);
    }
}

/* An arm far below the others is the same as none, however little is known of it. */
static void the_hopeless_do_not_count(void **state)
{
    (void)state;
    struct stat_arm arms[5];
    struct stat_regret without[4], with[5];
    fill(arms, 4);
    arms[4] = (struct stat_arm){-50, 0.01, 4};
    stat_regret(arms, 4, 0.01, without);
    stat_regret(arms, 5, 0.01, with);
    for (size_t i = 0; i < 4; i++)
        assert_true(fabs(with[i].expected - without[i].expected) < 1e-9 &&
                    fabs(with[i].chance - without[i].chance) < 1e-9);
    assert_true(with[4].chance > 1 - 1e-9);
}

static void without_any_spread(void **state)
{
    (void)state;
    const struct stat_arm arms[] = {{3, 0, 4}, {3, 0, 4}, {1, 0, 4}};
    struct stat_regret r[3];
    stat_regret(arms, 3, 2, r);
    assert_true(r[0].expected == 0 && r[1].expected == 0 && r[2].expected == 2);
    assert_true(r[0].chance == 0 && r[2].chance == 0);
    stat_regret(arms, 3, 1.9, r);
    assert_true(r[2].chance == 1);
    /* One that always scores the same beside one that does not. */
    const struct stat_arm mixed[] = {{0, 0, 9}, {0, 1, INFINITY}};
    stat_regret(mixed, 2, 0, r);
    assert_true(fabs(r[0].expected - 1 / sqrt(2 * M_PI)) < 1e-3);
    assert_true(fabs(r[0].chance - 0.5) < 1e-3 && fabs(r[1].chance - 0.5) < 1e-3);
}

static void what_cannot_be_known(void **state)
{
    (void)state;
    struct stat_regret r[2];
    const struct stat_arm alone[] = {{1, 0.1, 3}, {NAN, NAN, NAN}};
    stat_regret(alone, 2, 0.1, r);
    assert_true(r[0].expected == 0 && r[0].chance == 0);
    assert_true(isnan(r[1].expected) && isnan(r[1].chance));
    const struct stat_arm one_seed[] = {{1, 0.1, 3}, {2, NAN, 3}};
    stat_regret(one_seed, 2, 0.1, r);
    assert_true(isnan(r[0].expected) && isnan(r[1].chance));
    /* A Cauchy posterior has no mean, but chances. */
    const struct stat_arm cauchy[] = {{1, 0.5, 1}, {0, 0.5, 1}};
    stat_regret(cauchy, 2, 0, r);
    assert_true(isnan(r[0].expected));
    assert_true(fabs(r[0].chance - stat_t_cdf(-M_SQRT2, 1)) < 1e-5);
    stat_regret(cauchy, 2, -1, r);
    assert_true(isnan(r[0].chance));
    stat_regret(NULL, 0, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_units_do_not_matter),
        cmocka_unit_test(the_highest_mean_loses_least),
        cmocka_unit_test(the_hopeless_do_not_count),
        cmocka_unit_test(without_any_spread),
        cmocka_unit_test(what_cannot_be_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

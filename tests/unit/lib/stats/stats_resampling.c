/* What reference numbers cannot say: bootstraps against their exact variance and against
 * enumeration, hypervolume in four dimensions, and input that has no answer. */
#include "lib/rng.h"
#include "lib/stats/anova.h"
#include "lib/stats/bootstrap.h"
#include "lib/stats/fronts.h"
#include "lib/stats/importance.h"
#include "lib/stats/knee.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define DRAWS 10000

static void assert_near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("got %.10g, expected %.10g within %g", got, want, within);
}

/* ---- ranks ---- */

static void ranks_by_enumeration(void **state)
{
    (void)state;
    const double a[] = {1, 3}, b[] = {2, 2}, near_a[] = {0.9, 2.9};
    struct stat_sample two[] = {{a, 2}, {b, 2}};
    struct rank_stability r[3];
    /* Means of a: 1, 2, 2, 3; a tie at 2 shares the place. */
    stat_rank_stability(two, 2, false, false, DRAWS, 1, r);
    assert_near(r[0].first, 0.5, 0.02);
    assert_near(r[0].first + r[1].first, 1, 1e-9);
    assert_near(r[0].top3, 1, 0);
    assert_near(r[0].median, 1.5, 0);
    assert_true(r[0].ci.low == 1 && r[0].ci.high == 2);
    /* A difference in every run stands only if runs are drawn together. */
    two[1].x = near_a;
    stat_rank_stability(two, 2, false, true, DRAWS, 1, r);
    assert_near(r[0].first, 1, 0);
    stat_rank_stability(two, 2, true, true, DRAWS, 1, r);
    assert_near(r[0].first, 0, 0);
    stat_rank_stability(two, 2, false, false, DRAWS, 1, r);
    assert_near(r[0].first, 11.0 / 16, 0.02); /* of the 16 pairs of draws */
    struct stat_sample holed[] = {{a, 2}, {NULL, 0}, {b, 2}};
    stat_rank_stability(holed, 3, false, false, 100, 1, r);
    assert_true(isnan(r[1].first) && isnan(r[1].median) && r[0].median >= 1);
}

/* ---- Pareto ---- */

static void membership_by_enumeration(void **state)
{
    (void)state;
    /* (score up, cost down): a beats b in one of its two runs only. */
    const double a[] = {1, 1, 3, 1}, b[] = {2, 1, 2, 1}, c[] = {0, 5, 0, 5};
    const bool up[] = {true, false};
    struct pareto_runs runs[] = {{a, 2}, {b, 2}, {c, 2}};
    double p[3], slack[] = {1.5, 0};
    pareto_membership(runs, 3, 2, up, NULL, DRAWS, 1, p);
    assert_near(p[0], 0.75, 0.02); /* mean of a: 1 | 2, 2 (equal: both stay) | 3 */
    assert_near(p[1], 0.75, 0.02);
    assert_near(p[2], 0, 0);
    pareto_membership(runs, 2, 2, up, slack, 200, 1, p);
    assert_near(p[0], 1, 0); /* no difference is larger than the slack */
    assert_near(p[1], 1, 0);
    runs[1].count = 1;
    pareto_membership(runs, 3, 2, up, NULL, 10, 1, p);
    assert_true(isnan(p[0]) && isnan(p[1]) && isnan(p[2]));
}

/* Volume of a union of boxes by inclusion and exclusion. */
static double union_of_boxes(const double *points, size_t n, size_t dims, double corner)
{
    double volume = 0;
    for (unsigned set = 1; set < 1u << n; set++) {
        double box = 1;
        for (size_t d = 0; d < dims; d++) {
            double low = -INFINITY;
            for (size_t i = 0; i < n; i++)
                if (set >> i & 1)
                    low = fmax(low, points[i * dims + d]);
            box *= fmax(0, corner - low);
        }
        volume += __builtin_popcount(set) % 2 ? box : -box;
    }
    return volume;
}

static void hypervolume_of_four_goals(void **state)
{
    (void)state;
    const bool down[4] = {false};
    const double corner[] = {1, 1, 1, 1};
    struct philox_key key = rng_key(5, "hypervolume test");
    for (uint64_t t = 0; t < 50; t++) {
        double x[32];
        size_t dims = 2 + t % 3;
        for (uint64_t i = 0; i < 32; i++)
            x[i] = floor(10 * rng_uniform(&key, t, i)) / 8; /* ties, some outside */
        struct pareto_set s = {x, 8, dims, down};
        assert_near(pareto_hypervolume(&s, corner), union_of_boxes(x, 8, dims, 1), 1e-12);
    }
    struct pareto_set none = {NULL, 0, 2, down};
    double reference[2];
    assert_true(pareto_hypervolume(&none, corner) == 0);
    pareto_reference(&none, reference);
    assert_true(isnan(reference[0]));
}

/* ---- knees ---- */

static void one_se_and_best_of_n(void **state)
{
    (void)state;
    const double x[] = {4, 8, 16, 32, 64};
    const double holed[] = {1, NAN, 3};
    assert_true(stat_one_se(x, holed, x, 0, false).best == NO_KNEE);
    assert_true(stat_one_se(x, holed, x, 3, false).best == 2);
    assert_true(isnan(stat_best_of(x, 5, 6, false)) &&
                isnan(stat_best_of(x, 5, 0, false)));
    assert_true(isnan(stat_best_of(holed, 3, 1, false)));
}

/* ---- analysis of variance ---- */

static void anova_needs_a_full_grid(void **state)
{
    (void)state;
    const size_t full[] = {0, 7, 0, 9, 3, 7, 3, 9, 0, 7, 0, 9, 3, 7, 3, 9};
    const double y[] = {1, 2, 3, 5, 1.5, 2.5, 3.5, 4};
    struct anova a;
    struct err err = ERR_INIT;
    struct stat_interval ci[3];
    assert_int_equal(stat_anova(full, y, 8, 2, &a, &err), 0);
    assert_int_equal(a.count, 3);
    assert_near(a.terms[0].ss + a.terms[1].ss + a.terms[2].ss + a.ss_error, a.ss_total,
                1e-12);
    assert_int_equal(stat_anova_intervals(full, y, 8, 2, 0.9, 500, 1, ci, &err), 0);
    assert_true(ci[0].low <= a.terms[0].omega2 && a.terms[0].omega2 <= ci[0].high);
    anova_release(&a);
    /* One replicate: shares of the total, but nothing to test against. */
    assert_int_equal(stat_anova(full, y, 4, 2, &a, &err), 0);
    assert_true(isnan(a.mse) && isnan(a.terms[0].p) && a.terms[0].ss > 0);
    anova_release(&a);
    assert_int_equal(stat_anova_intervals(full, y, 4, 2, 0.9, 50, 1, ci, &err), 0);
    assert_true(isnan(ci[0].low));
    assert_int_equal(stat_anova(full, y, 7, 2, &a, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "equal replicates"));
    err_clear(&err);
    const size_t flat[] = {1, 1, 1, 1};
    assert_int_equal(stat_anova(flat, y, 4, 1, &a, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "1 level"));
    assert_int_equal(stat_anova(full, y, 1, 7, &a, NULL), -ERR_CONFIG);
    assert_int_equal(stat_anova(full, y, 0, 2, &a, NULL), -ERR_CONFIG);
}

/* ---- no answer ---- */

static void what_has_no_answer(void **state)
{
    (void)state;
    const double up[] = {1, 2, 3};
    assert_true(isnan(stat_order_statistic(up, 3, 0)));
    assert_true(stat_order_statistic(up, 3, 3) == 3);
    assert_true(stat_chi2_sf(-1, 2) == 1 && stat_chi2_sf(INFINITY, 2) == 0);
    assert_int_equal(stat_quantile_sample(1, .95), 0);
    struct importance_value trial = {NULL, 0};
    assert_true(stat_ped_anova(&trial, up, 1, true, .1) == 0);
    double raw[] = {0, 0};
    stat_importance_normalize(raw, 2);
    assert_true(raw[0] == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_by_enumeration),
        cmocka_unit_test(membership_by_enumeration),
        cmocka_unit_test(hypervolume_of_four_goals),
        cmocka_unit_test(one_se_and_best_of_n),
        cmocka_unit_test(anova_needs_a_full_grid),
        cmocka_unit_test(what_has_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The event simulation against queues whose answer is known, the fit of service times to
 * percentiles, and bounds from order statistics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include "report/service/erlang.h"
#include "report/service/queue.h"
#include <math.h>
#include <stdlib.h>

static void assert_near(double got, double wanted, double relative)
{
    if (!(fabs(got - wanted) <= relative * fabs(wanted)))
        fail_msg("%g, not %g within %g %%", got, wanted, 100 * relative);
}

/* An exponential sample by its quantiles: mean 10 ms. */
static void exponential(struct service *s, size_t n)
{
    double *ms = xcalloc(n, sizeof *ms);
    for (size_t i = 0; i < n; i++)
        ms[i] = -10 * log1p(-((double)i + .5) / (double)n);
    service_from_sample(s, ms, n);
    free(ms);
}

/* M/M/c: P(W > t) = C exp(-(c mu - lambda) t). */
static void waits_are_those_of_mmc(void **state)
{
    static const struct {
        int servers;
        double utilisation, tolerance;
    } cases[] = {{1, .3, .08}, {1, .6, .08}, {2, .5, .08}, {4, .7, .10}};
    struct queue q;
    struct service s;
    (void)state;
    queue_init(&q);
    exponential(&s, 2000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int c = cases[i].servers;
        double rho = cases[i].utilisation, per_s = rho * c * 1000 / s.mean_ms;
        struct load_point p;
        queue_simulate(&q, &s, c, per_s, &p);
        double waits = stat_erlang_c(c, rho * c), rest = c * (1 - rho) / s.mean_ms;
        assert_near(p.utilisation, rho, 1e-9);
        assert_near(p.mean_wait_ms, waits / rest, cases[i].tolerance);
        assert_near(p.wait_p99_ms, log(waits / .01) / rest, cases[i].tolerance);
    }
    service_release(&s);
    queue_release(&q);
}

/* M/D/1: mean wait rho S / (2 (1 - rho)), and every response at least the service. */
static void constant_service_waits_half(void **state)
{
    struct queue q;
    struct service s;
    struct load_point p;
    double ms[] = {5, 5, 5};
    (void)state;
    queue_init(&q);
    service_from_sample(&s, ms, 3);
    queue_simulate(&q, &s, 1, 100, &p);
    assert_near(p.mean_wait_ms, .5 * 5 / (2 * .5), .05);
    assert_true(p.response_ms[QUEUE_P50] >= 5);
    queue_simulate(&q, &s, 1, 0, &p);
    assert_true(p.response_ms[QUEUE_P99] == 5);
    queue_simulate(&q, &s, 1, 200, &p);
    assert_true(isinf(p.response_ms[QUEUE_P50]));
    service_release(&s);
    queue_release(&q);
}

/* At the break load the percentile is at the limit, a little above it is beyond; tighter
 * limits break earlier; an impossible one at once. */
static void break_load_is_where_it_breaks(void **state)
{
    struct queue q;
    struct service s;
    struct load_point p;
    (void)state;
    queue_init(&q);
    exponential(&s, 900);
    double at = queue_break_load(&q, &s, QUEUE_P95, 60);
    queue_simulate(&q, &s, 1, at, &p);
    assert_true(p.response_ms[QUEUE_P95] <= 60);
    queue_simulate(&q, &s, 1, at * 1.05, &p);
    assert_true(p.response_ms[QUEUE_P95] > 60);
    /* M/M/1: response is exponential with rate mu - lambda: p95 = 3 / (mu - lambda) */
    assert_near(at, 1000 / s.mean_ms - 1000 * log(20) / 60, .06);
    assert_true(queue_break_load(&q, &s, QUEUE_P95, 40) < at);
    assert_true(queue_break_load(&q, &s, QUEUE_P95, 10) == 0);
    service_release(&s);
    queue_release(&q);
}

static void lognormal(struct service *s, size_t n, double sigma)
{
    double *ms = xcalloc(n, sizeof *ms);
    for (size_t i = 0; i < n; i++)
        ms[i] = 5 * exp(sigma * stat_normal_quantile(((double)i + .5) / (double)n));
    service_from_sample(s, ms, n);
    free(ms);
}

/* Pollaczek and Khinchine: mean wait rho (1 + c2) / (2 (1 - rho)) S, exact. */
static void mean_wait_is_that_of_mg1(void **state)
{
    struct queue q;
    (void)state;
    queue_init(&q);
    for (double sigma = .2; sigma < .9; sigma += .3) {
        struct service s;
        struct load_point p;
        lognormal(&s, 900, sigma);
        double sd = stat_sd(s.ms, s.n), c2 = sd * sd / (s.mean_ms * s.mean_ms);
        queue_simulate(&q, &s, 1, .6 * 1000 / s.mean_ms, &p);
        assert_near(p.mean_wait_ms, .6 * (1 + c2) / (2 * .4) * s.mean_ms, .08);
        service_release(&s);
    }
    queue_release(&q);
}

/* What is fitted to three percentiles breaks at the load at which the sample itself
 * does, within a few percent. */
static void fit_breaks_where_the_sample_does(void **state)
{
    struct queue q;
    (void)state;
    queue_init(&q);
    for (double sigma = .2; sigma < .9; sigma += .3) {
        struct service s, fit;
        lognormal(&s, 300, sigma);
        assert_true(service_fit(&fit, service_quantile(&s, .5), service_quantile(&s, .95),
                                service_quantile(&s, .99), s.ms[299], 300));
        for (int i = QUEUE_P50; i < QUEUE_PERCENTILES; i++) {
            double limit = 3 * service_quantile(&s, queue_percentiles[i]);
            assert_near(queue_break_load(&q, &fit, i, limit),
                        queue_break_load(&q, &s, i, limit), .03);
        }
        service_release(&s);
        service_release(&fit);
    }
    queue_release(&q);
}

static void fit_meets_its_percentiles(void **state)
{
    struct service s;
    (void)state;
    assert_true(service_fit(&s, 5, 10, 14, 24, 300));
    assert_int_equal(s.n, 300);
    assert_false(s.recorded);
    assert_near(service_quantile(&s, .5), 5, .01);
    assert_near(service_quantile(&s, .95), 10, .01);
    assert_near(service_quantile(&s, .99), 14, .02);
    assert_near(s.ms[299], 24, 1e-9);
    service_release(&s);
    assert_true(service_fit(&s, 5, NAN, NAN, NAN, 10));
    assert_near(service_quantile(&s, .99), 5, 1e-9);
    service_release(&s);
    assert_false(service_fit(&s, NAN, 10, 14, NAN, 300));
}

/* Of many samples the 95 % bounds of a quantile must miss it in about 5 %: exact bounds
 * are conservative, so never in much more. */
static void bounds_hold_as_often_as_they_say(void **state)
{
    enum { ROUNDS = 400, N = 320 };
    struct philox_key key = rng_key(7, "bounds");
    double truth = -log(.05);
    int missed_above = 0, missed_below = 0;
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        double ms[N];
        struct service s, upper, lower;
        for (uint64_t i = 0; i < N; i++)
            ms[i] = -log1p(-rng_uniform(&key, round, i));
        service_from_sample(&s, ms, N);
        service_bound(&s, true, &upper);
        service_bound(&s, false, &lower);
        missed_above += service_quantile(&upper, .95) < truth;
        missed_below += service_quantile(&lower, .95) > truth;
        service_release(&s);
        service_release(&upper);
        service_release(&lower);
    }
    assert_true(missed_above <= 34 && missed_below <= 34); /* 20 + 3.2 s.d. */
    assert_true(missed_above >= 4 && missed_below >= 4);   /* not for nothing */
}

static void percentiles_need_enough_requests(void **state)
{
    (void)state;
    assert_false(queue_can_claim(298, .99));
    assert_true(queue_can_claim(299, .99));
    assert_false(queue_can_claim(58, .95));
    assert_true(queue_can_claim(59, .95));
    assert_false(queue_can_claim(0, .5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_are_those_of_mmc),
        cmocka_unit_test(constant_service_waits_half),
        cmocka_unit_test(break_load_is_where_it_breaks),
        cmocka_unit_test(mean_wait_is_that_of_mg1),
        cmocka_unit_test(fit_breaks_where_the_sample_does),
        cmocka_unit_test(fit_meets_its_percentiles),
        cmocka_unit_test(bounds_hold_as_often_as_they_say),
        cmocka_unit_test(percentiles_need_enough_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

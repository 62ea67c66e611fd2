/* Shares and means that are looked at again and again: never wrong in 95 % of watches. */
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include <math.h>
#include <string.h>
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
    /* 1 of 1: p >= alpha B(2, 1) = .025 */
    assert_true(fabs(stat_share_looked(1, 1, .95).low - .025) < 1e-9);
    /* 2^-10 / B(11, 1) */
    assert_true(fabs(stat_share_looked_p(10, 10, .5) - 11.0 / 1024) < 1e-12);
    assert_true(stat_share_looked_p(3, 6, .5) == 1 && stat_share_looked_p(0, 0, .5) == 1);
    assert_true(isnan(stat_share_looked(0, 0, .95).low));
    assert_true(isnan(stat_share_looked_p(3, 2, .5)));
}

/* --- the best of several means, while seeds come in --- */

enum { ARMS = 8, SEEDS = 6 };

struct watch {
    double x[ARMS][SEEDS], mean[ARMS], squares[ARMS];
    size_t n[ARMS];
    double halves[ARMS * SEEDS]; /* of an interval, in standard errors, by df */
};

static void add_run(struct watch *w, size_t i)
{
    const double x = w->x[i][w->n[i]], off = x - w->mean[i];
    w->mean[i] += off / (double)++w->n[i];
    w->squares[i] += off * (x - w->mean[i]);
}

static size_t best_of(const struct watch *w)
{
    size_t best = 0;
    for (size_t i = 1; i < ARMS; i++)
        if (w->n[i] && w->mean[i] > w->mean[best])
            best = i;
    return best;
}

/* Whether what is shown of the best is wrong: by the interval for any look, or by the t
 * interval over its own seeds. */
static bool is_wrong(struct watch *w, double truth, bool any_look)
{
    const size_t i = best_of(w), n = w->n[i];
    double squares = 0, df = 0;
    for (size_t k = 0; k < ARMS; k++) {
        squares += w->squares[k];
        df += w->n[k] ? (double)(w->n[k] - 1) : 0;
    }
    if (!any_look) {
        const struct stat_interval t = stat_t_interval(w->x[i], n, 0.95);
        return n > 1 && (truth < t.low || truth > t.high);
    }
    double *half = &w->halves[(size_t)df];
    if (df < 3) /* nothing is shown */
        return false;
    if (!*half)
        *half = stat_mean_looked(0, 1, df, ARMS, 0.95).high;
    const double own = n > 1 ? w->squares[i] / (double)(n - 1) : 0;
    return fabs(w->mean[i] - truth) > *half * sqrt(fmax(squares / df, own) / (double)n);
}

/* Two seeds of each, then one more of the best and of a close one at a time, as `until`
 * gives them; a look after every run. */
static double shown_wrong(const double truth[ARMS], uint64_t watches, bool any_look)
{
    const struct philox_key key = rng_key(9, "seeds");
    static struct watch w;
    size_t wrong = 0;
    memset(&w, 0, sizeof w);
    for (uint64_t at = 0; at < watches; at++) {
        bool out = false;
        memset(&w, 0, offsetof(struct watch, halves));
        for (size_t i = 0; i < ARMS; i++)
            for (size_t s = 0; s < SEEDS; s++)
                w.x[i][s] = truth[i] + rng_normal(&key, at, i * SEEDS + s);
        for (size_t run = 0; run < 2 * ARMS && !out; run++) {
            add_run(&w, run % ARMS);
            out = is_wrong(&w, truth[best_of(&w)], any_look);
        }
        while (!out && w.n[best_of(&w)] < SEEDS) {
            const size_t best = best_of(&w);
            size_t next = best;
            for (size_t i = 0; i < ARMS; i++)
                if (w.mean[i] > w.mean[best] - 0.5 && w.n[i] < w.n[next])
                    next = i;
            add_run(&w, next);
            out = is_wrong(&w, truth[best_of(&w)], any_look);
        }
        wrong += out;
    }
    return (double)wrong / (double)watches;
}

static void the_best_so_far_is_never_wrong_too_often(void **state)
{
    (void)state;
    const double none[ARMS] = {0}, lead[ARMS] = {1}, stairs[ARMS] = {0, .4, .8, 1.2, 1.6};
    const double *const truths[] = {none, lead, stairs};
    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++) {
        const double wrong = shown_wrong(truths[i], WATCHES, true);
        print_message("truth %zu: ever wrong in %.2f %%\n", i, 100 * wrong);
        assert_true(wrong <= 0.05);
    }
    assert_true(shown_wrong(none, 1000, false) > 0.1); /* what was shown before */
    /* 3 * .05 / (2 * 12) two-sided (scipy) */
    assert_true(fabs(stat_mean_looked(1, 2, 3, 2, .95).high - 1 - 2 * 6.89526) < 1e-3);
    assert_true(isnan(stat_mean_looked(1, 2, 2.9, 2, .95).low));
    assert_true(isnan(stat_mean_looked(1, 2, 3, 0, .95).low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rate_is_ever_wrong_too_often),
        cmocka_unit_test(one_look_is_not_many),
        cmocka_unit_test(ends_are_where_the_p_value_is_alpha),
        cmocka_unit_test(the_best_so_far_is_never_wrong_too_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Statistics against reference numbers (tests/golden/stats: scipy, mpmath and exact
 * fractions) and against what must hold for any input. With a folder as argument its
 * files are used instead of the excerpts. */
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/stats.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *folder = "tests/golden/stats";

struct numbers {
    double *x;
    size_t n;
};

static struct numbers numbers(const json_t *input, const char *key)
{
    const json_t *list = json_object_get(input, key);
    assert_true(json_is_array(list));
    struct numbers out = {NULL, json_array_size(list)};
    out.x = xcalloc(out.n, sizeof *out.x);
    for (size_t i = 0; i < out.n; i++)
        out.x[i] = json_number_value(json_array_get(list, i));
    return out;
}

static double num(const json_t *input, const char *key)
{
    assert_true(json_is_number(json_object_get(input, key)));
    return json_get_num(input, key, NAN);
}

static size_t count(const json_t *input, const char *key)
{
    return (size_t)num(input, key);
}

/* One case being judged; `used` tells that its function is one of ours. */
struct judge {
    const json_t *row, *input, *expected;
    size_t checked;
};

static void expect(struct judge *j, const char *key, double got)
{
    double want = json_get_num(j->expected, key, NAN);
    const json_t *tolerance = json_object_get(j->row, "tolerance");
    double allowed = num(tolerance, "abs") + num(tolerance, "rel") * fabs(want);
    bool same = got == want || fabs(got - want) <= allowed;
    if (!same) {
        struct buf b = BUF_INIT;
        json_write(&b, j->row, 0);
        fail_msg("%s: got %.17g, expected %.17g in %.900s", key, got, want, buf_str(&b));
    }
    j->checked++;
}

static void try_t_interval(struct judge *j)
{
    struct numbers x = numbers(j->input, "x");
    struct stat_interval i = stat_t_interval(x.x, x.n, num(j->input, "level"));
    expect(j, "mean", stat_mean(x.x, x.n));
    if (!json_is_null(json_object_get(j->expected, "sd")))
        expect(j, "sd", stat_sd(x.x, x.n));
    if (stat_sd(x.x, x.n) > 0) {
        expect(j, "low", i.low);
        expect(j, "high", i.high);
    } else {
        assert_true(isnan(i.low) && isnan(i.high));
    }
    free(x.x);
}

static void try_wilson(struct judge *j)
{
    struct stat_interval i =
        stat_wilson(count(j->input, "k"), count(j->input, "n"), num(j->input, "level"));
    expect(j, "low", i.low);
    expect(j, "high", i.high);
}

static void try_paired_t(struct judge *j)
{
    struct numbers a = numbers(j->input, "a"), b = numbers(j->input, "b");
    struct stat_test r = stat_paired_t(a.x, b.x, a.n, 0);
    expect(j, "mean_diff", r.diff);
    if (r.se > 0) {
        expect(j, "df", r.df);
        expect(j, "t", r.t);
        expect(j, "p", r.p);
        expect(j, "low95", r.ci.low);
        expect(j, "high95", r.ci.high);
    }
    free(a.x);
    free(b.x);
}

static struct stat_test of_differences(struct judge *j, double delta)
{
    struct numbers d = numbers(j->input, "diff");
    double *zero = xcalloc(d.n, sizeof *zero);
    struct stat_test r = stat_paired_t(d.x, zero, d.n, delta);
    free(d.x);
    free(zero);
    return r;
}

static void try_tost(struct judge *j)
{
    expect(j, "p", of_differences(j, num(j->input, "delta")).p_tost);
}

static void try_effect_size(struct judge *j)
{
    expect(j, "g_z", of_differences(j, 0).dz);
}

static void try_sign_flip(struct judge *j)
{
    struct numbers d = numbers(j->input, "diff");
    expect(j, "p", stat_sign_flip_p(d.x, d.n));
    free(d.x);
}

static void try_welch(struct judge *j)
{
    struct numbers a = numbers(j->input, "a"), b = numbers(j->input, "b");
    struct stat_test r = stat_welch_t(a.x, a.n, b.x, b.n, 0);
    expect(j, "diff", r.diff);
    expect(j, "t", r.t);
    expect(j, "df", r.df);
    expect(j, "p", r.p);
    expect(j, "low95", r.ci.low);
    expect(j, "high95", r.ci.high);
    free(a.x);
    free(b.x);
}

static void try_greater(struct judge *j)
{
    struct numbers a = numbers(j->input, "a"), b = numbers(j->input, "b");
    expect(j, "p", stat_prob_greater(a.x, a.n, b.x, b.n));
    free(a.x);
    free(b.x);
}

static void try_holm(struct judge *j)
{
    struct numbers p = numbers(j->input, "p"), want = numbers(j->expected, "adjusted");
    double *got = xcalloc(p.n, sizeof *got);
    stat_holm(p.x, got, p.n);
    assert_int_equal(p.n, want.n);
    for (size_t i = 0; i < p.n; i++)
        assert_true(fabs(got[i] - want.x[i]) <= 1e-12 + 1e-10 * want.x[i]);
    j->checked++;
    free(got);
    free(p.x);
    free(want.x);
}

static void try_queue(struct judge *j)
{
    expect(j, "erlang_c",
           stat_erlang_c((int)num(j->input, "servers"),
                         num(j->input, "lambda") / num(j->input, "mu")));
}

/* The interval over the values 1..n shows the ranks; a one-sided bound at confidence c is
 * an end of the two-sided interval at 2c - 1. */
static void try_quantile_bounds(struct judge *j)
{
    size_t n = count(j->input, "n");
    double *x = xcalloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (double)(n - i);
    struct stat_interval r = stat_quantile_interval(x, n, num(j->input, "q"),
                                                    2 * num(j->input, "confidence") - 1);
    const json_t *low = json_object_get(j->expected, "lower_index");
    const json_t *high = json_object_get(j->expected, "upper_index");
    assert_true(json_is_null(low) ? isnan(r.low) : r.low == json_number_value(low));
    assert_true(json_is_null(high) ? isnan(r.high) : r.high == json_number_value(high));
    j->checked++;
    free(x);
}

static void try_distribution(struct judge *j)
{
    const char *fn = json_get_str(j->input, "fn", "");
    double x = json_get_num(j->input, "x", NAN), p = json_get_num(j->input, "p", NAN);
    double df = json_get_num(j->input, "df", NAN), got = NAN;
    if (!strcmp(fn, "norm_cdf"))
        got = stat_normal_cdf(x);
    else if (!strcmp(fn, "norm_sf"))
        got = stat_normal_cdf(-x);
    else if (!strcmp(fn, "norm_ppf"))
        got = stat_normal_quantile(p);
    else if (!strcmp(fn, "t_cdf"))
        got = stat_t_cdf(x, df);
    else if (!strcmp(fn, "t_sf"))
        got = stat_t_cdf(-x, df);
    else if (!strcmp(fn, "t_ppf"))
        got = stat_t_quantile(p, df);
    else if (!strcmp(fn, "beta_cdf"))
        got = stat_betainc(num(j->input, "a"), num(j->input, "b"), x);
    else
        got = stat_binom_cdf(count(j->input, "k"), count(j->input, "n"), p);
    expect(j, "value", got);
}

static const struct {
    const char *fn;
    void (*attempt)(struct judge *j);
} attempts[] = {
    {"mean_t_interval",    try_t_interval     },
    {"wilson",             try_wilson         },
    {"paired_t",           try_paired_t       },
    {"tost_paired",        try_tost           },
    {"effect_size_paired", try_effect_size    },
    {"sign_flip",          try_sign_flip      },
    {"welch_t",            try_welch          },
    {"prob_a_greater_b",   try_greater        },
    {"holm",               try_holm           },
    {"mmc",                try_queue          },
    {"quantile_bounds",    try_quantile_bounds},
    {"norm_cdf",           try_distribution   },
    {"norm_sf",            try_distribution   },
    {"norm_ppf",           try_distribution   },
    {"t_cdf",              try_distribution   },
    {"t_sf",               try_distribution   },
    {"t_ppf",              try_distribution   },
    {"beta_cdf",           try_distribution   },
    {"binom_cdf",          try_distribution   },
};

static void golden(void **state)
{
    const char *file = *state;
    char *path = xasprintf("%s/%s.json", folder, file);
    struct err err = ERR_INIT;
    json_t *rows = json_read_file(path, &err);
    if (!rows)
        fail_msg("%s", err.msg);
    size_t checked = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        struct judge j = {row, json_object_get(row, "input"),
                          json_object_get(row, "expected"), 0};
        for (size_t k = 0; k < ARRAY_LEN(attempts); k++)
            if (!strcmp(attempts[k].fn, json_get_str(j.input, "fn", "")))
                attempts[k].attempt(&j);
        checked += j.checked;
    }
    assert_true(checked >= 5);
    json_decref(rows);
    free(path);
}

/* Golden numbers leave out what they cannot say: degenerate input. */
static void degenerate_input_gives_nan(void **state)
{
    (void)state;
    const double same[] = {3, 3, 3}, one[] = {1}, holed[] = {1, NAN, 2};
    assert_true(isnan(stat_mean(one, 0)));
    assert_true(isnan(stat_sd(one, 1)));
    assert_true(isnan(stat_median(one, 0)));
    assert_true(isnan(stat_median(holed, 3)));
    assert_true(isnan(stat_t_interval(same, 3, .95).low));
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
    assert_true(isnan(stat_sign_flip_p(same, 0)));
    assert_true(isnan(stat_sign_flip_p(same, 17)));
    assert_true(isnan(stat_prob_greater(one, 1, one, 0)));
    assert_true(isnan(stat_normal_quantile(-.1)));
    assert_true(isnan(stat_t_quantile(.5, 0)));
    assert_true(isnan(stat_betainc(0, 1, .5)));
    assert_true(isnan(stat_erlang_c(0, 1)));
    assert_true(stat_erlang_c(2, 2) == 1);
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

int main(int argc, char **argv)
{
    if (argc > 1)
        folder = argv[1];
    const struct CMUnitTest tests[] = {
        {"distributions",    golden, NULL, NULL, (void *)"distributions"   },
        {"intervals",        golden, NULL, NULL, (void *)"intervals"       },
        {"comparisons",      golden, NULL, NULL, (void *)"comparisons"     },
        {"multiple",         golden, NULL, NULL, (void *)"multiple"        },
        {"queueing",         golden, NULL, NULL, (void *)"queueing"        },
        {"order_statistics", golden, NULL, NULL, (void *)"order_statistics"},
        cmocka_unit_test(degenerate_input_gives_nan),
        cmocka_unit_test(quantiles_of_a_sample),
        cmocka_unit_test(mean_and_sd_of_large_numbers),
        cmocka_unit_test(holm_leaves_out_nan),
        cmocka_unit_test(inverses_invert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

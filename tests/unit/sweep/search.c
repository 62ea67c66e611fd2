/* What every sampler must keep, over the table: a row without a case fails. */
#include "tests/unit/sweep/samplers.h"
#include "lib/str.h"
#include "sweep/space/distribution.h"
#include <stdio.h>

/* ---- The cases: one per method ---- */

#define PARAMETERS                                                                       \
    "program: x\n"                                                                       \
    "run_cap: 30\n"                                                                      \
    "metric: {name: loss}\n"                                                             \
    "parameters:\n"                                                                      \
    "  method: {values: [full, lora, qlora]}\n"                                          \
    "  rank: {values: [4, 8, 16], when: 'method in [lora, qlora]'}\n"                    \
    "  alpha: {expr: '2*rank'}\n"                                                        \
    "exclude: [{method: qlora, rank: 16}]\n"

static const struct sampler_case {
    const char *name;
    bool ranges; /* the method takes them */
    bool seeded; /* another seed gives other draws */
} sampler_cases[] = {
    {"grid", false, false},
    {"random", true, true},
    {"sobol", true, false},
    {"tpe", true, true},
};

/* A file of the method: discrete, or with ranges. */
static struct sweep_file *case_file(const char *method, bool ranges)
{
    static const char more[] =
        "  learning_rate: {distribution: log_uniform_values, min: 1e-5, max: 1e-2}\n"
        "  dropout: {distribution: q_uniform, min: 0, max: 0.5, q: 0.05}\n"
        "  steps: {min: 1, max: 9, when: 'method == full'}\n"
        "  noise: {distribution: normal, when: 'rank == 8'}\n";
    const char *rest = strstr(PARAMETERS, "exclude:");
    char *text =
        xasprintf("method: %s\n%.*s%s%s%s", method, (int)(rest - PARAMETERS), PARAMETERS,
                  ranges ? more : "", rest,
                  ranges ? "include: [{learning_rate: 0.5, method: full}]\n" : "");
    struct sweep_file *f = parse(text);
    free(text);
    return f;
}

static void check_number(const json_t *params, const char *key, bool there, double low,
                         double high, double step)
{
    json_t *v = json_object_get(params, key);
    if ((v != NULL) != there)
        fail_msg("%s is %s", key, v ? "there" : "absent");
    if (!v)
        return;
    double x = json_number_value(v);
    if (!(x >= low && x <= high))
        fail_msg("%s = %g leaves %g to %g", key, x, low, high);
    if (step > 0 && fabs(x / step - nearbyint(x / step)) > 1e-9)
        fail_msg("%s = %g is no multiple of %g", key, x, step);
}

/* Bounds, steps, conditions, derived values, excludes. */
static void check_params(const json_t *params, bool ranges)
{
    const char *method = json_get_str(params, "method", "");
    int64_t rank = json_get_int(params, "rank", 0);
    bool adapted = !str_eq(method, "full");
    assert_true(str_in_list(method, "full|lora|qlora", '|'));
    assert_int_equal(rank == 4 || rank == 8 || rank == 16, adapted);
    assert_int_equal(json_get_int(params, "alpha", 0), 2 * rank);
    assert_false(str_eq(method, "qlora") && rank == 16);
    if (!ranges || json_get_num(params, "learning_rate", 0) == 0.5) /* the include */
        return;
    check_number(params, "learning_rate", true, 1e-5 * (1 - 1e-12), 1e-2 * (1 + 1e-12),
                 0);
    check_number(params, "dropout", true, 0, 0.5 + 1e-12, 0.05);
    check_number(params, "steps", !adapted, 1, 9, 1);
    check_number(params, "noise", rank == 8, -9, 9, 0);
}

static void a_result(struct tried *t, json_t *params)
{
    static const enum curve_state states[] = {CURVE_COMPLETE, CURVE_COMPLETE,
                                              CURVE_PRUNED,   CURVE_FAILED,
                                              CURVE_COMPLETE, CURVE_RUNNING};
    size_t i = t->count;
    double value = i % 7 == 3 ? NAN : i % 11 == 5 ? INFINITY : sin((double)i);
    add(t, params, states[i % ARRAY_LEN(states)], value);
}

static void run_case(const struct sampler_case *c, bool ranges)
{
    struct sweep_file *f = case_file(c->name, ranges);
    struct sampler *s = open_sampler(f, 7), *again = open_sampler(f, 7);
    struct tried tried = {.count = 0};
    json_t *params;
    for (uint64_t i = 0; i < 40; i++) {
        struct err err = ERR_INIT;
        struct sampler_history h = history(&tried);
        int rc = sampler_suggest(s, i, &h, &params, &err);
        assert_true(rc >= 0);
        if (rc == 0)
            break;
        check_params(params, ranges);
        /* A fresh sampler asked for this alone, and one that was asked for others first,
         * say the same; so does the history in another order. */
        struct sampler *fresh = open_sampler(f, 7);
        struct tried turned = {.count = tried.count};
        for (size_t k = 0; k < tried.count; k++)
            turned.trials[k] = tried.trials[tried.count - 1 - k];
        struct sampler_history back = history(&turned);
        char *a = suggest(s, i, &h), *b = suggest(fresh, i, &back);
        free(suggest(again, 39 - i, &h));
        char *d = suggest(again, i, &h);
        assert_string_equal(a, b);
        assert_string_equal(a, d);
        free(a);
        free(b);
        free(d);
        sampler_free(fresh);
        a_result(&tried, params);
    }
    assert_int_equal(tried.count, ranges ? 40 : 6); /* full, lora 3, qlora 2 */
    forget(&tried);
    sampler_free(s);
    sampler_free(again);
    sweep_file_free(f);
}

static void samplers_keep_their_word(void **state)
{
    (void)state;
    const struct sampler_row *const *rows;
    size_t n = sampler_rows(&rows);
    for (size_t i = 0; i < n; i++) {
        const struct sampler_case *c = NULL;
        for (size_t k = 0; k < ARRAY_LEN(sampler_cases); k++)
            if (str_eq(sampler_cases[k].name, rows[i]->name))
                c = &sampler_cases[k];
        if (!c)
            fail_msg("the method '%s' has no case here", rows[i]->name);
        assert_ptr_equal(sampler_find(c->name), rows[i]);
        run_case(c, false);
        if (c->ranges)
            run_case(c, true);
    }
}

static void seeds_make_the_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sampler_cases); i++) {
        const struct sampler_case *c = &sampler_cases[i];
        struct sweep_file *f = case_file(c->name, c->ranges);
        struct sampler *a = open_sampler(f, 1), *b = open_sampler(f, 2);
        char *x = suggest(a, 5, NULL), *y = suggest(b, 5, NULL);
        assert_int_equal(strcmp(x, y) != 0, c->seeded);
        free(x);
        free(y);
        sampler_free(a);
        sampler_free(b);
        sweep_file_free(f);
    }
}

/* Every distribution under every method that draws; tpe is led to an end of the range. */
static const char *const ranges[] = {
    "min: 3, max: 9",
    "min: 5, max: 5",
    "min: 1.5, max: 1.5",
    "min: -2.5, max: 4.0",
    "distribution: q_uniform, min: -1, max: 1, q: 0.3",
    "distribution: log_uniform, min: -9, max: 2",
    "distribution: log_uniform_values, min: 1e-9, max: 1e9",
    "distribution: inv_log_uniform, min: -1, max: 3",
    "distribution: inv_log_uniform_values, min: 0.1, max: 10",
    "distribution: q_log_uniform, min: 0, max: 5, q: 3",
    "distribution: q_log_uniform_values, min: 1, max: 256, q: 1",
    "distribution: q_log_uniform_values, min: 0.01, max: 3, q: 0.5",
    "distribution: normal",
    "distribution: q_normal, mu: 5, sigma: 30, q: 4",
    "distribution: log_normal, mu: -3, sigma: 2",
    "distribution: q_log_normal, mu: 1, sigma: 1",
    "distribution: beta, a: 0.5, b: 0.5",
    "distribution: q_beta, a: 2, b: 9, q: 0.125",
};

static void check_range(const struct distribution *d, const char *range, double x)
{
    double low = distribution_quantile(d, 0x1p-54);
    double high = distribution_quantile(d, 1 - 0x1p-53), slack = 1e-9 * fabs(high - low);
    if (!isfinite(x) || x < low - slack || x > high + slack)
        fail_msg("{%s}: %.17g leaves %g to %g", range, x, low, high);
    if (d->q > 0 && fabs(x / d->q - nearbyint(x / d->q)) > 1e-9)
        fail_msg("{%s}: %.17g is no multiple of %g", range, x, d->q);
    if (d->family == DIST_INT && x != nearbyint(x))
        fail_msg("{%s}: %.17g is not whole", range, x);
}

static void draw_range(const char *method, const char *range, double sign)
{
    struct err err = ERR_INIT;
    char *text = xasprintf("program: x\nmetric: {name: m}\nmethod: %s\nparameters:\n"
                           "  x: {%s}\n  other: {min: 0.0, max: 1.0}\n",
                           method, range);
    struct sweep_file *f = parse(text);
    struct sampler *s = open_sampler(f, 9);
    struct tried tried = {.count = 0};
    struct distribution d;
    assert_int_equal(distribution_init(&d, &f->params[0], &err), 0);
    for (uint64_t i = 0; i < 50; i++) {
        struct sampler_history h = history(&tried);
        json_t *params;
        if (sampler_suggest(s, i, &h, &params, &err) != 1)
            fail_msg("%s {%s}: %s", method, range, err.msg);
        double x = number_of(params, "x");
        check_range(&d, range, x);
        add(&tried, params, CURVE_COMPLETE, sign * x);
    }
    forget(&tried);
    distribution_release(&d);
    sampler_free(s);
    sweep_file_free(f);
    free(text);
}

static void distributions_are_kept_by_all_methods(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        for (size_t m = 0; m < ARRAY_LEN(sampler_cases); m++)
            if (sampler_cases[m].ranges) {
                draw_range(sampler_cases[m].name, ranges[i], 1);
                draw_range(sampler_cases[m].name, ranges[i], -1);
            }
}

/* A draw belongs to its parameter's name: others do not change it. */
static void parameters_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct sweep_file *f = parse("program: x\nmethod: random\nparameters:\n"
                                 "  x: {min: 0.0, max: 1.0}\n");
    struct sweep_file *g =
        parse("program: x\nmethod: random\nparameters:\n"
              "  a: {min: 0.0, max: 1.0}\n  x: {min: 0.0, max: 1.0}\n");
    struct sampler *s = open_sampler(f, 3), *t = open_sampler(g, 3);
    for (uint64_t i = 0; i < 20; i++) {
        json_t *p, *q;
        assert_int_equal(sampler_suggest(s, i, NULL, &p, NULL), 1);
        assert_int_equal(sampler_suggest(t, i, NULL, &q, NULL), 1);
        assert_true(json_equal(json_object_get(p, "x"), json_object_get(q, "x")));
        assert_false(json_equal(json_object_get(q, "a"), json_object_get(q, "x")));
        json_decref(p);
        json_decref(q);
    }
    sampler_free(s);
    sampler_free(t);
    sweep_file_free(f);
    sweep_file_free(g);
}

/* An include that sets a range comes first, one that matches draws extends them. */
static void includes_come_first_or_extend(void **state)
{
    (void)state;
    static const char *const methods[] = {"random", "sobol", "tpe"};
    for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
        char *text = xasprintf("program: x\nmethod: %s\nparameters:\n"
                               "  rank: {values: [4, 8]}\n  x: {min: 0.0, max: 1.0}\n"
                               "include: [{x: 7, rank: 4}, {rank: 8, extra: 1}]\n",
                               methods[m]);
        struct sweep_file *f = parse(text);
        struct sampler *s = open_sampler(f, 0);
        char *first = suggest(s, 0, NULL);
        assert_string_equal(first, "{\"rank\":4,\"x\":7}");
        for (uint64_t i = 1; i < 9; i++) {
            json_t *p;
            assert_int_equal(sampler_suggest(s, i, NULL, &p, NULL), 1);
            assert_int_equal(json_get_int(p, "rank", 0) == 8,
                             json_get_int(p, "extra", 0));
            json_decref(p);
        }
        free(first);
        free(text);
        sampler_free(s);
        sweep_file_free(f);
    }
}

/* As in a grid: what was absent stays absent, also where an include makes its condition
 * true afterwards; a derived value follows the include. */
static void includes_change_constants(void **state)
{
    (void)state;
    struct sweep_file *f = parse("program: x\nmethod: random\nparameters:\n"
                                 "  mode: {value: 1}\n  twice: {expr: '2*mode'}\n"
                                 "  rank: {values: [4, 8], when: 'mode == 2'}\n"
                                 "  x: {min: 0.0, max: 1.0}\n"
                                 "include: [{mode: 2}]\n");
    struct sampler *s = open_sampler(f, 0);
    for (uint64_t i = 0; i < 5; i++) {
        json_t *p;
        assert_int_equal(sampler_suggest(s, i, NULL, &p, NULL), 1);
        assert_int_equal(json_get_int(p, "mode", 0), 2);
        assert_int_equal(json_get_int(p, "twice", 0), 4);
        assert_null(json_object_get(p, "rank"));
        json_decref(p);
    }
    sampler_free(s);
    sweep_file_free(f);
}

static void excluding_all_is_said(void **state)
{
    (void)state;
    struct sweep_file *f = parse("program: x\nmethod: random\nparameters:\n"
                                 "  a: {values: [1]}\n  x: {min: 0.0, max: 1.0}\n"
                                 "exclude: [{a: 1}]\n");
    struct err err = ERR_INIT;
    struct sampler *s = open_sampler(f, 0);
    json_t *params;
    assert_int_equal(sampler_suggest(s, 0, NULL, &params, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "exclude rejects"));
    sampler_free(s);
    sweep_file_free(f);
}

/* Probabilities: with and without replacement, shares of the first draw. */
static void probabilities_are_met(void **state)
{
    (void)state;
    static const char *const more[] = {"", "  x: {min: 0.0, max: 1.0}\n"};
    for (size_t m = 0; m < 2; m++) {
        char *text = xasprintf("program: x\nmethod: random\nparameters:\n"
                               "  a: {values: [1, 2, 3], probabilities: [0.2, 0, 0.8]}\n"
                               "%s",
                               more[m]);
        struct sweep_file *f = parse(text);
        int hits = 0, n = 4000;
        for (int seed = 0; seed < n; seed++) {
            struct sampler *s = open_sampler(f, (uint64_t)seed);
            json_t *p;
            assert_int_equal(sampler_suggest(s, 0, NULL, &p, NULL), 1);
            int64_t a = json_get_int(p, "a", 0);
            assert_true(a == 1 || a == 3);
            hits += a == 1;
            json_decref(p);
            sampler_free(s);
        }
        assert_true(fabs(hits - 0.2 * n) < 5 * sqrt(0.16 * n));
        free(text);
        sweep_file_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samplers_keep_their_word),
        cmocka_unit_test(seeds_make_the_difference),
        cmocka_unit_test(distributions_are_kept_by_all_methods),
        cmocka_unit_test(parameters_do_not_disturb_each_other),
        cmocka_unit_test(includes_come_first_or_extend),
        cmocka_unit_test(excluding_all_is_said),
        cmocka_unit_test(probabilities_are_met),
        cmocka_unit_test(includes_change_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

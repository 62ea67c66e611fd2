/* What every sampler and every pruner must keep, over both tables: a row without a case
 * fails. Then what single ones promise: TPE beats random, Hyperband does not depend on
 * how many work. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include "lib/stats/fronts.h"
#include "lib/str.h"
#include "sweep/samplers/objectives.h"
#include "sweep/samplers/parzen.h"
#include "sweep/samplers/sampler.h"
#include "sweep/space/distribution.h"
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct sweep_file *parse(const char *text)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    if (sweep_file_parse(text, strlen(text), "test", false, NULL, 0, NULL, &f, &err) < 0)
        fail_msg("%s", err.msg);
    return f;
}

static struct sampler *open_sampler(const struct sweep_file *f, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct sampler *s;
    if (sampler_new(f, seed, &s, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

/* Canonical text of a suggestion; "" when nothing is left. Owned. */
static char *suggest(struct sampler *s, uint64_t number, const struct sampler_history *h)
{
    struct err err = ERR_INIT;
    json_t *params;
    int rc = sampler_suggest(s, number, h, &params, &err);
    if (rc < 0)
        fail_msg("%s", err.msg);
    struct buf text = BUF_INIT;
    if (rc == 1)
        json_canonical(&text, params);
    json_decref(params);
    return buf_detach(&text, NULL);
}

/* ---- A history that grows ---- */

struct tried {
    struct sampler_trial trials[400];
    size_t count;
};

static void add(struct tried *t, json_t *params, enum curve_state state, double value)
{
    t->trials[t->count] = (struct sampler_trial){
        .params = params, .value = value, .curve = {.number = t->count, .state = state}};
    t->count++;
}

static struct sampler_history history(const struct tried *t)
{
    return (struct sampler_history){t->trials, t->count};
}

static void forget(struct tried *t)
{
    for (size_t i = 0; i < t->count; i++)
        json_decref((json_t *)t->trials[i].params);
    t->count = 0;
}

static double number_of(const json_t *p, const char *key)
{
    return json_get_num(p, key, NAN);
}

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

/* ---- TPE against random ---- */

static double sphere(const json_t *p)
{
    double x = number_of(p, "x") - 1, y = number_of(p, "y") + 2,
           z = number_of(p, "z") - 3;
    return x * x + y * y + z * z;
}

static double branin(const json_t *p)
{
    double x = number_of(p, "x"), y = number_of(p, "y");
    double a = y - 5.1 / (4 * M_PI * M_PI) * x * x + 5 / M_PI * x - 6;
    return a * a + 10 * (1 - 1 / (8 * M_PI)) * cos(x) + 10;
}

/* A learning rate that matters, one that hardly does, a rank that only one method has. */
static double tuning(const json_t *p)
{
    double lr = log10(number_of(p, "lr")) + 3.3, loss = lr * lr + 0.3;
    if (str_eq(json_get_str(p, "method", ""), "lora"))
        loss += 0.05 * fabs(log2(number_of(p, "rank")) - 4) - 0.3;
    return loss + 0.02 * number_of(p, "dropout");
}

static const struct problem {
    const char *parameters;
    double (*loss)(const json_t *params);
} problems[] = {
    {"  x: {min: -5.0, max: 5.0}\n  y: {min: -5.0, max: 5.0}\n  z: {min: -5.0, max: "
     "5.0}\n",
     sphere},
    {"  x: {min: -5.0, max: 10.0}\n  y: {min: 0.0, max: 15.0}\n", branin},
    {"  method: {values: [full, lora, prefix]}\n"
     "  lr: {distribution: log_uniform_values, min: 1e-6, max: 1e-1}\n"
     "  rank: {distribution: q_log_uniform_values, min: 1, max: 256, q: 1,\n"
     "         when: 'method == lora'}\n"
     "  dropout: {distribution: beta, a: 2, b: 5}\n",
     tuning},
    /* The best method is excluded; the rest must be learned all the same. */
    {"  method: {values: [full, lora, prefix]}\n"
     "  lr: {distribution: log_uniform_values, min: 1e-6, max: 1e-1}\n"
     "  rank: {values: [16]}\n  dropout: {value: 0}\n"
     "exclude: [{method: lora}]\n",
     tuning},
};

#define EVALUATIONS 60
#define REPEATS     15

static double best_found(const struct sweep_file *f, const struct problem *p,
                         uint64_t seed)
{
    struct sampler *s = open_sampler(f, seed);
    struct tried tried = {.count = 0};
    double best = INFINITY;
    for (uint64_t i = 0; i < EVALUATIONS; i++) {
        struct sampler_history h = history(&tried);
        json_t *params;
        assert_int_equal(sampler_suggest(s, i, &h, &params, NULL), 1);
        double value = p->loss(params);
        assert_true(isfinite(value));
        best = fmin(best, value);
        add(&tried, params, CURVE_COMPLETE, value);
    }
    forget(&tried);
    sampler_free(s);
    return best;
}

static double median_best(const struct problem *p, const char *method)
{
    char *text =
        xasprintf("program: x\nmetric: {name: loss}\nmethod: %s\nparameters:\n%s", method,
                  p->parameters);
    struct sweep_file *f = parse(text);
    double best[REPEATS];
    for (uint64_t seed = 0; seed < REPEATS; seed++)
        best[seed] = best_found(f, p, seed);
    sweep_file_free(f);
    free(text);
    return stat_median(best, REPEATS);
}

static void tpe_beats_random(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(problems); i++) {
        static const double minima[] = {0, 0.397887, 0, 0.3};
        double least = minima[i];
        double tpe = median_best(&problems[i], "tpe") - least;
        double random = median_best(&problems[i], "random") - least;
        print_message("problem %zu: regret %.4g with tpe, %.4g at random\n", i, tpe,
                      random);
        assert_true(tpe < 0.8 * random);
    }
}

/* ---- Search that learns from failure, and from what is parked ---- */

/* A planted optimum at lr 1e-4, rank 16, beside a cliff: above 1e-3 the training
 * diverges. */
static double cliff(const json_t *p)
{
    const double lr = log10(number_of(p, "lr")) + 4,
                 rank = log2(number_of(p, "rank")) - 4;
    return lr <= 1 ? 0.2 + lr * lr + 0.1 * rank * rank : INFINITY;
}

#define CLIFF_SPACE                                                                      \
    "  lr: {distribution: log_uniform_values, min: 1e-6, max: 1}\n"                      \
    "  rank: {values: [1, 2, 4, 8, 16, 32, 64, 128]}\n"
#define CLIFF_TRIALS 40
#define CLIFF_SWEEPS 100

/* How a trial beyond the cliff ends, and how the others are seen. */
static const struct failing {
    const char *name;
    enum curve_state state;
    double value;
    bool parked; /* the others after a quarter, with a curve above the final loss */
} failings[] = {{"inf", CURVE_COMPLETE, INFINITY, false},
                {"-inf", CURVE_COMPLETE, -INFINITY, false},
                {"NaN", CURVE_COMPLETE, NAN, false},
                {"oom", CURVE_PRUNED, NAN, false},
                {"parked slices, NaN", CURVE_PRUNED, NAN, true}};

/* The best loss of one sweep; *wasted counts what was tried beyond the cliff. */
static double search_cliff(const struct sweep_file *f, const struct failing *how,
                           uint64_t seed, size_t *wasted)
{
    struct sampler *s = open_sampler(f, seed);
    struct tried tried = {.count = 0};
    struct curve_point points[CLIFF_TRIALS];
    double best = INFINITY;
    for (uint64_t i = 0; i < CLIFF_TRIALS; i++) {
        struct sampler_history h = history(&tried);
        json_t *params;
        assert_int_equal(sampler_suggest(s, i, &h, &params, NULL), 1);
        const double loss = cliff(params);
        const bool fails = !isfinite(loss), parked = how->parked && !fails;
        best = fmin(best, loss);
        *wasted += fails;
        add(&tried, params,
            fails    ? how->state
            : parked ? CURVE_PRUNED
                     : CURVE_COMPLETE,
            fails ? how->value : loss);
        points[i] = (struct curve_point){25, 1 + 0.5 * loss};
        if (parked) {
            tried.trials[i].curve.points = &points[i];
            tried.trials[i].curve.count = 1;
        }
    }
    forget(&tried);
    sampler_free(s);
    return best;
}

/* Over 100 sweeps of 40 trials, with the same failures: medians of the regret and of what
 * was tried in vain, and TPE ahead in most pairs. */
static void tpe_learns_from_failures(void **state)
{
    (void)state;
    struct sweep_file *tpe = parse("program: x\nmetric: {name: loss}\nmethod: tpe\n"
                                   "sampler: {startup: 8}\nparameters:\n" CLIFF_SPACE);
    struct sweep_file *random = parse("program: x\nmetric: {name: loss}\nmethod: random\n"
                                      "parameters:\n" CLIFF_SPACE);
    for (size_t k = 0; k < ARRAY_LEN(failings); k++) {
        double best[2][CLIFF_SWEEPS];
        size_t wasted[2] = {0}, ahead = 0;
        for (uint64_t i = 0; i < CLIFF_SWEEPS; i++) {
            best[0][i] = search_cliff(tpe, &failings[k], i, &wasted[0]) - 0.2;
            best[1][i] = search_cliff(random, &failings[k], i, &wasted[1]) - 0.2;
            ahead += best[0][i] < best[1][i];
        }
        const double learnt = stat_median(best[0], CLIFF_SWEEPS);
        const double blind = stat_median(best[1], CLIFF_SWEEPS);
        print_message("%s: regret %.3g with tpe, %.3g at random, ahead in %zu of 100, "
                      "%.1f and %.1f of 40 in vain\n",
                      failings[k].name, learnt, blind, ahead, (double)wasted[0] / 100,
                      (double)wasted[1] / 100);
        assert_true(learnt < 0.6 * blind);
        assert_true(ahead >= 65); /* by chance in 2 of 1000 sets of sweeps */
        assert_true(3 * wasted[0] < 2 * wasted[1]);
    }
    sweep_file_free(tpe);
    sweep_file_free(random);
}

/* With nothing but failures there is no example to follow. */
static void failures_are_never_the_best(void **state)
{
    (void)state;
    static const double bad[] = {INFINITY, -INFINITY, NAN};
    const struct sweep_objective objectives[] = {{.name = "a"},
                                                 {.name = "b", .maximize = true}};
    for (size_t m = 0; m <= 2; m++)
        for (size_t good = 0; good <= 3; good++) {
            struct tried tried = {.count = 0};
            double values[23][2];
            struct tpe_split s;
            for (size_t i = 0; i < 23; i++) {
                const bool fails = i >= good;
                values[i][0] = m == 2 || !fails ? 1 + (double)i : bad[i % 3];
                values[i][1] = fails ? bad[i % 3] : 1;
                add(&tried, NULL, i % 5 == 4 ? CURVE_PRUNED : CURVE_COMPLETE,
                    values[i][0]);
                tried.trials[i].values = m ? values[i] : NULL;
            }
            struct sampler_history h = history(&tried);
            tpe_split(&h, objectives, m, &s);
            assert_int_equal(s.n, 23); /* none is forgotten */
            assert_int_equal(s.n_below, good);
            for (size_t i = 0; i < good; i++)
                assert_int_equal(s.below[i], i);
            tpe_split_release(&s);
        }
}

static void the_best_tenth_is_at_most_25(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{0, 0},    {1, 1},    {10, 1},   {11, 2},
                                      {240, 24}, {250, 25}, {260, 25}, {390, 25}};
    for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
        struct tried tried = {.count = 0};
        struct tpe_split s;
        for (size_t i = 0; i < sizes[k][0]; i++)
            add(&tried, NULL, CURVE_COMPLETE, -(double)i);
        struct sampler_history h = history(&tried);
        tpe_split(&h, NULL, 0, &s);
        assert_int_equal(s.n, sizes[k][0]);
        assert_int_equal(s.n_below, sizes[k][1]);
        for (size_t i = 0; i < s.n_below; i++)
            assert_int_equal(s.below[i], sizes[k][0] - s.n_below + i);
        tpe_split_release(&s);
    }
}

static void fronts_are_ordered_by_volume(void **state)
{
    (void)state;
    static const double points[] = {0, 1, 0.5, 0.5, 1, 0, 0.1, 0.95, NAN, 0, 0.6, 0.6};
    static const bool maximize[] = {false, false};
    static const size_t expected[] = {1, 3}, all[] = {0, 1, 2, 3, 5, 4};
    struct pareto_set s = {points, 6, 2, maximize};
    size_t order[6];
    pareto_order(&s, 2, order);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(order[i], expected[i]);
    assert_int_equal(order[4], 5);
    assert_int_equal(order[5], 4);
    pareto_order(&s, 4, order); /* the whole front: nothing to choose */
    assert_memory_equal(order, all, sizeof all);
}

/* Two goals that pull apart: the volume that the found front dominates. */
static double front_volume(const char *method, uint64_t seed)
{
    char *text = xasprintf("program: x\nmethod: %s\n"
                           "objectives: [{name: a}, {name: b, goal: maximize}]\n"
                           "parameters:\n  x: {min: 0.0, max: 1.0}\n"
                           "  y: {min: 0.0, max: 1.0}\n  z: {min: 0.0, max: 1.0}\n",
                           method);
    struct sweep_file *f = parse(text);
    struct sampler *s = open_sampler(f, seed);
    struct tried tried = {.count = 0};
    static const bool maximize[] = {false, true};
    static const double reference[] = {1.1, -11};
    double values[EVALUATIONS * 2];
    for (uint64_t i = 0; i < EVALUATIONS; i++) {
        struct sampler_history h = history(&tried);
        json_t *params;
        assert_int_equal(sampler_suggest(s, i, &h, &params, NULL), 1);
        double x = number_of(params, "x"),
               g = 1 + 4.5 * (number_of(params, "y") + number_of(params, "z"));
        values[2 * i] = x;
        values[2 * i + 1] = -g * (1 - sqrt(x / g)); /* ZDT1 */
        add(&tried, params, CURVE_COMPLETE, values[2 * i]);
        tried.trials[i].values = &values[2 * i];
    }
    double volume = pareto_hypervolume(
        &(struct pareto_set){values, EVALUATIONS, 2, maximize}, reference);
    forget(&tried);
    sampler_free(s);
    sweep_file_free(f);
    free(text);
    return volume;
}

static void tpe_widens_the_front(void **state)
{
    (void)state;
    double tpe[REPEATS], random[REPEATS];
    for (uint64_t seed = 0; seed < REPEATS; seed++) {
        tpe[seed] = front_volume("tpe", seed);
        random[seed] = front_volume("random", seed);
    }
    print_message("hypervolume %.4f with tpe, %.4f at random\n",
                  stat_median(tpe, REPEATS), stat_median(random, REPEATS));
    assert_true(stat_median(tpe, REPEATS) > stat_median(random, REPEATS));
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
        cmocka_unit_test(the_best_tenth_is_at_most_25),
        cmocka_unit_test(fronts_are_ordered_by_volume),
        cmocka_unit_test(tpe_beats_random),
        cmocka_unit_test(tpe_learns_from_failures),
        cmocka_unit_test(failures_are_never_the_best),
        cmocka_unit_test(tpe_widens_the_front),
    };
    return cmocka_run_group_tests_name("sweep_search", tests, NULL, NULL);
}

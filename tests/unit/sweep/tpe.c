/* What TPE promises: it beats random on problems like a sweep's, also where trials fail
 * or are parked, takes the best tenth, and widens the front of several objectives. */
#include "tests/unit/sweep/samplers.h"
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include "lib/stats/fronts.h"
#include "lib/str.h"
#include "sweep/samplers/objectives.h"
#include "sweep/samplers/parzen.h"
#include <stdio.h>

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
        cmocka_unit_test(the_best_tenth_is_at_most_25),
        cmocka_unit_test(fronts_are_ordered_by_volume),
        cmocka_unit_test(tpe_beats_random),
        cmocka_unit_test(tpe_learns_from_failures),
        cmocka_unit_test(failures_are_never_the_best),
        cmocka_unit_test(tpe_widens_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sobol points, TPE kernels and scores, pruners, Hyperband's brackets and ASHA's moves of
 * the golden set, whose numbers come from Optuna 3.1.0, scipy and independent code.
 * PEFTLAB_GOLDEN names another folder of cases; a file that is not there is skipped. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/pruners/pruner.h"
#include "sweep/samplers/parzen.h"
#include "sweep/samplers/sobol_points.h"
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

static const char *folder; /* of this test's own cases */

static json_t *read_cases(const char *name)
{
    const char *dir = folder ? folder : getenv("PEFTLAB_GOLDEN");
    struct err err = ERR_INIT;
    char *path = fs_join(dir ? dir : "tests/golden/sweep", name);
    json_t *list = json_read_file(path, &err);
    free(path);
    if (!list && dir && err.code == ERR_NOINPUT)
        skip();
    if (!list)
        fail_msg("%s", err.msg);
    assert_true(json_array_size(list) > 0);
    return list;
}

static json_t *input(const json_t *row, const char *key)
{
    return json_object_get(json_object_get(row, "input"), key);
}

static json_t *expected(const json_t *row, const char *key)
{
    return json_object_get(json_object_get(row, "expected"), key);
}

static double number(const json_t *v)
{
    if (json_is_string(v))
        return str_eq(json_string_value(v), "NaN") ? NAN
               : *json_string_value(v) == '-'      ? -INFINITY
                                                   : INFINITY;
    return json_number_value(v);
}

static bool near(const json_t *row, double got, double want)
{
    const json_t *t = json_object_get(row, "tolerance");
    double rel = json_get_num(t, "rel", 0), abs = json_get_num(t, "abs", 0);
    return got == want || fabs(got - want) <= abs + rel * fabs(want);
}

static void sobol_points(void **state)
{
    (void)state;
    json_t *list = read_cases("sobol.json"), *row, *point, *x;
    size_t i, k, d;
    json_array_foreach(list, i, row)
    {
        struct sobol_axis axes[SOBOL_DIMENSIONS_MAX];
        size_t dimensions = (size_t)json_integer_value(input(row, "dimensions"));
        for (d = 0; d < dimensions; d++)
            sobol_axis_init(&axes[d], d);
        uint64_t first = (uint64_t)json_integer_value(input(row, "first_index"));
        json_t *points = expected(row, "points");
        assert_int_equal(json_array_size(points), json_integer_value(input(row, "n")));
        json_array_foreach(points, k, point) json_array_foreach(point, d, x)
        {
            double got = sobol_bits(&axes[d], first + k) * 0x1p-32;
            if (!near(row, got, number(x)))
                fail_msg("case %zu: point %zu, dimension %zu: %.10f, expected %.10f", i,
                         k, d, got, number(x));
        }
    }
    json_decref(list);
}

/* ---- TPE ---- */

static struct tpe_domain domain_of(const json_t *space)
{
    bool is_int = str_eq(json_get_str(space, "type", NULL), "int");
    struct tpe_domain d = {.low = json_get_num(space, "low", 0),
                           .high = json_get_num(space, "high", 0),
                           .log = json_get_bool(space, "log", 0),
                           .step = json_get_num(space, "step", is_int ? 1 : 0)};
    d.choices = json_array_size(json_object_get(space, "choices"));
    return d;
}

/* A choice's index, or the number. */
static double place_of(const json_t *space, const json_t *value)
{
    json_t *choices = json_object_get(space, "choices"), *c;
    size_t i;
    json_array_foreach(choices, i, c) if (json_equal(c, value)) return (double)i;
    assert_null(choices);
    return number(value);
}

static void read_history(const json_t *trials, struct sampler_history *h)
{
    json_t *t, *point;
    size_t i, k;
    struct sampler_trial *all = xcalloc(json_array_size(trials) + 1, sizeof *all);
    json_array_foreach(trials, i, t)
    {
        const char *state = json_get_str(t, "state", "");
        json_t *curve = json_object_get(t, "intermediate");
        struct curve_point *points = xcalloc(json_array_size(curve) + 1, sizeof *points);
        json_array_foreach(curve, k, point)
        {
            points[k].step = json_integer_value(json_array_get(point, 0));
            points[k].value = number(json_array_get(point, 1));
        }
        all[i].params = json_object_get(t, "params");
        all[i].value = number(json_object_get(t, "value"));
        all[i].curve.number = (uint64_t)json_get_int(t, "number", 0);
        all[i].curve.state = str_eq(state, "complete") ? CURVE_COMPLETE
                             : str_eq(state, "pruned") ? CURVE_PRUNED
                                                       : CURVE_FAILED;
        all[i].curve.points = points;
        all[i].curve.count = json_array_size(curve);
    }
    *h = (struct sampler_history){all, json_array_size(trials)};
}

static void free_history(struct sampler_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        free((void *)h->trials[i].curve.points);
    free((void *)h->trials);
}

static void same_numbers(const json_t *row, const char *what, const json_t *want,
                         const double *got, size_t n)
{
    json_t *x;
    size_t i;
    if (json_array_size(want) != n)
        fail_msg("%s: %zu values, expected %zu", what, n, json_array_size(want));
    json_array_foreach(want, i, x) if (!near(row, got[i], number(x)))
        fail_msg("%s %s[%zu]: %.17g, expected %.17g",
                 json_string_value(input(row, "name")), what, i, got[i], number(x));
}

static void same_side(const json_t *row, const json_t *want, const char *name,
                      const struct sampler_history *h, const size_t *side, size_t n,
                      struct tpe_kernels *k)
{
    const json_t *space = json_object_get(input(row, "space"), name);
    struct tpe_domain d = domain_of(space);
    double *values = xcalloc(n + 1, sizeof *values);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_object_get(h->trials[side[i]].params, name);
        if (v)
            values[count++] = place_of(space, v);
    }
    tpe_kernels_init(k, &d, values, count);
    same_numbers(row, "weights", json_object_get(want, "weights"), k->weight, k->count);
    if (d.choices) {
        same_numbers(row, "probabilities", json_object_get(want, "probabilities"),
                     k->probability, d.choices);
    } else {
        same_numbers(row, "mu", json_object_get(want, "mu"), k->mu, k->count);
        same_numbers(row, "sigma", json_object_get(want, "sigma"), k->sigma, k->count);
        assert_true(near(row, k->low, json_get_num(want, "low", NAN)));
        assert_true(near(row, k->high, json_get_num(want, "high", NAN)));
    }
    free(values);
}

static void same_scores(const json_t *row, const json_t *want, const char *name,
                        const struct tpe_kernels *l, const struct tpe_kernels *g,
                        bool optuna_3_1_0)
{
    const json_t *space = json_object_get(input(row, "space"), name);
    json_t *candidates = json_object_get(input(row, "candidates"), name), *c;
    struct tpe_domain d = domain_of(space);
    size_t n = json_array_size(candidates), i, best = 0;
    double *log_l = xcalloc(n, sizeof *log_l), *log_g = xcalloc(n, sizeof *log_g);
    double *score = xcalloc(n, sizeof *score);
    if (!want) { /* a differential case has only one of the two */
        free(log_l);
        free(log_g);
        free(score);
        return;
    }
    json_array_foreach(candidates, i, c)
    {
        log_l[i] = tpe_log_density(l, &d, place_of(space, c), optuna_3_1_0);
        log_g[i] = tpe_log_density(g, &d, place_of(space, c), optuna_3_1_0);
        score[i] = log_l[i] - log_g[i];
        if (score[i] > score[best])
            best = i;
    }
    same_numbers(row, "log_l", json_object_get(want, "log_l"), log_l, n);
    same_numbers(row, "log_g", json_object_get(want, "log_g"), log_g, n);
    same_numbers(row, "score", json_object_get(want, "score"), score, n);
    assert_int_equal(best, json_get_int(want, "best", -1));
    free(log_l);
    free(log_g);
    free(score);
}

static void same_members(const json_t *row, const char *side,
                         const struct sampler_history *h, const size_t *got, size_t n)
{
    json_t *want = expected(row, side), *x;
    size_t i;
    assert_int_equal(json_array_size(want), n);
    json_array_foreach(want, i, x)
        assert_int_equal(json_integer_value(x), h->trials[got[i]].curve.number);
}

static void tpe_cases(void **state)
{
    (void)state;
    json_t *list = read_cases("tpe.json"), *row, *want;
    const char *name;
    size_t i;
    json_array_foreach(list, i, row)
    {
        struct sampler_history h;
        struct tpe_split s;
        struct sweep_objective objective = {
            "value", str_eq(json_string_value(input(row, "direction")), "maximize"), NAN};
        read_history(input(row, "trials"), &h);
        tpe_split(&h, &objective, 1, &s);
        assert_int_equal(s.n, json_integer_value(expected(row, "n")));
        assert_int_equal(s.n_below, json_integer_value(expected(row, "n_below")));
        same_members(row, "below", &h, s.below, s.n_below);
        same_members(row, "above", &h, s.above, s.n - s.n_below);
        json_object_foreach(expected(row, "params"), name, want)
        {
            struct tpe_kernels l, g;
            same_side(row, json_object_get(want, "below"), name, &h, s.below, s.n_below,
                      &l);
            same_side(row, json_object_get(want, "above"), name, &h, s.above,
                      s.n - s.n_below, &g);
            same_scores(row, json_object_get(want, "optuna_3_1_0"), name, &l, &g, true);
            same_scores(row, json_object_get(want, "density"), name, &l, &g, false);
            tpe_kernels_release(&l);
            tpe_kernels_release(&g);
        }
        tpe_split_release(&s);
        free_history(&h);
    }
    json_decref(list);
}

/* ---- Stopping rules ---- */

/* Optuna's names for the settings of early_terminate. */
static struct pruner pruner_of(const json_t *row)
{
    const json_t *o = input(row, "pruner");
    struct pruner p = {
        .rule = pruner_find(json_get_str(o, "type", "")),
        .s = {.maximize = str_eq(json_string_value(input(row, "direction")), "maximize"),
              .min = json_get_int(o, "min_resource", 0),
              .eta = json_get_int(o, "reduction_factor", 0),
              .rate = json_get_int(o, "min_early_stopping_rate", 0),
              .bootstrap = json_get_int(o, "bootstrap_count", 0),
              .startup = json_get_int(o, "n_startup_trials", 5),
              .warmup = json_get_int(o, "n_warmup_steps", 0),
              .interval = json_get_int(o, "interval_steps", 1),
              .min_trials = json_get_int(o, "n_min_trials", 1),
              .percentile = json_get_num(o, "percentile", 50)}};
    assert_non_null(p.rule);
    if (p.rule->check)
        assert_int_equal(p.rule->check(&p.s, NULL), 0);
    return p;
}

static void stopping_rules(void **state)
{
    (void)state;
    json_t *list = read_cases("pruners.json"), *row, *event;
    size_t i, k;
    json_array_foreach(list, i, row)
    {
        struct pruner p = pruner_of(row);
        size_t n = json_array_size(input(row, "curves"));
        struct curve *curves = xcalloc(n, sizeof *curves);
        struct curve_point *points = xcalloc(n * 1000, sizeof *points);
        for (k = 0; k < n; k++)
            curves[k] = (struct curve){.number = k, .points = points + k * 1000};
        json_array_foreach(expected(row, "events"), k, event)
        {
            size_t t = (size_t)json_get_int(event, "trial", 0);
            struct curve *c = &curves[t];
            c->state = CURVE_RUNNING;
            points[t * 1000 + c->count++] = (struct curve_point){
                json_get_int(event, "step", 0), number(json_object_get(event, "value"))};
            bool stop = pruner_judge(&p, curves, n, t);
            if (stop != json_is_true(json_object_get(event, "prune")))
                fail_msg("%s case %zu event %zu: trial %zu is %s", p.rule->name, i, k, t,
                         stop ? "pruned" : "kept");
            const char *end = json_get_str(event, "end", NULL);
            if (stop)
                c->state = CURVE_PRUNED;
            else if (end)
                c->state = str_eq(end, "complete") ? CURVE_COMPLETE : CURVE_FAILED;
        }
        free(points);
        free(curves);
        pruner_release(&p);
    }
    json_decref(list);
}

/* ---- Promotion rules ---- */

static void hyperband_brackets_and_rungs(void **state)
{
    (void)state;
    json_t *list = read_cases("hyperband.json"), *row, *want, *rung;
    size_t i, b, k;
    json_array_foreach(list, i, row)
    {
        struct pruner_settings s = {.min = json_integer_value(input(row, "min_resource")),
                                    .max = json_integer_value(input(row, "max_resource")),
                                    .eta = json_integer_value(input(row, "eta"))};
        struct hyperband_bracket got[PRUNER_RUNGS_MAX];
        int n = hyperband_brackets(&s, got);
        assert_int_equal(n, json_integer_value(expected(row, "n_brackets")));
        json_array_foreach(expected(row, "brackets"), b, want)
        {
            assert_int_equal(got[b].s, json_get_int(want, "s", -1));
            assert_int_equal(got[b].n, json_get_int(want, "n", -1));
            int64_t held = got[b].n;
            json_t *rungs = json_object_get(want, "rungs");
            assert_int_equal(json_array_size(rungs), got[b].s + 1);
            json_array_foreach(rungs, k, rung)
            {
                assert_int_equal(held, json_get_int(rung, "n", -1));
                double share = pow((double)s.eta, got[b].s - (double)k);
                assert_true(near(row, (double)s.max / share,
                                 json_get_num(rung, "resource", NAN)));
                held /= s.eta;
            }
        }
    }
    json_decref(list);
}

#define RUNGS 16

struct asha_run {
    struct pruner p;
    int64_t rungs[PRUNER_RUNGS_MAX];
    struct curve *curves;
    struct curve_point *points;
    size_t count;
};

static void asha_free(const json_t *row, struct asha_run *r, const json_t *want)
{
    struct pruner_move move;
    pruner_next(&r->p, r->curves, r->count, false, &move);
    size_t at = move.action == PRUNER_START ? r->count : move.index;
    const char *action = move.action == PRUNER_START ? "start"
                         : move.action == PRUNER_RUN ? "promote"
                                                     : "wait";
    assert_string_equal(action, json_get_str(want, "action", ""));
    assert_int_equal(at, json_get_int(want, "trial", -1));
    assert_int_equal(move.rung, json_get_int(want, "rung", -1));
    assert_int_equal(move.resource, json_get_int(want, "resource", -1));
    assert_int_equal(move.last, json_array_size(expected(row, "resources")) ==
                                    (size_t)move.rung + 1);
    if (at == r->count)
        r->curves[r->count++] =
            (struct curve){.number = at, .points = r->points + at * RUNGS};
    r->curves[at].state = CURVE_RUNNING;
    r->curves[at].target = move.resource;
}

static void asha_result(struct asha_run *r, const json_t *event)
{
    size_t at = (size_t)json_get_int(event, "trial", 0);
    struct curve *c = &r->curves[at];
    c->reached = r->rungs[json_get_int(event, "rung", 0)];
    assert_int_equal(c->reached, c->target);
    r->points[at * RUNGS + c->count++] =
        (struct curve_point){c->reached, number(json_object_get(event, "value"))};
    c->state = CURVE_WAITING;
}

static void asha_moves(void **state)
{
    (void)state;
    json_t *list = read_cases("asha.json"), *row, *event, *x;
    size_t i, k;
    json_array_foreach(list, i, row)
    {
        struct asha_run r = {
            .p = {.rule = pruner_find("asha"),
                  .s = {.maximize = str_eq(json_string_value(input(row, "direction")),
                                           "maximize"),
                        .min = json_integer_value(input(row, "min_resource")),
                        .max = json_integer_value(input(row, "max_resource")),
                        .eta = json_integer_value(input(row, "eta")),
                        .rate = json_integer_value(input(row, "s"))}}};
        json_t *events = input(row, "events"), *answers = expected(row, "answers");
        int n = asha_rungs(&r.p.s, r.rungs);
        assert_int_equal(n, json_array_size(expected(row, "resources")));
        json_array_foreach(expected(row, "resources"), k, x)
            assert_int_equal(json_integer_value(x), r.rungs[k]);
        r.curves = xcalloc(json_array_size(events) + 1, sizeof *r.curves);
        r.points = xcalloc((json_array_size(events) + 1) * RUNGS, sizeof *r.points);
        json_array_foreach(events, k, event)
        {
            if (str_eq(json_get_str(event, "event", ""), "free"))
                asha_free(row, &r, json_array_get(answers, k));
            else
                asha_result(&r, event);
        }
        free(r.curves);
        free(r.points);
    }
    json_decref(list);
}

/* New cases from Debian's Optuna, where it is installed. */
static void optuna_itself(void **state)
{
    char dir[] = "/tmp/peftlab-optuna-XXXXXX";
    struct err err = ERR_INIT;
    assert_non_null(mkdtemp(dir));
    char *line = xasprintf("/usr/bin/python3 tests/golden/optuna_cases.py %s", dir);
    int status = system(line);
    free(line);
    folder = dir;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        tpe_cases(state);
        stopping_rules(state);
    }
    folder = NULL;
    assert_int_equal(fs_remove_tree(dir, &err), 0);
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127)) {
        print_message("python3-optuna 3.1.0 is not installed\n");
        skip();
    }
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sobol_points),   cmocka_unit_test(tpe_cases),
        cmocka_unit_test(stopping_rules), cmocka_unit_test(hyperband_brackets_and_rungs),
        cmocka_unit_test(asha_moves),     cmocka_unit_test(optuna_itself),
    };
    return cmocka_run_group_tests_name("sweep_search_golden", tests, NULL, NULL);
}

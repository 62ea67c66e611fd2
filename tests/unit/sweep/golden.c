/* The sweep files of the golden set: every combination in its order with all counts,
 * every refusal with its line, W&B's own files. tests/golden/sweep is a copy of the
 * shared set; its numbers come from an independent expander. PEFTLAB_GOLDEN names another
 * folder of cases. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/file/sweep_file.h"
#include "sweep/pruners/pruner.h"
#include "sweep/space/distribution.h"
#include "sweep/space/space.h"
#include "sweep/space/value.h"
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *in_folder(const char *file)
{
    const char *dir = getenv("PEFTLAB_GOLDEN");
    return fs_join(dir ? dir : "tests/golden/sweep", file);
}

/* Names of trial keys, as in the table of the trial file; the runner's own table is not
 * below this layer. */
#define KEYS(X)                                                                          \
    X(model)                                                                             \
    X(task)                                                                              \
    X(method)                                                                            \
    X(rank)                                                                              \
    X(alpha)                                                                             \
    X(lora_dropout)                                                                      \
    X(target_modules)                                                                    \
    X(use_rslora)                                                                        \
    X(use_dora)                                                                          \
    X(reduction_factor)                                                                  \
    X(num_virtual_tokens)                                                                \
    X(prefix_projection)                                                                 \
    X(encoder_hidden_size)                                                               \
    X(learning_rate)                                                                     \
    X(weight_decay)                                                                      \
    X(batch_size)                                                                        \
    X(max_steps)                                                                         \
    X(warmup_steps)                                                                      \
    X(lr_scheduler_type)                                                                 \
    X(max_grad_norm)                                                                     \
    X(double_quant)                                                                      \
    X(seed)
#define X(name) {.key = #name, .type = OPT_ANY},
static const struct opt_def key_rows[] = {KEYS(X)};
#undef X
static const struct opt_table trial_keys = {"trial", key_rows, ARRAY_LEN(key_rows)};

static json_t *read_list(const char *file)
{
    struct err err = ERR_INIT;
    char *path = in_folder(file);
    json_t *list = json_read_file(path, &err);
    free(path);
    if (!list)
        fail_msg("%s", err.msg);
    return list;
}

static int load(const json_t *row, struct sweep_file **f, struct err *err)
{
    const char *file =
        json_string_value(json_object_get(json_object_get(row, "input"), "file"));
    char *path = in_folder(file);
    int rc = sweep_file_load(path, NULL, 0, &trial_keys, f, err);
    free(path);
    return rc;
}

static void same_number(const char *file, const json_t *expected, const char *key,
                        double got)
{
    double want = json_number_value(json_object_get(expected, key));
    if (want != got)
        fail_msg("%s: %s is %g, expected %g", file, key, got, want);
}

static void same_combinations(const char *file, const json_t *expected,
                              const struct sweep_space *s)
{
    size_t i;
    json_t *item;
    assert_int_equal(json_array_size(expected), s->count);
    json_array_foreach(expected, i, item)
    {
        struct buf want = BUF_INIT, got = BUF_INIT;
        json_canonical(&want, item);
        json_canonical(&got, s->combinations[i]);
        if (strcmp(buf_str(&want), buf_str(&got)))
            fail_msg("%s: combination %zu is %s, expected %s", file, i, buf_str(&got),
                     buf_str(&want));
        buf_release(&want);
        buf_release(&got);
    }
}

static void grid_files(void **state)
{
    (void)state;
    json_t *list = read_list("grid.json"), *row;
    size_t i;
    assert_true(json_array_size(list) > 20);
    json_array_foreach(list, i, row)
    {
        struct err err = ERR_INIT;
        struct sweep_file *f;
        struct sweep_space s;
        json_t *expected = json_object_get(row, "expected");
        const char *file =
            json_string_value(json_object_get(json_object_get(row, "input"), "file"));
        if (load(row, &f, &err) < 0 || sweep_space_expand(f, &s, &err) < 0)
            fail_msg("%s: %s", file, err.msg);
        same_number(file, expected, "n_product", s.product);
        same_number(file, expected, "n_raw", (double)s.raw);
        same_number(file, expected, "n_unique_before_exclude", (double)s.unique_raw);
        same_number(file, expected, "n_after_exclude", (double)s.after_exclude);
        same_number(file, expected, "n_new_by_include", (double)s.new_by_include);
        same_number(file, expected, "n_merged", (double)s.merged);
        same_number(file, expected, "n_combinations", (double)s.count);
        same_number(file, expected, "n_trials", (double)(s.count * f->seed_count));
        same_combinations(file, json_object_get(expected, "combinations"), &s);
        sweep_space_release(&s);
        sweep_file_free(f);
    }
    json_decref(list);
}

/* The line that a message names: "... line 12, column 3: ...". */
static int line_of(const char *message)
{
    const char *at = strstr(message, "line ");
    return at ? atoi(at + 5) : 0;
}

static void refused_files(void **state)
{
    (void)state;
    json_t *list = read_list("refused.json"), *row;
    size_t i, k;
    json_t *other;
    assert_true(json_array_size(list) > 45);
    int wrong = 0;
    json_array_foreach(list, i, row)
    {
        struct err err = ERR_INIT;
        struct sweep_file *f;
        struct sweep_space s;
        json_t *expected = json_object_get(row, "expected");
        const char *file =
            json_string_value(json_object_get(json_object_get(row, "input"), "file"));
        int rc = load(row, &f, &err);
        if (rc == 0) {
            rc = sweep_space_expand(f, &s, &err);
            if (rc == 0)
                sweep_space_release(&s);
            sweep_file_free(f);
        }
        int line = line_of(err.msg);
        bool right = line == json_integer_value(json_object_get(expected, "line"));
        json_array_foreach(json_object_get(expected, "also"), k, other) right =
            right || line == json_integer_value(other);
        bool status = err.code == ERR_CONFIG || err.code == ERR_PARSE;
        if (rc == 0 || !right || !status) {
            print_error("%s: %s; wanted line %lld (%s)\n", file,
                        rc ? err.msg : "accepted",
                        json_integer_value(json_object_get(expected, "line")),
                        json_string_value(json_object_get(expected, "why")));
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    json_decref(list);
}

static void close_to(const char *file, const char *name, double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 + 1e-9 * fabs(want)))
        fail_msg("%s: %s is %.15g, expected %.15g", file, name, got, want);
}

static void same_quantiles(const char *file, const json_t *want,
                           const struct sweep_param *p)
{
    struct err err = ERR_INIT;
    struct distribution d;
    json_t *at = json_object_get(want, "at"), *u;
    json_t *quantiles = json_object_get(want, "quantiles");
    size_t i;
    if (distribution_init(&d, p, &err) < 0)
        fail_msg("%s: %s", file, err.msg);
    assert_true(json_array_size(at) > 0);
    json_array_foreach(at, i, u)
    {
        double x = distribution_quantile(&d, json_number_value(u));
        double expected = json_number_value(json_array_get(quantiles, i));
        json_t *v = distribution_value(&d, x);
        close_to(file, p->name, x, expected);
        close_to(file, p->name, json_number_value(v), expected);
        if (d.q == 0 && d.family != DIST_INT) /* the inverse, where there is one */
            close_to(file, p->name, distribution_cdf(&d, x), json_number_value(u));
        json_decref(v);
    }
    distribution_release(&d);
}

static void same_probabilities(const char *file, const json_t *want,
                               const struct sweep_param *p)
{
    struct distribution d;
    json_t *x;
    size_t i;
    assert_int_equal(distribution_init(&d, p, NULL), 0);
    assert_int_equal(json_array_size(want), p->count);
    json_array_foreach(want, i, x)
        close_to(file, p->name, distribution_share(&d, i), json_number_value(x));
    distribution_release(&d);
}

static void same_bands(const char *file, const json_t *want, const struct sweep_file *f)
{
    struct err err = ERR_INIT;
    struct pruner p;
    int64_t steps[PRUNER_RUNGS_MAX];
    json_t *bands = json_object_get(want, "bands"), *x;
    json_t *first = json_object_get(want, "first_bands");
    size_t i;
    if (pruner_init(&p, f, 0, &err) < 0)
        fail_msg("%s: %s", file, err.msg);
    assert_string_equal(p.rule->name, "bands");
    assert_int_equal(p.s.eta, json_get_int(want, "eta", 0));
    int n = bands_steps(&p.s, steps);
    assert_true(bands ? json_array_size(bands) == (size_t)n
                      : json_array_size(first) <= (size_t)n && first);
    json_array_foreach(bands ? bands : first, i, x)
        assert_int_equal(json_integer_value(x), steps[i]);
    pruner_release(&p);
}

static void same_wandb_param(const char *file, const json_t *want,
                             const struct sweep_param *p)
{
    const char *distribution = json_string_value(json_object_get(want, "distribution"));
    assert_string_equal(p->name, json_string_value(json_object_get(want, "name")));
    if (p->kind == PARAM_RANGE) {
        assert_string_equal(p->distribution, distribution);
        same_quantiles(file, want, p);
        return;
    }
    if (p->kind == PARAM_VALUES)
        same_probabilities(file, json_object_get(want, "probabilities"), p);
    assert_string_equal(distribution,
                        p->kind == PARAM_CONSTANT ? "constant" : "categorical");
    json_t *values = json_object_get(want, "values");
    for (size_t i = 0; i < p->count; i++) {
        json_t *value =
            values ? json_array_get(values, i) : json_object_get(want, "value");
        json_t *canon = value_canon(value);
        if (!json_equal(canon, p->choices[i].value))
            fail_msg("%s: value %zu of %s", file, i, p->name);
        json_decref(canon);
    }
}

static void wandb_files(void **state)
{
    (void)state;
    json_t *list = read_list("wandb.json"), *row, *param;
    size_t i, k;
    json_array_foreach(list, i, row)
    {
        struct err err = ERR_INIT;
        struct sweep_file *f;
        struct sweep_space s;
        json_t *expected = json_object_get(row, "expected");
        json_t *metric = json_object_get(expected, "metric");
        const char *file =
            json_string_value(json_object_get(json_object_get(row, "input"), "file"));
        if (load(row, &f, &err) < 0)
            fail_msg("%s: %s", file, err.msg);
        assert_string_equal(f->method,
                            json_string_value(json_object_get(expected, "method")));
        assert_int_equal(f->was_bayes, json_is_true(json_object_get(expected, "notice")));
        assert_string_equal(f->metric,
                            json_string_value(json_object_get(metric, "name")));
        assert_string_equal(f->maximize ? "maximize" : "minimize",
                            json_string_value(json_object_get(metric, "goal")));
        if (json_object_get(expected, "target"))
            assert_true(f->objectives[0].target == json_get_num(expected, "target", 0));
        json_t *params = json_object_get(expected, "parameters");
        assert_int_equal(json_array_size(params), f->param_count);
        json_array_foreach(params, k, param) same_wandb_param(file, param, &f->params[k]);
        assert_int_equal(f->max_trials, json_get_int(expected, "max_trials", 0));
        json_t *early = json_object_get(expected, "early_terminate");
        if (early)
            same_bands(file, early, f);
        json_t *combinations = json_object_get(expected, "combinations");
        int rc = sweep_space_expand(f, &s, &err);
        if (combinations) {
            assert_int_equal(rc, 0);
            same_combinations(file, combinations, &s);
            sweep_space_release(&s);
        } else if (!f->max_trials && !strcmp(f->method, "random")) {
            assert_int_equal(err.code, ERR_CONFIG);
            assert_non_null(strstr(err.msg, "needs budget.max_trials"));
        } else {
            assert_int_equal(rc, 0);
            assert_int_equal(s.count, f->was_bayes ? 10 : f->max_trials);
            sweep_space_release(&s);
        }
        sweep_file_free(f);
    }
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_files),
        cmocka_unit_test(refused_files),
        cmocka_unit_test(wandb_files),
    };
    return cmocka_run_group_tests_name("sweep_golden", tests, NULL, NULL);
}

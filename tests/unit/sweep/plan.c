/* Overrides, expansion at its edges, plans through hooks, and messages. The hooks stand
 * for a trainer that reads `rank` with lora only and takes LORA for lora. */
#include "tests/unit/sweep/fixture.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/sweep.h"
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

static const struct opt_def key_rows[] = {
    {.key = "model", .aliases = NULL, .type = OPT_PATH},
    {.key = "method", .aliases = NULL, .type = OPT_STRING},
    {.key = "rank", .aliases = "r", .type = OPT_INT},
    {.key = "learning_rate", .aliases = NULL, .type = OPT_FLOAT},
    {.key = "seed", .aliases = NULL, .type = OPT_INT},
};
static const struct opt_table keys = {"trial", key_rows, ARRAY_LEN(key_rows)};

static int resolve(const json_t *given, json_t **resolved, struct err *err)
{
    bool lora = !strcasecmp(json_get_str(given, "method", "lora"), "lora");
    if (!lora && json_object_get(given, "rank"))
        return err_set(err, ERR_CONFIG, "method does not read 'rank'");
    *resolved = json_copy((json_t *)given);
    if (lora)
        json_object_set_new(*resolved, "method", json_string("lora"));
    return 0;
}

static bool shares; /* trials of one rank: a quarter of their time */

static int predict(const json_t *resolved, const char *base_dir,
                   struct sweep_prediction *out, struct err *err)
{
    (void)base_dir;
    (void)err;
    const int64_t rank = json_get_int(resolved, "rank", 1);
    *out = (struct sweep_prediction){
        .peak_bytes = 1000 * rank,
        .seconds = (double)rank,
        .updates = 100 * rank,
        .updates_per_epoch = 10,
        .shared_s = shares ? (double)rank / 4 : 0,
    };
    snprintf(out->shared, sizeof out->shared, "rank %lld", (long long)rank);
    return 0;
}

static const struct sweep_hooks hooks = {&keys, resolve, key_of, predict, NULL};

#define GRID                                                                             \
    "parameters:\n"                                                                      \
    "  method: {values: [lora, full]}\n"                                                 \
    "  rank: {values: [8, 16], when: \"method == lora\"}\n"

static int load(const char *text, const char *const *words, size_t count,
                struct sweep_file **f, struct err *err)
{
    return sweep_file_parse(text, strlen(text), "s.yaml", false, words, count, &keys, f,
                            err);
}

/* The combinations as one line of JSON. */
static char *expanded(const char *text, const char *word)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sweep_space s;
    struct buf out = BUF_INIT;
    if (load(text, &word, word ? 1 : 0, &f, &err) < 0 ||
        sweep_space_expand(f, &s, &err) < 0)
        fail_msg("%s: %s", word ? word : text, err.msg);
    for (size_t i = 0; i < s.count; i++) {
        buf_str_add(&out, i ? " " : "");
        json_write(&out, s.combinations[i], 0);
    }
    sweep_space_release(&s);
    sweep_file_free(f);
    return buf_detach(&out, NULL);
}

static void overrides(void **state)
{
    static const struct {
        const char *word, *result;
    } rows[] = {
        {NULL, "{\"method\": \"lora\", \"rank\": 8} {\"method\": \"lora\", \"rank\": 16} "
               "{\"method\": \"full\"}"},
        {"rank=4", "{\"method\": \"lora\", \"rank\": 4} {\"method\": \"full\"}"},
        {"rank=4,2", "{\"method\": \"lora\", \"rank\": 4} {\"method\": \"lora\", "
                     "\"rank\": 2} {\"method\": \"full\"}"},
        {"rank=range(4, 9, 4)", "{\"method\": \"lora\", \"rank\": 4} {\"method\": "
                                "\"lora\", \"rank\": 8} {\"method\": \"full\"}"},
        {"method=full", "{\"method\": \"full\"}"},
        {"~rank", "{\"method\": \"lora\"} {\"method\": \"full\"}"},
        {"+learning_rate=1e-4", "{\"method\": \"lora\", \"rank\": 8, \"learning_rate\": "
                                "0.0001} {\"method\": \"lora\", \"rank\": 16, "
                                "\"learning_rate\": 0.0001} {\"method\": \"full\", "
                                "\"learning_rate\": 0.0001}"},
        {"method=[a, b],c", "{\"method\": [\"a\", \"b\"]} {\"method\": \"c\"}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = expanded(GRID, rows[i].word);
        if (strcmp(got, rows[i].result))
            fail_msg("%s: %s", rows[i].word, got);
        free(got);
    }
}

static void override_sections(void **state)
{
    static const char *const words[] = {"seeds=3,1", "budget.max_trials=50",
                                        "executor.parallel=4", "name=other"};
    struct err err = ERR_INIT;
    struct sweep_file *f;
    (void)state;
    assert_int_equal(load(GRID, words, ARRAY_LEN(words), &f, &err), 0);
    assert_int_equal(f->seed_count, 2);
    assert_int_equal(f->seeds[0], 3);
    assert_int_equal(f->max_trials, 50);
    assert_int_equal(f->parallel, 4);
    assert_string_equal(f->name, "other");
    sweep_file_free(f);
}

static void override_errors(void **state)
{
    static const struct {
        const char *word;
        enum err_code code;
        const char *words;
    } rows[] = {
        {"rank", ERR_USAGE, "key=value"},
        {"learning_rate=1", ERR_USAGE, "+learning_rate=... adds it"},
        {"~alpha", ERR_USAGE, "no such parameter"},
        {"rank=range(4, 1, 1)", ERR_USAGE, "no values"},
        {"rank=range(0, 1, 0)", ERR_USAGE, "no values"},
        {"rank=uniform(1, 4)", ERR_CONFIG, "a grid needs values"},
        {"+rnak=3", ERR_CONFIG, "did you mean 'rank'"},
        {"budget.max_trails=3", ERR_CONFIG, "did you mean 'max_trials'"},
        {"seeds=1,1", ERR_CONFIG, "comes twice"},
        {"rank=[1", ERR_PARSE, "rank=[1"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        struct sweep_file *f;
        int rc = load(GRID, &rows[i].word, 1, &f, &err);
        if (rc != -(int)rows[i].code || !strstr(err.msg, rows[i].words))
            fail_msg("%s: %d '%s'", rows[i].word, rc, err.msg);
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        double seconds; /* 0: refused */
    } rows[] = {{"90", 90},       {"8h", 28800},   {"1h30m", 5400},  {"2min", 120},
                {"1.5d", 129600}, {"1h 5s", 3605}, {"8 parsecs", 0}, {"-1h", 0},
                {"0s", 0},        {"h", 0},        {"''", 0},        {"1e400h", 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        struct sweep_file *f;
        char *word = xasprintf("budget.max_wall=%s", rows[i].text);
        const char *words[] = {word};
        int rc = load(GRID, words, 1, &f, &err);
        if (rows[i].seconds > 0) {
            if (rc < 0)
                fail_msg("%s: %s", word, err.msg);
            assert_true(f->max_wall_s == rows[i].seconds);
            sweep_file_free(f);
        } else {
            assert_int_equal(rc, -ERR_CONFIG);
            assert_non_null(strstr(err.msg, "not a duration"));
        }
        free(word);
    }
}

/* 12 axes of 10 values under a condition on an earlier one: the product is 10^12, the
 * combinations are few, and the walk must not visit the product. */
static void conditions_prune_the_walk(void **state)
{
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sweep_space s;
    (void)state;
    buf_str_add(&text, "command: [x]\nparameters:\n  a: {values: [0, 1]}\n");
    for (int i = 0; i < 12; i++)
        buf_printf(
            &text,
            "  p%d: {values: [0,1,2,3,4,5,6,7,8,9], when: \"a == 1 and %d < 1\"}\n", i,
            i);
    assert_int_equal(load(buf_str(&text), NULL, 0, &f, &err), 0);
    assert_int_equal(sweep_space_expand(f, &s, &err), 0);
    assert_true(s.product == 2e12);
    assert_int_equal(s.count, 11);
    sweep_space_release(&s);
    sweep_file_free(f);
    buf_release(&text);
}

/* A `when` on a parameter that is declared later cannot be pruned, but comes to the same
 * combinations in the order of the product. */
static void conditions_on_later_axes(void **state)
{
    (void)state;
    char *got = expanded("command: [x]\nparameters:\n"
                         "  x: {values: [1, 2], when: \"y == b\"}\n"
                         "  y: {values: [a, b]}\n",
                         NULL);
    assert_string_equal(got, "{\"y\": \"a\"} {\"x\": 1, \"y\": \"b\"} {\"x\": 2, \"y\": "
                             "\"b\"}");
    free(got);
}

static void too_large(void **state)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sweep_space s;
    const char *word = "rank=range(0, 90000, 1)";
    (void)state;
    assert_int_equal(load("command: [x]\nparameters:\n"
                          "  rank: {values: [1]}\n"
                          "  b: {values: [0,1,2,3,4,5,6,7,8,9]}\n"
                          "  c: {values: [0,1,2,3,4,5,6,7,8,9]}\n",
                          &word, 1, &f, &err),
                     0);
    assert_int_equal(sweep_space_expand(f, &s, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "too large"));
    sweep_file_free(f);
}

/* Refused by a count, in time and memory that a walk of them would not do with. */
static void grids_are_counted_before_they_are_built(void **state)
{
    (void)state;
    static const struct {
        const char *when, *more;
        bool fits; /* few are left by `when` */
    } rows[] = {{"", "", false},
                {", when: 'm == 1'", "", false},
                {", when: 'm == 1'", "exclude: [{m: 0}]\n", false},
                {", when: 'm == 2'", "", true},
                {", when: 'n == 1'", "", false}, /* through an expression */
                {", when: 'n == 2'", "", true}};
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        struct err err = ERR_INIT;
        struct sweep_file *f;
        struct sweep_space s;
        struct buf text = BUF_INIT;
        buf_printf(&text,
                   "command: [x]\n%sparameters:\n  m: {values: [0, 1]}\n  n: {expr: "
                   "\"m\"}\n",
                   rows[r].more);
        for (int i = 0; i < 20; i++)
            buf_printf(&text, "  p%d: {values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]%s}\n", i,
                       rows[r].when);
        assert_int_equal(load(buf_str(&text), NULL, 0, &f, &err), 0);
        const int rc = sweep_space_expand(f, &s, &err);
        assert_int_equal(rc, rows[r].fits ? 0 : -ERR_CONFIG);
        if (rows[r].fits)
            assert_int_equal(s.count, 2);
        else if (!strstr(err.msg, "e+20 trials"))
            fail_msg("%s", err.msg);
        sweep_space_release(&s);
        sweep_file_free(f);
        buf_release(&text);
    }
}

/* Of rank_pattern the first match counts: another order is another trial, and nothing on
 * the way to the trial sorts it. */
static void patterns_keep_their_order(void **state)
{
    (void)state;
    char *got =
        expanded("command: [x]\nparameters:\n  p: {values: [{b: 1, a: 2}, {a: 2, b: "
                 "1}, {a: 2.0, b: 1}]}\n",
                 NULL);
    assert_string_equal(got,
                        "{\"p\": {\"b\": 1, \"a\": 2}} {\"p\": {\"a\": 2, \"b\": 1}}");
    free(got);
}

/* A program could not tell the number from the text. */
static void infinities_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {"values: [.inf]",     "value: -.inf",
                                         "value: .nan",        "values: ['Infinity']",
                                         "value: [1, [.inf]]", "value: {a: {b: .inf}}",
                                         "values: [1, 'NaN']"};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct err err = ERR_INIT;
        struct sweep_file *f;
        char *text = xasprintf("command: [x]\nparameters:\n  p: {%s}\n", values[i]);
        assert_int_equal(load(text, NULL, 0, &f, &err), -ERR_CONFIG);
        if (!strstr(err.msg, "line 3") || !strstr(err.msg, "no infinity and no NaN"))
            fail_msg("%s", err.msg);
        free(text);
    }
}

#define MODEL "seeds: [0, 5]\n" GRID "  model: {value: m}\n"

/* What trials share is the time of the first alone. */
static void plan_of_shared_work(void **state)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sweep_plan p;
    (void)state;
    assert_int_equal(load(MODEL, NULL, 0, &f, &err), 0);
    shares = true;
    assert_int_equal(sweep_plan_make(f, &hooks, true, &p, &err), 0);
    shares = false;
    const double seconds[] = {8, 6, 16, 12, 1, .75};
    assert_int_equal(p.count, ARRAY_LEN(seconds));
    for (size_t i = 0; i < p.count; i++)
        assert_true(p.trials[i].seconds == seconds[i]);
    assert_true(p.shared_s == 2 + 4 + .25);
    json_t *json = sweep_plan_json(&p, 1), *total = json_object_get(json, "total");
    assert_true(json_get_num(total, "shared_s", -1) == 6.25);
    assert_true(json_get_num(total, "predicted_s", -1) == 50 - 6.25);
    json_decref(json);
    sweep_plan_release(&p);
    sweep_file_free(f);
}

static void plan_with_model(void **state)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sweep_plan p;
    (void)state;
    assert_int_equal(load(MODEL, NULL, 0, &f, &err), 0);
    assert_int_equal(sweep_plan_make(f, &hooks, true, &p, &err), 0);
    assert_int_equal(p.count, 6);
    assert_int_equal(p.combinations, 3);
    assert_int_equal(p.peak_bytes, 16000);
    assert_true(p.total_s == 2 * (8 + 16 + 1));
    /* in order on two workers: 8 8 | 16 16 | 1 1 */
    assert_true(sweep_plan_wall_s(&p, 2) == 25);
    assert_true(sweep_plan_wall_s(&p, 1) == 50);
    assert_string_equal(p.trials[0].key, p.trials[1].key);
    assert_int_equal(p.trials[1].seed, 5);
    assert_int_equal(json_get_int(p.trials[1].resolved, "seed", -1), 5);
    assert_null(json_object_get(p.trials[1].params, "seed"));
    json_t *json = sweep_plan_json(&p, 2);
    json_t *first = json_array_get(json_object_get(json, "trials"), 0);
    assert_int_equal(json_get_int(first, "peak_bytes", -1), 8000);
    assert_true(json_get_num(first, "predicted_s", -1) == 8);
    assert_string_equal(json_get_str(first, "key", ""), p.trials[0].key);
    json_decref(json);
    sweep_plan_release(&p);
    sweep_file_free(f);
}

/* Different on paper, the same for the trainer: one trial, the first. */
static void plan_merges_what_resolves_equal(void **state)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sweep_plan p;
    (void)state;
    assert_int_equal(load("parameters:\n  model: {value: m}\n"
                          "  method: {values: [lora, LORA]}\n"
                          "  rank: {values: [8, 16]}\n"
                          "exclude: [{method: LORA, rank: 16}]\n",
                          NULL, 0, &f, &err),
                     0);
    assert_int_equal(sweep_plan_make(f, &hooks, false, &p, &err), 0);
    assert_int_equal(p.space.count, 3);
    assert_int_equal(p.excluded, 1);
    assert_int_equal(p.coincided, 1);
    assert_int_equal(p.count, 2);
    assert_string_equal(json_get_str(p.trials[0].params, "method", ""), "lora");
    assert_int_equal(p.peak_bytes, -1); /* nothing was predicted */
    assert_true(isnan(p.total_s));
    sweep_plan_release(&p);
    sweep_file_free(f);
}

static void plan_without_model(void **state)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sweep_plan p;
    (void)state;
    assert_int_equal(load(GRID, NULL, 0, &f, &err), 0);
    assert_int_equal(sweep_plan_make(f, &hooks, true, &p, &err), 0);
    assert_int_equal(p.count, 3);
    json_t *json = sweep_plan_json(&p, 2);
    json_t *first = json_array_get(json_object_get(json, "trials"), 0);
    assert_true(json_is_null(json_object_get(first, "peak_bytes")));
    assert_true(json_is_null(json_object_get(first, "predicted_s")));
    /* sha256 of {"method":"lora","rank":8} */
    assert_string_equal(
        json_get_str(first, "key", ""),
        "4e2ca048753338f803a6209eed877d315ad33db1d8ee82adc10e6e4093f606dd");
    json_decref(json);
    sweep_plan_release(&p);
    sweep_file_free(f);
}

static void refused_combinations_are_shown(void **state)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sweep_plan p;
    (void)state;
    assert_int_equal(load("parameters:\n  model: {value: m}\n"
                          "  method: {values: [lora, full]}\n  rank: {values: [4, 8]}\n",
                          NULL, 0, &f, &err),
                     0);
    assert_int_equal(sweep_plan_make(f, &hooks, true, &p, &err), -ERR_CONFIG);
    assert_string_equal(err.msg,
                        "sweep file 's.yaml': trial full rank=4: method does not "
                        "read 'rank'");
    sweep_file_free(f);
}

static void values_are_checked_in_place(void **state)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    (void)state;
    assert_int_equal(load("parameters:\n  model: {value: m}\n  rank: {values: [4, x]}\n",
                          NULL, 0, &f, &err),
                     -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "line 3"));
    assert_non_null(strstr(err.msg, "rank must be an integer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overrides),
        cmocka_unit_test(override_sections),
        cmocka_unit_test(override_errors),
        cmocka_unit_test(durations),
        cmocka_unit_test(conditions_prune_the_walk),
        cmocka_unit_test(conditions_on_later_axes),
        cmocka_unit_test(too_large),
        cmocka_unit_test(grids_are_counted_before_they_are_built),
        cmocka_unit_test(patterns_keep_their_order),
        cmocka_unit_test(infinities_are_refused),
        cmocka_unit_test(plan_with_model),
        cmocka_unit_test(plan_of_shared_work),
        cmocka_unit_test(plan_merges_what_resolves_equal),
        cmocka_unit_test(plan_without_model),
        cmocka_unit_test(refused_combinations_are_shown),
        cmocka_unit_test(values_are_checked_in_place),
    };
    return cmocka_run_group_tests_name("sweep_plan", tests, NULL, NULL);
}

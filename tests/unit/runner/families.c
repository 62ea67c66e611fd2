/* tests/unit/runner/families.c - every method and preset of the registry on a decoder of
 * every kind: it trains, its adapter comes back, and merged it gives the same logits where
 * it can be merged. What the numbers are is the goldens' business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/evaluate.h"
#include "runner/merge/merge.h"
#include "runner/nn/peft/method.h"
#include "runner/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

/* Grouped keys and biases; norms of heads; two tables and windows; parts of one layer, and
 * of a head; layers without RoPE; Conv1D and learned positions. */
static const struct {
    const char *model;
    bool no_biases; /* for bitfit */
} families[] = {{"llama-bias", false},  {"qwen3", true},        {"gemma3", true},
                {"phi3-partial", true}, {"smollm3-list", true}, {"gpt2", false}};

/* Keys that a method needs on models so small. */
static const char *keys_of(const char *method)
{
    static const char *const keys[][2] = {
        {"adapter", ", reduction_factor: 4"},    {"adalora", ", init_r: 4, target_r: 2"},
        {"prefix", ", num_virtual_tokens: 3"},   {"prompt", ", num_virtual_tokens: 3"},
        {"p-tuning", ", num_virtual_tokens: 3"}, {"vera", ", rank: 4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (str_eq(keys[i][0], method))
            return keys[i][1];
    return "";
}

static json_t *trial(const char *model, const char *task, const char *method)
{
    struct err err = ERR_INIT;
    struct conf *c;
    json_t *out;
    char *here = fs_absolute("tests/golden/models");
    char *text = xasprintf("{model: '%s/%s', train_data: rows.jsonl, eval_data: "
                           "rows.jsonl, task: %s, batch_size: 2, max_steps: 3, "
                           "learning_rate: 0.01, method: %s%s}",
                           here, model, task, method, keys_of(method));
    assert_int_equal(conf_parse(text, strlen(text), "test", 0, &c, &err), 0);
    if (trial_resolve(conf_root(c), &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    conf_free(c);
    free(here);
    free(text);
    return out;
}

/* Logits of the evaluation data, by the finished adapter. */
static void check_back(const json_t *t, const char *adapter, const char *what)
{
    struct session s;
    struct evaluation e;
    struct err err = ERR_INIT;
    if (session_open(&s, t, dir, adapter, false, &err) || session_allocate(&s, &err) ||
        evaluate_split(&s, SPLIT_EVAL, NULL, &e, &err))
        fail_msg("%s: %s", what, err.msg);
    assert_true(isfinite(e.nll));
    evaluation_release(&e);
    session_close(&s);
}

static void check(const char *model, const char *task, const char *method)
{
    struct err err = ERR_INIT;
    struct merge_report r;
    struct sink *sink = sink_null();
    json_t *t = trial(model, task, method);
    char *run = fs_join(dir, "run"), *adapter = fs_join(run, "adapter"),
         *merged = fs_join(dir, "merged"),
         *what = xasprintf("%s, %s, %s", model, task, method);
    fs_remove_tree(run, NULL);
    if (trial_train(t, dir, &(struct trial_run){.out_dir = run}, sink, &err) < 0)
        fail_msg("%s: %s", what, err.msg);
    check_back(t, adapter, what);
    if (method_of(t, NULL)->no_merge)
        assert_int_equal(merge_folder(t, dir, adapter,
                                      &(struct merge_target){.out = merged,
                                                             .dtype = DT_COUNT,
                                                             .overwrite = true},
                                      &r, &err),
                         -ERR_CONFIG);
    else if (merge_folder(t, dir, adapter,
                          &(struct merge_target){
                              .out = merged, .dtype = DT_COUNT, .overwrite = true},
                          &r, &err) < 0)
        fail_msg("%s: %s", what, err.msg);
    else if (!(r.largest_change < 2e-5 * fmax(1, r.largest_logit)) || r.rows != 5)
        fail_msg("%s: logits change by %g", what, r.largest_change);
    sink_close(sink, NULL);
    json_decref(t);
    free(run);
    free(adapter);
    free(merged);
    free(what);
}

static void each(const char *task)
{
    const char *names[64];
    const size_t n = method_names(names, ARRAY_LEN(names));
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (size_t i = 0; i < n; i++) {
            const bool head = str_eq(names[i], "head"),
                       biases = str_eq(names[i], "bitfit");
            if (!(head && str_eq(task, "causal-lm")) &&
                !(biases && families[f].no_biases))
                check(families[f].model, task, names[i]);
        }
}

static void language_models(void **state)
{
    (void)state;
    each("causal-lm");
}

static void classifiers(void **state)
{
    (void)state;
    each("seq-cls");
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-families-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    char *rows = fs_join(dir, "rows.jsonl");
    FILE *f = fopen(rows, "w");
    for (int r = 0; f && r < 5; r++) {
        fputs("{\"input_ids\": [2", f);
        for (int i = 0; i < 4 + r; i++)
            fprintf(f, ", %d", 3 + (r * 37 + i * 11) % 120);
        fputs("], \"labels\": [2", f);
        for (int i = 0; i < 4 + r; i++)
            fprintf(f, ", %d", 3 + (r * 37 + i * 11) % 120);
        fprintf(f, "], \"label\": %d}\n", r % 3);
    }
    free(rows);
    return f ? fclose(f) : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(language_models),
        cmocka_unit_test(classifiers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

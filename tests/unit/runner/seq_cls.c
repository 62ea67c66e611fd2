/* tests/unit/runner/seq_cls.c - the registry of tasks; regression and several labels per
 * row, from a trial to its result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/metric/metric.h"
#include "runner/session.h"
#include "runner/trial.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];

static json_t *resolved(const char *text)
{
    struct err err = ERR_INIT;
    struct conf *c;
    json_t *out;
    char *model = fs_absolute("tests/golden/models/bert");
    char *full = xasprintf("{model: '%s', max_steps: 3, batch_size: 2, %s"
                           "eval_data: rows.jsonl, train_data: rows.jsonl, %s}",
                           model, strstr(text, "method:") ? "" : "method: head, ", text);
    assert_int_equal(conf_parse(full, strlen(full), "test", 0, &c, &err), 0);
    if (trial_resolve(conf_root(c), &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    conf_free(c);
    free(full);
    free(model);
    return out;
}

static void put_rows(const char *labels[3])
{
    struct buf b = BUF_INIT;
    char *path = fs_join(dir, "rows.jsonl");
    for (int i = 0; i < 3; i++)
        buf_printf(&b, "{\"input_ids\": [%d, 7, 9], \"label\": %s}\n", 20 + i, labels[i]);
    assert_int_equal(fs_write_atomic(path, b.data, b.len, NULL), 0);
    buf_release(&b);
    free(path);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-problem-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

static void test_registry(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_string_equal(task_at(0)->name, TASK_DEFAULT);
    for (size_t i = 0; task_at(i); i++) {
        const struct task *t = task_at(i);
        assert_ptr_equal(task_find(t->name, &err), t);
        assert_ptr_equal(task_find(t->peft_type, &err), t);
        assert_true(t->kind->saved_modules[0] ||
                    t->kind->per_token); /* a head of its own */
        /* every metric that it names is one, and the loss is among them */
        char *names = xstrdup(t->kind->metrics), *save = NULL;
        for (char *n = strtok_r(names, "|", &save); n; n = strtok_r(NULL, "|", &save)) {
            size_t m = 0;
            while (m < metric_count && !str_eq(metric_defs[m].name, n))
                m++;
            assert_true(m < metric_count);
        }
        free(names);
        assert_true(str_in_list("loss", t->kind->metrics, '|'));
    }
    assert_int_equal(err.code, ERR_OK);
    assert_null(task_find("chess", &err));
    assert_string_equal(err.msg, "unknown task 'chess' (known: seq-cls, causal-lm)");
}

/* A trial says it in our words or peft's, and what there is not is refused. */
static void test_named_in_trial(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *given = conf_parse_value(
               "{model: m, train_data: d, task: SEQ_CLS, method: head}", &err),
           *out;
    assert_int_equal(trial_resolve(given, &out, &err), 0);
    assert_string_equal(json_get_str(out, "task", ""), "seq-cls");
    json_decref(out);
    json_object_set_new(given, "task", json_string("token-cls"));
    assert_int_equal(trial_resolve(given, &out, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "seq-cls"));
    json_decref(given);
}

static void choose(const char *trial, const char *config, enum label_kind want)
{
    struct err err = ERR_INIT;
    json_t *t = conf_parse_value(trial, &err), *c = conf_parse_value(config, &err);
    struct trial typed;
    struct goal got = {0};
    trial_init(&typed, t);
    assert_int_equal(task_find(TASK_DEFAULT, &err)->kind->open(&typed, c, &got, &err), 0);
    trial_release(&typed);
    assert_int_equal(got.labels, want);
    json_decref(t);
    json_decref(c);
}

static void test_choice(void **state)
{
    (void)state;
    choose("{}", "{}", LABEL_class);
    choose("{num_labels: 1}", "{}", LABEL_numbers);
    choose("{num_labels: 2}", "{problem_type: regression}", LABEL_numbers);
    choose("{problem_type: multi_label_classification}", "{problem_type: regression}",
           LABEL_set);
}

static void refused(const char *text, const char *part)
{
    struct err err = ERR_INIT;
    struct session s;
    json_t *t = resolved(text);
    assert_true(session_open(&s, t, dir, NULL, true, &err) < 0);
    session_close(&s);
    json_decref(t);
    if (!strstr(err.msg, part))
        fail_msg("'%s' lacks '%s'", err.msg, part);
}

static void test_refused(void **state)
{
    (void)state;
    put_rows((const char *[]){"[1, 2, 3]", "[0, 0, 1]", "[4, 5, 6]"});
    refused("problem_type: regression, label_smoothing_factor: 0.1",
            "'label_smoothing_factor' is for classes, this is a regression");
    refused("problem_type: regression, class_weights: balanced",
            "'class_weights' is for classes");
    refused("problem_type: single_label_classification, num_labels: 1",
            "classes need two");
    refused("problem_type: regression, metric_for_best_model: accuracy",
            "'accuracy' has no meaning for a regression");
    refused("problem_type: regression, num_labels: 2", "3 classes, but num_labels is 2");
    refused("problem_type: multi_label_classification", "label 2 is out of range");
    refused("", "a label must be an integer or text");
}

/* What a plan says is taken, and the result has the problem's own metrics, no others. */
static void trains(const char *text, enum label_kind problem)
{
    struct err err = ERR_INIT;
    struct trial_prediction p;
    json_t *t = resolved(text);
    if (trial_predict(t, dir, ASSUME_NOTHING, NULL, &p, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    char *out = fs_join(dir, "run"), *file = fs_join(out, "result.json");
    struct sink *sink = sink_null();
    if (trial_train(t, dir, &(struct trial_run){.out_dir = out, .overwrite = true}, sink,
                    &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    sink_close(sink, NULL);
    json_t *r = json_read_file(file, &err), *eval = json_object_get(r, "eval");
    assert_int_equal(json_get_int(json_object_get(r, "mem"), "allocated_bytes", -1),
                     p.total_bytes);
    for (size_t m = 0; m < metric_count; m++)
        assert_int_equal(json_object_get(eval, metric_defs[m].name) != NULL,
                         metric_defs[m].value[problem] != NULL);
    json_decref(r);
    json_decref(t);
    free(out);
    free(file);
}

static void test_training(void **state)
{
    (void)state;
    put_rows((const char *[]){"[1, 2, 3]", "[0, 0, 1.5]", "[-4, 5, 6]"});
    trains("problem_type: regression", LABEL_numbers);
    put_rows((const char *[]){"[\"a\", \"c\"]", "[]", "[\"b\"]"});
    trains("problem_type: multi_label_classification, gradient_accumulation_steps: 2",
           LABEL_set);
    put_rows((const char *[]){"0", "2", "1"});
    trains("method: lora, class_weights: balanced", LABEL_class);
}

/* A whole model says what its head is for. */
static void test_saved_config(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    put_rows((const char *[]){"[1, 2, 3]", "[0, 0, 1.5]", "[-4, 5, 6]"});
    json_t *t = resolved("problem_type: regression");
    json_object_set_new(t, "method", json_string("full"));
    char *out = fs_join(dir, "whole"), *file = fs_join(out, "adapter/config.json");
    struct sink *sink = sink_null();
    if (trial_train(t, dir, &(struct trial_run){.out_dir = out, .overwrite = true}, sink,
                    &err) < 0)
        fail_msg("%s", err.msg);
    sink_close(sink, NULL);
    json_t *c = json_read_file(file, &err);
    assert_string_equal(json_get_str(c, "problem_type", ""), "regression");
    json_decref(c);
    json_decref(t);
    free(out);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry), cmocka_unit_test(test_named_in_trial),
        cmocka_unit_test(test_choice),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_training), cmocka_unit_test(test_saved_config),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

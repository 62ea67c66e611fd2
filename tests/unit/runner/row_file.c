/* tests/unit/runner/row_file.c - what each row got: the metrics of the rows in the file
 * are those of result.json, for every kind of task, on the tiny models of tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/row_file.h"
#include "runner/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-row-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* Trains the case's trial for two updates; its result, and the rows of its eval_data. */
static json_t *train(const char *name, const char *more, struct row_results *rows)
{
    struct err err = ERR_INIT;
    char *base = xasprintf("tests/golden/cases/%s", name),
         *file = fs_join(base, "trial.yaml"), *out = fs_join(dir, name),
         *result = fs_join(out, "result.json"), *bin = fs_join(out, "rows_eval.bin");
    json_t *resolved, *given, *extra = conf_parse_value(more, &err);
    struct conf *c;
    struct sink *sink = sink_null();
    struct buf bytes = BUF_INIT;
    if (conf_load(file, &c, &err))
        fail_msg("%s: %s", name, err.msg);
    given = json_deep_copy(conf_root(c));
    json_object_update(given, extra);
    if (json_object_get(given, "validation_split"))
        json_object_del(given, "eval_data");
    if (trial_resolve(given, &resolved, &err) < 0 ||
        trial_train(resolved, base,
                    &(struct trial_run){.out_dir = out, .overwrite = true}, sink, &err))
        fail_msg("%s: %s", name, err.msg);
    json_t *r = json_read_file(result, &err);
    assert_non_null(r);
    if (fs_read(bin, 1 << 20, &bytes, &err) ||
        row_results_read(buf_str(&bytes), bytes.len, rows, &err))
        fail_msg("%s: %s", name, err.msg);
    sink_close(sink, NULL);
    buf_release(&bytes);
    conf_free(c);
    json_decref(given);
    json_decref(extra);
    json_decref(resolved);
    free(base);
    free(file);
    free(out);
    free(result);
    free(bin);
    return r;
}

static double metric(const json_t *result, const char *name)
{
    return json_get_num(json_object_get(result, "eval"), name, NAN);
}

static double sum_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum;
}

static void test_classes(void **state)
{
    (void)state;
    struct row_results r;
    json_t *result = train("bert-lora-qv", "{max_steps: 2}", &r);
    const uint16_t *said = r.columns[COLUMN_predicted], *truth = r.columns[COLUMN_label];
    double right = 0;
    for (size_t i = 0; i < r.count; i++)
        right += said[i] == truth[i];
    assert_int_equal(r.kind, ROW_class);
    assert_int_equal(r.count, json_get_int(json_object_get(result, "eval"), "rows", 0));
    assert_float_equal(sum_of(r.columns[COLUMN_loss], r.count) / (double)r.count,
                       metric(result, "loss"), 1e-6);
    assert_float_equal(right / (double)r.count, metric(result, "accuracy"), 1e-12);
    row_results_release(&r);
    json_decref(result);
}

static void test_numbers(void **state)
{
    (void)state;
    struct row_results r;
    json_t *result = train("bert-regression", "{max_steps: 2}", &r);
    const float *out = r.columns[COLUMN_outputs], *target = r.columns[COLUMN_targets];
    double square = 0;
    for (size_t i = 0; i < r.count * r.width; i++)
        square += pow((double)out[i] - (double)target[i], 2);
    assert_int_equal(r.kind, ROW_numbers);
    assert_float_equal(square / (double)(r.count * r.width), metric(result, "mse"), 1e-6);
    assert_float_equal(sum_of(r.columns[COLUMN_loss], r.count) / (double)r.count,
                       metric(result, "mse"), 1e-6);
    row_results_release(&r);
    json_decref(result);
}

static void test_labels(void **state)
{
    (void)state;
    struct row_results r;
    json_t *result = train("bert-multi-label", "{max_steps: 2}", &r);
    const size_t bytes = row_column_bytes(ROW_set, r.width, COLUMN_said);
    double right = 0;
    for (size_t i = 0; i < r.count; i++)
        right += !memcmp((char *)r.columns[COLUMN_said] + i * bytes,
                         (char *)r.columns[COLUMN_truth] + i * bytes, bytes);
    assert_int_equal(r.kind, ROW_set);
    assert_float_equal(right / (double)r.count, metric(result, "accuracy"), 1e-12);
    assert_float_equal(sum_of(r.columns[COLUMN_loss], r.count) / (double)r.count,
                       metric(result, "loss"), 1e-6);
    row_results_release(&r);
    json_decref(result);
}

static void check_tokens(const char *name, const char *more)
{
    struct row_results r;
    json_t *result = train(name, more, &r);
    const uint32_t *tokens = r.columns[COLUMN_tokens], *right = r.columns[COLUMN_right];
    double all = 0, hits = 0;
    for (size_t i = 0; i < r.count; i++) {
        all += tokens[i];
        hits += right[i];
    }
    assert_int_equal(r.kind, ROW_tokens);
    assert_float_equal(sum_of(r.columns[COLUMN_loss], r.count) / all,
                       metric(result, "loss"), 1e-6);
    assert_float_equal(hits / all, metric(result, "accuracy"), 1e-12);
    assert_true(((float *)r.columns[COLUMN_loss])[0] !=
                ((float *)r.columns[COLUMN_loss])[1]);
    row_results_release(&r);
    json_decref(result);
}

static void test_tokens(void **state)
{
    (void)state;
    check_tokens("llama-lora-qv", "{max_steps: 2}");
    check_tokens("llama-prompt", "{max_steps: 2}");
}

/* Two runs have the same rows, or other ones of the same file, which do not pair. */
static void test_identity(void **state)
{
    (void)state;
    struct row_results a, b, c;
    json_decref(train("bert-lora-qv", "{max_steps: 1, validation_split: 0.3}", &a));
    json_decref(train("bert-lora-qv",
                      "{max_steps: 2, validation_split: 0.3, shuffle: true, seed: 7}",
                      &b));
    json_decref(train("bert-lora-qv",
                      "{max_steps: 1, validation_split: 0.3, split_seed: 1}", &c));
    assert_string_equal(a.data_sha256, b.data_sha256);
    assert_string_equal(a.rows_sha256, b.rows_sha256);
    assert_string_equal(a.data_sha256, c.data_sha256);
    assert_string_not_equal(a.rows_sha256, c.rows_sha256);
    row_results_release(&a);
    row_results_release(&b);
    row_results_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_classes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_labels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
    };
    return cmocka_run_group_tests_name("row_file", tests, NULL, NULL);
}

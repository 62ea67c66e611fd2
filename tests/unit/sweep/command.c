/* Words of a user's command line, numbers out of what it prints. Running it is in
 * tests/cli/sweep_command.bats. */
#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/launch/metric_lines.h"
#include "sweep/launch/user_command.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- words ---- */

static void assert_words(const char *file, const char *params, const char *wanted)
{
    struct err err = ERR_INIT;
    struct buf got = BUF_INIT;
    json_t *f = json_parse(file, strlen(file), "file", &err);
    json_t *p = json_parse(params, strlen(params), "params", &err);
    const struct user_trial t = {.file = f,
                                 .params = p,
                                 .base_dir = "/nowhere",
                                 .run_dir = "/runs/1",
                                 .trial = 12,
                                 .seed = 5};
    json_t *words = user_command_words(&t, &err);
    if (!words)
        fail_msg("%s: %s", file, err.msg);
    for (size_t i = 0; i < json_array_size(words); i++)
        buf_printf(&got, "%s%s", i ? " " : "",
                   json_string_value(json_array_get(words, i)));
    assert_string_equal(buf_str(&got), wanted);
    buf_release(&got);
    json_decref(words);
    json_decref(f);
    json_decref(p);
}

#define PARAMS                                                                           \
    "{\"lr\": 1e-05, \"fp16\": true, \"fast\": false, \"layers\": [1, 2], \"kind\": "    \
    "\"a b\"}"

static void words_of_wandb_macros(void **state)
{
    (void)state;
    setenv("PEFTLAB_PYTHON", "py", 1);
    assert_words("{\"program\": \"train.py\"}", PARAMS,
                 "/usr/bin/env py train.py --lr=1e-05 --fp16=True --fast=False "
                 "--layers=[1, 2] --kind=a b");
    assert_words("{\"program\": \"p\", \"command\": [\"${program}\", "
                 "\"${args_no_boolean_flags}\"]}",
                 PARAMS, "p --lr=1e-05 --fp16 --layers=[1, 2] --kind=a b");
    assert_words("{\"program\": \"p\", \"command\": [\"x\", \"${args_no_hyphens}\"]}",
                 "{\"lr\": 2, \"on\": true}", "x lr=2 on=True");
    assert_words("{\"command\": [\"x\", \"${args_json}\"]}",
                 "{\"lr\": 2, \"s\": \"\\\"\"}", "x {\"lr\": 2, \"s\": \"\\\"\"}");
    assert_words("{\"command\": [\"x\", \"${args_json_file}\"], \"seeds\": [5]}",
                 "{\"lr\": 2}", "x /runs/1/params.json");
    setenv("PEFTLAB_TEST_VALUE", "v", 1);
    assert_words(
        "{\"command\": [\"x\", \"a${envvar:PEFTLAB_TEST_VALUE}b\", \"${args}\"]}", "{}",
        "x avb");
    unsetenv("PEFTLAB_PYTHON");
}

static void words_of_names_in_braces(void **state)
{
    (void)state;
    assert_words("{\"command\": [\"x\", 3, \"--lr={lr}\", \"{seed}-{trial}\"]}",
                 "{\"lr\": 0.5, \"rank\": 4}", "x 3 --lr=0.5 5-12");
    assert_words("{\"command\": [\"x\", \"--rank\", \"{rank}\", \"--q={rank}\", \"y\"]}",
                 "{\"lr\": 1}", "x y");
    assert_words(
        "{\"command\": [\"x\", \"--on={fp16}\", \"{\\\"a\\\": 1}\", \"{{lr}}\"]}",
        "{\"fp16\": true}", "x --on=true {\"a\": 1} {lr}");
    /* neither form: everything at the end */
    assert_words("{\"command\": [\"x\", \"{{lr}}\"], \"seeds\": [5]}",
                 "{\"lr\": 1, \"on\": true}", "x {lr} --lr=1 --on=true --seed=5");
}

/* ---- metrics ---- */

struct told {
    struct buf text;
};

static void tell(void *ctx, const char *key, int64_t step, double value)
{
    buf_printf(&((struct told *)ctx)->text, "%s@%lld=%g ", key, (long long)step, value);
}

/* Feeds the text in pieces of `piece` bytes, then ends. */
static size_t read_lines(const char *text, size_t piece, struct buf *out)
{
    struct told told = {BUF_INIT};
    struct metric_lines m;
    metric_lines_init(&m, tell, &told);
    for (size_t i = 0, n = strlen(text); i < n; i += piece)
        metric_lines_feed(&m, text + i, n - i < piece ? n - i : piece);
    const size_t dropped = m.dropped;
    metric_lines_end(&m);
    *out = told.text;
    return dropped;
}

static void assert_metrics(const char *text, const char *wanted)
{
    for (size_t piece = 1; piece < 40; piece += 6) {
        struct buf got;
        assert_int_equal(read_lines(text, piece, &got), 0);
        assert_string_equal(buf_str(&got), wanted);
        buf_release(&got);
    }
}

static void metrics_of_lines(void **state)
{
    (void)state;
    assert_metrics("loading\n{\"step\": 10, \"eval/loss\": 0.5}\n{bad\n[1]\n"
                   "{\"step\": 20.0, \"eval/loss\": 0.25, \"ok\": true, \"s\": \"x\"}\n",
                   "eval/loss@10=0.5 eval/loss@20=0.25 ok@20=1 eval/loss@-1=0.25 "
                   "ok@-1=1 ");
    assert_metrics("  {\"acc\": 0.75}\r\n{\"acc\": 0.875}", "acc@-1=0.875 ");
    assert_metrics("{\"global_step\": 1, \"e\": {\"a\": {\"b\": 2}, \"c\": [1]}}\n",
                   "e/a/b@1=2 e/a/b@-1=2 ");
    assert_metrics("{\"step\": -1, \"a\": 1}\n", "a@-1=1 ");
}

static void python_numbers(void **state)
{
    (void)state;
    assert_metrics("{\"step\": 0, \"a\": NaN, \"NaN\": -Infinity, \"t\": \"\\\"NaN\"}\n",
                   "a@0=nan NaN@0=-inf a@-1=nan NaN@-1=-inf ");
    assert_metrics("{\"a\": \"Infinity\"}\n", "a@-1=inf ");
}

static void limits_are_kept_and_counted(void **state)
{
    (void)state;
    struct buf text = BUF_INIT, got;
    buf_str_add(&text, "{\"step\": 1, \"long\": \"");
    for (int i = 0; i < METRIC_LINE_MAX; i++)
        buf_char(&text, 'x');
    buf_str_add(&text, "\", \"a\": 1}\n{\"b\": 2}\n");
    assert_int_equal(read_lines(buf_str(&text), 1000, &got), 1);
    assert_string_equal(buf_str(&got), "b@-1=2 ");
    buf_release(&got);
    buf_clear(&text);
    for (int i = 0; i < METRIC_NAMES_MAX + 3; i++)
        buf_printf(&text, "{\"step\": 1, \"k%d\": 1}\n", i);
    buf_str_add(&text, "{\"\": 1}\n");
    assert_int_equal(read_lines(buf_str(&text), 4096, &got), 4);
    buf_release(&got);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_wandb_macros),
        cmocka_unit_test(words_of_names_in_braces),
        cmocka_unit_test(metrics_of_lines),
        cmocka_unit_test(python_numbers),
        cmocka_unit_test(limits_are_kept_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

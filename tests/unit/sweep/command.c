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
    struct buf text, said;
};

static void tell(void *ctx, const char *key, int64_t step, double value)
{
    buf_printf(&((struct told *)ctx)->text, "%s@%lld=%g ", key, (long long)step, value);
}

static void warn(void *ctx, const char *text)
{
    buf_printf(&((struct told *)ctx)->said, "%s\n", text);
}

/* Feeds the text in pieces of `piece` bytes, then ends. */
static struct told read_lines(const char *text, size_t n, size_t piece)
{
    struct told told = {BUF_INIT, BUF_INIT};
    struct metric_lines m;
    metric_lines_init(&m, tell, warn, &told);
    for (size_t i = 0; i < n; i += piece)
        metric_lines_feed(&m, text + i, n - i < piece ? n - i : piece);
    metric_lines_end(&m);
    return told;
}

static void release(struct told *t)
{
    buf_release(&t->text);
    buf_release(&t->said);
}

/* `said`: what must be said; NULL: nothing. */
static void assert_said(const char *text, const char *wanted, const char *said)
{
    for (size_t piece = 1; piece < 40; piece += 6) {
        struct told got = read_lines(text, strlen(text), piece);
        assert_string_equal(buf_str(&got.text), wanted);
        if (said ? !strstr(buf_str(&got.said), said) : got.said.len > 0)
            fail_msg("'%s' for '%s': %s", buf_str(&got.said), said ? said : "", text);
        release(&got);
    }
}

static void assert_metrics(const char *text, const char *wanted)
{
    assert_said(text, wanted, NULL);
}

static void metrics_of_lines(void **state)
{
    (void)state;
    assert_metrics("loading\n{\"step\": 10, \"eval/loss\": 0.5}\n(bad\n[1]\n"
                   "{\"step\": 20.0, \"eval/loss\": 0.25, \"ok\": true, \"s\": \"x\"}\n",
                   "eval/loss@10=0.5 eval/loss@20=0.25 ok@20=1 eval/loss@-1=0.25 "
                   "ok@-1=1 ");
    assert_metrics("  {\"acc\": 0.75}\r\n{\"acc\": 0.875}", "acc@-1=0.875 ");
    assert_metrics("{\"global_step\": 1, \"e\": {\"a\": {\"b\": 2}, \"c\": [1, [{\"x\": "
                   "\"]}\"}]]}}\n",
                   "e/a/b@1=2 e/a/b@-1=2 ");
    assert_metrics("{\"step\": null, \"a\": 1, \"b\": null}\n{}\n{ }\n", "a@-1=1 ");
    assert_metrics("{\"a\\u00e9\\ud83d\\ude00\\n\": -1.5e-3}\n",
                   "a\u00e9\U0001F600\n@-1=-0.0015 ");
}

static void python_numbers(void **state)
{
    (void)state;
    assert_metrics("{\"step\": 0, \"a\": NaN, \"NaN\": -Infinity, \"t\": \"\\\"NaN\"}\n",
                   "a@0=nan NaN@0=-inf a@-1=nan NaN@-1=-inf ");
    assert_metrics("{\"a\": \"Infinity\"}\n", "a@-1=inf ");
    assert_metrics("{\"a\": nan, \"b\": inf, \"c\": -inf}\n",
                   "a@-1=nan b@-1=inf c@-1=-inf ");
}

/* One odd field costs that field, and is said; every row has "m" beside it. */
static void an_odd_field_costs_itself(void **state)
{
    (void)state;
    static const struct {
        const char *field; /* NAME: VALUE */
        const char *also;  /* what it gives besides m */
        const char *said;
    } rows[] = {
        {"\"n\": 18446744073709551616", "n@-1=1.84467e+19 ", NULL},
        {"\"n\": -99999999999999999999999999", "n@-1=-1e+26 ", NULL},
        {"\"n\": 1e999", "", "'n' is beyond the range"},
        {"\"n\": 0x10", NULL, "begins like a JSON object and is none"},
        {"\"t\": \"caf\\udce9.txt\"", "", NULL},
        {"\"t\": \"a\\u0000b\"", "", NULL},
        {"\"t\": \"\xff\xfe\"", "", NULL},
        {"\"t\": \"\x01\t\"", "", NULL},
        {"\"t\": \"\\q\"", "", NULL},
        {"\"n\\u0000\": 1", "", "no usable name"},
        {"\"n\\ud800\": 1", "", "no usable name"},
        {"\"n\xff\": 1", "", "no usable name"},
        {"\"\": 1", "", "no usable name"},
        {"\"\": {\"a\": 1}", "", "no usable name"},
        {"\"m\": 3", NULL, "'m' stands twice"},
        {"\"l\": [1, 2, {\"a\": [3]}]", "", NULL},
        {"\"n\": ", NULL, "begins like a JSON object and is none"},
        {"'n': 1", NULL, "holds no metrics: {'n': 1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *line = xasprintf("{%s, \"m\": 2}\n", rows[i].field);
        char *wanted = !rows[i].also ? xstrdup(strstr(line, "\"m\": 3") ? "m@-1=2 " : "")
                                     : xasprintf("%sm@-1=2 ", rows[i].also);
        assert_said(line, wanted, rows[i].said);
        free(line);
        free(wanted);
    }
}

static void deep_objects_and_long_texts(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    buf_str_add(&text, "{\"m\": 2, \"d\": ");
    for (int i = 0; i < 5000; i++)
        buf_str_add(&text, "{\"d\": ");
    buf_str_add(&text, "1");
    for (int i = 0; i < 5000; i++)
        buf_char(&text, '}');
    buf_str_add(&text, ", \"list\": ");
    for (int i = 0; i < 100000; i++)
        buf_char(&text, '[');
    for (int i = 0; i < 100000; i++)
        buf_char(&text, ']');
    buf_str_add(&text, ", \"digits\": ");
    for (int i = 0; i < 5000; i++)
        buf_char(&text, '9');
    buf_str_add(&text, ", \"text\": \"");
    for (int i = 0; i < 1000000; i++)
        buf_char(&text, 'x');
    buf_str_add(&text, "\", \"n\": 3}\n");
    struct told got = read_lines(buf_str(&text), text.len, 4096);
    assert_string_equal(buf_str(&got.text), "m@-1=2 n@-1=3 ");
    assert_non_null(strstr(buf_str(&got.said), "lies too deep"));
    assert_non_null(strstr(buf_str(&got.said), "'digits' is beyond the range"));
    release(&got);
    buf_release(&text);
}

/* Points of two different steps are never one. */
static void odd_steps_give_no_point(void **state)
{
    (void)state;
    static const char *const odd[] = {"0.25", "-1",    "1e300", "9007199254740994",
                                      "NaN",  "1e999", "-0.5",  "\"ten\"",
                                      "[1]"};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        char *line = xasprintf("{\"step\": %s, \"m\": 2}\n", odd[i]);
        assert_said(line, "m@-1=2 ", "is no whole number from 0 to 2^53");
        free(line);
    }
    assert_metrics("{\"step\": 9007199254740992, \"m\": 2}\n",
                   "m@9007199254740992=2 m@-1=2 ");
    assert_said("{\"step\": 3, \"m\": 2}\n{\"step\": 3, \"m\": 4}\n",
                "m@3=2 m@3=4 m@-1=4 ", "steps of 'm' repeat or go back");
    assert_said("{\"step\": 3, \"m\": 2}\n{\"step\": 1, \"m\": 4}\n",
                "m@3=2 m@1=4 m@-1=4 ", "steps of 'm' repeat or go back");
    assert_metrics("{\"step\": 3, \"m\": 2}\n{\"step\": 3, \"n\": 4}\n",
                   "m@3=2 n@3=4 m@-1=2 n@-1=4 ");
    assert_said("{\"step\": 3, \"m\": 2, \"step\": 4}\n", "m@4=2 m@-1=2 ",
                "'step' stands twice");
}

static void limits_are_kept_and_said_once(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    buf_str_add(&text, "{\"step\": 1, \"long\": \"");
    for (size_t i = 0; i < METRIC_LINE_MAX; i++)
        buf_char(&text, 'x');
    buf_str_add(&text, "\", \"a\": 1}\n{\"b\": 2}\n");
    struct told got = read_lines(buf_str(&text), text.len, 65536);
    assert_string_equal(buf_str(&got.text), "b@-1=2 ");
    assert_non_null(strstr(buf_str(&got.said), "above 16 MiB"));
    release(&got);
    buf_clear(&text);
    for (int i = 0; i < METRIC_NAMES_MAX + 3; i++)
        buf_printf(&text, "{\"step\": 1, \"k%d\": 1}\n", i);
    got = read_lines(buf_str(&text), text.len, 4096);
    assert_string_equal(buf_str(&got.said),
                        "more than 1,000 metrics: 'k1000' and others are left out\n");
    release(&got);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_wandb_macros),
        cmocka_unit_test(words_of_names_in_braces),
        cmocka_unit_test(metrics_of_lines),
        cmocka_unit_test(python_numbers),
        cmocka_unit_test(an_odd_field_costs_itself),
        cmocka_unit_test(deep_objects_and_long_texts),
        cmocka_unit_test(odd_steps_give_no_point),
        cmocka_unit_test(limits_are_kept_and_said_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The expression language against Python: values, precedence, laziness, refusals,
 * limits. */
#include "lib/config/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/space/expr.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* rank = 8, method = "lora", rate = 0.5, names = [a, b], flag = true, gone: absent */
static struct strmap *names;
static json_t *env[6];

static int setup(void **state)
{
    static const char *const keys[] = {"rank", "method", "rate", "names", "flag", "gone"};
    (void)state;
    names = strmap_new();
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        strmap_put(names, keys[i], strlen(keys[i]), (int64_t)i);
    env[0] = json_integer(8);
    env[1] = json_string("lora");
    env[2] = json_real(0.5);
    env[3] = json_pack("[s, s]", "a", "b");
    env[4] = json_true();
    env[5] = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(env); i++)
        json_decref(env[i]);
    strmap_free(names);
    return 0;
}

static int evaluate(const char *text, json_t **out, struct err *err)
{
    struct expr *e;
    int rc = expr_parse(text, names, &e, err);
    if (rc < 0)
        return rc;
    rc = expr_eval(e, env, out, err);
    expr_free(e);
    return rc;
}

/* The right sides are Python's answers, as canonical JSON. */
static const char *const answers[][2] = {
    {"rank", "8"},
    {"2*rank", "16"},
    {"rank / 2", "4"},
    {"rank / 3", "2.6666666666666665"},
    {"7 // 2", "3"},
    {"-7 // 2", "-4"},
    {"7 // -2", "-4"},
    {"-7 % 3", "2"},
    {"7 % -3", "-2"},
    {"7.5 // 2", "3"},
    {"-7.5 % 2", "0.5"},
    {"5.5 % -2", "-0.5"},
    {"-2 * -3", "6"},
    {"- - 2", "2"},
    {"+3", "3"},
    {"1 + 2 * 3 - 4 / 2", "5"},
    {"(1 + 2) * 3", "9"},
    {"10 - 3 - 2", "5"},
    {"64 / 4 / 2", "8"},
    {"1e3", "1000"},
    {".5 + 5.", "5.5"},
    {"6e-3", "0.006"},
    {"rank == 8.0", "true"},
    {"rank == '8'", "false"},
    {"method == lora", "true"},
    {"method == \"lora\"", "true"},
    {"method != qlora", "true"},
    {"method in [lora, qlora]", "true"},
    {"method not in [lora, qlora]", "false"},
    {"method not   in [full]", "true"},
    {"method in 'lora|qlora'", "true"},
    {"not method == full", "true"},
    {"not (rank > 4 and flag)", "false"},
    {"rank > 4 and rank < 9", "true"},
    {"rank < 4 or rank >= 8", "true"},
    {"true or false and false", "true"},
    {"flag", "true"},
    {"flag == True", "true"},
    {"null == None", "true"},
    {"names + [c]", "[\"a\",\"b\",\"c\"]"},
    {"names == [a, b]", "true"},
    {"names == [b, a]", "false"},
    {"'x' + method", "\"xlora\""},
    {"'it\\'s'", "\"it's\""},
    {"a < b", "true"},
    {"min(rank, 16)", "8"},
    {"max(rank, 16, 3)", "16"},
    {"max([1, 5, 2])", "5"},
    {"round(2.5)", "2"},
    {"round(3.5)", "4"},
    {"round(-2.6)", "-3"},
    {"round(2.675, 2)", "2.67"},
    {"round(rank * 1.3)", "10"},
    {"1 if method == lora else 2", "1"},
    {"1 if method == full else 2 if rank > 8 else 3", "3"},
    {"0.006 if method == head else 2e-4 if method in [lora, qlora] else 2e-5", "0.0002"},
    {"9223372036854775807 + 1", "9.223372036854776e+18"},
    {"9007199254740993 - 1", "9007199254740992"},
    /* laziness: the other side is never looked at */
    {"flag or 1 / 0", "true"},
    {"not flag and 1 / 0", "false"},
    {"1 if flag else 1 / 0", "1"},
};

static void values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct err err = ERR_INIT;
        json_t *got = NULL;
        struct buf text = BUF_INIT;
        if (evaluate(answers[i][0], &got, &err) != 0)
            fail_msg("%s: %s", answers[i][0], err.msg);
        json_canonical(&text, got);
        if (strcmp(buf_str(&text), answers[i][1]))
            fail_msg("%s = %s, expected %s", answers[i][0], buf_str(&text),
                     answers[i][1]);
        buf_release(&text);
        json_decref(got);
    }
}

static void absent(void **state)
{
    static const char *const rows[] = {"gone",         "gone == 1",       "not gone",
                                       "1 + gone",     "[gone]",          "min(gone, 2)",
                                       "gone or true", "1 if gone else 2"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        json_t *got;
        assert_int_equal(evaluate(rows[i], &got, &err), EXPR_ABSENT);
        assert_int_equal(err.code, ERR_OK);
    }
}

static void refused(void **state)
{
    static const char *const rows[][2] = {
        {"", "expected a value"},
        {"method == ", "expected a value"},
        {"method = lora", "'=' is no operator"},
        {"rank.real", "'.' is no operator"},
        {"exp(rank)", "only min, max and round"},
        {"__import__('os').system('id')", "only min, max and round"},
        {"rank rank", "expected an operator"},
        {"(rank", "expected ')'"},
        {"[1, 2", "expected ','"},
        {"1 < 2 < 3", "do not chain"},
        {"'open", "not closed"},
        {"'\\x41'", "unknown escape"},
        {"rank ** 2", "expected a value"},
        {"rank @ 2", "unknown character"},
        {"08x", "goes on with letters"},
        {"1.2.3", "goes on with letters"},
        {"in [1]", "expected a value"},
        {"1 if flag", "expected 'else'"},
        {"round()", "wrong number of arguments"},
        {"round(1, 2, 3)", "wrong number of arguments"},
        {"round(1.5, -1)", "0 to 20 decimals"},
        {"8 // (rank - 8)", "division by zero"},
        {"8 % 0", "division by zero"},
        {"8 / 0.0", "division by zero"},
        {"method + 1", "'+' does not apply to lora and 1"},
        {"all-linear", "'-' does not apply"},
        {"method < 1", "'<' does not apply"},
        {"1 in 2", "'in' does not apply"},
        {"-method", "numbers only"},
        {"max([])", "empty list"},
        {"1e999", "too large"},
        {"1e308 * 10", "not a finite number"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        json_t *got;
        int rc = evaluate(rows[i][0], &got, &err);
        if (rc != -ERR_CONFIG || !strstr(err.msg, rows[i][1]))
            fail_msg("%s: %d '%s', expected '%s'", rows[i][0], rc, err.msg, rows[i][1]);
    }
}

static char *repeated(const char *piece, size_t times, const char *end)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < times; i++)
        buf_str_add(&b, piece);
    buf_str_add(&b, end);
    return buf_detach(&b, NULL);
}

static void limits(void **state)
{
    static const struct {
        const char *piece;
        size_t times;
        const char *end, *words;
    } rows[] = {
        {"(", 2000, "1", "nested too deeply"},   {"-", 2000, "1", "nested too deeply"},
        {"not ", 900, "1", "nested too deeply"}, {"1+", 1500, "1", "too long"},
        {"[", 2000, "", "nested too deeply"},    {"1 +", 5000, "1", "more than 4096"},
        {"1 if 1 else ", 300, "1", "deeply"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        json_t *got;
        char *text = repeated(rows[i].piece, rows[i].times, rows[i].end);
        int rc = evaluate(text, &got, &err);
        if (rc != -ERR_CONFIG || !strstr(err.msg, rows[i].words))
            fail_msg("%s...: %d '%.100s'", rows[i].piece, rc, err.msg);
        free(text);
    }
    /* a chain within the limits */
    struct err err = ERR_INIT;
    json_t *got;
    char *text = repeated("1+", 400, "1");
    assert_int_equal(evaluate(text, &got, &err), 0);
    assert_int_equal(json_integer_value(got), 401);
    json_decref(got);
    free(text);
}

static void text_growth_is_bounded(void **state)
{
    struct err err = ERR_INIT;
    json_t *got;
    char *long_text = repeated("x", 3000, "");
    (void)state;
    json_decref(env[1]);
    env[1] = json_string(long_text);
    assert_int_equal(evaluate("method + method", &got, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "4096"));
    json_string_set(env[1], "lora");
    free(long_text);
}

static void uses(void **state)
{
    struct err err = ERR_INIT;
    struct expr *e;
    bool used[6] = {false};
    (void)state;
    assert_int_equal(expr_parse("rank if method == lora else gone", names, &e, &err), 0);
    expr_uses(e, used);
    assert_true(used[0] && used[1] && used[5]);
    assert_false(used[2] || used[3] || used[4]);
    expr_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),  cmocka_unit_test(absent),
        cmocka_unit_test(refused), cmocka_unit_test(limits),
        cmocka_unit_test(uses),    cmocka_unit_test(text_growth_is_bounded),
    };
    return cmocka_run_group_tests_name("sweep_expr", tests, setup, teardown);
}

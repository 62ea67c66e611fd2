/* Option tables: checks, text, command lines, help. */
#include "lib/config/opt.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROW(name, kind, ...)                                                             \
    {                                                                                    \
        .key = name, .type = kind, __VA_ARGS__                                           \
    }

static const struct opt_def rows[] = {
    ROW("rank", OPT_INT, .aliases = "r|lora_rank", .preset = "8", .min = 1, .max = 4096,
        .group = "method", .help = "inner dimension"),
    ROW("dropout", OPT_FLOAT, .preset = "0", .max = 1, .group = "method"),
    ROW("steps", OPT_INT, .min = 1, .max = INFINITY, .group = "training"),
    ROW("bias", OPT_CHOICE, .preset = "none", .choices = "none|all|lora_only",
        .group = "method", .help = "biases that train"),
    ROW("task", OPT_CHOICE, .preset = "seq-cls", .group = "model",
        .choices = "seq-cls=SEQ_CLS=classify|causal-lm=CAUSAL_LM"),
    ROW("shuffle", OPT_BOOL, .preset = "true", .group = "training",
        .help = "a new order of the rows in each epoch, which is a function of the seed "
                "and the number of the epoch only"),
    ROW("targets", OPT_NAMES, .aliases = "target_modules", .group = "method"),
    ROW("layers", OPT_INTS, .max = 100, .group = "method"),
    ROW("rank_pattern", OPT_MAP, .min = 1, .max = 64, .group = "method"),
    ROW("out", OPT_PATH, .aliases = "o", .group = "training", .metavar = "DIR",
        .help = "folder for a | b"),
    ROW("name", OPT_STRING, .help = "any text"),
    ROW("tag", OPT_STRING, .flags = OPT_REPEATED, .help = "label"),
    ROW("anything", OPT_ANY),
};
static const struct opt_table table = {"test", rows, ARRAY_LEN(rows)};

static const struct opt_def need_rows[] = {
    ROW("data_file", OPT_PATH, .flags = OPT_REQUIRED),
};
static const struct opt_table need = {"need", need_rows, 1};

static void finding(void **state)
{
    (void)state;
    assert_ptr_equal(opt_find(&table, "rank"), &rows[0]);
    assert_ptr_equal(opt_find(&table, "lora-rank"), &rows[0]);
    assert_ptr_equal(opt_find(&table, "rank-pattern"), opt_find(&table, "rank_pattern"));
    assert_null(opt_find(&table, "ran"));
    assert_null(opt_find(&table, "rankk"));
    assert_null(opt_find(&table, ""));
    assert_string_equal(opt_nearest(&table, "droput"), "dropout");
    assert_string_equal(opt_nearest(&table, "target_module"), "targets");
    assert_null(opt_nearest(&table, "zzzzzz"));
}

static void unknown_keys(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(opt_unknown(&table, "lora.rnak", NULL, &err), -ERR_CONFIG);
    assert_string_equal(err.msg, "unknown key 'lora.rnak' (did you mean 'rank'?)");
    err_clear(&err);
    opt_unknown(&table, "x.r", "trial key", &err);
    assert_string_equal(err.msg, "unknown trial key 'x.r' (did you mean 'rank'?)");
    err_clear(&err);
    opt_unknown(&table, "zzzz\x1b", NULL, &err);
    assert_string_equal(err.msg, "unknown key 'zzzz?'");
}

/* Text of option `key` must give JSON `expected`; NULL: the message `message`. */
static void check_text(const char *key, const char *text, const char *expected,
                       const char *message)
{
    struct err err = ERR_INIT;
    json_t *v = opt_from_text(opt_find(&table, key), text, &err);
    if (expected) {
        struct buf b = BUF_INIT;
        if (!v)
            fail_msg("%s=%s: %s", key, text, err.msg);
        json_write(&b, v, 0);
        assert_string_equal(buf_str(&b), expected);
        buf_release(&b);
        json_decref(v);
        return;
    }
    assert_null(v);
    assert_int_equal(err.code, ERR_CONFIG);
    assert_string_equal(err.msg, message);
}

static void values_from_text(void **state)
{
    (void)state;
    check_text("rank", "16", "16", NULL);
    check_text("rank", "1e3", "1000", NULL);
    check_text("rank", "0x10", "16", NULL);
    check_text("rank", "null", "null", NULL);
    check_text("dropout", "1", "1.0", NULL);
    check_text("dropout", "1e-1", "0.1", NULL);
    check_text("shuffle", "false", "false", NULL);
    check_text("bias", "lora_only", "\"lora_only\"", NULL);
    check_text("task", "SEQ_CLS", "\"seq-cls\"", NULL);
    check_text("task", "classify", "\"seq-cls\"", NULL);
    check_text("task", "causal-lm", "\"causal-lm\"", NULL);
    check_text("targets", "all-linear", "\"all-linear\"", NULL);
    check_text("targets", "query, value", "[\"query\", \"value\"]", NULL);
    check_text("targets", "[query, value]", "[\"query\", \"value\"]", NULL);
    check_text("layers", "3", "3", NULL);
    check_text("layers", "1,2", "[1, 2]", NULL);
    check_text("layers", "[1, 2]", "[1, 2]", NULL);
    check_text("rank_pattern", "{query: 4}", "{\"query\": 4}", NULL);
    check_text("out", "a: b", "\"a: b\"", NULL);
    check_text("name", "123", "\"123\"", NULL);
    check_text("tag", "x", "[\"x\"]", NULL);
    check_text("anything", "{a: [1]}", "{\"a\": [1]}", NULL);
}

static void bad_values(void **state)
{
    (void)state;
    check_text("rank", "0", NULL, "rank must be 1..4096, got 0");
    check_text("rank", "2.5", NULL, "rank must be an integer, got 2.5");
    check_text("rank", "[", NULL, "rank must be an integer, got '['");
    check_text("rank", "abc", NULL, "rank must be an integer, got 'abc'");
    check_text("steps", "-3", NULL, "steps must be at least 1, got -3");
    check_text("dropout", "1.5", NULL, "dropout must be 0..1, got 1.5");
    check_text("dropout", ".nan", NULL, "dropout must be a number, got 'NaN'");
    check_text("shuffle", "yes", NULL, "shuffle must be true or false, got 'yes'");
    check_text(
        "bias", "al", NULL,
        "bias must be one of none, all, lora_only, got 'al' (did you mean 'all'?)");
    check_text("task", "regression", NULL,
               "task must be one of seq-cls, causal-lm, got 'regression'");
    check_text("layers", "1,x", NULL, "layers must be an integer, got 'x'");
    check_text("layers", "1,101", NULL, "layers must be 0..100, got 101");
    check_text("rank_pattern", "{query: 0}", NULL, "rank_pattern must be 1..64, got 0");
    check_text("rank_pattern", "4", NULL,
               "rank_pattern must be a map of numbers such as {name: 8}, got 4");
    check_text("out", "", NULL, "out must be a path, got ''");
    check_text("bias",
               "0123456789012345678901234567890123456789012345678901234567\u65e5\u65e5",
               NULL,
               "bias must be one of none, all, lora_only, got "
               "'0123456789012345678901234567890123456789012345678901234567'...");
    check_text("name", "\xff", NULL, "name is not valid UTF-8");
}

static void values_of_another_type(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *v = json_pack("[i, s, {}, b]", 5, "a", 1);
    assert_null(opt_check(opt_find(&table, "name"), json_array_get(v, 0), &err));
    assert_string_equal(err.msg, "name must be text (put it in quotes), got 5");
    err_clear(&err);
    assert_null(opt_check(opt_find(&table, "targets"), v, &err));
    assert_string_equal(
        err.msg, "targets must be a name or a list of names, got [5,\"a\",{},true]");
    err_clear(&err);
    assert_null(opt_check(opt_find(&table, "bias"), v, &err));
    assert_null(opt_check(&need_rows[0], json_null(), NULL));
    json_decref(v);
}

static void defaults(void **state)
{
    (void)state;
    static const struct {
        const char *key, *json;
    } expected[] = {{"rank", "8"},        {"dropout", "0.0"},  {"steps", "null"},
                    {"bias", "\"none\""}, {"shuffle", "true"}, {"tag", "[]"}};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        struct buf b = BUF_INIT;
        json_t *v = opt_default(opt_find(&table, expected[i].key));
        json_write(&b, v, 0);
        assert_string_equal(buf_str(&b), expected[i].json);
        buf_release(&b);
        json_decref(v);
    }
}

/* A command line split at blanks; *message gets the error. */
static json_t *parse(const struct opt_table *t, const char *line, const char **positional,
                     size_t *count, bool *help, struct err *err)
{
    char *copy = xstrdup(line), *rest = copy, *words[32];
    int n = 0;
    for (char *w; (w = strsep(&rest, " "));)
        if (*w)
            words[n++] = w;
    json_t *values;
    int rc = opt_parse_args(t, n, words, &values, positional, 3, count, help, err);
    assert_true((rc == 0) == (values != NULL));
    assert_true(rc == 0 || rc == -ERR_USAGE);
    for (size_t i = 0; rc == 0 && i < *count; i++) /* outlives the copy */
        positional[i] = line + (positional[i] - copy);
    free(copy);
    return values;
}

static void command_lines(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const char *positional[3];
    size_t count;
    bool help;
    json_t *v =
        parse(&table,
              "trial.yaml --lora-rank 16 lr=1e-4 --dropout=.1 --no-shuffle -o dir "
              "--tag a --tag=b -- --rank",
              positional, &count, &help, &err);
    if (!v)
        fail_msg("%s", err.msg);
    assert_int_equal(count, 3);
    assert_memory_equal(positional[0], "trial.yaml ", 11);
    assert_memory_equal(positional[1], "lr=1e-4 ", 8);
    assert_string_equal(positional[2], "--rank");
    assert_false(help);
    assert_int_equal(json_get_int(v, "rank", 0), 16);
    assert_true(json_get_num(v, "dropout", 0) == .1);
    assert_int_equal(json_get_bool(v, "shuffle", 1), 0);
    assert_string_equal(json_get_str(v, "out", ""), "dir");
    assert_int_equal(json_array_size(json_object_get(v, "tag")), 2);
    assert_string_equal(json_get_str(v, "bias", ""), "none");
    assert_int_equal(json_object_size(v), ARRAY_LEN(rows));
    json_decref(v);
    v = parse(&table, "- -5 --shuffle --rank -h", positional, &count, &help, &err);
    assert_null(v);
    err_clear(&err);
    v = parse(&need, "--help", positional, &count, &help, &err);
    assert_non_null(v);
    assert_true(help);
    json_decref(v);
    v = parse(&table, "- -5", positional, &count, &help, &err);
    assert_int_equal(count, 2);
    json_decref(v);
}

static void bad_command_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } bad[] = {
        {"--rnak 5", "unknown flag '--rnak' (did you mean '--rank'?)"},
        {"--rank_patern=5",
         "unknown flag '--rank_patern' (did you mean '--rank-pattern'?)"},
        {"--zzzzzzz", "unknown flag '--zzzzzzz' (see --help)"},
        {"--no-rank", "unknown flag '--no-rank' (did you mean '--rank'?)"},
        {"-rank 5", "unknown flag '-rank' (did you mean '--rank'?)"},
        {"--rank", "flag '--rank' needs a value"},
        {"--rank --shuffle", "flag '--rank' needs a value"},
        {"--rank 5 -r 6", "flag '-r' is given twice"},
        {"--no-shuffle=true", "flag '--no-shuffle' takes no value"},
        {"--rank 0", "flag '--rank': rank must be 1..4096, got 0"},
        {"a b c d", "too many arguments at 'd' (at most 3)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        const char *positional[3];
        size_t count;
        bool help;
        assert_null(parse(&table, bad[i].line, positional, &count, &help, &err));
        assert_string_equal(err.msg, bad[i].message);
    }
    struct err err = ERR_INIT;
    size_t count;
    bool help;
    assert_null(parse(&need, "", NULL, &count, &help, &err));
    assert_string_equal(err.msg, "flag '--data-file' is required");
}

/* A value in its normal form passes again unchanged, and its text reads back. */
static void normal_forms_are_fixed_points(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1",      "7",   "0.25",   "1e2",         "true", "none", "CAUSAL_LM",
        "[1, 2]", "a,b", "{q: 8}", "-1",          "x",    "[a]",  "~",
        "5000",   "1.5", "[[1]]",  "{a: {b: 1}}", "''",   "0x7"};
    struct philox_key key = rng_key(2, "opt test");
    size_t passed = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        const struct opt_def *def = &rows[rng_below(&key, 0, i, ARRAY_LEN(rows))];
        const char *text = texts[rng_below(&key, 1, i, ARRAY_LEN(texts))];
        struct err err = ERR_INIT;
        json_t *v = opt_from_text(def, text, &err);
        if (!v) {
            assert_true(err.code == ERR_CONFIG || err.code == ERR_PARSE);
            assert_non_null(strstr(err.msg, def->key));
            continue;
        }
        json_t *again = opt_check(def, v, &err);
        assert_true(json_equal(v, again));
        passed++;
        json_decref(v);
        json_decref(again);
    }
    assert_true(passed > 500);
}

static char *printed(bool as_flags)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    opt_print_help(&table, as_flags, f);
    fclose(f);
    char *copy = xstrdup(text);
    free(text);
    return copy;
}

static void help_text(void **state)
{
    (void)state;
    char *flags = printed(true), *keys = printed(false), *rest = flags;
    assert_non_null(strstr(flags, "\nmethod:\n  --rank N "));
    assert_non_null(strstr(flags, "  --rank-pattern {NAME: N}"));
    assert_non_null(strstr(flags, "inner dimension [1..4096; default 8]"));
    assert_non_null(strstr(flags, "[seq-cls, causal-lm; default seq-cls]"));
    assert_non_null(strstr(flags, "label [may be repeated]"));
    assert_non_null(strstr(keys, "\n  rank: N "));
    for (char *line; (line = strsep(&rest, "\n"));)
        assert_true(strlen(line) <= 90);
    /* Each group has one heading, each option one line. */
    assert_null(strstr(strstr(keys, "\nmethod:") + 1, "\nmethod:"));
    for (size_t i = 0; i < table.count; i++) {
        char *name = xasprintf("\n  %s: ", rows[i].key);
        if (rows[i].type != OPT_BOOL)
            assert_non_null(strstr(keys, name));
        free(name);
    }
    free(flags);
    free(keys);
    struct buf b = BUF_INIT;
    opt_print_markdown(&table, &(struct opt_markdown){0}, &b);
    assert_non_null(strstr(buf_str(&b), "| `rank`, `r`, `lora_rank` | N, 1..4096 | 8 | "
                                        "inner dimension |"));
    assert_non_null(strstr(buf_str(&b), "folder for a \\| b |"));
    assert_non_null(strstr(buf_str(&b), "| `bias` | none, all, lora_only | none | "));
    buf_clear(&b);
    opt_print_markdown(&table,
                       &(struct opt_markdown){.as_flags = true, .group = "training"}, &b);
    assert_non_null(strstr(buf_str(&b), "| `--out`, `-o` | DIR |"));
    assert_null(strstr(buf_str(&b), "rank"));
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finding),
        cmocka_unit_test(unknown_keys),
        cmocka_unit_test(values_from_text),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(values_of_another_type),
        cmocka_unit_test(defaults),
        cmocka_unit_test(command_lines),
        cmocka_unit_test(bad_command_lines),
        cmocka_unit_test(normal_forms_are_fixed_points),
        cmocka_unit_test(help_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

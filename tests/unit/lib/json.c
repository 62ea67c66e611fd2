/* JSON: doubles, canonical text, limits, getters, round trips of random trees. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct philox_key key;
static uint64_t draws;

static uint64_t below(uint64_t n)
{
    return rng_below(&key, 0, draws++, n);
}

static void check_double(double v, const char *expected)
{
    struct buf b = BUF_INIT;
    json_put_double(&b, v);
    assert_string_equal(buf_str(&b), expected);
    buf_release(&b);
}

static void shortest_doubles(void **state)
{
    (void)state;
    check_double(0.1, "0.1");
    check_double(3, "3.0");
    check_double(-0.0, "-0.0");
    check_double(1e-5, "1e-05");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(1e22, "1e+22");
    check_double(5e-324, "5e-324");
    check_double(DBL_MAX, "1.7976931348623157e+308");
    check_double(NAN, "\"NaN\"");
    check_double(-INFINITY, "\"-Infinity\"");
}

static void any_double_reads_back(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = below(UINT64_MAX);
        double v, again;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        struct buf b = BUF_INIT;
        json_put_double(&b, v);
        again = strtod(buf_str(&b), NULL);
        assert_memory_equal(&v, &again, sizeof v);
        buf_release(&b);
    }
}

static void check_canonical(const char *text, const char *expected)
{
    struct err err = ERR_INIT;
    json_t *v = json_parse(text, strlen(text), "test", &err);
    assert_non_null(v);
    struct buf b = BUF_INIT;
    json_canonical(&b, v);
    assert_string_equal(buf_str(&b), expected);
    buf_release(&b);
    json_decref(v);
}

/* Of a configuration only its own keys are sorted. */
static void configuration_text(void **state)
{
    (void)state;
    static const char text[] =
        "{\"b\": {\"z\": 3e0, \"a\": [{\"y\": 1, \"x\": 2}]}, \"a\": 1}";
    json_t *v = json_parse(text, strlen(text), "test", NULL);
    struct buf b = BUF_INIT;
    json_configuration(&b, v);
    assert_string_equal(buf_str(&b),
                        "{\"a\":1,\"b\":{\"z\":3,\"a\":[{\"y\":1,\"x\":2}]}}");
    buf_release(&b);
    json_decref(v);
}

static void canonical_text(void **state)
{
    (void)state;
    check_canonical("{\"b\": 1, \"a\": [1.0, 3e0, -0.0, 0.5, 1e-4]}",
                    "{\"a\":[1,3,0,0.5,0.0001],\"b\":1}");
    check_canonical("[9007199254740992.0, 9007199254740991.0]",
                    "[9007199254740992.0,9007199254740991]");
    check_canonical("{\"\\u00e9\": null, \"z\": true, \"A\": \"\\n\\u0001\\\"\\\\/\"}",
                    "{\"A\":\"\\n\\u0001\\\"\\\\/\",\"z\":true,\"\u00e9\":null}");
    check_canonical(" {} ", "{}");
    check_canonical("[]", "[]");
    check_canonical("\"x\"", "\"x\"");
}

static void readable_text(void **state)
{
    (void)state;
    json_t *v = json_pack("{s:i, s:[f, {}]}", "z", 1, "a", 0.1);
    struct buf b = BUF_INIT;
    json_write(&b, v, 1);
    assert_string_equal(buf_str(&b), "{\n \"z\": 1,\n \"a\": [\n  0.1,\n  {}\n ]\n}");
    buf_clear(&b);
    json_write(&b, v, 0);
    assert_string_equal(buf_str(&b), "{\"z\": 1, \"a\": [0.1, {}]}");
    buf_release(&b);
    json_decref(v);
}

static void bad_bytes_in_strings(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    json_put_string(&b, "a\xff\x00z\x7f", 5);
    assert_string_equal(buf_str(&b), "\"a\xef\xbf\xbd\\u0000z\x7f\"");
    buf_release(&b);
}

/* What drives a terminal or turns the direction of text does not leave as it came. */
static void controls_are_escaped(void **state)
{
    (void)state;
    static const char text[] = "a\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xc2\xa0\xc3\xa4";
    json_t *v = json_pack("{s:s}", text, text), *back;
    struct buf b = BUF_INIT;
    json_write(&b, v, 0);
    assert_string_equal(buf_str(&b),
                        "{\"a\\u001b[2J\\u007f\\u009b\\u202e\xc2\xa0\xc3\xa4\": "
                        "\"a\\u001b[2J\\u007f\\u009b\\u202e\xc2\xa0\xc3\xa4\"}");
    back = json_parse(buf_str(&b), b.len, "text", NULL);
    assert_true(json_equal(v, back));
    json_decref(back);
    json_decref(v);
    buf_release(&b);
}

static void check_refused(const char *text, size_t len, const char *part)
{
    struct err err = ERR_INIT;
    assert_null(json_parse(text, len, "trial.json", &err));
    assert_int_equal(err.code, ERR_PARSE);
    assert_memory_equal(err.msg, "trial.json: ", 12);
    if (!strstr(err.msg, part))
        fail_msg("'%s' lacks '%s'", err.msg, part);
}

static void refused_text(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "line 1"},
        {"{\"a\": 1,\n \"a\": 2}", "line 2, column 4: duplicate object key"},
        {"[1,\n 2", "line 2"},
        {"[1] x", "end of file expected"},
        {"\"\xff\"", "unable to decode byte 0xff"},
        {"[NaN]", "line 1"},
        {"[1e999]", "real number overflow"},
        {"{\"a\\u0000\": 1}", "\\u0000"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_refused(bad[i][0], strlen(bad[i][0]), bad[i][1]);
}

static void depth_limit(void **state)
{
    (void)state;
    char text[200];
    struct err err = ERR_INIT;
    for (int depth = 64; depth <= 65; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        if (depth > 64) {
            check_refused(text, 2 * (size_t)depth, "deeper than 64 levels");
            continue;
        }
        json_t *v = json_parse(text, 2 * (size_t)depth, "x", &err);
        assert_non_null(v);
        json_decref(v);
    }
    char *many = xmalloc(1000000);
    memset(many, '[', 1000000);
    check_refused(many, 1000000, "depth");
    free(many);
}

static void lines(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *v = json_parse_line("\"a\\u0000b\"", 10, "x.jsonl", 7, &err);
    assert_int_equal(json_string_length(v), 3);
    json_decref(v);
    assert_null(json_parse_line("{x}", 3, "x.jsonl", 7, &err));
    assert_memory_equal(err.msg, "x.jsonl: line 7, column", 23);
}

static void files(void **state)
{
    (void)state;
    char path[] = "/tmp/lib_json-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct err err = ERR_INIT;
    json_t *v = json_pack("{s:f}", "x", 0.1);
    assert_int_equal(json_write_file(path, v, 1, &err), 0);
    json_t *again = json_read_file(path, &err);
    assert_true(json_equal(v, again));
    json_decref(v);
    json_decref(again);
    unlink(path);
    assert_null(json_read_file(path, &err));
    assert_int_equal(err.code, ERR_NOINPUT);
}

static void getters(void **state)
{
    (void)state;
    json_t *o = json_pack("{s:s, s:i, s:f, s:b, s:n, s:s, s:s, s:f}", "s", "text", "i", 5,
                          "f", 2.0, "b", 1, "n", "w", "-Infinity", "q", "NaN", "h", 2.5);
    assert_string_equal(json_get_str(o, "s", "d"), "text");
    assert_string_equal(json_get_str(o, "i", "d"), "d");
    assert_string_equal(json_get_str(o, "n", "d"), "d");
    assert_int_equal(json_get_int(o, "i", -1), 5);
    assert_int_equal(json_get_int(o, "f", -1), 2);
    assert_int_equal(json_get_int(o, "h", -1), -1);
    assert_int_equal(json_get_int(o, "s", -1), -1);
    assert_true(json_get_num(o, "i", 0) == 5);
    assert_true(json_get_num(o, "w", 0) == -INFINITY);
    assert_true(isnan(json_get_num(o, "q", 0)));
    assert_true(json_get_num(o, "s", 7) == 7);
    double x = 7;
    assert_false(json_as_number(json_object_get(o, "s"), &x) || json_as_number(NULL, &x));
    assert_true(x == 7 && json_as_number(json_object_get(o, "w"), &x) && x == -INFINITY);
    assert_int_equal(json_get_bool(o, "b", 0), 1);
    assert_int_equal(json_get_bool(o, "missing", -1), -1);
    assert_int_equal(json_get_int(NULL, "i", 3), 3);
    json_decref(o);
    json_t *v = json_number_or_word(INFINITY);
    assert_string_equal(json_string_value(v), "Infinity");
    json_decref(v);
}

static json_t *random_text(void)
{
    static const char *const parts[] = {"a",  "\"",     "\\",     "\n", "\x01",
                                        "/",  "\u00e9", "\u65e5", " ",  "\U0001f600",
                                        "{}", "true",   "\t",     "",   "\x7f"};
    struct buf b = BUF_INIT;
    for (uint64_t i = below(6); i > 0; i--)
        buf_str_add(&b, parts[below(ARRAY_LEN(parts))]);
    json_t *v = json_string(buf_str(&b));
    buf_release(&b);
    return v;
}

static json_t *random_number(void)
{
    static const int64_t ends[] = {0, -1, INT64_MAX, INT64_MIN, 1000};
    switch (below(3)) {
    case 0:
        return json_integer(ends[below(5)]);
    case 1:
        return json_integer((int64_t)below(UINT64_MAX));
    default:
        return json_real(rng_normal(&key, 1, draws++) *
                         pow(10, (double)below(600) - 300));
    }
}

static json_t *random_tree(int depth)
{
    uint64_t kind = below(depth > 0 ? 7 : 5);
    json_t *v = kind == 5 ? json_array() : json_object();
    if (kind >= 5)
        for (uint64_t i = below(5); i > 0; i--) {
            json_t *name = random_text(), *item = random_tree(depth - 1);
            if (kind == 5)
                json_array_append_new(v, item);
            else
                json_object_set_new(v, json_string_value(name), item);
            json_decref(name);
        }
    if (kind >= 5)
        return v;
    json_decref(v);
    return kind == 0   ? json_null()
           : kind == 1 ? json_boolean(below(2))
           : kind == 2 ? random_text()
                       : random_number();
}

/* What is written reads back equal, and canonical text is a fixed point. */
static void random_trees_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct err err = ERR_INIT;
        json_t *tree = random_tree(5);
        struct buf b = BUF_INIT, first = BUF_INIT, second = BUF_INIT;
        json_write(&b, tree, (int)below(3));
        json_t *again = json_parse(buf_str(&b), b.len, "tree", &err);
        if (!again || !json_equal(tree, again))
            fail_msg("does not round-trip: %s (%s)", buf_str(&b), err.msg);
        json_canonical(&first, tree);
        json_t *third = json_parse(buf_str(&first), first.len, "canonical", &err);
        assert_non_null(third);
        json_canonical(&second, third);
        assert_string_equal(buf_str(&first), buf_str(&second));
        buf_release(&b);
        buf_release(&first);
        buf_release(&second);
        json_decref(tree);
        json_decref(again);
        json_decref(third);
    }
}

int main(void)
{
    key = rng_key(1, "json test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shortest_doubles),
        cmocka_unit_test(any_double_reads_back),
        cmocka_unit_test(canonical_text),
        cmocka_unit_test(configuration_text),
        cmocka_unit_test(readable_text),
        cmocka_unit_test(bad_bytes_in_strings),
        cmocka_unit_test(controls_are_escaped),
        cmocka_unit_test(refused_text),
        cmocka_unit_test(depth_limit),
        cmocka_unit_test(lines),
        cmocka_unit_test(files),
        cmocka_unit_test(getters),
        cmocka_unit_test(random_trees_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

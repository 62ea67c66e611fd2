/* Configuration files: YAML scalars, refusals with their places, limits, JSON. */
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void check_yaml(const char *text, const char *expected)
{
    struct err err = ERR_INIT;
    struct conf *c;
    if (conf_parse(text, strlen(text), "t.yaml", 0, &c, &err) < 0)
        fail_msg("'%s': %s", text, err.msg);
    struct buf b = BUF_INIT;
    json_write(&b, conf_root(c), 0);
    assert_string_equal(buf_str(&b), expected);
    buf_release(&b);
    conf_free(c);
}

static void check_refused(const char *text, size_t len, int is_json, const char *place,
                          const char *part)
{
    struct err err = ERR_INIT;
    struct conf *c;
    const char *name = is_json ? "t.json" : "t.yaml";
    if (conf_parse(text, len, name, is_json, &c, &err) == 0)
        fail_msg("'%.200s' is accepted", text);
    assert_null(c);
    assert_int_equal(err.code, ERR_PARSE);
    char *front = xasprintf("file '%s': %s", name, place);
    if (strncmp(err.msg, front, strlen(front)) != 0 || !strstr(err.msg, part))
        fail_msg("'%.200s' gives '%s'; expected '%s' and '%s'", text, err.msg, front,
                 part);
    free(front);
}

static void core_schema(void **state)
{
    (void)state;
    check_yaml("[~, null, Null, NULL, ]", "[null, null, null, null]");
    check_yaml("a:", "{\"a\": null}");
    check_yaml("", "null");
    check_yaml("# only a comment\n", "null");
    check_yaml("[true, True, TRUE, false, False, FALSE]",
               "[true, true, true, false, false, false]");
    check_yaml("[yes, no, on, off, y, n, tRue]",
               "[\"yes\", \"no\", \"on\", \"off\", \"y\", \"n\", \"tRue\"]");
    check_yaml("[0, -1, +12, 007, 0x1F, 0o17]", "[0, -1, 12, 7, 31, 15]");
    check_yaml("[9223372036854775807, -9223372036854775808]",
               "[9223372036854775807, -9223372036854775808]");
    check_yaml("[1e-4, 1.5, -.5, 5., 1E+3, +1.0]",
               "[0.0001, 1.5, -0.5, 5.0, 1000.0, 1.0]");
    check_yaml("[.inf, -.Inf, +.INF, .nan, .NaN]",
               "[\"Infinity\", \"-Infinity\", \"Infinity\", \"NaN\", \"NaN\"]");
    check_yaml("[1:30, 2001-12-14, 0b1, 1_000, 0x, 0o8, '-', 1e, e5, ., 1.2.3, -0x1]",
               "[\"1:30\", \"2001-12-14\", \"0b1\", \"1_000\", \"0x\", \"0o8\", "
               "\"-\", \"1e\", \"e5\", \".\", \"1.2.3\", \"-0x1\"]");
}

static void quoted_is_text(void **state)
{
    (void)state;
    check_yaml("['1', \"true\", \"~\", '']", "[\"1\", \"true\", \"~\", \"\"]");
    check_yaml("a: |\n  1\n  2\nb: >\n  x\n  y\n",
               "{\"a\": \"1\\n2\\n\", \"b\": \"x y\\n\"}");
    check_yaml("\"\\u00e9\\n\"", "\"\u00e9\\n\"");
    check_yaml("{1: a, true: b, null: c}",
               "{\"1\": \"a\", \"true\": \"b\", \"null\": \"c\"}");
}

static void aliases_are_copies(void **state)
{
    (void)state;
    check_yaml("a: &x [1, {b: 2}]\nc: *x\n",
               "{\"a\": [1, {\"b\": 2}], \"c\": [1, {\"b\": 2}]}");
    check_yaml("[&x 1, &x 2, *x]", "[1, 2, 2]");
    struct err err = ERR_INIT;
    json_t *v = conf_parse_value("[&x {a: 1}, *x]", &err);
    assert_ptr_not_equal(json_array_get(v, 0), json_array_get(v, 1));
    json_decref(v);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *part;
    } bad[] = {
        {"a: 1\nb: 2\na: 3\n", "line 3, column 1: ", "key 'a' stands here twice"},
        {"x:\n\ty: 1\n", "line 2, column 1: ", "tab"},
        {"a: !!int 1", "line 1, column 4: ", "tags"},
        {"!x {a: 1}", "line 1, column 1: ", "tags"},
        {"!x a: 1", "line 1, column 1: ", "tags"},
        {"&k a: 1", "line 1, column 1: ", "anchors on keys"},
        {"a: &x {b: 1}\nc:\n  <<: *x\n", "line 3, column 3: ", "merge keys"},
        {"a: 1\n---\nb: 2\n", "line 2, column 1: ", "more than one document"},
        {"a: *nope", "line 1, column 4: ", "alias '*nope' names nothing"},
        {"a: &x [*x]", "line 1, column 8: ", "names nothing"},
        {"? [a]\n: 1", "line 1, column 3: ", "key must be plain text"},
        {"?\n: 1", "line ", "key is missing"},
        {"a: [1, 2", "line 2, column 1: ", "did not find expected"},
        {"a: 'x", "line 1", "quoted scalar"},
        {"a: b: c", "line 1, column 5: ", "mapping values"},
        {"a: 9223372036854775808", "line 1, column 4: ", "out of range"},
        {"a: 12e4567", "line 1, column 4: ", "put it in quotes"},
        {"a: \"x\\0y\"", "line 1, column 4: ", "NUL"},
        {"\"a\\0\": 1", "line 1, column 1: ", "NUL"},
        {"a: \xff\n", "line 1, column 4: ", "UTF-8"},
        {"a: \x01\n", "line 1, column 4: ", "control characters"},
        {"@x", "line 1, column 1: ", "cannot start any token"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_refused(bad[i].text, strlen(bad[i].text), 0, bad[i].place, bad[i].part);
}

static char *repeated(const char *front, const char *part, size_t n, const char *back)
{
    struct buf b = BUF_INIT;
    buf_str_add(&b, front);
    while (n-- > 0)
        buf_str_add(&b, part);
    buf_str_add(&b, back);
    return buf_detach(&b, NULL);
}

static void depth_limit(void **state)
{
    (void)state;
    for (int is_json = 0; is_json < 2; is_json++)
        for (size_t depth = 32; depth <= 33; depth++) {
            char *open = repeated("", "[", depth, ""),
                 *all = repeated(open, "]", depth, "");
            struct err err = ERR_INIT;
            struct conf *c = NULL;
            if (depth == 33)
                check_refused(all, strlen(all), is_json, "", "deeper than 32");
            else
                assert_int_equal(conf_parse(all, strlen(all), "t", is_json, &c, &err), 0);
            conf_free(c);
            free(open);
            free(all);
        }
    char *many = repeated("", "[", 200000, "");
    check_refused(many, 200000, 0, "line 1, column 33: ", "deeper than 32");
    check_refused(many, 200000, 1, "", "deeper than 32");
    free(many);
    /* Depth that comes about by aliases only. */
    struct buf b = BUF_INIT;
    buf_str_add(&b, "- &a0 [x]\n");
    for (int i = 1; i < 40; i++)
        buf_printf(&b, "- &a%d [*a%d]\n", i, i - 1);
    check_refused(buf_str(&b), b.len, 0, "line 32, column 9: ", "deeper than 32");
    buf_release(&b);
}

static void node_limits(void **state)
{
    (void)state;
    for (int is_json = 0; is_json < 2; is_json++) {
        struct err err = ERR_INIT;
        struct conf *c;
        char *most = repeated("[", "1,", 99998, "1]");
        assert_int_equal(conf_parse(most, strlen(most), "t", is_json, &c, &err), 0);
        conf_free(c);
        free(most);
        char *over = repeated("[", "1,", 99999, "1]");
        check_refused(over, strlen(over), is_json, "", "more than 100000 values");
        free(over);
    }
    const char *bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                       "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                       "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                       "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e]\n";
    check_refused(bomb, strlen(bomb), 0, "line 5, column 8: ", "more than 10000 values");
    char *large = repeated("# ", "x", (size_t)17 << 20, "");
    check_refused(large, strlen(large), 0, "", "larger than 16 MiB");
    free(large);
}

static void check_where(struct conf *c, const char *path, const char *place)
{
    char *expected = xasprintf("file '%s': %s", conf_name(c), place);
    assert_string_equal(conf_where(c, path), expected);
    free(expected);
}

static void places(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct conf *c;
    const char *text = "model: m\nparameters:\n  rank:\n    values: [1, 2,\n      x]\n"
                       "  lora: {r: 8}\n";
    assert_int_equal(conf_parse(text, strlen(text), "s.yaml", 0, &c, &err), 0);
    check_where(c, "model", "line 1, column 8");
    check_where(c, "parameters.rank.values[2]", "line 5, column 7");
    check_where(c, "parameters.rank", "line 3, column 3");
    check_where(c, "parameters.lora.r", "line 6, column 13");
    check_where(c, "parameters.lora.rnak[3]", "line 6, column 3");
    check_where(c, "nothing", "line 1, column 1");
    check_where(c, "", "line 1, column 1");
    conf_free(c);
    const char *json = "{\"a\": [1,\n  {\"b\\\"\": \"]}\\\"\", \"c\" : 2}]}";
    assert_int_equal(conf_parse(json, strlen(json), "s.json", 1, &c, &err), 0);
    check_where(c, "a", "line 1, column 7");
    check_where(c, "a[1].b\"", "line 2, column 11");
    check_where(c, "a[1].c", "line 2, column 25");
    check_where(c, "a[7]", "line 1, column 7");
    conf_free(c);
}

static void json_refusals(void **state)
{
    (void)state;
    check_refused("{\"a\": 1,\n\"a\": 2}", 16, 1, "line 2", "duplicate");
    check_refused("{\"a\": }", 7, 1, "line 1", "unexpected");
    check_refused("", 0, 1, "line 1", "end of file");
}

static void files_by_name(void **state)
{
    (void)state;
    char dir[] = "/tmp/lib_conf-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *yaml = fs_join(dir, "a.yaml"), *json = fs_join(dir, "a.json");
    struct err err = ERR_INIT;
    struct conf *c;
    assert_int_equal(fs_write_atomic(yaml, "a: b", 4, &err), 0);
    assert_int_equal(fs_write_atomic(json, "a: b", 4, &err), 0);
    assert_int_equal(conf_load(yaml, &c, &err), 0);
    assert_string_equal(json_get_str(conf_root(c), "a", ""), "b");
    conf_free(c);
    assert_int_equal(conf_load(json, &c, &err), -ERR_PARSE);
    assert_non_null(strstr(err.msg, "a.json': line 1"));
    assert_int_equal(fs_remove_tree(dir, NULL), 0);
    err_clear(&err);
    assert_int_equal(conf_load(yaml, &c, &err), -ERR_NOINPUT);
    free(yaml);
    free(json);
}

static void single_values(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *v = conf_parse_value("[query, value]", &err);
    assert_int_equal(json_array_size(v), 2);
    json_decref(v);
    v = conf_parse_value("all-linear", &err);
    assert_string_equal(json_string_value(v), "all-linear");
    json_decref(v);
    v = conf_parse_value("", &err);
    assert_true(json_is_null(v));
    assert_null(conf_parse_value("[a", &err));
    assert_int_equal(err.code, ERR_PARSE);
    assert_null(strstr(err.msg, "file"));
}

/* JSON is YAML: any tree written as JSON must come out the same through both parsers. */
static json_t *random_tree(struct philox_key *key, uint64_t *n, int depth)
{
    static const char *const words[] = {"a", "no", "1", "x y", "#", "\u00e9: ", "-", "'"};
    uint64_t kind = rng_below(key, 0, (*n)++, depth > 0 ? 7 : 5);
    uint64_t size = rng_below(key, 1, *n, 4), word = rng_below(key, 2, *n, 8);
    json_t *v;
    switch (kind) {
    case 0:
        return json_boolean(word & 1);
    case 1:
        return json_integer((json_int_t)rng_below(key, 3, *n, 1 << 20) - 1000);
    case 2:
        return json_real(rng_normal(key, 4, *n));
    case 3:
        return json_string(words[word]);
    case 4:
        return json_null();
    case 5:
        v = json_array();
        while (size-- > 0)
            json_array_append_new(v, random_tree(key, n, depth - 1));
        return v;
    default:
        v = json_object();
        while (size-- > 0)
            json_object_set_new(v, words[(word + size) % 8],
                                random_tree(key, n, depth - 1));
        return v;
    }
}

static void yaml_reads_json(void **state)
{
    (void)state;
    struct philox_key key = rng_key(9, "conf test");
    uint64_t n = 0;
    for (int i = 0; i < 1000; i++) {
        struct err err = ERR_INIT;
        struct conf *yaml, *json;
        struct buf b = BUF_INIT;
        json_t *tree = random_tree(&key, &n, 5);
        json_write(&b, tree, i % 3);
        if (conf_parse(buf_str(&b), b.len, "t", 0, &yaml, &err) < 0 ||
            conf_parse(buf_str(&b), b.len, "t", 1, &json, &err) < 0)
            fail_msg("%s in %s", err.msg, buf_str(&b));
        assert_true(json_equal(tree, conf_root(yaml)));
        assert_true(json_equal(tree, conf_root(json)));
        conf_free(yaml);
        conf_free(json);
        json_decref(tree);
        buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(core_schema),
        cmocka_unit_test(quoted_is_text),
        cmocka_unit_test(aliases_are_copies),
        cmocka_unit_test(refusals),
        cmocka_unit_test(depth_limit),
        cmocka_unit_test(node_limits),
        cmocka_unit_test(places),
        cmocka_unit_test(json_refusals),
        cmocka_unit_test(files_by_name),
        cmocka_unit_test(single_values),
        cmocka_unit_test(yaml_reads_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

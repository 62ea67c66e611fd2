/* lib_regex - whole matches, searching, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/buf.h"
#include "lib/regex.h"
#include <stdlib.h>
#include <string.h>

static struct regex *compiled(const char *pattern)
{
    struct regex *r = NULL;
    struct err err = ERR_INIT;
    if (regex_new(pattern, &r, &err) < 0)
        fail_msg("%s", err.msg);
    return r;
}

static void test_fullmatch(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        int match;
    } cases[] = {
        {"a|ab", "ab", 1}, /* another alternative where the first does not reach */
        {"ab", "abc", 0},     {"b", "ab", 0},
        {".*\\.q", "x.q", 1}, {"\\w+", "\u00e9\u4e2d", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct regex *r = compiled(cases[i].pattern);
        assert_int_equal(regex_fullmatch(r, cases[i].text, NULL), cases[i].match);
        regex_free(r);
    }
}

/* All matches in order, as "begin-end ". */
static void finds(const char *pattern, const char *text, size_t len, const char *want)
{
    struct regex *r = compiled(pattern);
    struct buf got = BUF_INIT;
    size_t begin = 0, end = 0;
    for (size_t from = 0;
         from <= len && regex_search(r, text, len, from, &begin, &end, NULL) > 0;
         from = end > begin ? end : end + 1)
        buf_printf(&got, "%zu-%zu ", begin, end);
    assert_string_equal(buf_str(&got), want);
    buf_release(&got);
    regex_free(r);
}

static void test_search(void **state)
{
    (void)state;
    finds("a+", "caabba", 6, "1-3 5-6 ");
    finds("\\s+(?!\\S)|\\s+", "   a", 4, "0-2 2-3 ");
    finds("(?i:'s)", "'S'\u017f", 5, "0-2 2-5 "); /* long s folds to s */
    finds("(?<=a)b", "ab", 2, "1-2 ");            /* sees what is before `from` */
    finds("x*", "ax", 2, "0-0 1-2 2-2 ");
    finds("b", "a\0b", 3, "2-3 "); /* NUL is a character */
    finds("b", "ab", 1, "");       /* the length counts, not the NUL */
    finds("\\K", "a", 1, "0-0 1-1 ");
}

/* Where the limit is met, nothing is known: an error, not "no match". */
static void test_limit(void **state)
{
    (void)state;
    static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
    struct regex *r = compiled("(a+)+$");
    struct err search = ERR_INIT, full = ERR_INIT;
    size_t begin, end;
    assert_int_equal(regex_search(r, text, strlen(text), 0, &begin, &end, &search),
                     -ERR_PARSE);
    assert_int_equal(regex_fullmatch(r, text, &full), -ERR_PARSE);
    assert_non_null(strstr(search.msg, "'(a+)+$'"));
    assert_non_null(strstr(search.msg, "limit"));
    regex_free(r);
}

static void test_refused(void **state)
{
    (void)state;
    struct regex *r = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(regex_new("a(b", &r, &err), -ERR_CONFIG);
    assert_null(r);
    assert_non_null(strstr(err.msg, "'a(b'"));
    assert_non_null(strstr(err.msg, "character 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fullmatch),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

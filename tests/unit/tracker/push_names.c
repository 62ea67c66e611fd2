/* tests/unit/tracker/push_names.c - names and texts on their way to MLflow. */
#include "lib/mem.h"
#include "tracker/exchange/push_parts.h"
#include "tracker/mlflow/mlflow_inner.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void names_are_those_that_mlflow_takes(void **state)
{
    static const struct {
        const char *name, *there;
    } cases[] = {{"eval/loss", "eval/loss"},
                 {"a b-c.d_e", "a b-c.d_e"},
                 {"", "_"},
                 {"/a", "_/a"},
                 {"a/", "a/_"},
                 {"a//b", "a/_/b"},
                 {".", "_"},
                 {"..", "__"},
                 {"a/../b", "a/__/b"},
                 {"a/./b", "a/_/b"},
                 {"...", "__."},
                 {"..a", "__a"},
                 {"a/...", "a/..."},
                 {"a:b%c", "a_b_c"},
                 {"\xc3\xa4\n\"", "____"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *there = push_name(cases[i].name, NULL);
        struct mlflow_error e = {0};
        assert_string_equal(there, cases[i].there);
        assert_int_equal(push_name_stays(cases[i].name), !strcmp(there, cases[i].name));
        if (mlflow_check_name("key", "Param key", there, &e) < 0)
            fail_msg("%s", e.message);
        free(there);
    }
}

static void no_two_are_called_the_same(void **state)
{
    struct strmap *taken = strmap_new();
    char long_name[600];
    (void)state;
    char *plain = push_name("a_b", taken), *other = push_name("a!b", taken),
         *third = push_name("a?b", taken), *fourth = push_name("a_b", taken);
    assert_string_equal(plain, "a_b");
    assert_int_equal(strncmp(other, "a_b_", 4), 0);
    assert_int_equal(strncmp(third, "a_b_", 4), 0);
    assert_string_not_equal(other, third);
    assert_int_equal(strncmp(fourth, "a_b_", 4), 0);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    char *cut = push_name(long_name, taken);
    assert_int_equal(strlen(cut), PUSH_MAX_KEY);
    long_name[590] = 'y';
    char *cut_too = push_name(long_name, taken);
    assert_string_not_equal(cut, cut_too);
    char *const all[] = {plain, other, third, fourth, cut, cut_too};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free(all[i]);
    strmap_free(taken);
}

static void texts_are_cut_between_letters(void **state)
{
    static const struct {
        const char *text;
        size_t max;
        const char *cut;
    } cases[] = {{"abcdef", 6, "abcdef"},
                 {"abcdefg", 6, "abc..."},
                 {"ab\xc3\xa4"
                  "efg",
                  6, "ab..."},
                 {"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 8, "\xe2\x82\xac..."}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *cut = push_cut(cases[i].text, cases[i].max);
        assert_string_equal(cut, cases[i].cut);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_that_mlflow_takes),
        cmocka_unit_test(no_two_are_called_the_same),
        cmocka_unit_test(texts_are_cut_between_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

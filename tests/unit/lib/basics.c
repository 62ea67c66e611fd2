/* err, mem, buf and str. */
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void first_error_wins(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_set(&err, ERR_CONFIG, "rank must be %d", 1), -ERR_CONFIG);
    assert_int_equal(err_set(&err, ERR_IO, "later"), -ERR_IO);
    assert_int_equal(err.code, ERR_CONFIG);
    assert_string_equal(err.msg, "rank must be 1");
    assert_int_equal(err_code(&err), -ERR_CONFIG);
    assert_int_equal(err_context(&err, "file '%s': ", "x"), -ERR_CONFIG);
    assert_string_equal(err.msg, "file 'x': rank must be 1");
    err_clear(&err);
    assert_int_equal(err.code, ERR_OK);
    assert_string_equal(err.msg, "");
}

static void errors_without_an_object(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_IO, "x"), -ERR_IO);
    assert_true(err_context(NULL, "x") < 0);
    assert_int_equal(err_code(NULL), -ERR_FAILED);
    err_clear(NULL);
}

static void words_that_a_shell_takes_back(void **state)
{
    (void)state;
    static const char *const words[][2] = {
        {"rank=4", "rank=4"},
        {"eval/macro_f1", "eval/macro_f1"},
        {"", "''"},
        {"[query,value]", "'[query,value]'"},
        {"a b", "'a b'"},
        {"it's $(rm x)", "'it'\\''s $(rm x)'"},
        {"`x`;y\"z\\", "'`x`;y\"z\\'"},
        {"~", "'~'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct buf b = BUF_INIT;
        buf_shell_word(&b, words[i][0]);
        assert_string_equal(buf_str(&b), words[i][1]);
        buf_release(&b);
    }
}

static void context_on_nothing_is_a_bug(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_code(&err), -ERR_FAILED);
    assert_int_equal(err_context(&err, "here: "), -ERR_BUG);
    assert_non_null(strstr(err.msg, "this is a bug"));
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char *text = xmalloc(5000);
    memset(text, 'a', 4999);
    text[4999] = '\0';
    err_set(&err, ERR_PARSE, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    err_context(&err, "place: ");
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_memory_equal(err.msg, "place: aaa", 10);
    err_context(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    free(text);
}

static void exit_statuses(void **state)
{
    (void)state;
    assert_int_equal(err_exit_status(ERR_OK), 0);
    assert_int_equal(err_exit_status(ERR_FAILED), 1);
    assert_int_equal(err_exit_status(ERR_USAGE), 2);
    assert_int_equal(err_exit_status(ERR_NOINPUT), 66);
    assert_int_equal(err_exit_status(ERR_CONFIG), 78);
    assert_int_equal(err_exit_status(ERR_NAN), 79);
    assert_int_equal(err_exit_status((enum err_code)999), 70);
}

static void arrays_grow_by_doubling(void **state)
{
    (void)state;
    size_t cap = 0;
    int *a = NULL;
    for (size_t i = 0; i < 1000; i++) {
        a = xgrow(a, &cap, i + 1, sizeof *a);
        a[i] = (int)i;
    }
    assert_int_equal(cap, 1024);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(a[i], i);
    free(a);
}

static void aligned_memory(void **state)
{
    (void)state;
    for (size_t n = 0; n < 200; n += 37) {
        unsigned char *p = mem_try_aligned(n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        mem_free_aligned(p);
    }
    assert_null(mem_try_aligned(SIZE_MAX));
    mem_free_aligned(NULL);
}

static void string_copies(void **state)
{
    (void)state;
    char *a = xstrdup("abc"), *b = xstrndup("abcdef", 2), *c = xasprintf("%d-%s", 5, a);
    assert_string_equal(a, "abc");
    assert_string_equal(b, "ab");
    assert_string_equal(c, "5-abc");
    free(a);
    free(b);
    free(c);
}

static void buffer_appends(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    assert_string_equal(buf_str(&b), "");
    buf_str_add(&b, "a");
    buf_char(&b, 'b');
    buf_add(&b, "\0c", 2);
    assert_int_equal(b.len, 4);
    buf_clear(&b);
    buf_printf(&b, "%s %d", "number", 42);
    assert_string_equal(buf_str(&b), "number 42");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    assert_false(buf_overflowed(&b));
    size_t len;
    char *text = buf_detach(&b, &len);
    assert_int_equal(strlen(text), len);
    free(text);
    text = buf_detach(&b, NULL); /* an empty buffer gives an empty string */
    assert_string_equal(text, "");
    free(text);
}

static void buffer_ceiling(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5);
    buf_str_add(&b, "12345");
    assert_false(buf_overflowed(&b));
    buf_char(&b, '6');
    assert_true(buf_overflowed(&b));
    buf_add(&b, "", 0);
    buf_printf(&b, "%d", 7);
    assert_string_equal(buf_str(&b), "12345");
    buf_clear(&b);
    assert_false(buf_overflowed(&b));
    buf_printf(&b, "%s", "123456");
    assert_true(buf_overflowed(&b));
    buf_release(&b);
    assert_int_equal(b.max, 5);
}

static void comparisons(void **state)
{
    (void)state;
    assert_true(str_eq("a", "a") && str_eq(NULL, NULL));
    assert_false(str_eq("a", NULL) || str_eq(NULL, "a") || str_eq("a", "b"));
    assert_true(str_has_prefix("lora_A", "lora_") && !str_has_prefix("lo", "lora"));
    assert_true(str_has_suffix("x.json", ".json") && !str_has_suffix("n", "json"));
    assert_true(str_in_list("qlora", "lora|qlora|head", '|'));
    assert_true(str_in_list("head", "lora|qlora|head", '|'));
    assert_false(str_in_list("lor", "lora|qlora|head", '|'));
    assert_false(str_in_list("lora|qlora", "lora|qlora", '|'));
    assert_false(str_in_list("x", "", '|'));
}

static void distances(void **state)
{
    (void)state;
    assert_int_equal(str_distance("", ""), 0);
    assert_int_equal(str_distance("abc", ""), 3);
    assert_int_equal(str_distance("rank", "rnak"), 1); /* a swap counts one */
    assert_int_equal(str_distance("kitten", "sitting"), 3);
    assert_int_equal(str_distance("LoRA", "lora"), 0);
    char *word = xmalloc(1001);
    memset(word, 'a', 1000);
    word[1000] = '\0';
    assert_int_equal(str_distance(word, "a"), 1000);
    assert_int_equal(str_distance(word, word), 0);
    free(word);
}

static void nearest_names(void **state)
{
    (void)state;
    static const char *const names[] = {"rank", "alpha", "dropout", "batch_size"};
    assert_string_equal(str_nearest("rnak", names, 4), "rank");
    assert_string_equal(str_nearest("bathc_size", names, 4), "batch_size");
    assert_string_equal(str_nearest("drop_out", names, 4), "dropout");
    assert_null(str_nearest("zzzz", names, 4));
    static const char *const keys[] = {
        "task",      "batch_size", "lora_dropout",  "num_virtual_tokens",
        "eval_data", "test_data",  "eval/accuracy", "baseline/eval/accuracy",
        "tfinal"};
    const size_t n = sizeof keys / sizeof *keys;
    assert_null(str_nearest("rank", keys, n)); /* half the letters of "task" */
    assert_null(str_nearest("trainable", keys, n));
    assert_string_equal(str_nearest("batch", keys, n), "batch_size");
    assert_string_equal(str_nearest("dropout", keys, n), "lora_dropout");
    assert_string_equal(str_nearest("virtual", keys, n), "num_virtual_tokens");
    assert_null(str_nearest("data", keys, n)); /* two end so */
    assert_null(str_nearest("atch", keys, n)); /* no whole word */
    assert_string_equal(str_nearest("accuracy", keys, n), "eval/accuracy");
    assert_string_equal(str_nearest("acuracy", keys, n), "eval/accuracy");
    assert_null(str_nearest("x", names, 4));
    assert_null(str_nearest("", names, 4));
    assert_null(str_nearest("rank", names, 0));
}

static void human_units(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } bytes[] = {{0, "0 B"},          {1023, "1023 B"},        {1024, "1.0 KiB"},
                 {319488, "312 KiB"}, {1610612736, "1.5 GiB"}, {1048575, "1.0 MiB"},
                 {-2048, "-2.0 KiB"}, {1e18, "888 PiB"}},
      spans[] = {{0.012, "12 ms"},    {2.34, "2.3 s"},     {59.4, "59 s"},
                 {59.6, "1 min 0 s"}, {250, "4 min 10 s"}, {3723, "1 h 2 min"},
                 {90000, "1 d 1 h"},  {-5, "-5.0 s"}};
    char out[32];
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++)
        assert_string_equal(str_bytes(out, sizeof out, bytes[i].value), bytes[i].text);
    for (size_t i = 0; i < ARRAY_LEN(spans); i++)
        assert_string_equal(str_duration(out, sizeof out, spans[i].value), spans[i].text);
    assert_string_equal(str_duration(out, sizeof out, 1e300), "?");
}

static void numbers(void **state)
{
    (void)state;
    static const char *const none[] = {"", " 5", "5 ", "5ms", "nan", "inf", "1e999", "-"};
    double x = 7;
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_false(str_number(none[i], &x));
    assert_true(x == 7);
    assert_true(str_number("-2.5e3", &x) && x == -2500);
    assert_true(str_number("50", &x) && x == 50);
}

static void whole_numbers(void **state)
{
    (void)state;
    static const char *const none[] = {
        "", " 5", "5 ", "5.0", "1e3", "-", "0x1", "no", "9223372036854775808"};
    int64_t n = 7;
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_false(str_whole(none[i], &n));
    assert_true(n == 7);
    assert_true(str_whole("-3", &n) && n == -3);
    assert_true(str_whole("007", &n) && n == 7);
    assert_true(str_whole("9223372036854775807", &n) && n == INT64_MAX);
}

static void widths(void **state)
{
    (void)state;
    assert_int_equal(str_width("abc"), 3);
    assert_int_equal(str_width("\u00e9"), 1);
    assert_int_equal(str_width("e\u0301"), 1); /* combining accent */
    assert_int_equal(str_width("\u65e5\u672c"), 4);
    assert_int_equal(str_width("a\xff\xfe"), 3);
}

static void cleaning(void **state)
{
    (void)state;
    char *s = str_clean("a\x1b[2Jb\n\xffz\xc2\x9b", 11);
    assert_string_equal(s, "a?[2Jb \xef\xbf\xbdz?");
    free(s);
    s = str_clean("\0x", 2);
    assert_string_equal(s, "?x");
    free(s);
    s = str_clean("a\u202eb\u2066c\u05d0", 11); /* turned text; Hebrew itself stays */
    assert_string_equal(s, "a?b?c\u05d0");
    free(s);
}

/* Whatever a message quotes may go to a terminal. */
static void messages_are_clean(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    err_set(&err, ERR_PARSE, "tensor '%s' \u00e9", "\x1b]t\x07\xff\n");
    assert_string_equal(err.msg, "tensor '?]t?"
                                 "? ' \u00e9");
    err_context(&err, "'\x1b[2J%s': ", "\u202e");
    assert_string_equal(err.msg, "'?[2J?"
                                 "?"
                                 "?': tensor '?]t?"
                                 "? ' \u00e9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_error_wins),
        cmocka_unit_test(errors_without_an_object),
        cmocka_unit_test(words_that_a_shell_takes_back),
        cmocka_unit_test(context_on_nothing_is_a_bug),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(messages_are_clean),
        cmocka_unit_test(exit_statuses),
        cmocka_unit_test(arrays_grow_by_doubling),
        cmocka_unit_test(aligned_memory),
        cmocka_unit_test(string_copies),
        cmocka_unit_test(buffer_appends),
        cmocka_unit_test(buffer_ceiling),
        cmocka_unit_test(comparisons),
        cmocka_unit_test(distances),
        cmocka_unit_test(nearest_names),
        cmocka_unit_test(human_units),
        cmocka_unit_test(numbers),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(widths),
        cmocka_unit_test(cleaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* runner_spelling - texts of tokens that come one by one are those of all tokens at once, and never
 * take back what they gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/str.h"
#include "runner/generate/spelling.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tokenizer *load(const char *name)
{
    struct tokenizer *t = NULL;
    struct err err = ERR_INIT;
    char *dir = xasprintf("tests/golden/tokenizers/%s", name);
    if (tokenizer_load(dir, &t, &err) < 0)
        fail_msg("%s", err.msg);
    free(dir);
    return t;
}

/* What is given piece by piece; at each step what was given stays a beginning. */
static void collect(const struct tokenizer *t, const int32_t *ids, size_t n,
                    const char *const *stops, size_t n_stops, struct buf *out)
{
    struct spelling p;
    spelling_init(&p, t, stops, n_stops);
    buf_clear(out);
    for (size_t i = 0; i <= n; i++) {
        if (i < n)
            spelling_add(&p, ids[i], true);
        else
            spelling_end(&p);
        const size_t ready = spelling_ready(&p);
        assert_true(ready >= out->len && ready <= p.text.len);
        assert_memory_equal(buf_str(&p.text), buf_str(out), out->len);
        if (ready > out->len)
            buf_add(out, p.text.data + out->len, ready - out->len);
    }
    assert_int_equal(out->len, p.text.len);
    spelling_release(&p);
}

static void same_as_at_once(const struct tokenizer *t, const int32_t *ids, size_t n)
{
    struct buf got = BUF_INIT, want = BUF_INIT;
    collect(t, ids, n, NULL, 0, &got);
    tokenizer_decode(t, ids, n, true, &want, NULL);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(buf_str(&got), buf_str(&want), want.len);
    buf_release(&got);
    buf_release(&want);
}

static const char *const names[] = {"gemma-like",  "llama2-like", "llama2-metaspace-like",
                                    "llama3-like", "qwen2-like",  "roberta-like"};
static const char text[] =
    "  Grüße, 日本語 \xf0\x9f\x98\x80\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80! It's "
    "12 o'clock .\n\n\tend \xc3\xa9\xc3\xa9 ";

static void test_texts_are_those_of_all_tokens_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct tokenizer *t = load(names[i]);
        struct encoding e = {0};
        for (int special = 0; special < 2; special++) {
            tokenizer_encode(t, text, sizeof text - 1, NULL, 0, 0, special, &e, NULL);
            assert_true(e.n > 20);
            same_as_at_once(t, e.ids, e.n);
        }
        encoding_release(&e);
        tokenizer_free(t);
    }
}

/* Any tokens in any order, many of them bytes that are no text. */
static void test_so_are_those_of_bytes_without_sense(void **state)
{
    (void)state;
    static const char *const of_bytes[] = {"llama3-like", "qwen2-like", "roberta-like"};
    const struct philox_key key = rng_key(7, "spelling");
    for (size_t i = 0; i < ARRAY_LEN(of_bytes); i++) {
        struct tokenizer *t = load(of_bytes[i]);
        int32_t ids[200], size = 0;
        while (tokenizer_token(t, size))
            size++;
        for (uint64_t round = 0; round < 20; round++) {
            for (size_t k = 0; k < ARRAY_LEN(ids); k++)
                ids[k] = (int32_t)(rng_uniform(&key, round, k) * (round % 2    ? size
                                                                  : size < 260 ? size
                                                                               : 260));
            same_as_at_once(t, ids, ARRAY_LEN(ids));
        }
        tokenizer_free(t);
    }
}

/* Where a run of bytes is a text or none as a whole, what was given is not taken back. */
static void test_bytes_behind_a_character(void **state)
{
    (void)state;
    struct tokenizer *t = load("llama2-like");
    struct buf got = BUF_INIT;
    struct encoding e = {0};
    int32_t ids[8];
    size_t n = 0;
    tokenizer_encode(t, "\xf0\x9f\x98\x80", 4, NULL, 0, 0, false, &e, NULL);
    for (size_t i = 0; i < e.n; i++)
        ids[n++] = e.ids[i]; /* a blank maybe, then four bytes */
    ids[n] = ids[n - 4], n++;
    collect(t, ids, n, NULL, 0, &got);
    assert_string_equal(buf_str(&got) + (buf_str(&got)[0] == ' '),
                        "\xf0\x9f\x98\x80\xef\xbf\xbd");
    encoding_release(&e);
    buf_release(&got);
    tokenizer_free(t);
}

static void test_a_stop_string_ends_it_wherever_tokens_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *stops[2], *want;
    } rows[] = {
        {{"o'c", NULL}, "It's 12 "},
        {{"clock.", "2 o"}, "It's 1"},
        {{"zzz", NULL}, "It's 12 o'clock"},
        {{"It", NULL}, ""},
        {{"clockwork", "k!"}, "It's 12 o'clock"},
        {{"ock", "clock"}, "It's 12 o'"},
    };
    struct tokenizer *t = load("qwen2-like");
    struct encoding e = {0};
    struct buf got = BUF_INIT;
    tokenizer_encode(t, "It's 12 o'clock", 15, NULL, 0, 0, false, &e, NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        collect(t, e.ids, e.n, rows[i].stops, rows[i].stops[1] ? 2 : 1, &got);
        assert_string_equal(buf_str(&got), rows[i].want);
    }
    struct spelling p;
    spelling_init(&p, t, rows[0].stops, 1);
    for (size_t i = 0; i < e.n; i++)
        spelling_add(&p, e.ids[i], false); /* it is not to end yet */
    assert_false(p.stopped);
    assert_string_equal(buf_str(&p.text), "It's 12 o'clock");
    spelling_release(&p);
    buf_release(&got);
    encoding_release(&e);
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_those_of_all_tokens_at_once),
        cmocka_unit_test(test_so_are_those_of_bytes_without_sense),
        cmocka_unit_test(test_bytes_behind_a_character),
        cmocka_unit_test(test_a_stop_string_ends_it_wherever_tokens_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* runner_bpe - byte pair encoding, the parts around it, and what is refused. Expected
 * values without a formula behind them are tokenizers 0.23's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/mem.h"
#include "lib/str.h"
#include "runner/text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ids: 0 "?", 1 a, 2 b, 3 c, 4 Ġ, 5 ab, 6 bc, 7 abc, 8 Ġa, 9 1, 10 aa, 11 aaaa */
#define VOCAB                                                                            \
    "\"vocab\":{\"?\":0,\"a\":1,\"b\":2,\"c\":3,\"\\u0120\":4,\"ab\":5,\"bc\":6,"        \
    "\"abc\":7,\"\\u0120a\":8,\"1\":9,\"aa\":10,\"aaaa\":11,\"-\":12}"
#define MERGES                                                                           \
    "\"merges\":[\"b c\",[\"a\",\"b\"],\"ab c\",\"\\u0120 a\",\"a a\",\"aa aa\"]"
#define MODEL(more) "\"model\":{\"type\":\"BPE\"," VOCAB "," MERGES more "}"
#define BYTES       "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"

static struct tokenizer *parse(const char *json)
{
    struct tokenizer *t = NULL;
    struct err err = ERR_INIT;
    if (tokenizer_parse(json, strlen(json), "t", &t, &err) < 0)
        fail_msg("%s", err.msg);
    return t;
}

/* Tokens and their places: "ab:0-2 c:2-3". */
static void gives(const char *json, const char *text, const char *want)
{
    struct tokenizer *t = parse(json);
    struct encoding e = {0};
    struct buf b = BUF_INIT;
    assert_int_equal(tokenizer_encode(t, text, strlen(text), NULL, 0, 0, false, &e, NULL),
                     0);
    for (size_t i = 0; i < e.n; i++)
        buf_printf(&b, "%s%s:%d-%d", i ? " " : "", tokenizer_token(t, e.ids[i]),
                   e.offsets[i][0], e.offsets[i][1]);
    if (strcmp(buf_str(&b), want) != 0)
        fail_msg("'%s': %s, not %s", text, buf_str(&b), want);
    buf_release(&b);
    encoding_release(&e);
    tokenizer_free(t);
}

static void test_merges(void **state)
{
    (void)state;
    gives("{" MODEL("") "}", "abc", "a:0-1 bc:1-3"); /* the earlier merge goes first */
    gives("{" MODEL("") "}", "ab", "ab:0-2");
    gives("{" MODEL(",\"ignore_merges\":true") "}", "abc", "abc:0-3");
    gives("{" MODEL("") "}", "aaaaaaa", "aaaa:0-4 aa:4-6 a:6-7"); /* leftmost first */
    gives("{" MODEL("") "}", "xay", "a:1-2"); /* no unknown token: left out */
    gives("{" MODEL(",\"unk_token\":\"?\"") "}", "xya", "?:0-1 ?:1-2 a:2-3");
    gives("{" MODEL(",\"unk_token\":\"?\",\"fuse_unk\":true") "}", "xyax",
          "?:0-2 a:2-3 ?:3-4");
    gives(
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"##b\":1,\"ab\":2,\"b</w>\":3},"
        "\"continuing_subword_prefix\":\"##\",\"merges\":[\"a ##b\"]}}",
        "ab", "ab:0-2");
    gives("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b</w>\":1,\"ab</w>\":2},"
          "\"end_of_word_suffix\":\"</w>\",\"merges\":[\"a b</w>\"]}}",
          "ab", "ab</w>:0-2");
    gives("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"<0xC3>\":1,\"<0xA9>\":2},"
          "\"byte_fallback\":true,\"merges\":[]}}",
          "a\u00e9", "a:0-1 <0xC3>:1-2 <0xA9>:1-2");
}

/* A long word takes n log n, not n^2 (this one took minutes then). */
static void test_long_word(void **state)
{
    (void)state;
    const size_t n = (size_t)1 << 20;
    char *text = xmalloc(n);
    struct encoding e = {0};
    struct tokenizer *t = parse("{" MODEL("") "}");
    memset(text, 'a', n);
    assert_int_equal(tokenizer_encode(t, text, n, NULL, 0, 0, false, &e, NULL), 0);
    assert_int_equal(e.n, n / 4);
    assert_int_equal(e.ids[n / 4 - 1], 11);
    encoding_release(&e);
    tokenizer_free(t);
    free(text);
}

#define SPLIT(pattern, behavior, invert)                                                 \
    "{" MODEL(",\"ignore_merges\":true") ",\"pre_tokenizer\":{\"type\":\"Split\","       \
                                         "\"pattern\":{" pattern                         \
                                         "},\"behavior\":\"" behavior                    \
                                         "\",\"invert\":" invert "}}"

static void test_split(void **state)
{
    (void)state;
    gives(SPLIT("\"String\":\"-\"", "Removed", "false"), "ab-c--a", "ab:0-2 c:3-4 a:6-7");
    gives(SPLIT("\"String\":\"-\"", "Removed", "true"), "ab-c", "-:2-3");
    gives(SPLIT("\"String\":\"b\"", "Isolated", "false"), "abc", "a:0-1 b:1-2 c:2-3");
    gives(SPLIT("\"String\":\"b\"", "MergedWithPrevious", "false"), "abc",
          "ab:0-2 c:2-3");
    gives(SPLIT("\"String\":\"b\"", "MergedWithNext", "false"), "abc", "a:0-1 bc:1-3");
    gives(SPLIT("\"Regex\":\"[ab]\"", "Contiguous", "false"), "aabc",
          "a:0-1 ab:1-3 c:3-4");
    gives(SPLIT("\"Regex\":\"x*\"", "Isolated", "false"), "abc", "a:0-1 b:1-2 c:2-3");
    /* No wildcard */
    gives(SPLIT("\"String\":\".\"", "Removed", "false"), "ab", "ab:0-2");
    gives("{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
                        "{\"type\":\"Digits\",\"individual_digits\":true}," BYTES "]}}",
          "a1 ab", "a:0-1 1:1-2 \u0120:2-3 ab:3-5");
    gives("{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
                        "{\"type\":\"WhitespaceSplit\"}," BYTES "]}}",
          "a  ab", "a:0-1 ab:3-5");
}

static void test_byte_level(void **state)
{
    (void)state;
    /* a blank is put in front of each stretch that has none */
    gives("{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", "ab",
          "\u0120:0-1 ab:0-2");
    gives("{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", " a",
          "\u0120a:0-2");
    /* blanks leave the places, but for the one that was put there */
    gives(
        "{" MODEL("") ",\"pre_tokenizer\":" BYTES ",\"post_processor\":{\"type\":"
                      "\"ByteLevel\",\"trim_offsets\":true,\"add_prefix_space\":false}}",
        " a a", "\u0120a:1-2 \u0120a:3-4");
    gives("{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"post_processor\":"
                        "{\"type\":\"ByteLevel\",\"trim_offsets\":true,\"add_prefix_"
                        "space\":true}}",
          "a a", "\u0120a:0-1 \u0120a:2-3");
}

static void test_forms(void **state)
{
    (void)state;
#define FORM(name)                                                                       \
    "{\"normalizer\":{\"type\":\"" name "\"},\"model\":{\"type\":\"BPE\",\"merges\":[]," \
    "\"vocab\":{\"\u00e9\":0,\"e\":1,\"\u0301\":2,\"f\":3,\"i\":4,\"\ufb01\":5,"         \
    "\"\uac00\":6,\"\u1100\":7,\"\u1161\":8}}}"
    gives(FORM("NFC"), "e\u0301i", "\u00e9:0-1 i:2-3"); /* in its first part's place */
    gives(FORM("NFC"), "\u1100\u1161\ufb01", "\uac00:0-1 \ufb01:2-3");
    gives(FORM("NFD"), "\u00e9i", "e:0-1 \u0301:0-1 i:1-2");
    gives(FORM("NFKC"), "\ufb01\u00e9", "f:0-1 i:0-1 \u00e9:1-2");
    gives(FORM("NFKD"), "\ufb01\u00e9", "f:0-1 i:0-1 e:1-2 \u0301:1-2");
    gives(FORM("StripAccents"), "e\u0301i", "e:0-1 i:2-3");
    gives(FORM("Lowercase"), "\u00c9F", "\u00e9:0-1 f:1-2");
    gives("{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},"
          "{\"type\":\"StripAccents\"},{\"type\":\"Lowercase\"}]},\"model\":{\"type\":"
          "\"BPE\",\"merges\":[],\"vocab\":{\"e\":0}}}",
          "\u00c9", "e:0-1");
}

/* Bytes that are not UTF-8 become U+FFFD, one for each longest start of a character. */
static void test_decode(void **state)
{
    (void)state;
    struct tokenizer *t = parse(
        "{\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"merges\":[],"
        "\"vocab\":{\"\u00c3\":0,\"\u00a9\":1,\"\u00f0\u0141\":2,\"\u0120a\":3,"
        "\"\u00ed\u0142\":4,\"x y\":5}}}");
    static const struct {
        int32_t ids[4];
        size_t n;
        const char *want;
    } cases[] = {
        {{0, 1}, 2, "\u00e9"},         {{1, 0}, 2, "\ufffd\ufffd"},
        {{2, 3}, 2, "\ufffd a"},       /* F0 9F: the start of a character */
        {{4}, 1, "\ufffd\ufffd"},      /* ED A0: a surrogate's start is none */
        {{5, 3, 0}, 3, "x y a\ufffd"}, /* not byte-level: as it is */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_INIT;
        buf_str_add(&b, "\xff"); /* what is in the buffer already stays */
        assert_int_equal(tokenizer_decode(t, cases[i].ids, cases[i].n, false, &b, NULL),
                         0);
        assert_string_equal(buf_str(&b) + 1, cases[i].want);
        buf_release(&b);
    }
    tokenizer_free(t);
}

static void test_roberta_pairs(void **state)
{
    (void)state;
    struct tokenizer *t =
        parse("{" MODEL("") ",\"post_processor\":{\"type\":\"RobertaProcessing\","
                            "\"sep\":[\"b\",2],\"cls\":[\"a\",1]}}");
    struct encoding e = {0};
    const int32_t want[] = {1, 3, 2, 2, 3, 3, 2};
    assert_int_equal(tokenizer_encode(t, "c", 1, "cc", 2, 0, true, &e, NULL), 0);
    assert_int_equal(e.n, ARRAY_LEN(want));
    assert_memory_equal(e.ids, want, sizeof want);
    for (size_t i = 0; i < e.n; i++)
        assert_int_equal(e.type_ids[i], 0);
    encoding_release(&e);
    tokenizer_free(t);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"{\"model\":{\"type\":\"BPE\"}}", "no 'vocab'"},
        {"{\"model\":{\"type\":\"BPE\"," VOCAB "}}", "'merges' must be a list"},
        {"{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"ab\"]}}",
         "merge 0 must be two tokens"},
        {"{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"b c\",[1,2]]}}",
         "merge 1 must be two tokens"},
        {"{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"a c\"]}}",
         "merge 0: token 'ac' is not in the vocabulary"},
        {"{" MODEL(",\"unk_token\":\"u\"") "}", "unk_token 'u' is not in the vocabulary"},
        {"{" MODEL(",\"dropout\":0.1") "}", "dropout is not supported"},
        {SPLIT("\"Regex\":\"(a\"", "Removed", "false"), "pre_tokenizer: Split"},
        {SPLIT("\"Odd\":\"(a\"", "Removed", "false"), "'Regex' or 'String'"},
        {SPLIT("\"String\":\"a\"", "Odd", "false"), "behavior 'Odd' is not known"},
        {"{" MODEL(
             "") ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" BYTES
                 "," BYTES "]}}",
         "ByteLevel twice"},
        {"{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
                       "{\"type\":\"Odd\"}]}}",
         "kind 'Odd'"},
        {"{" MODEL("") ",\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":2}}",
         "must be [token, id]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        struct tokenizer *t = NULL;
        assert_true(tokenizer_parse(bad[i][0], strlen(bad[i][0]), "t", &t, &err) < 0);
        assert_null(t);
        if (!strstr(err.msg, bad[i][1]))
            fail_msg("'%s' lacks '%s'", err.msg, bad[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),        cmocka_unit_test(test_long_word),
        cmocka_unit_test(test_split),         cmocka_unit_test(test_byte_level),
        cmocka_unit_test(test_forms),         cmocka_unit_test(test_decode),
        cmocka_unit_test(test_roberta_pairs), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

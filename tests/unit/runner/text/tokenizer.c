/* runner_tokenizer - the goldens of tokenizers (ids, types, offsets, truncation,
 * decoding), added tokens, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- goldens ----------------------------------------------------------------------- */

static void same_ints(const json_t *want, const int32_t *got, size_t n, const char *what,
                      size_t line)
{
    if (json_array_size(want) != n)
        fail_msg("line %zu: %zu %s, not %zu", line, n, what, json_array_size(want));
    for (size_t i = 0; i < n; i++)
        if (json_integer_value(json_array_get(want, i)) != got[i])
            fail_msg("line %zu: %s[%zu] is %d", line, what, i, got[i]);
}

static void check_encoding(const struct tokenizer *t, const json_t *row, size_t line)
{
    const json_t *text = json_object_get(row, "text"),
                 *pair = json_object_get(row, "pair");
    const json_t *offsets = json_object_get(row, "offsets");
    const json_t *types = json_object_get(row, "type_ids");
    const json_t *plain = json_object_get(row, "ids_no_special");
    struct encoding e = {0};
    struct err err = ERR_INIT;
    int32_t limit = (int32_t)json_get_int(row, "max_length", 0);
    int rc = tokenizer_encode(t, json_string_value(text), json_string_length(text),
                              json_string_value(pair), json_string_length(pair), limit,
                              true, &e, &err);
    assert_int_equal(rc, 0);
    same_ints(json_object_get(row, "ids"), e.ids, e.n, "ids", line);
    if (types)
        same_ints(types, e.type_ids, e.n, "type_ids", line);
    for (size_t i = 0; i < e.n; i++)
        same_ints(json_array_get(offsets, i), e.offsets[i], 2, "offsets", line);
    if (plain) {
        rc = tokenizer_encode(t, json_string_value(text), json_string_length(text), NULL,
                              0, 0, false, &e, &err);
        assert_int_equal(rc, 0);
        same_ints(plain, e.ids, e.n, "ids_no_special", line);
    }
    encoding_release(&e);
}

static void check_decoding(const struct tokenizer *t, const json_t *row, size_t line)
{
    const json_t *list = json_object_get(row, "ids");
    size_t n = json_array_size(list);
    int32_t *ids = xmalloc((n + 1) * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    for (int all = 0; all < 2; all++) {
        const json_t *want = json_object_get(row, all ? "decoded_all" : "decoded");
        struct buf got = BUF_INIT;
        assert_int_equal(tokenizer_decode(t, ids, n, !all, &got, NULL), 0);
        if (want && strcmp(json_string_value(want), buf_str(&got)) != 0)
            fail_msg("line %zu: '%s', not '%s'", line, buf_str(&got),
                     json_string_value(want));
        buf_release(&got);
    }
    free(ids);
}

static void check_golden(const char *name, size_t rows)
{
    char *dir = fs_join("tests/golden/tokenizers", name);
    char *path = fs_join(dir, "cases.jsonl");
    struct tokenizer *t;
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT;
    assert_int_equal(tokenizer_load(dir, &t, &err), 0);
    assert_int_equal(fs_read(path, 10 << 20, &text, &err), 0);
    size_t line = 0;
    for (char *s = text.data, *end; (end = strchr(s, '\n')); s = end + 1) {
        json_t *row = json_parse_line(s, (size_t)(end - s), path, ++line, &err);
        assert_non_null(row);
        check_encoding(t, row, line);
        check_decoding(t, row, line);
        json_decref(row);
    }
    assert_int_equal(line, rows);
    buf_release(&text);
    tokenizer_free(t);
    free(path);
    free(dir);
}

static void test_minilm(void **state)
{
    (void)state;
    check_golden("minilm", 234);
}

static void test_cased(void **state)
{
    (void)state;
    check_golden("bert-cased-like", 234);
}

static void test_byte_level(void **state)
{
    (void)state;
    check_golden("roberta-like", 97);
    check_golden("qwen2-like", 73);
    check_golden("llama3-like", 72);
}

static void test_sentencepiece(void **state)
{
    (void)state;
    check_golden("llama2-like", 91);
    check_golden("llama2-metaspace-like", 91);
    check_golden("gemma-like", 91);
}

/* With a tie between ways of equal sums ("000"). */
static void test_unigram(void **state)
{
    (void)state;
    check_golden("xlmr-like", 118);
}

/* parts.jsonl: a tokenizer, then what is changed in it, a text, and what that gives. */
static void check_change(const json_t *base, const json_t *row, size_t line)
{
    json_t *whole = json_copy((json_t *)base);
    assert_int_equal(json_object_update(whole, json_object_get(row, "change")), 0);
    char *text = json_dumps(whole, 0);
    const json_t *in = json_object_get(row, "text");
    const json_t *places = json_object_get(row, "offsets");
    struct tokenizer *t = NULL;
    struct encoding e = {0};
    struct err err = ERR_INIT;
    if (tokenizer_parse(text, strlen(text), "t", &t, &err) < 0 ||
        tokenizer_encode(t, json_string_value(in), json_string_length(in), NULL, 0, 0,
                         false, &e, &err) < 0)
        fail_msg("line %zu: %s", line, err.msg);
    same_ints(json_object_get(row, "ids"), e.ids, e.n, "ids", line);
    for (size_t i = 0; i < e.n; i++)
        same_ints(json_array_get(places, i), e.offsets[i], 2, "offsets", line);
    check_decoding(t, row, line);
    encoding_release(&e);
    tokenizer_free(t);
    free(text);
    json_decref(whole);
}

static void test_parts(void **state)
{
    (void)state;
    const char *path = "tests/golden/tokenizers/parts.jsonl";
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    json_t *base = NULL;
    size_t line = 0;
    assert_int_equal(fs_read(path, 1 << 20, &text, &err), 0);
    for (char *s = text.data, *end; (end = strchr(s, '\n')); s = end + 1) {
        json_t *row = json_parse_line(s, (size_t)(end - s), path, ++line, &err);
        assert_non_null(row);
        if (base)
            check_change(base, row, line);
        else
            base = json_incref(row);
        json_decref(row);
    }
    assert_int_equal(line, 25);
    json_decref(base);
    buf_release(&text);
}

/* ---- small ones made here ---------------------------------------------------------- */

#define MODEL                                                                            \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"a\":1,"  \
    "\"##b\":2,\"e\":3,\"[C]\":4,\"[S]\":5}}"
#define BERT                                                                             \
    "\"normalizer\":{\"type\":\"BertNormalizer\"},"                                      \
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"

static struct tokenizer *parse(const char *json)
{
    struct tokenizer *t = NULL;
    struct err err = ERR_INIT;
    if (tokenizer_parse(json, strlen(json), "t", &t, &err) < 0)
        fail_msg("%s", err.msg);
    return t;
}

/* Encodes without special tokens and writes "id:begin-end ..." */
static void gives(const struct tokenizer *t, const char *text, const char *want)
{
    struct encoding e = {0};
    struct buf b = BUF_INIT;
    assert_int_equal(tokenizer_encode(t, text, strlen(text), NULL, 0, 0, false, &e, NULL),
                     0);
    for (size_t i = 0; i < e.n; i++)
        buf_printf(&b, "%s%d:%d-%d", i ? " " : "", e.ids[i], e.offsets[i][0],
                   e.offsets[i][1]);
    assert_string_equal(buf_str(&b), want);
    buf_release(&b);
    encoding_release(&e);
}

static void test_added_tokens(void **state)
{
    (void)state;
    struct tokenizer *t =
        parse("{" MODEL "," BERT ",\"added_tokens\":["
              "{\"id\":6,\"content\":\"<x>\",\"lstrip\":true,\"rstrip\":true},"
              "{\"id\":7,\"content\":\"<x>y\"},"
              "{\"id\":8,\"content\":\"one\",\"single_word\":true},"
              "{\"id\":9,\"content\":\"\\u00c9!\",\"normalized\":true,\"special\":true},"
              "{\"id\":10,\"content\":\"\"}]}");
    gives(t, "a  <x> a", "1:0-1 6:1-7 1:7-8");
    gives(t, "a<x>yab", "1:0-1 7:1-5 1:5-6 2:6-7"); /* the longest */
    gives(t, "one a", "8:0-3 1:4-5");
    gives(t, "onea", "0:0-4"); /* not a word of its own */
    gives(t, "e!", "9:0-2");   /* found after normalising */
    gives(t, "<x", "0:0-1 0:1-2");
    struct buf b = BUF_INIT;
    const int32_t ids[] = {1, 2, 9};
    assert_int_equal(tokenizer_decode(t, ids, 3, true, &b, NULL), 0);
    assert_string_equal(buf_str(&b), "a ##b"); /* no decoder: joined by blanks */
    buf_clear(&b);
    assert_int_equal(tokenizer_decode(t, ids, 3, false, &b, NULL), 0);
    assert_string_equal(buf_str(&b), "a ##b \u00c9!");
    struct err err = ERR_INIT;
    assert_int_equal(tokenizer_decode(t, (const int32_t[]){99}, 1, true, &b, &err),
                     -ERR_PARSE);
    buf_release(&b);
    tokenizer_free(t);
}

static void test_places(void **state)
{
    (void)state;
    struct tokenizer *t = parse("{" MODEL "," BERT "}");
    gives(t, "\u00e9 A\u0301b", "3:0-1 1:2-3 2:4-5"); /* accents off, places kept */
    gives(t,
          "a\xe4\xb8\xad"
          "a",
          "1:0-1 0:1-2 1:2-3");
    gives(t, "a\u200ba", "0:0-3"); /* a format character goes, the word stays one */
    struct encoding e = {0};
    struct err err = ERR_INIT;
    assert_int_equal(tokenizer_encode(t, "a\xff", 2, NULL, 0, 0, true, &e, &err),
                     -ERR_PARSE);
    assert_non_null(strstr(err.msg, "not UTF-8 at byte 1"));
    /* U+0000 is dropped, not the end */
    assert_int_equal(tokenizer_encode(t, "a\0b", 3, NULL, 0, 0, true, &e, NULL), 0);
    assert_int_equal(e.n, 2);
    encoding_release(&e);
    tokenizer_free(t);
}

static void test_truncation(void **state)
{
    (void)state;
    struct tokenizer *t =
        parse("{" MODEL "," BERT ",\"post_processor\":{\"type\":\"BertProcessing\","
              "\"sep\":[\"[S]\",5],\"cls\":[\"[C]\",4]}}");
    static const struct {
        int a, b, limit, want_a, want_b; /* b -1: no pair */
    } cases[] = {
        {5, -1, 0, 5, 0}, {5, -1, 7, 5, 0}, {5, -1, 6, 4, 0}, {5, -1, 2, 0, 0},
        {2, 9, 10, 2, 5}, {9, 2, 10, 5, 2}, {9, 9, 10, 3, 4}, {9, 8, 10, 4, 3},
        {4, 4, 8, 2, 3},  {4, 4, 3, 0, 0},  {0, 4, 5, 0, 2},  {4, 4, 11, 4, 4},
    };
    struct encoding e = {0};
    struct err err = ERR_INIT;
    const char *words = "a a a a a a a a a ";
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const bool pair = cases[i].b >= 0;
        const int wanted = cases[i].want_a + cases[i].want_b + (pair ? 3 : 2);
        int rc = tokenizer_encode(t, words, (size_t)(2 * cases[i].a), pair ? words : NULL,
                                  pair ? (size_t)(2 * cases[i].b) : 0, cases[i].limit,
                                  true, &e, &err);
        assert_int_equal(rc, 0);
        assert_int_equal(e.n, wanted);
        assert_int_equal(e.ids[0], 4);
        assert_int_equal(e.ids[1 + cases[i].want_a], 5);
        assert_int_equal(e.type_ids[e.n - 1], pair);
        assert_int_equal(e.cut > 0, cases[i].want_a + cases[i].want_b !=
                                        cases[i].a + (pair ? cases[i].b : 0));
    }
    assert_int_equal(tokenizer_encode(t, "a", 1, NULL, 0, 1, true, &e, &err),
                     -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "no room for the 2 special tokens"));
    encoding_release(&e);
    tokenizer_free(t);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"{", "line 1"},
        {"[]", "model: no 'type'"},
        {"{\"model\":{\"type\":\"BPE2\"}}", "model: kind 'BPE2' is not supported"},
        {"{\"model\":{\"type\":\"WordPiece\"}}", "no 'vocab'"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}",
         "unk_token '[UNK]' is not in the vocabulary"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0,\"b\":0}}}",
         "share id 0"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":-1}}}",
         "must be an integer"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":99999999}}}",
         "must be an integer"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":\"x\"}}}",
         "must be an integer"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "must be a list of 1.."},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]]}}", "unk_id"},
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",0]]}}",
         "unk_id"},
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",\"b\"]]}}",
         "vocab[0] must be [piece, score]"},
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",0],[\"a\",1]]}"
         "}",
         "'a' is there twice"},
        {"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\"}}", "no map of characters"},
        {"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":"
         "\"/////w\"}}",
         "no map of characters"},
        {"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":"
         "\"AAAAAP8=\"}}",
         "is not UTF-8"},
        {"{" MODEL ",\"normalizer\":{\"type\":\"Odd\"}}", "normalizer: kind 'Odd'"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Odd\"}}", "pre_tokenizer: kind 'Odd'"},
        {"{" MODEL ",\"post_processor\":{\"type\":\"Odd\"}}",
         "post_processor: kind 'Odd'"},
        {"{" MODEL ",\"decoder\":{\"type\":\"Odd\"}}", "decoder: kind 'Odd'"},
        {"{" MODEL ",\"decoder\":{}}", "decoder: no 'type'"},
        {"{" MODEL ",\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\"}}",
         "decoder: Strip: 'content' must be one character"},
        {"{" MODEL ",\"decoder\":{\"type\":\"Replace\"}}", "decoder: Replace: 'pattern'"},
        {"{" MODEL
         ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"x\"}}",
         "prepend_scheme must be"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"__\"}}",
         "'replacement' must be one character"},
        {"{" MODEL ",\"added_tokens\":[{\"id\":1,\"content\":\"e\"}]}",
         "added token 'e' has id 1, the vocabulary 3"},
        {"{" MODEL ",\"added_tokens\":[{\"id\":1,\"content\":\"new\"}]}", "share id 1"},
        {"{" MODEL ",\"added_tokens\":[{\"id\":1}]}", "without 'content'"},
        {"{" MODEL ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"x\",77],"
         "\"cls\":[\"y\",4]}}",
         "id 77 is not in the vocabulary"},
        {"{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[],"
         "\"pair\":[]}}",
         "must hold sequence A"},
        {"{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
         "{\"SpecialToken\":{\"id\":\"q\"}}]}}",
         "special token 'q' has no 'ids'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        struct tokenizer *t = NULL;
        assert_int_equal(tokenizer_parse(bad[i][0], strlen(bad[i][0]), "t", &t, &err),
                         -ERR_PARSE);
        assert_null(t);
        if (!strstr(err.msg, bad[i][1]))
            fail_msg("'%s' lacks '%s'", err.msg, bad[i][1]);
    }
}

static void test_load(void **state)
{
    (void)state;
    char dir[] = "/tmp/runner_tokenizer.XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct tokenizer *t;
    struct err err = ERR_INIT;
    assert_int_equal(tokenizer_load("/nonexistent", &t, &err), -ERR_NOINPUT);
    err_clear(&err);
    assert_int_equal(tokenizer_load(dir, &t, &err), -ERR_NOINPUT);
    assert_non_null(strstr(err.msg, "no tokenizer.json"));
    char *path = fs_join(dir, "tokenizer.json");
    char *config = fs_join(dir, "tokenizer_config.json");
    assert_int_equal(fs_write_atomic(path, "{" MODEL "}", strlen("{" MODEL "}"), NULL),
                     0);
    static const struct {
        const char *text;
        int32_t limit;
    } limits[] = {{"{}", INT32_MAX},
                  {"{\"model_max_length\": 512}", 512},
                  {"{\"model_max_length\": 1000000000000000019884624838656}", INT32_MAX},
                  {"{\"model_max_length\": null}", INT32_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        fs_write_atomic(config, limits[i].text, strlen(limits[i].text), NULL);
        assert_int_equal(tokenizer_load(dir, &t, NULL), 0);
        assert_int_equal(tokenizer_max_length(t), limits[i].limit);
        tokenizer_free(t);
    }
    fs_write_atomic(config, "{", 1, NULL);
    err_clear(&err);
    assert_int_equal(tokenizer_load(dir, &t, &err), -ERR_PARSE);
    assert_null(t);
    assert_non_null(strstr(err.msg, "tokenizer_config.json"));
    fs_remove_tree(dir, NULL);
    free(path);
    free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minilm),        cmocka_unit_test(test_cased),
        cmocka_unit_test(test_unigram),       cmocka_unit_test(test_byte_level),
        cmocka_unit_test(test_sentencepiece), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_added_tokens),  cmocka_unit_test(test_places),
        cmocka_unit_test(test_truncation),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

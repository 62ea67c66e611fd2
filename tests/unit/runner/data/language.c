/* tests/unit/runner/data/language.c - rows of a language model: which tokens are learned, what
 * is left out, messages with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "runner/data/dataset.h"
#include <string.h>

/* One word, one token: a 1, b 2, c 3, the end token 4; 5 begins a text. */
static struct tokenizer *tokenizer(void)
{
    static const char json[] =
        "{\"added_tokens\":[{\"id\":4,\"content\":\"</s>\",\"special\":true}],"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"vocab\":"
        "{\"?\":0,\"a\":1,\"b\":2,\"c\":3,\"</s>\":4,\"ab\":6}}}";
    struct tokenizer *t = NULL;
    struct err err = ERR_INIT;
    if (tokenizer_parse(json, strlen(json), "t", &t, &err))
        fail_msg("%s", err.msg);
    return t;
}

static const struct data_spec spec = {.max_length = 4,
                                      .vocab_size = 7,
                                      .labels = LABEL_token,
                                      .reader = &language_rows,
                                      .eos = "</s>"};

static int parse(const char *text, struct dataset **d, size_t *cut, struct err *err)
{
    struct tokenizer *t = tokenizer();
    struct labels none = {0};
    int rc =
        dataset_parse(text, strlen(text), "rows.jsonl", &spec, t, &none, d, cut, err);
    tokenizer_free(t);
    return rc;
}

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        int32_t n, ids[4], labels[4];
    } rows[] = {
        {"{\"input_ids\":[1,2,3],\"labels\":[-100,2,0]}", 3, {1, 2, 3}, {-1, 2, 0}},
        {"{\"text\":\"a b\"}", 3, {1, 2, 4}, {1, 2, 4}},
        {"{\"text\":\"a b</s>\"}", 3, {1, 2, 4}, {1, 2, 4}},
        {"{\"prompt\":\"a b\",\"completion\":\" c\"}", 4, {1, 2, 3, 4}, {-1, -1, 3, 4}},
        /* the completion changes the prompt's last token: it begins there */
        {"{\"prompt\":\"c a\",\"completion\":\"b\"}", 3, {3, 6, 4}, {-1, 6, 4}},
        {"{\"text\":\"a b c a b\"}", 4, {1, 2, 3, 1}, {1, 2, 3, 1}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        struct dataset *d;
        size_t cut;
        if (parse(rows[i].row, &d, &cut, &err))
            fail_msg("%s: %s", rows[i].row, err.msg);
        assert_int_equal(d->rows[0].n, rows[i].n);
        for (int32_t t = 0; t < rows[i].n; t++) {
            assert_int_equal(d->rows[0].ids[t], rows[i].ids[t]);
            assert_int_equal(d->rows[0].token_labels[t], rows[i].labels[t]);
        }
        assert_int_equal(cut, i == 5);
        dataset_free(d);
    }
}

/* A prompt that fills max_length leaves nothing to learn. */
static void test_left_out(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct dataset *d;
    assert_int_equal(parse("{\"prompt\":\"a b c a b\",\"completion\":\" c\"}\n"
                           "{\"text\":\"a b\"}\n",
                           &d, NULL, &err),
                     0);
    assert_int_equal(d->count, 1);
    assert_int_equal(d->total_tokens, 3);
    dataset_free(d);
    assert_true(
        parse("{\"prompt\":\"a b c a b\",\"completion\":\" c\"}\n", &d, NULL, &err) < 0);
    assert_non_null(strstr(err.msg, "no row has a labelled token"));
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *row, *part;
    } bad[] = {
        {"{\"input_ids\":[1,2]}", "'labels' must be a list"},
        {"{\"input_ids\":[1,2],\"labels\":[1]}", "'labels' must be a list"},
        {"{\"input_ids\":[1,2],\"labels\":[1,7]}", "'labels'[1]"},
        {"{\"input_ids\":[1,2],\"labels\":[1,-1]}", "-100"},
        {"{\"input_ids\":[1,9],\"labels\":[1,2]}", "'input_ids'[1]"},
        {"{\"messages\":[]}", "'messages'"},
        {"{\"prompt\":\"a\"}", "completion"},
        {"{\"label\":1}", "no key 'text'"},
        {"{\"text\":3}", "'text' must be text"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        struct dataset *d;
        assert_int_equal(parse(bad[i].row, &d, NULL, &err), -ERR_PARSE);
        if (!strstr(err.msg, bad[i].part) || !strstr(err.msg, "line 1"))
            fail_msg("'%s' lacks '%s'", err.msg, bad[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

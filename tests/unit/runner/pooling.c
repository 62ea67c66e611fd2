/* tests/unit/runner/pooling.c - what hidden states become, and what a folder says of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/fs.h"
#include "lib/mem.h"
#include "runner/serve/pooling.h"
#include <stdlib.h>
#include <string.h>

static const float states[] = {1, -2, 3, 0.5f, 5, -6}; /* three tokens of two numbers */

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        enum pooling kind;
        float want[2];
    } cases[] = {{POOL_MEAN, {3, -2.5f}},
                 {POOL_FIRST, {1, -2}},
                 {POOL_LAST, {5, -6}},
                 {POOL_MAX, {5, 0.5f}}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        float out[2];
        pooling_run(cases[i].kind, states, 3, 2, out);
        assert_memory_equal(out, cases[i].want, sizeof out);
        pooling_run(cases[i].kind, states, 1, 2, out);
        assert_memory_equal(out, states, sizeof out);
    }
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char *path = fs_join(dir, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
    free(path);
}

static void test_folders(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pooling want; /* POOL_NONE: refused */
    } cases[] = {
        {"{\"pooling_mode_cls_token\": false, \"pooling_mode_mean_tokens\": true}",
         POOL_MEAN},
        {"{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false, "
         "\"include_prompt\": true}",
         POOL_FIRST},
        {"{\"pooling_mode_lasttoken\": true}", POOL_LAST},
        {"{\"pooling_mode_max_tokens\": true}", POOL_MAX},
        {"{\"embedding_dimension\": 384, \"pooling_mode\": \"cls\"}", POOL_FIRST},
        {"{\"pooling_mode\": \"weightedmean\"}", POOL_NONE},
        {"{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": true}",
         POOL_NONE},
        {"{\"pooling_mode_mean_sqrt_len_tokens\": true}", POOL_NONE},
        {"{\"word_embedding_dimension\": 32}", POOL_NONE},
        {"{", POOL_NONE},
    };
    char dir[] = "/tmp/peftlab-pooling-XXXXXX";
    enum pooling got = POOL_NONE;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(pooling_of_model(&got, dir, NULL), 0);
    assert_int_equal(got, POOL_MEAN);
    assert_int_equal(pooling_most_tokens(dir), 0);
    char *sub = fs_join(dir, "1_Pooling");
    assert_int_equal(fs_mkdirs(sub, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        write_file(sub, "config.json", cases[i].text);
        const int rc = pooling_of_model(&got, dir, &err);
        assert_int_equal(rc != 0, cases[i].want == POOL_NONE);
        if (cases[i].want)
            assert_int_equal(got, cases[i].want);
        else
            assert_non_null(strstr(err.msg, "1_Pooling/config.json"));
    }
    write_file(dir, "sentence_bert_config.json", "{\"max_seq_length\": 256}");
    assert_int_equal(pooling_most_tokens(dir), 256);
    write_file(dir, "sentence_bert_config.json", "{\"max_seq_length\": -1}");
    assert_int_equal(pooling_most_tokens(dir), 0);
    write_file(dir, "sentence_bert_config.json", "[");
    assert_int_equal(pooling_most_tokens(dir), 0);
    free(sub);
    assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

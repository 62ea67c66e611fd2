/* The hub's list of files: names, digests, what is chosen. */
#include "lib/fs.h"
#include "lib/json.h"
#include "runner/hub/pull/hub.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SHA1   "0123456789abcdef0123456789abcdef01234567"
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_paths(void **state)
{
    static const char *const good[] = {"config.json", "a/b/c.txt",       ".gitattributes",
                                       "a..b",        "onnx/model.onnx", "ä.txt"};
    static const char *const bad[] = {"",
                                      "/etc/passwd",
                                      "..",
                                      "../a",
                                      "a/../b",
                                      "a/..",
                                      "a//b",
                                      "a/",
                                      "./a",
                                      "a\\b",
                                      "a\nb",
                                      ".git/config",
                                      "x/.GIT/hooks/post-checkout",
                                      ("a" HUB_PART),
                                      HUB_RECORD};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!hub_path_ok(good[i]))
            fail_msg("refused: '%s'", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hub_path_ok(bad[i]))
            fail_msg("taken: '%s'", bad[i]);
    assert_true(hub_id_ok("bert-base-uncased") && hub_id_ok("a/b.c_d"));
    assert_false(hub_id_ok("a/b/c") || hub_id_ok("a/../b") || hub_id_ok("/a") ||
                 hub_id_ok("a/") || hub_id_ok("a b") || hub_id_ok("") ||
                 hub_id_ok("a?b"));
}

static int parse(const char *text, struct hub_list *l, struct err *e)
{
    return hub_list_parse(text, strlen(text), "hub", l, e);
}

static void test_list(void **state)
{
    struct hub_list l;
    struct err e = ERR_INIT;
    (void)state;
    assert_int_equal(
        parse("{\"sha\": \"" SHA1 "\", \"siblings\": ["
              "{\"rfilename\": \"model.safetensors\", \"size\": 1, \"blobId\": \"" SHA1
              "\", \"lfs\": {\"sha256\": \"" SHA256 "\", \"size\": 99}},"
              "{\"rfilename\": \"pytorch_model.bin\", \"size\": 1000},"
              "{\"rfilename\": \"config.json\", \"size\": 12, \"blobId\": \"" SHA1
              "\"}]}",
              &l, &e),
        0);
    assert_int_equal(l.count, 3);
    assert_string_equal(l.commit, SHA1);
    assert_string_equal(l.files[0].path, "config.json"); /* sorted */
    assert_string_equal(l.files[0].digest, SHA1);
    assert_int_equal(l.files[1].size, 99); /* of the content, not of the pointer */
    assert_string_equal(l.files[1].digest, SHA256);
    assert_string_equal(l.files[2].digest, "");
    assert_int_equal(hub_list_keep(&l, hub_model_patterns, hub_model_pattern_count, true),
                     1000);
    assert_int_equal(l.count, 2);
    hub_list_release(&l);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "hub"},
        {"<html>", "hub"},
        {"[]", "no list of files"},
        {"{\"siblings\": 3}", "no list of files"},
        {"{\"siblings\": [{}]}", "could leave the folder"},
        {"{\"siblings\": [{\"rfilename\": \"../x\"}]}", "could leave the folder"},
        {"{\"siblings\": [{\"rfilename\": \"x\", \"size\": -5}]}", "negative size"},
        {"{\"siblings\": [{\"rfilename\": \"x\"}, {\"rfilename\": \"x\"}]}", "twice"},
        {"{\"siblings\": [{\"rfilename\": \"x\"}, {\"rfilename\": \"x/y\"}]}", "twice"},
        {"{\"siblings\": [{\"rfilename\": \"x\"}, {\"rfilename\": \"x-y\"}, "
         "{\"rfilename\": \"x/y/z\"}]}",
         "'x' is there twice, file and folder"},
        {"{\"sha\": \"../..\", \"siblings\": []}", "no commit"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub_list l;
        struct err e = ERR_INIT;
        assert_int_equal(parse(cases[i].text, &l, &e), -ERR_PARSE);
        if (!strstr(e.msg, cases[i].message))
            fail_msg("'%s' lacks '%s'", e.msg, cases[i].message);
    }
}

static void test_digests(void **state)
{
    char path[] = "/tmp/cli_hub.XXXXXX";
    struct err e = ERR_INIT;
    (void)state;
    close(mkstemp(path));
    assert_int_equal(fs_write_atomic(path, "hello\n", 6, NULL), 0);
    /* git hash-object and sha256sum of it */
    struct hub_file f = {
        .path = path, .size = 6, .digest = "ce013625030ba8dba906f756967f9e9ca394464a"};
    assert_int_equal(hub_check(path, &f, &e), 0);
    f.digest[3] ^= 1;
    assert_int_equal(hub_check(path, &f, &e), -ERR_PARSE);
    assert_non_null(strstr(e.msg, "SHA-1 ce013625030b"));
    f = (struct hub_file){
        path, -1, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"};
    err_clear(&e);
    assert_int_equal(hub_check(path, &f, &e), 0);
    f.digest[63] ^= 1;
    assert_int_equal(hub_check(path, &f, &e), -ERR_PARSE);
    f.size = 7;
    err_clear(&e);
    assert_int_equal(hub_check(path, &f, &e), -ERR_PARSE);
    assert_non_null(strstr(e.msg, "has 6 bytes, the hub says 7"));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

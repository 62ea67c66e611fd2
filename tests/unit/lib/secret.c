/* What is a secret by its name, and what texts and trees look like without them. */
#include "lib/secret/secret.h"
#include "lib/json.h"
#include "lib/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const secret_names[] = {
    "token",
    "HF_TOKEN",
    "hfToken",
    "hub_token",
    "wandb.apiKey",
    "WANDB_API_KEY",
    "--api-key",
    "x-api-key",
    "apikey",
    "APIKey",
    "OPENAI_API_KEY",
    "password",
    "DB_PASSWORD",
    "passwd",
    "client_secret",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "private_key",
    "Authorization",
    "proxy-authorization",
    "auth",
    "use_auth_token",
    "credentials",
    "Set-Cookie",
    "session",
    "sessionid",
    "session_token",
    "access_token",
    "refresh_token",
    "env/HF_TOKEN",
    "ssh_key",
    "MLFLOW_TRACKING_PASSWORD",
};
static const char *const plain_names[] = {
    "tokenizer",
    "tokenizer_name",
    "max_tokens",
    "num_virtual_tokens",
    "tokens",
    "pad_token",
    "eos_token",
    "bos_token",
    "eos_token_id",
    "pad_token_id",
    "special_tokens",
    "mask_token",
    "decoder_start_token",
    "token_type_ids",
    "tokens_per_s",
    "ms_per_token",
    "api_key_file",
    "HF_TOKEN_PATH",
    "token_count",
    "secret_name",
    "key",
    "keys",
    "learning_rate",
    "monkey",
    "author",
    "authors",
    "passes",
    "forward_pass",
    "compass",
    "keyboard",
    "eval/token_accuracy",
    "session_length",
    "PWD",
    "",
};

static void names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(secret_names); i++)
        if (!secret_name(secret_names[i]))
            fail_msg("%s is a secret", secret_names[i]);
    for (size_t i = 0; i < ARRAY_LEN(plain_names); i++)
        if (secret_name(plain_names[i]))
            fail_msg("%s is no secret", plain_names[i]);
    assert_true(secret_value("token", "abc"));
    assert_false(secret_value("token", "17"));
    assert_true(secret_value("password", "17"));
    assert_false(secret_value("password", ""));
}

#define HF "hf_abcdefghijABCDEFGHIJabcdefghij1234"
#define R  SECRET_SHOWN

static void texts(void **state)
{
    static const char *const changed[][2] = {
        {"HF_TOKEN=abc python train.py", "HF_TOKEN=" R " python train.py"},
        {"python t.py --token abc --lr 1", "python t.py --token " R " --lr 1"},
        {"python t.py --token=abc --lr 1", "python t.py --token=" R " --lr 1"},
        {"run --api-key 'a b c' x", "run --api-key '" R "' x"},
        {"['--token', 'abc', '--lr']", "['--token', '" R "', '--lr']"},
        {"password: hunter2", "password: " R},
        {"PASSWORD=12345 x", "PASSWORD=" R " x"},
        {"{\"api_key\": \"a b\", \"lr\": 1}", "{\"api_key\": \"" R "\", \"lr\": 1}"},
        {"sent {\\\"api_key\\\": \\\"ab\\\"}", "sent {\\\"api_key\\\": \\\"" R "\\\"}"},
        {"{'secret': 'ab'}", "{'secret': '" R "'}"},
        {"Authorization: Bearer abc", "Authorization: Bearer " R},
        {"header 'Bearer abcdef123'", "header 'Bearer " R "'"},
        {"https://me:pw@host/x", "https://me:" R "@host/x"},
        {"postgresql://me:p:w@host:5432/db and",
         "postgresql://me:" R "@host:5432/db and"},
        {"https://" HF "@host/x", "https://" R "@host/x"},
        {"https://h/x?a=1&api_key=abc&b=2", "https://h/x?a=1&api_key=" R "&b=2"},
        {"login failed for " HF ".", "login failed for " R},
        {"HF_TOKEN=a WANDB_API_KEY=b", "HF_TOKEN=" R " WANDB_API_KEY=" R},
        {"token: abcdef123", "token: " R},
        {"key sk-proj-aB3_dE-fGhIjKlMnOpQrStUvWxYz012345 is", "key " R " is"},
        {"github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123", R},
    };
    static const char *const same[] = {
        "",
        "eval/accuracy",
        "lr=0.1 tokens=512",
        "--max-tokens 512 --tokenizer bert",
        "SyntaxError: unexpected token: name",
        "it needs a token in HF_TOKEN",
        "HF_TOKEN=${envvar:HF_TOKEN}",
        "--token {token} --lr 1",
        "--token $HF_TOKEN",
        "--token --lr 1",
        "--token",
        "HF_TOKEN=",
        "session=3 of 7",
        "https://host:80/a@b",
        "ssh://git@host/x",
        "pad_token=<pad>",
        "password: " R,
        "hf_model of sk-learn is not a key",
        "hf_internal-testing-tiny-random-bert-for-tests",
        "data/sk-news-articles-of-a-slovak-corpus-2024.csv",
        "time 12:30:11 -- all is well here",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
        char *got = secret_text(changed[i][0]);
        assert_non_null(got);
        assert_string_equal(got, changed[i][1]);
        assert_null(secret_text(got));
        free(got);
    }
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        char *got = secret_text(same[i]);
        if (got)
            fail_msg("'%s' became '%s'", same[i], got);
    }
}

static void trees(void **state)
{
    static const char *const cases[][2] = {
        {"{\"lr\": 1, \"hf_token\": \"abc\"}", "{\"lr\":1,\"hf_token\":\"" R "\"}"},
        {"{\"password\": 12345, \"session\": 3}",
         "{\"password\":\"" R "\",\"session\":3}"},
        {"{\"a\": {\"api_key\": {\"values\": [\"x\", 7]}}}",
         "{\"a\":{\"api_key\":{\"values\":[\"" R "\",\"" R "\"]}}}"},
        {"{\"command\": [\"python\", \"--token\", \"x\", \"--lr\", \"2\"]}",
         "{\"command\":[\"python\",\"--token\",\"" R "\",\"--lr\",\"2\"]}"},
        {"{\"command\": [\"env\", \"HF_TOKEN=x\"]}",
         "{\"command\":[\"env\",\"HF_TOKEN=" R "\"]}"},
        {"[{\"name\": \"HF_TOKEN\", \"value\": \"x\"}]",
         "[{\"name\":\"HF_TOKEN\",\"value\":\"" R "\"}]"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *got = secret_json_text(cases[i][0]);
        assert_non_null(got);
        json_t *a = json_loads(got, 0, NULL), *b = json_loads(cases[i][1], 0, NULL);
        if (!a || !json_equal(a, b))
            fail_msg("'%s' became '%s'", cases[i][0], got);
        assert_null(secret_json_text(got));
        json_decref(a);
        json_decref(b);
        free(got);
    }
    json_t *plain = json_pack("{s:s, s:i, s:s, s:b}", "tokenizer", "bert", "max_tokens",
                              5, "eos_token", "</s>", "use_auth_token", 1);
    json_t *again = secret_json(plain);
    assert_ptr_equal(again, plain);
    json_decref(again);
    json_decref(plain);
    assert_null(secret_json_text("{\"tokenizer\": \"a\", \"pad_token\": \"b\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(texts),
        cmocka_unit_test(trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/runner/nn/rope.c - inverse frequencies and factors of rotary embeddings against
 * transformers' (tests/golden/rope), in both spellings; other types are refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/json.h"
#include "runner/nn/arch/rope.h"
#include <math.h>
#include <string.h>

static int32_t head_dim(const json_t *config)
{
    const int64_t heads = json_get_int(config, "num_attention_heads", 1);
    return (int32_t)json_get_int(config, "head_dim",
                                 json_get_int(config, "hidden_size", 0) / heads);
}

static void check_set(const json_t *set, const json_t *config)
{
    const json_t *want = json_object_get(set, "inv_freq");
    struct err err = ERR_INIT;
    struct rope r;
    int rc = rope_read(config, head_dim(config), &r, &err);
    if (!want) {
        assert_int_equal(rc, -ERR_CONFIG);
        assert_non_null(strstr(err.msg, json_get_str(set, "type", "")));
        rope_release(&r);
        return;
    }
    if (rc)
        fail_msg("%s: %s", json_get_str(set, "name", ""), err.msg);
    assert_int_equal(r.count, json_array_size(want));
    for (int32_t i = 0; i < r.count; i++) {
        const double f = json_number_value(json_array_get(want, (size_t)i));
        if (!(fabs(r.frequencies[i] - f) <= 1e-6 * fabs(f)))
            fail_msg("%s: frequency %d is %.9g, not %.9g", json_get_str(set, "name", ""),
                     i, (double)r.frequencies[i], f);
    }
    assert_float_equal(r.factor, json_get_num(set, "attention_factor", 0), 1e-6);
    rope_release(&r);
}

static void test_golden(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *root = json_read_file("tests/golden/rope/rope.json", &err), *set, *config;
    size_t i, k, sets = 0, refused = 0;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "sets"), i, set)
    {
        json_array_foreach(json_object_get(set, "config"), k, config)
            check_set(set, config);
        refused += !json_object_get(set, "inv_freq");
        sets++;
    }
    assert_true(sets > 15 && refused >= 3);
    json_decref(root);
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"rope_scaling\":{\"type\":\"linear\"}}",
        "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":0.5}}",
        "{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4,"
        "\"high_freq_factor\":1}}",
        "{\"rope_theta\":1}",
        "{\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":0.1}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = ERR_INIT;
        struct rope r;
        json_t *c = json_parse(bad[i], strlen(bad[i]), "t", &err);
        assert_int_equal(rope_read(c, 8, &r, &err), -ERR_PARSE);
        assert_non_null(strstr(err.msg, "rope"));
        rope_release(&r);
        json_decref(c);
    }
    struct err err = ERR_INIT;
    struct rope r;
    assert_int_equal(rope_read(NULL, 7, &r, &err), -ERR_PARSE);
    rope_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

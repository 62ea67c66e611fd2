/* tests/unit/runner/nn/rope.c - inverse frequencies and factors of rotary embeddings against
 * transformers' (tests/golden/rope), in both spellings and for several lengths;
 * what is wrong is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/json.h"
#include "runner/nn/arch/rope.h"
#include <math.h>
#include <string.h>

static const struct rope_family llama = {.theta = 10000}, phi3 = {.theta = 10000,
                                                                  .original_length = 4096,
                                                                  .partial = true,
                                                                  .only_longrope = true};

static int32_t head_dim(const json_t *config)
{
    const int64_t heads = json_get_int(config, "num_attention_heads", 1);
    return (int32_t)json_get_int(config, "head_dim",
                                 json_get_int(config, "hidden_size", 0) / heads);
}

/* The frequencies of a sequence so long; transformers' model has the base of `dynamic` in
 * fp32. */
static void check_result(const char *name, const json_t *config, const json_t *result)
{
    const json_t *want = json_object_get(result, "inv_freq");
    const bool is_phi3 = !strcmp(json_get_str(config, "model_type", ""), "phi3");
    const char *type = json_get_str(result, "rope_type", "");
    const double limit = strcmp(type, "dynamic") ? 1e-6 : 3e-6;
    const int32_t length = (int32_t)json_get_int(result, "length", 0);
    struct err err = ERR_INIT;
    struct rope r;
    if (rope_read(config, is_phi3 ? &phi3 : &llama,
                  json_get_str(result, "layer_type", NULL), head_dim(config), &r, &err))
        fail_msg("%s: %s", name, err.msg);
    assert_int_equal(r.count, json_array_size(want));
    const int32_t beyond = length > r.length ? length - r.length : 0;
    const float *f =
        r.frequencies + (size_t)(beyond < r.rows ? beyond : r.rows - 1) * (size_t)r.count;
    for (int32_t i = 0; i < r.count; i++) {
        const double w = json_number_value(json_array_get(want, (size_t)i));
        if (!(fabs(f[i] - w) <= limit * fabs(w)))
            fail_msg("%s, %d tokens: frequency %d is %.9g, not %.9g", name, length, i,
                     (double)f[i], w);
    }
    assert_float_equal(r.factor, json_get_num(result, "attention_factor", 0), 1e-6);
    rope_release(&r);
}

static void test_golden(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *root = json_read_file("tests/golden/rope/rope.json", &err), *set, *config,
           *result;
    size_t i, k, l, results = 0;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "sets"), i, set)
    {
        json_array_foreach(json_object_get(set, "config"), k, config)
            json_array_foreach(json_object_get(set, "results"), l, result)
        {
            check_result(json_get_str(set, "name", ""), config, result);
            results++;
        }
    }
    assert_true(results >= 90); /* 50 in one spelling */
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
        assert_int_equal(rope_read(c, &llama, NULL, 8, &r, &err), -ERR_PARSE);
        assert_non_null(strstr(err.msg, "rope"));
        rope_release(&r);
        json_decref(c);
    }
    struct err err = ERR_INIT;
    struct rope r;
    assert_int_equal(rope_read(NULL, &llama, NULL, 7, &r, &err), -ERR_PARSE);
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

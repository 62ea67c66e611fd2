/* tests/unit/runner/options.c - what a user writes becomes a resolved trial, and the
 * typed trial: members by the table's types and defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/options.h"
#include <math.h>
#include <string.h>

static json_t *tree(const char *text)
{
    struct err err = ERR_INIT;
    json_t *given = conf_parse_value(text, &err), *out = NULL;
    if (!given || trial_resolve(given, &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    json_decref(given);
    return out;
}

/* One member of each type: given, by default, and without one. */
static void test_members(void **state)
{
    (void)state;
    json_t *resolved = tree("{model: m, train_data: t.jsonl, rank: 4, alpha: 16, "
                            "use_dora: true, target_modules: [query], "
                            "layers_to_transform: 2, rank_pattern: {key: 3}}");
    struct trial t;
    trial_init(&t, resolved);
    assert_string_equal(t.model, "m");
    assert_int_equal(t.rank, 4);
    assert_true(t.alpha == 16);
    assert_true(t.use_dora);
    assert_int_equal(json_array_size(t.target_modules), 1);
    assert_int_equal(json_integer_value(t.layers_to_transform), 2);
    assert_int_equal(json_integer_value(json_object_get(t.rank_pattern, "key")), 3);

    assert_string_equal(t.method, "lora");
    assert_string_equal(t.bias, "none");
    assert_int_equal(t.batch_size, 8);
    assert_int_equal(t.max_steps, -1);
    assert_true(t.adam_epsilon == 1e-8);
    assert_true(t.shuffle);
    assert_true(json_is_true(t.init_lora_weights));
    assert_true(t.learning_rate == 5e-4); /* the method's */

    assert_null(t.eval_data);
    assert_int_equal(t.max_length, 0);
    assert_true(isnan(t.hidden_dropout_prob));
    assert_null(t.modules_to_save);
    trial_release(&t);
    json_decref(resolved);
}

/* What another method reads is as not given, whatever its default. */
static void test_unread(void **state)
{
    (void)state;
    json_t *resolved = tree("{model: m, train_data: t.jsonl, method: full}");
    struct trial t;
    trial_init(&t, resolved);
    assert_int_equal(t.rank, 0);
    assert_int_equal(t.num_virtual_tokens, 0);
    assert_true(isnan(t.lora_dropout));
    assert_null(t.quantization);
    assert_null(t.init_lora_weights);
    trial_release(&t);
    json_decref(resolved);
}

/* A tree of before an option came reads as if it had the option's default; it is hashed
 * as it is. */
static void test_older_tree(void **state)
{
    (void)state;
    json_t *resolved = tree("{model: m, train_data: t.jsonl}");
    json_object_del(resolved, "label_smoothing_factor");
    json_object_del(resolved, "optim");
    json_object_del(resolved, "class_weights");
    const size_t size = json_object_size(resolved);
    struct trial t;
    trial_init(&t, resolved);
    assert_true(t.label_smoothing_factor == 0);
    assert_string_equal(t.optim, "adamw");
    assert_string_equal(json_string_value(t.class_weights), "none");
    assert_ptr_equal(t.json, resolved);
    assert_int_equal(json_object_size(t.json), size);
    trial_release(&t);
    json_decref(resolved);
}

/* "Not given" must not look like a value: an integer without a default is never 0, where
 * 0 would mean something else than leaving the key out; a flag always has a default. */
static void test_not_given(void **state)
{
    (void)state;
    for (size_t i = 0; i < trial_options.count; i++) {
        const struct opt_def *d = &trial_options.rows[i];
        if (d->preset || (d->type != OPT_INT && d->type != OPT_BOOL))
            continue;
        assert_int_equal(d->type, OPT_INT);
        if (d->min < 1 && !strstr(d->help, "(default: 0)"))
            fail_msg("%s: 0 is a value and 'not given'", d->key);
    }
}

static void resolve_fails(const char *text, const char *part)
{
    struct err err = ERR_INIT;
    json_t *out = NULL, *given = conf_parse_value(text, &err);
    assert_non_null(given);
    assert_int_equal(trial_resolve(given, &out, &err), -ERR_CONFIG);
    if (!strstr(err.msg, part))
        fail_msg("'%s' lacks '%s'", err.msg, part);
    json_decref(given);
}

/* What is only used needs no training data. */
static void test_resolve_use(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *given = conf_parse_value("{model: x}", &err), *out = NULL;
    assert_int_equal(trial_resolve_use(given, &out, &err), 0);
    assert_null(json_object_get(out, "train_data"));
    json_decref(out);
    json_object_del(given, "model");
    assert_int_equal(trial_resolve_use(given, &out, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "'model' is missing"));
    json_decref(given);
}

static void test_resolve(void **state)
{
    (void)state;
    json_t *a = tree(
        "{model: m, train_data: t.jsonl, method: qlora, r: 16, lora_alpha: 32, seed: 1}");
    assert_string_equal(json_get_str(a, "method", ""), "lora");
    assert_string_equal(json_get_str(a, "quantization", ""), "nf4");
    assert_int_equal(json_get_int(a, "rank", 0), 16);
    assert_null(json_object_get(a, "num_virtual_tokens"));
    json_t *b = tree("{model: m, train_data: t.jsonl, method: lora, quantization: nf4, "
                     "rank: 16, alpha: 32, seed: 7}");
    json_t *c = tree("{model: m, train_data: t.jsonl, method: lora, quantization: nf4, "
                     "rank: 16, alpha: 33, seed: 7}");
    char ka[65], kb[65], kc[65];
    trial_key(a, ka);
    trial_key(b, kb);
    trial_key(c, kc);
    assert_string_equal(ka, kb);
    assert_string_not_equal(kb, kc);
    json_decref(a);
    json_decref(b);
    json_decref(c);

    resolve_fails("{model: x, train_data: y, rnak: 4}", "did you mean 'rank'");
    resolve_fails("{model: x, train_data: y, method: head, rank: 4}",
                  "does not read 'rank'");
    resolve_fails("{model: x, train_data: y, method: lroa}", "did you mean 'lora'");
    resolve_fails("{model: x, train_data: y, rank: 0}", "rank");
    resolve_fails("{model: x, train_data: y, rank: 4, r: 4}", "given twice");
    resolve_fails("{train_data: y}", "'model' is missing");
    resolve_fails("{model: x}", "'train_data' is missing");
    resolve_fails("{model: x, train_data: y, method: adalora, init_r: 4}",
                  "target_r is 8, more than init_r, 4");
    resolve_fails("{model: x, train_data: y, method: full, quantization: nf4}",
                  "quantization");
    resolve_fails("{model: x, train_data: y, init_lora_weights: pizza}",
                  "must be true, false, gaussian, pissa or olora, got 'pizza'");
    resolve_fails("{model: x, train_data: y, init_lora_weights: 3}", "init_lora_weights");
    resolve_fails("{model: x, train_data: y, method: pissa, quantization: nf4}",
                  "cannot be quantised");
    resolve_fails("{model: x, train_data: y, method: pissa, use_dora: true}", "use_dora");
    resolve_fails("{model: x, train_data: y, method: pissa, use_rslora: true, "
                  "rank_pattern: {query: 2}}",
                  "rank_pattern");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve),    cmocka_unit_test(test_resolve_use),
        cmocka_unit_test(test_members),    cmocka_unit_test(test_unread),
        cmocka_unit_test(test_older_tree), cmocka_unit_test(test_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

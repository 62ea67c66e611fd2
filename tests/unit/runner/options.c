/* tests/unit/runner/options.c - the typed trial: members by the table's types and
 * defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_unread),
        cmocka_unit_test(test_older_tree),
        cmocka_unit_test(test_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

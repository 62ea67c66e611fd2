/* Priors: the built-in file is whole, scopes and sides, and the rule of agreement. */
#include "lib/json.h"
#include "lib/str.h"
#include "report/advise/priors.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const methods =
    "head|full|bitfit|ln-tuning|lora|ia3|vera|adalora|adapter|prefix|prompt|p-tuning|"
    "qlora|rslora|dora|qdora|pissa";

static bool all_known(const char *list)
{
    char *copy = strdup(list), *save = NULL;
    bool ok = true;
    for (char *w = strtok_r(copy, "|", &save); w; w = strtok_r(NULL, "|", &save))
        ok &= str_in_list(w, methods, '|');
    free(copy);
    return ok;
}

static const struct prior *find(const struct priors *p, const char *id)
{
    for (size_t i = 0; i < p->claim_count; i++)
        if (!strcmp(p->claims[i].id, id))
            return &p->claims[i];
    fail_msg("no claim '%s'", id);
    return NULL;
}

static void test_built_in(void **state)
{
    struct priors p;
    struct err e = ERR_INIT;
    (void)state;
    assert_int_equal(priors_load(&p, &e), 0);
    assert_true(p.claim_count >= 30);
    assert_true(p.default_count >= 9);
    for (size_t i = 0; i < p.claim_count; i++) {
        const struct prior *c = &p.claims[i];
        if (!all_known(c->better) || !all_known(c->worse))
            fail_msg("claim '%s' names an unknown method", c->id);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(c->id, p.claims[k].id);
    }
    for (size_t i = 0; i < p.default_count; i++)
        assert_true(all_known(p.defaults[i].first) && all_known(p.defaults[i].then) &&
                    all_known(p.defaults[i].avoid));
    priors_release(&p);
}

static void test_scope(void **state)
{
    struct priors p;
    (void)state;
    assert_int_equal(priors_load(&p, NULL), 0);
    const struct prior *c = find(&p, "bitfit-small-medium");
    assert_true(prior_in_scope(c, "seq-cls", 400));
    assert_true(prior_in_scope(c, NULL, 10000));
    assert_false(prior_in_scope(c, "causal-lm", 400));
    assert_false(prior_in_scope(c, "seq-cls", 10001));
    assert_false(prior_in_scope(c, "seq-cls", NAN));
    assert_true(prior_in_scope(find(&p, "lora-less-compute"), "seq-cls", NAN));

    json_t *all = json_pack("{s:s}", "target_modules", "all-linear"),
           *qv = json_pack("{s:[ss]}", "target_modules", "q_proj", "v_proj");
    c = find(&p, "all-linear-over-attention");
    assert_true(prior_is_better(c, "lora", all) && !prior_is_better(c, "lora", qv));
    assert_true(prior_is_worse(c, "lora", qv) && !prior_is_worse(c, "lora", NULL));
    assert_false(prior_is_better(c, "full", all));
    json_decref(all);
    json_decref(qv);
    priors_release(&p);
}

static void test_judge(void **state)
{
    struct prior c = {.direction = PRIOR_HIGHER};
    (void)state;
    assert_int_equal(prior_judge(&c, 0.1, 0.3, 0.01), PRIOR_AGREES);
    assert_int_equal(prior_judge(&c, -0.3, -0.1, 0.01), PRIOR_DISAGREES);
    assert_int_equal(prior_judge(&c, -0.1, 0.3, 0.01), PRIOR_SILENT);
    assert_int_equal(prior_judge(&c, NAN, 0.3, 0.01), PRIOR_SILENT);
    c.direction = PRIOR_LOWER;
    assert_int_equal(prior_judge(&c, -0.3, -0.1, 0.01), PRIOR_AGREES);
    assert_int_equal(prior_judge(&c, 0.1, 0.3, 0.01), PRIOR_DISAGREES);
    c.direction = PRIOR_EQUAL;
    assert_int_equal(prior_judge(&c, -0.005, 0.009, 0.01), PRIOR_AGREES);
    assert_int_equal(prior_judge(&c, -0.005, 0.03, 0.01), PRIOR_SILENT);
    assert_int_equal(prior_judge(&c, 0.011, 0.03, 0.01), PRIOR_DISAGREES);
    assert_int_equal(prior_judge(&c, -0.3, -0.02, 0.01), PRIOR_DISAGREES);
    c.direction = PRIOR_ADVICE;
    assert_int_equal(prior_judge(&c, 0.1, 0.3, 0.01), PRIOR_SILENT);
}

static void refuse(const char *text, const char *message)
{
    struct priors p;
    struct err e = ERR_INIT;
    assert_true(priors_parse(text, strlen(text), "p.json", &p, &e) < 0);
    if (!strstr(e.msg, message))
        fail_msg("'%s' lacks '%s'", e.msg, message);
}

#define CLAIM "\"id\": \"a\", \"claim\": \"c\", \"source\": \"s\", \"strength\": \"A\""
static void test_refusals(void **state)
{
    (void)state;
    refuse("[", "p.json");
    refuse("{}", "'priors' must be a list");
    refuse("{\"priors\": [{}]}", "claim 1: 'id'");
    refuse("{\"priors\": [{" CLAIM ", \"direction\": \"up\"}]}", "'direction'");
    refuse("{\"priors\": [{" CLAIM
           ", \"direction\": \"equal\", \"scope\": {\"rows_min\": 9, "
           "\"rows_max\": 8}}]}",
           "'scope.rows_min'");
    refuse("{\"priors\": [{" CLAIM
           ", \"direction\": \"lower\", \"scope\": {}, \"better\": "
           "\"lora\", \"metric\": \"m\"}]}",
           "'worse'");
    refuse("{\"priors\": [], \"defaults\": [{\"id\": \"d\"}]}", "default 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in),
        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

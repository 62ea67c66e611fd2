/* What a configuration takes on a card: planned for a CUDA GPU that is not here it is what
 * the CUDA backend itself plans (its host emulation does it here); the largest row and the
 * largest batch fit and one more does not; each choice changes one thing. */
#include "cli/decide/card.h"
#include "lib/config/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct catalog catalog;

static json_t *keys(const char *text)
{
    struct err err = ERR_INIT;
    json_t *t = conf_parse_value(text, &err);
    if (!t)
        fail_msg("%s: %s", text, err.msg);
    if (!json_object_get(t, "train_data"))
        json_object_set_new(t, "train_data", json_string("rows"));
    return t;
}

/* --- the backend's own plan --- */

static void predict(const char *text, const struct backend *on,
                    struct trial_prediction *out)
{
    struct err err = ERR_INIT;
    json_t *resolved, *given = keys(text);
    if (trial_resolve(given, &resolved, &err) ||
        trial_predict(resolved, ".", ASSUME_ROWS, on, out, &err))
        fail_msg("%s: %s", text, err.msg);
    json_decref(resolved);
    json_decref(given);
}

static void planned_as_the_backend_plans(void **state)
{
    static const char *const trials[] = {
        "{model: bert-base-uncased, method: lora, batch_size: 4, max_length: 64}",
        "{model: bert-base-uncased, method: full, optim: adamw_8bit, max_length: 64}",
        "{model: roberta-base, method: qlora, double_quant: false, max_length: 33}",
        "{model: smollm2-135m, task: causal-lm, method: lora, target_modules: "
        "all-linear, "
        "max_length: 100, batch_size: 3}",
        "{model: tinyllama, task: causal-lm, method: qlora, rank: 64, batch_size: 1, "
        "gradient_checkpointing: true, max_length: 512}",
        "{model: qwen2.5-0.5b, task: causal-lm, method: qdora, max_length: 77}",
        "{model: smollm2-135m, task: causal-lm, method: prefix, max_length: 64}",
    };
    (void)state;
    if (!backend_get("cuda-emul", NULL))
        skip();
    for (size_t i = 0; i < ARRAY_LEN(trials); i++) {
        struct trial_prediction own, planned;
        predict(trials[i], backend_get("cuda-emul", NULL), &own);
        predict(trials[i], backend_planned_cuda(7), &planned);
        for (int c = 0; c < MEM_COUNT; c++)
            if (own.bytes[c] != planned.bytes[c])
                fail_msg("%s: %s: %lld by the backend, %lld planned", trials[i],
                         mem_names[c], (long long)own.bytes[c],
                         (long long)planned.bytes[c]);
    }
    assert_true(backend_planned_cuda(9) != backend_planned_cuda(8));
    assert_ptr_equal(backend_planned_cuda(10), backend_planned_cuda(9));
}

/* --- cards --- */

struct made {
    struct base base;
    struct machine machine;
    struct card card;
};

static void make(struct made *m, const char *name, const char *gpu, const char *text)
{
    struct err err = ERR_INIT;
    json_t *given = keys(text);
    *m = (struct made){0};
    json_object_set_new(given, "model", json_string(name));
    if (base_find(name, ".", &m->base, &err) ||
        (gpu && machine_parse(&catalog, gpu, &m->machine, &err)))
        fail_msg("%s", err.msg);
    m->card = (struct card){
        .machine = gpu ? &m->machine : NULL, .base = &m->base, .base_dir = "."};
    card_defaults(&m->base, given, &m->card.chosen);
    if (card_make(&m->card, given, &err))
        fail_msg("%s: %s", text, err.msg);
    json_decref(given);
}

static void drop(struct made *m)
{
    card_release(&m->card);
    base_release(&m->base);
}

static double total_with(const struct made *m, const char *key, double value)
{
    struct made other;
    char text[160];
    json_t *asked = json_copy(m->card.asked.item.given);
    json_object_set_new(asked, key, json_integer((json_int_t)value));
    char *all = json_dumps(asked, 0);
    snprintf(text, sizeof text, "%s", m->base.name);
    make(&other, text, "rtx4090", all);
    const double total = other.card.asked.total;
    drop(&other);
    free(all);
    json_decref(asked);
    return total;
}

static void the_largest_is_the_largest(void **state)
{
    struct made m;
    (void)state;
    make(&m, "llama-2-7b", "rtx4090", "{gradient_checkpointing: false, max_length: 512}");
    const struct card *c = &m.card;
    assert_true(c->planned && c->asked.taken && c->asked.fits);
    assert_in_range((int64_t)c->asked.longest, 513, 4095);
    assert_true(total_with(&m, "max_length", c->asked.longest) <= c->room);
    assert_true(total_with(&m, "max_length", c->asked.longest + 1) > c->room);
    assert_true(c->asked.batch >= 1);
    assert_true(total_with(&m, "batch_size", c->asked.batch) <= c->room);
    assert_true(total_with(&m, "batch_size", c->asked.batch + 1) > c->room);
    drop(&m);
}

static const struct card_row *row(const struct card *c, const char *label)
{
    for (size_t i = 0; i < c->count; i++)
        if (str_has_prefix(c->rows[i].label, label))
            return &c->rows[i];
    fail_msg("no choice '%s'", label);
    return NULL;
}

static void choices_change_their_term(void **state)
{
    static const struct {
        const char *label;
        enum estimate_bytes term;
        bool less; /* of that term, and of all */
    } rows[] = {
        {"no checkpointing", EST_activations, false},
        {"half the rank", EST_trainable, true},
        {"twice the rank", EST_optimizer, false},
        {"not quantised", EST_weights, false},
        {"nf4, maxima", EST_weights, false},
        {"adamw_8bit", EST_optimizer, true},
        {"sgd", EST_optimizer, true},
        {"query and value", EST_gradients, true},
        {"full", EST_gradients, false},
    };
    struct made m;
    (void)state;
    make(&m, "llama-2-7b", "rtx4090", "{}");
    const struct card *c = &m.card;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct card_row *r = row(c, rows[i].label);
        const double before = c->asked.item.estimate.bytes[rows[i].term],
                     now = r->item.estimate.bytes[rows[i].term];
        if (!r->taken || (rows[i].less ? now >= before : now <= before) ||
            (rows[i].less ? r->total >= c->asked.total : r->total <= c->asked.total))
            fail_msg("%s: %.0f before, %.0f now", rows[i].label, before, now);
    }
    assert_false(row(c, "full")->fits);
    assert_true(json_object_get(row(c, "full")->item.given, "rank") == NULL);
    for (size_t i = 0; i < c->count; i++)
        assert_string_not_equal(c->rows[i].label, "checkpointing"); /* as it is asked */
    drop(&m);
}

/* The backend's no is a fact of the card, not an error; no backend at all is the formula. */
static void what_is_declined(void **state)
{
    struct made m;
    (void)state;
    make(&m, "tinyllama", "rtx4090", "{dtype: bfloat16}");
    assert_true(m.card.planned && !m.card.asked.taken);
    assert_non_null(strstr(m.card.asked.why, "float32 only"));
    drop(&m);
    make(&m, "tinyllama", "mi300x", "{}");
    assert_true(!m.card.planned && m.card.asked.taken);
    assert_true(m.card.asked.total == m.card.asked.item.gpu[STACK_PEFT].peak);
    drop(&m);
    make(&m, "tinyllama", NULL, "{}"); /* this machine */
    assert_true(m.card.planned && m.card.overhead == 0 && m.card.asked.fits);
    drop(&m);
}

/* reference/causal.md 8: rank 64 on all seven linears of Llama-2-7B. */
static void llama_2_7b(void **state)
{
    struct made m;
    (void)state;
    make(&m, "llama-2-7b", "rtx4090", "{rank: 64, max_length: 512}");
    const double *b = m.card.asked.item.estimate.bytes;
    assert_true(m.card.asked.item.estimate.trainable == 159907840);
    assert_true(b[EST_trainable] == 4 * 159907840.0);
    assert_true(b[EST_optimizer] == 8 * 159907840.0);
    /* linears at 0.516 bytes a weight, embedding and head in fp32 */
    const double linears = 6476005376, rest = 2 * 32000 * 4096.0;
    assert_true(b[EST_weights] > 0.515 * linears + 4 * rest);
    assert_true(b[EST_weights] < 0.517 * linears + 4 * rest + 4 * 4096 * 100);
    drop(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planned_as_the_backend_plans),
        cmocka_unit_test(the_largest_is_the_largest),
        cmocka_unit_test(choices_change_their_term),
        cmocka_unit_test(what_is_declined),
        cmocka_unit_test(llama_2_7b),
    };
    if (catalog_load(NULL, NULL, &catalog, NULL))
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    catalog_release(&catalog);
    return rc;
}

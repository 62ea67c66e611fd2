/* The configurations of bases that are known by name have the published numbers of parameters,
 * by formula and by the planner; names, aliases and hub ids find them. */
#include "cli/decide/plan_item.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/known.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* Parameters of the base, by the trainer's planner. */
static double count(const struct base *b)
{
    struct err err = ERR_INIT;
    struct plan_item item = {.base = b};
    const struct plan_how how = {.base_dir = ".", .assume = ASSUME_ROWS};
    json_t *given = json_pack("{s:s, s:s, s:s}", "model", b->name, "train_data", "rows",
                              "method", b->shape.decoder ? "lora" : "head");
    if (plan_item_fill(&item, given, &how, &err))
        fail_msg("%s: %s", b->name, err.msg);
    json_decref(given);
    return item.setup.counted.base;
}

/* Published counts, of the base alone. */
static const struct {
    const char *name;
    double parameters;
} published[] = {
    {"all-minilm-l6-v2", 22713216},    {"distilbert-base-uncased", 66362880},
    {"bert-base-uncased", 109482240},  {"bert-base-cased", 108310272},
    {"bert-large-uncased", 335141888}, {"roberta-base", 124645632},
    {"roberta-large", 355359744},      {"xlm-roberta-base", 278043648},
    {"smollm2-135m", 134515008},       {"smollm2-360m", 361821120},
    {"smollm2-1.7b", 1711376384},      {"tinyllama-1.1b", 1100048384},
    {"llama-2-7b", 6738415616},        {"llama-2-13b", 13015864320},
    {"llama-2-70b", 68976648192},      {"llama-3-8b", 8030261248},
    {"llama-3.1-8b", 8030261248},      {"llama-3.1-70b", 70553706496},
    {"llama-3.2-1b", 1235814400},      {"llama-3.2-3b", 3212749824},
    {"mistral-7b", 7241732096},        {"qwen2-0.5b", 494032768},
    {"qwen2-1.5b", 1543714304},        {"qwen2-7b", 7615616512},
    {"qwen2.5-0.5b", 494032768},       {"qwen2.5-1.5b", 1543714304},
    {"qwen2.5-3b", 3085938688},        {"qwen2.5-7b", 7615616512},
    {"qwen2.5-14b", 14770033664},      {"qwen2.5-32b", 32763876352},
    {"qwen2.5-72b", 72706203648},      {"qwen3-0.6b", 596049920},
    {"qwen3-1.7b", 1720574976},        {"qwen3-4b", 4022468096},
    {"qwen3-8b", 8190735360},          {"qwen3-14b", 14768307200},
    {"qwen3-32b", 32762123264},        {"smollm3-3b", 3075098624},
    {"phi-3-mini-4k", 3821079552},     {"gpt2", 124439808},
    {"gpt2-medium", 354823168},        {"gpt2-large", 774030080},
    {"gpt2-xl", 1557611200},           {"gemma-2-2b", 2614341888},
    {"gemma-2-9b", 9241705984},        {"gemma-3-270m", 268098176},
    {"gemma-3-1b", 999885952},
};

static void published_counts(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_LEN(published), known_model_count);
    for (size_t i = 0; i < known_model_count; i++) {
        struct base b;
        assert_string_equal(known_models[i].name, published[i].name);
        assert_int_equal(base_find(published[i].name, ".", &b, NULL), 0);
        if (b.shape.parameters != published[i].parameters)
            fail_msg("%s: %.0f by formula, %.0f are published", b.name,
                     b.shape.parameters, published[i].parameters);
        if (b.trains) {
            const double counted = count(&b);
            /* a classifier on a fairseq model reads the first token, not the pooler */
            const bool pooler = b.shape.pooler && !str_eq(b.shape.model_type, "bert");
            const double unused = pooler ? b.shape.d * b.shape.d + b.shape.d : 0;
            if (counted + unused != published[i].parameters)
                fail_msg("%s: %.0f planned, %.0f are published", b.name, counted + unused,
                         published[i].parameters);
        }
        base_release(&b);
    }
}

static void names(void **state)
{
    struct err err = ERR_INIT;
    struct base b;
    (void)state;
    assert_string_equal(known_model_find("meta-llama/Llama-2-7b-hf")->name, "llama-2-7b");
    assert_string_equal(known_model_find("BERT-base")->name, "bert-base-uncased");
    assert_string_equal(known_model_find("sentence-transformers/all-MiniLM-L6-v2")->name,
                        "all-minilm-l6-v2");
    assert_null(known_model_find("llama-9-7b"));
    assert_null(known_model_find(""));
    for (size_t i = 0; i < known_model_count; i++) {
        assert_ptr_equal(known_model_find(known_models[i].name), &known_models[i]);
        assert_ptr_equal(known_model_find(known_models[i].hub_id), &known_models[i]);
    }
    assert_int_equal(base_find("llama-2-7bb", ".", &b, &err), -ERR_NOINPUT);
    assert_non_null(strstr(err.msg, "did you mean 'llama-2-7b'?"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_counts),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

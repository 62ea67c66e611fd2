/* tests/unit/runner/hub/elsewhere_adapters.c - what adapter folders from elsewhere say: each key
 * of peft's and adapters' configuration files that would change a number is honoured or
 * refused by its name, whatever changes none loads. */
#include "tests/unit/runner/hub/elsewhere.h"

static char *adapter_of(const char *golden, const char *edit, const char *member)
{
    static const char *const files[] = {
        "adapter_config.json", "adapter_model.safetensors", "head_config.json",
        "adapter.safetensors", "model_head.safetensors",    "config.json",
        "model.safetensors"};
    char *to = fs_join(dir, golden);
    assert_int_equal(fs_mkdirs(to, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char *a = xasprintf(GOLDEN "cases/%s/expected/adapter/%s", golden, files[i]),
             *b = fs_join(to, files[i]);
        if (fs_exists(a))
            copy(a, b);
        free(a);
        free(b);
    }
    edit_json(to,
              str_has_prefix(golden, "bert-full") ? "config.json" : "adapter_config.json",
              member, edit);
    return to;
}

static void test_adapters(void **state)
{
    static const char *const cases[] = {
        "bert-lora-qv",
        "bert-lora-patterns",
        "bert-lora-layers",
        "bert-lora-exclude",
        "bert-lora-bias-all",
        "bert-lora-modules-to-save",
        "bert-rslora",
        "bert-dora",

        "bert-head",
        "bert-ia3",
        "bert-vera",
        "bert-adalora",
        "bert-ln-tuning",
        "bert-prefix",
        "bert-prompt",
        "bert-p-tuning",
        "bert-adapter-pfeiffer",
        "bert-adapter-houlsby",
        "bert-adapter-parallel",
        "bert-full",
        "roberta-lora-qv",
    };
    /* In every configuration: what libraries write and what changes nothing. */
    static const char *const harmless[] = {
        "{}", "{inference_mode: false, revision: main, peft_version: 0.9.0}",
        "{some_later_key: null, another: false, a_list: [], a_map: {}}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *path = xasprintf(GOLDEN "cases/%s", cases[i]);
        const bool there = fs_is_dir(path), bottleneck = strstr(cases[i], "-adapter-");
        free(path);
        if (!there)
            fail_msg("no golden case %s", cases[i]);
        for (size_t k = 0; k < ARRAY_LEN(harmless); k++) {
            char *to =
                adapter_of(cases[i], harmless[k], bottleneck && k == 2 ? "config" : NULL);
            opens(cases[i], "{}", to, NULL, harmless[k]);
            free(to);
        }
        if (!strcmp(cases[i], "bert-full"))
            continue;
        char *to =
            adapter_of(cases[i], "{some_later_key: 3}", bottleneck ? "config" : NULL);
        opens(cases[i], "{}", to, "some_later_key is 3, which is not supported",
              "unknown");
        free(to);
    }
}

static const struct {
    const char *golden, *edit, *override, *part; /* part NULL: loads */
} adapter_keys[] = {
    /* LoRA: what changes the numbers */
    {"bert-lora-qv", "{alpha_pattern: {query: 16}}", "{}", "alpha_pattern"},
    {"bert-lora-qv", "{alpha_pattern: {no_such_module: 16}}", "{}", NULL},
    {"bert-lora-qv", "{rank_pattern: {query: 2}}", "{}", "rank_pattern gives"},
    {"bert-lora-qv", "{lora_alpha: 16}", "{}", "lora_alpha is 16, the trial says 8"},
    {"bert-lora-qv", "{r: 8}", "{}", "r gives"},
    {"bert-lora-qv", "{use_rslora: true}", "{}", "use_rslora"},
    {"bert-lora-qv", "{use_dora: true}", "{}", "use_dora is true"},
    {"bert-lora-qv", "{lora_bias: true}", "{}", "lora_bias is true"},
    {"bert-lora-qv", "{bias: all}", "{}", "bias is \"all\""},
    {"bert-lora-qv", "{use_qalora: true}", "{}", "use_qalora"},
    {"bert-lora-qv", "{target_parameters: [x.weight]}", "{}", "target_parameters"},
    {"bert-lora-qv", "{trainable_token_indices: [1]}", "{}", "trainable_token_indices"},
    {"bert-lora-qv", "{layer_replication: [[0, 1]]}", "{}", "layer_replication"},
    {"bert-lora-qv", "{alora_invocation_tokens: [1]}", "{}", "alora_invocation_tokens"},
    {"bert-lora-qv", "{megatron_config: {a: 1}}", "{}", "megatron_config"},
    {"bert-lora-qv", "{init_lora_weights: pissa}", "{}",
     "init_lora_weights is \"pissa\""},
    {"bert-lora-qv", "{init_lora_weights: pissa_niter_4}", "{}", "init_lora_weights"},
    {"bert-lora-qv", "{init_lora_weights: olora}", "{}", "init_lora_weights"},
    {"bert-lora-qv", "{init_lora_weights: loftq}", "{}", "init_lora_weights"},
    {"bert-lora-qv", "{init_lora_weights: corda}", "{}", "init_lora_weights"},
    {"bert-lora-qv", "{peft_type: LOHA}", "{}", "peft_type is 'LOHA'"},
    {"bert-lora-qv", "{task_type: CAUSAL_LM}", "{}", "task_type"},
    {"bert-lora-patterns", "{}", "{alpha_pattern: {}}", "alpha_pattern"},
    {"bert-lora-patterns", "{}", "{rank_pattern: {}}", "rank_pattern"},
    /* the first pattern that matches wins */
    {"bert-lora-patterns",
     "{alpha_pattern: {query: 16, layer.1.attention.self.value: 3}}", "{}", NULL},
    {"bert-lora-patterns",
     "{alpha_pattern: {value: 4, layer.1.attention.self.value: 3, query: 16}}", "{}",
     "alpha_pattern"},
    /* what the tensors tell is named where they do not fit */
    {"bert-lora-layers", "{}", "{layers_to_transform: null}", "layers_to_transform is"},
    {"bert-lora-exclude", "{}", "{exclude_modules: null}", "exclude_modules is"},
    {"bert-lora-qv", "{}", "{target_modules: [query]}", "target_modules is"},
    /* and what changes none */
    {"bert-lora-qv", "{fan_in_fan_out: true, lora_dropout: 0.5, task_type: null}", "{}",
     NULL},
    {"bert-lora-qv", "{init_lora_weights: gaussian}", "{}", NULL},
    {"bert-lora-qv", "{init_lora_weights: false, ensure_weight_tying: true}", "{}", NULL},
    {"bert-lora-qv", "{loftq_config: {loftq_bits: 4}, eva_config: {rho: 2}}", "{}", NULL},
    /* the others */
    {"bert-dora", "{use_dora: false}", "{}", "use_dora is false"},
    {"bert-ia3", "{fan_in_fan_out: true, init_ia3_weights: false}", "{}", NULL},
    {"bert-vera", "{r: 3}", "{}", "r is 3"},
    {"bert-vera", "{save_projection: false}", "{}", "save_projection"},
    {"bert-vera", "{bias: all}", "{}", "bias"},
    {"bert-adalora", "{lora_alpha: 3}", "{}", "lora_alpha is 3"},
    {"bert-adalora", "{init_r: 3}", "{}", "init_r is 3"},
    {"bert-adalora", "{tinit: 1, tfinal: 2, beta1: 0.5}", "{}", NULL},
    {"bert-prefix", "{num_virtual_tokens: 4}", "{}", "num_virtual_tokens is 4"},
    {"bert-prefix", "{num_attention_heads: 8}", "{}", "num_attention_heads is 8"},
    {"bert-prefix", "{num_transformer_submodules: 2}", "{}",
     "num_transformer_submodules"},
    {"bert-prefix", "{token_dim: null, num_layers: null}", "{}", NULL},
    {"bert-prompt", "{prompt_tuning_init: TEXT, prompt_tuning_init_text: a}", "{}", NULL},
};

static void test_adapter_keys(void **state)
{
    static const struct {
        const char *golden, *edit, *override, *part;
    } bottleneck[] = {
        {"bert-adapter-parallel", "{}", "{adapter_type: pfeiffer, reduction_factor: 2}",
         "is_parallel is true"},
        {"bert-adapter-pfeiffer", "{scaling: 4.0}", "{}", "scaling is 4"},
        {"bert-adapter-pfeiffer", "{scaling: learned}", "{}", "scaling is \"learned\""},
        {"bert-adapter-pfeiffer", "{non_linearity: gelu}", "{}", "non_linearity"},
        {"bert-adapter-pfeiffer", "{use_gating: true}", "{}", "use_gating"},
        {"bert-adapter-pfeiffer", "{leave_out: [0]}", "{}", "leave_out"},
        {"bert-adapter-pfeiffer", "{ln_before: true}", "{}", "ln_before"},
        {"bert-adapter-pfeiffer", "{ln_after: true}", "{}", "ln_after"},
        {"bert-adapter-pfeiffer", "{original_ln_before: false}", "{}",
         "original_ln_before"},
        {"bert-adapter-pfeiffer", "{residual_before_ln: false}", "{}",
         "residual_before_ln"},
        {"bert-adapter-pfeiffer", "{adapter_residual_before_ln: true}", "{}",
         "adapter_residual_before_ln"},
        {"bert-adapter-pfeiffer", "{mh_adapter: true}", "{}", "mh_adapter"},
        {"bert-adapter-pfeiffer", "{inv_adapter: nice}", "{}", "inv_adapter"},
        {"bert-adapter-pfeiffer", "{phm_layer: true}", "{}", "phm_layer"},
        {"bert-adapter-pfeiffer", "{dropout: 0.5, stochastic_depth: 0.1, phm_dim: 2}",
         "{}", NULL},
        {"bert-adapter-houlsby", "{}", "{non_linearity: silu}", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(adapter_keys); i++) {
        char *to = adapter_of(adapter_keys[i].golden, adapter_keys[i].edit, NULL);
        opens(adapter_keys[i].golden, adapter_keys[i].override, to, adapter_keys[i].part,
              adapter_keys[i].edit);
        free(to);
    }
    for (size_t i = 0; i < ARRAY_LEN(bottleneck); i++) {
        char *to = adapter_of(bottleneck[i].golden, bottleneck[i].edit, "config");
        opens(bottleneck[i].golden, bottleneck[i].override, to, bottleneck[i].part,
              bottleneck[i].edit);
        free(to);
    }
}

/* A start of PiSSA whose folder does not say so, and a whole model of other numbers. */
static void test_adapter_others(void **state)
{
    (void)state;
    opens("bert-pissa", "{method: lora}", GOLDEN "cases/bert-pissa/adapter_init", "pissa",
          "a start that does not say so");
    char *to = adapter_of("bert-full", "{hidden_act: relu}", NULL);
    opens("bert-full", "{}", to, "hidden_act is \"relu\"", "another activation");
    free(to);
    to = adapter_of("bert-adapter-pfeiffer", "{}", NULL);
    edit_json(to, "head_config.json", NULL, "{config: {head_type: classification}}");
    opens("bert-adapter-pfeiffer", "{}", to, "head_config.json: config", "flexible head");
    edit_json(to, "head_config.json", NULL, "{config: null, num_labels: 4}");
    opens("bert-adapter-pfeiffer", "{}", to, "num_labels is 4", "another head");
    free(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_adapter_keys),
        cmocka_unit_test(test_adapter_others),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

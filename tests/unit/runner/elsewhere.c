/* tests/unit/runner/elsewhere.c - what folders from elsewhere say: each key of peft's,
 * adapters' and transformers' configuration files that would change a number is honoured
 * or refused by its name, whatever changes none loads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN "tests/golden/"

static char dir[64];

static void copy(const char *from, const char *to)
{
    struct buf b = BUF_INIT;
    assert_int_equal(fs_read(from, (size_t)16 << 20, &b, NULL), 0);
    assert_int_equal(fs_write_atomic(to, b.data, b.len, NULL), 0);
    buf_release(&b);
}

/* DIR/file with the keys of `edit` (a flow mapping) put into it, or into its member. */
static void edit_json(const char *folder, const char *file, const char *member,
                      const char *edit)
{
    char *path = fs_join(folder, file);
    struct err err = ERR_INIT;
    json_t *all = json_read_file(path, &err), *e = conf_parse_value(edit, &err);
    if (!all || !e)
        fail_msg("%s: %s", edit, err.msg);
    json_object_update(member ? json_object_get(all, member) : all, e);
    assert_int_equal(json_write_file(path, all, 2, NULL), 0);
    json_decref(all);
    json_decref(e);
    free(path);
}

/* The trial of a golden case with absolute places, and `override` over it. */
static json_t *trial_of(const char *golden, const char *override)
{
    struct err err = ERR_INIT;
    struct conf *c;
    struct buf text = BUF_INIT;
    json_t *out;
    char *path = xasprintf(GOLDEN "cases/%s/trial.yaml", golden);
    assert_int_equal(fs_read(path, 1 << 20, &text, &err), 0);
    assert_int_equal(conf_parse(buf_str(&text), text.len, path, 0, &c, &err), 0);
    json_t *tree = json_deep_copy(conf_root(c)), *o = conf_parse_value(override, &err);
    assert_non_null(o);
    json_object_del(tree, "init_adapter");
    json_object_update(tree, o);
    if (trial_resolve(tree, &out, &err) < 0)
        fail_msg("%s, %s: %s", golden, override, err.msg);
    json_decref(tree);
    json_decref(o);
    conf_free(c);
    buf_release(&text);
    free(path);
    return out;
}

/* `part` NULL: it opens. */
static void opens(const char *golden, const char *override, const char *adapter,
                  const char *part, const char *what)
{
    struct err err = ERR_INIT;
    struct session s;
    json_t *t = trial_of(golden, override);
    char *base = xasprintf(GOLDEN "cases/%s", golden);
    int rc = session_open(&s, t, base, adapter, false, &err);
    if (!rc)
        rc = session_allocate(&s, &err);
    session_close(&s);
    json_decref(t);
    free(base);
    if (rc && !part)
        fail_msg("%s: %s: %s", golden, what, err.msg);
    if (part && !rc)
        fail_msg("%s: %s: opened", golden, what);
    if (part && !strstr(err.msg, part))
        fail_msg("%s: %s: '%s' lacks '%s'", golden, what, err.msg, part);
}

/* --- adapters --- */

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

static void test_adapter_keys(void **state)
{
    static const struct {
        const char *golden, *edit, *override, *part; /* part NULL: loads */
    } rows[] = {
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
        {"bert-lora-qv", "{trainable_token_indices: [1]}", "{}",
         "trainable_token_indices"},
        {"bert-lora-qv", "{layer_replication: [[0, 1]]}", "{}", "layer_replication"},
        {"bert-lora-qv", "{alora_invocation_tokens: [1]}", "{}",
         "alora_invocation_tokens"},
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
        {"bert-lora-layers", "{}", "{layers_to_transform: null}",
         "layers_to_transform is"},
        {"bert-lora-exclude", "{}", "{exclude_modules: null}", "exclude_modules is"},
        {"bert-lora-qv", "{}", "{target_modules: [query]}", "target_modules is"},
        /* and what changes none */
        {"bert-lora-qv", "{fan_in_fan_out: true, lora_dropout: 0.5, task_type: null}",
         "{}", NULL},
        {"bert-lora-qv", "{init_lora_weights: gaussian}", "{}", NULL},
        {"bert-lora-qv", "{init_lora_weights: false, ensure_weight_tying: true}", "{}",
         NULL},
        {"bert-lora-qv", "{loftq_config: {loftq_bits: 4}, eva_config: {rho: 2}}", "{}",
         NULL},
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
        {"bert-prompt", "{prompt_tuning_init: TEXT, prompt_tuning_init_text: a}", "{}",
         NULL},
    };
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
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *to = adapter_of(rows[i].golden, rows[i].edit, NULL);
        opens(rows[i].golden, rows[i].override, to, rows[i].part, rows[i].edit);
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

/* --- the base --- */

static void test_base_keys(void **state)
{
    static const struct {
        const char *edit, *part;
    } rows[] = {
        {"{is_decoder: true}", "is_decoder true is not supported"},
        {"{add_cross_attention: true}", "add_cross_attention"},
        {"{position_embedding_type: relative_key}", "position_embedding_type"},
        {"{pruned_heads: {'0': [1]}}", "pruned_heads"},
        {"{hidden_act: gelu_new}", "hidden_act 'gelu_new'"},
        {"{quantization_config: {quant_method: gptq, bits: 4}}", "quantised checkpoint"},
        {"{quantization_config: {load_in_8bit: true}}", "quantization_config"},
        {"{problem_type: token_thing}", "problem_type"},
        {"{id2label: {'0': a, '1': b}, label2id: {a: 1, b: 0}}", "do not agree"},
        {"{id2label: {'0': a, '2': b}, label2id: null}", "label2id and id2label must"},
        {"{hidden_act: gelu_python, pruned_heads: {}, chunk_size_feed_forward: 4}", NULL},
        {"{use_cache: false, tie_word_embeddings: false, torch_dtype: bfloat16}", NULL},
        {"{position_embedding_type: absolute, is_decoder: false, a_later_key: 7}", NULL},
        {"{quantization_config: null, auto_map: {AutoModel: x.Y}}", NULL},
    };
    char *m = fs_join(dir, "model"), *config = fs_join(m, "config.json"),
         *weights = fs_join(m, "model.safetensors"), *override = NULL;
    (void)state;
    assert_int_equal(fs_mkdirs(m, NULL), 0);
    copy(GOLDEN "models/bert/model.safetensors", weights);
    override = xasprintf("{model: '%s'}", m);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        copy(GOLDEN "models/bert/config.json", config);
        edit_json(m, "config.json", NULL, rows[i].edit);
        opens("bert-full", override, NULL, rows[i].part, rows[i].edit);
    }
    free(override);
    free(weights);
    free(config);
    free(m);
}

/* --- rows --- */

static void test_rows(void **state)
{
    static const struct {
        const char *keys, *part;
        int tokens; /* with part NULL */
    } rows[] = {
        {"\"attention_mask\": [1, 1, 1, 1]", NULL, 4},
        {"\"attention_mask\": [1, 1, 0, 0]", NULL, 2},
        {"\"attention_mask\": null", NULL, 4},
        {"\"attention_mask\": [1, 1, 0, 0], \"token_type_ids\": [0, 1, 0, 0]", NULL, 2},
        {"\"attention_mask\": [0, 0, 1, 1]", "0 in front of a 1", 0},
        {"\"attention_mask\": [1, 0, 1, 1]", "0 in front of a 1", 0},
        {"\"attention_mask\": [0, 0, 0, 0]", "no token is left", 0},
        {"\"attention_mask\": [1, 1]", "2 numbers in attention_mask for 4", 0},
        {"\"attention_mask\": [1, 1, 2, 0]", "'attention_mask'[2]", 0},
        {"\"position_ids\": [0, 1, 2, 3]", NULL, 4},
        {"\"position_ids\": [2, 3, 4, 5]", "position_ids", 0},
        {"\"head_mask\": [[1]]", "head_mask", 0},
        {"\"inputs_embeds\": [[1]]", "inputs_embeds", 0},
        {"\"special_tokens_mask\": [1, 0, 0, 1], \"length\": 4", NULL, 4},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct labels labels = {0};
        struct dataset *d;
        struct err err = ERR_INIT;
        char *text =
            xasprintf("{\"input_ids\": [5, 6, 7, 8], \"label\": 0, %s}", rows[i].keys);
        const int rc = dataset_parse(text, strlen(text), "rows", &(struct data_spec){0},
                                     NULL, &labels, &d, NULL, &err);
        if ((rc == 0) != !rows[i].part || (rc && !strstr(err.msg, rows[i].part)))
            fail_msg("%s: %s", rows[i].keys, rc ? err.msg : "read");
        if (!rc)
            assert_int_equal(d->rows[0].n, rows[i].tokens);
        if (!rc)
            assert_int_equal(d->total_tokens, rows[i].tokens);
        dataset_free(d);
        labels_release(&labels);
        free(text);
    }
}

/* --- labels --- */

static void test_labels(void **state)
{
    static const struct {
        const char *config, *rows; /* labels, one a letter: see below */
        int num_labels;
        bool must_fit;
        const char *want; /* names in order, or part of the error */
    } cases[] = {
        {"{label2id: {neg: 0, neu: 1, pos: 2}}", "pos neg", 0, false, "neg,neu,pos"},
        {"{label2id: {pos: 0, neg: 1}}", "neg pos", 0, false, "pos,neg"},
        {"{id2label: {'0': pos, '1': neg}}", "neg pos", 2, false, "pos,neg"},
        {"{id2label: {'0': POS, '1': NEG}, label2id: {POS: 0, NEG: 1}}", "neg pos", 0,
         false, "pos,neg"},
        {"{label2id: {Pos: 0, POS: 1}}", "POS", 0, false, "Pos,POS"},
        /* names of something else, and those that are made up */
        {"{label2id: {contradiction: 0, neutral: 1}}", "neg pos", 0, false, "neg,pos"},
        {"{label2id: {LABEL_0: 0, LABEL_1: 1}}", "neg pos", 0, true, "neg,pos"},
        {"{label2id: {a: 0, b: 1, c: 2}}", "neg pos", 2, false, "neg,pos"},
        {"{}", "neg pos", 0, true, "neg,pos"},
        {"{label2id: {a: 0, b: 1}}", "1 0", 0, true, "0,1"},
        /* a head that is used as it is, or some of its names */
        {"{label2id: {contradiction: 0, neutral: 1}}", "neg pos", 0, true,
         "none of those that label2id"},
        {"{label2id: {neg: 0, neu: 1}}", "neg pos", 0, false, "'pos' is none of those"},
        {"{label2id: {neg: 0, pos: 2}}", "neg pos", 0, false, "must number 2 names"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct labels labels = {0}, known;
        struct dataset *d = NULL;
        struct err err = ERR_INIT;
        struct buf text = BUF_INIT, names = BUF_INIT;
        char *list = xstrdup(cases[i].rows), *at = list, *label;
        while ((label = strsep(&at, " ")))
            buf_printf(&text,
                       strchr("01", *label) ? "{\"input_ids\": [5], \"label\": %s}\n"
                                            : "{\"input_ids\": [5], \"label\": \"%s\"}\n",
                       label);
        json_t *config = conf_parse_value(cases[i].config, NULL);
        int rc = labels_of_model(&known, config, "config.json", &err);
        const struct data_spec spec = {.num_labels = cases[i].num_labels,
                                       .known = &known,
                                       .must_fit = cases[i].must_fit};
        if (!rc)
            rc = dataset_parse(buf_str(&text), text.len, "rows", &spec, NULL, &labels, &d,
                               NULL, &err);
        for (size_t k = 0; k < labels.count; k++)
            buf_printf(&names, "%s%s", k ? "," : "", labels.names[k]);
        if (rc ? !strstr(err.msg, cases[i].want)
               : !str_eq(buf_str(&names), cases[i].want))
            fail_msg("%s, %s: %s", cases[i].config, cases[i].rows,
                     rc ? err.msg : buf_str(&names));
        if (!rc)
            for (size_t k = 0; k < d->count && labels.from_strings; k++)
                assert_true(strstr(cases[i].rows, labels.names[d->rows[k].label]) !=
                            NULL);
        json_decref(config);
        labels_release(&labels);
        labels_release(&known);
        dataset_free(d);
        buf_release(&text);
        buf_release(&names);
        free(list);
    }
}

/* --- tokenizer_config.json; what transformers 5.24 makes of it --- */

#define WORDPIECE                                                                        \
    "{\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":%s},"                    \
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"                                 \
    "\"added_tokens\":[{\"id\":2,\"content\":\"[SEP]\",\"special\":true}],"              \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["                   \
    "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},"                               \
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"                                       \
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":["                    \
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"                                       \
    "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{"                  \
    "\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[1],\"tokens\":[\"[CLS]\"]},"                   \
    "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[2],\"tokens\":[\"[SEP]\"]}}},"                 \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,"          \
    "\"[CLS]\":1,\"[SEP]\":2,\"one\":3,\"One\":4,\"two\":5,\"TWO\":6,\"e\":7,"           \
    "\"\xc3\xa9\":8,\"good\":9,\"ugly\":10,\"!\":11,\"\xe4\xbd\xa0\":12,"                \
    "\"\xe4\xbd\xa0\xe4\xbd\xa0\":13}}}"
#define BYTES                                                                            \
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":%s},"               \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"\xc4\xa0\":1,"                     \
    "\"\xc4\xa0"                                                                         \
    "a\":2},\"merges\":[\"\xc4\xa0 a\"]}}"

static void test_tokenizer_settings(void **state)
{
    static const struct {
        const char *json, *flag, *settings, *text;
        int limit;
        const char *want; /* tokens, or part of the error */
    } cases[] = {
#define B "\"tokenizer_class\":\"BertTokenizer\""
        {WORDPIECE, "false", "{" B "}", "One TWO good \xc3\xa9", 0,
         "[CLS] one two good e [SEP]"}, /* the class's defaults */
        {WORDPIECE, "false", "{\"tokenizer_class\":\"BertTokenizerFast\"}", "One", 0,
         "[CLS] one [SEP]"},
        {WORDPIECE, "true", "{" B ",\"do_lower_case\":false}", "One TWO \xc3\xa9", 0,
         "[CLS] One TWO \xc3\xa9 [SEP]"},
        {WORDPIECE, "true", "{" B ",\"strip_accents\":false}", "One \xc3\xa9", 0,
         "[CLS] one \xc3\xa9 [SEP]"},
        {WORDPIECE, "false", "{" B ",\"do_lower_case\":false,\"strip_accents\":true}",
         "One \xc3\xa9", 0, "[CLS] One e [SEP]"},
        {WORDPIECE, "true", "{" B ",\"tokenize_chinese_chars\":false}",
         "\xe4\xbd\xa0\xe4\xbd\xa0", 0, "[CLS] \xe4\xbd\xa0\xe4\xbd\xa0 [SEP]"},
        {WORDPIECE, "true", "{" B "}", "\xe4\xbd\xa0\xe4\xbd\xa0", 0,
         "[CLS] \xe4\xbd\xa0 \xe4\xbd\xa0 [SEP]"},
        /* generic classes take tokenizer.json as it is */
        {WORDPIECE, "false",
         "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"do_lower_case\":true}",
         "One TWO \xc3\xa9", 0, "[CLS] One TWO \xc3\xa9 [SEP]"},
        {WORDPIECE, "false", "{}", "One", 0, "[CLS] One [SEP]"},
        {WORDPIECE, "false", "{\"do_lower_case\":true}", "One", 0, "[CLS] one [SEP]"},
        {WORDPIECE, "true", "{\"truncation_side\":\"left\"}", "one two good ugly !", 5,
         "[CLS] good ugly ! [SEP]"},
        {WORDPIECE, "true", "{\"truncation_side\":\"right\",\"padding_side\":\"left\"}",
         "one two good ugly !", 5, "[CLS] one two good [SEP]"},
        {WORDPIECE, "true",
         "{\"added_tokens_decoder\":{\"14\":{\"content\":\"new\",\"special\":false}}}",
         "one new good", 0, "[CLS] one new good [SEP]"},
        {WORDPIECE, "true",
         "{\"added_tokens_decoder\":{\"2\":{\"content\":\"[SEP]\",\"lstrip\":true}}}",
         "one [SEP] good", 0, "[CLS] one [SEP] good [SEP]"},
        {BYTES, "false", "{\"tokenizer_class\":\"RobertaTokenizer\"}", "a a", 0,
         "a \xc4\xa0"
         "a"},
        {BYTES, "true", "{\"tokenizer_class\":\"RobertaTokenizer\"}", "a a", 0,
         "a \xc4\xa0"
         "a"},
        {BYTES, "false",
         "{\"tokenizer_class\":\"RobertaTokenizerFast\",\"add_prefix_space\":true}",
         "a a", 0,
         "\xc4\xa0"
         "a \xc4\xa0"
         "a"},
        {BYTES, "false",
         "{\"tokenizer_class\":\"TokenizersBackend\",\"add_prefix_space\":true}", "a a",
         0,
         "a \xc4\xa0"
         "a"},
        /* refused */
        {WORDPIECE, "true", "{\"truncation_side\":\"top\"}", "", 0, "truncation_side"},
        {WORDPIECE, "true", "{\"split_special_tokens\":true}", "", 0,
         "split_special_tokens"},
        {WORDPIECE, "true", "{" B ",\"cls_token\":\"[SEP]x\"}", "", 0, "cls_token"},
        {WORDPIECE, "true", "{" B ",\"sep_token\":{\"content\":\"good\"}}", "", 0,
         "sep_token"},
        {BYTES, "false", "{" B ",\"do_lower_case\":true}", "", 0, "do_lower_case"},
        {WORDPIECE, "true", "{\"do_lower_case\":1}", "", 0, "do_lower_case must be"},
        {WORDPIECE, "true", "{\"added_tokens_decoder\":{\"5\":{\"content\":\"[SEP]\"}}}",
         "", 0, "added_tokens_decoder has '[SEP]' as 5"},
        {WORDPIECE, "true", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"n\"}}}", "",
         0, "added_tokens_decoder"},
        {WORDPIECE, "true", "[1]", "", 0, "an object expected"},
        {WORDPIECE, "true", "{", "", 0, "tokenizer_config.json: line 1"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tokenizer *t = NULL;
        struct encoding e = {0};
        struct err err = ERR_INIT;
        struct buf got = BUF_INIT, json = BUF_INIT;
        const char *hole = strstr(cases[i].json, "%s");
        buf_add(&json, cases[i].json, (size_t)(hole - cases[i].json));
        buf_printf(&json, "%s%s", cases[i].flag, hole + 2);
        int rc = tokenizer_parse_with(buf_str(&json), json.len, cases[i].settings,
                                      strlen(cases[i].settings), "t", &t, &err);
        if (!rc)
            rc = tokenizer_encode(t, cases[i].text, strlen(cases[i].text), NULL, 0,
                                  cases[i].limit, true, &e, &err);
        for (size_t k = 0; k < e.n; k++)
            buf_printf(&got, "%s%s", k ? " " : "", tokenizer_token(t, e.ids[k]));
        if (rc ? !strstr(err.msg, cases[i].want) : !str_eq(buf_str(&got), cases[i].want))
            fail_msg("%s '%s': %s", cases[i].settings, cases[i].text,
                     rc ? err.msg : buf_str(&got));
        encoding_release(&e);
        tokenizer_free(t);
        buf_release(&got);
        buf_release(&json);
    }
}

/* Pairs: types by the template, or none. */
static void test_no_types(void **state)
{
    static const char *const settings[] = {
        "{\"model_input_names\":[\"input_ids\",\"token_type_ids\",\"attention_mask\"]}",
        "{\"model_input_names\":[\"input_ids\",\"attention_mask\"]}"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct tokenizer *t = NULL;
        struct encoding e = {0};
        char *json = xasprintf(WORDPIECE, "true");
        assert_int_equal(tokenizer_parse_with(json, strlen(json), settings[i],
                                              strlen(settings[i]), "t", &t, NULL),
                         0);
        assert_int_equal(tokenizer_encode(t, "one", 3, "two", 3, 0, true, &e, NULL), 0);
        assert_int_equal(e.type_ids[e.n - 1], i == 0);
        encoding_release(&e);
        tokenizer_free(t);
        free(json);
    }
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/elsewhere-XXXXXX");
    char *here = mkdtemp(dir);
    return here ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_adapter_keys),
        cmocka_unit_test(test_adapter_others),
        cmocka_unit_test(test_base_keys),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_tokenizer_settings),
        cmocka_unit_test(test_no_types),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

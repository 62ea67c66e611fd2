/* tests/unit/runner/hub/elsewhere.c - what model folders, tokenizers and rows from elsewhere say:
 * each key of transformers' configuration files that would change a number is honoured or
 * refused by its name, whatever changes none loads. */
#include "tests/unit/runner/hub/elsewhere.h"

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
        {"{hidden_act: mish}", "hidden_act 'mish'"},
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

static const struct {
    const char *json, *flag, *settings, *text;
    int limit;
    const char *want; /* tokens, or part of the error */
} tokenizer_settings[] = {
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
     "{\"tokenizer_class\":\"RobertaTokenizerFast\",\"add_prefix_space\":true}", "a a", 0,
     "\xc4\xa0"
     "a \xc4\xa0"
     "a"},
    {BYTES, "false",
     "{\"tokenizer_class\":\"TokenizersBackend\",\"add_prefix_space\":true}", "a a", 0,
     "a \xc4\xa0"
     "a"},
    /* refused */
    {WORDPIECE, "true", "{\"truncation_side\":\"top\"}", "", 0, "truncation_side"},
    {WORDPIECE, "true", "{\"split_special_tokens\":true}", "", 0, "split_special_tokens"},
    {WORDPIECE, "true", "{" B ",\"cls_token\":\"[SEP]x\"}", "", 0, "cls_token"},
    {WORDPIECE, "true", "{" B ",\"sep_token\":{\"content\":\"good\"}}", "", 0,
     "sep_token"},
    {BYTES, "false", "{" B ",\"do_lower_case\":true}", "", 0, "do_lower_case"},
    {WORDPIECE, "true", "{\"do_lower_case\":1}", "", 0, "do_lower_case must be"},
    {WORDPIECE, "true", "{\"added_tokens_decoder\":{\"5\":{\"content\":\"[SEP]\"}}}", "",
     0, "added_tokens_decoder has '[SEP]' as 5"},
    {WORDPIECE, "true", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"n\"}}}", "", 0,
     "added_tokens_decoder"},
    {WORDPIECE, "true", "[1]", "", 0, "an object expected"},
    {WORDPIECE, "true", "{", "", 0, "tokenizer_config.json: line 1"},
};

static void test_tokenizer_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tokenizer_settings); i++) {
        struct tokenizer *t = NULL;
        struct encoding e = {0};
        struct err err = ERR_INIT;
        struct buf got = BUF_INIT, json = BUF_INIT;
        const char *hole = strstr(tokenizer_settings[i].json, "%s");
        buf_add(&json, tokenizer_settings[i].json,
                (size_t)(hole - tokenizer_settings[i].json));
        buf_printf(&json, "%s%s", tokenizer_settings[i].flag, hole + 2);
        int rc =
            tokenizer_parse_with(buf_str(&json), json.len, tokenizer_settings[i].settings,
                                 strlen(tokenizer_settings[i].settings), "t", &t, &err);
        if (!rc)
            rc = tokenizer_encode(t, tokenizer_settings[i].text,
                                  strlen(tokenizer_settings[i].text), NULL, 0,
                                  tokenizer_settings[i].limit, true, &e, &err);
        for (size_t k = 0; k < e.n; k++)
            buf_printf(&got, "%s%s", k ? " " : "", tokenizer_token(t, e.ids[k]));
        if (rc ? !strstr(err.msg, tokenizer_settings[i].want)
               : !str_eq(buf_str(&got), tokenizer_settings[i].want))
            fail_msg("%s '%s': %s", tokenizer_settings[i].settings,
                     tokenizer_settings[i].text, rc ? err.msg : buf_str(&got));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_keys), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_labels),    cmocka_unit_test(test_tokenizer_settings),
        cmocka_unit_test(test_no_types),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

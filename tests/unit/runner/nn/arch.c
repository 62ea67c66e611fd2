/* runner_arch - the families beside BERT on the tiny models of tests/golden: rows of the
 * registry, positions, dropouts, heads, what is refused. Their numbers are the goldens'
 * business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/buf.h"
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/evaluate.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include "runner/session.h"
#include "runner/trial.h"
#include "tests/unit/support/golden_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

static const struct {
    const char *folder, *type;
    int labels; /* of the golden model's head */
} families[] = {
    {"bert", "bert", 3},
    {"roberta", "roberta", 3},
    {"roberta", "xlm-roberta", 3},
    {"roberta", "camembert", 3},
    {"distilbert", "distilbert", 2},
    {"llama-cls", "llama", 3},
    {"phi3-partial", "phi3", 3},
    {"smollm3-list", "smollm3", 3},
    {"gpt2", "gpt2", 3},
};

static void put_file(const char *name, const char *text)
{
    char *path = fs_join(dir, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
    free(path);
}

static json_t *trial(const char *model, const char *text)
{
    struct err err = ERR_INIT;
    int labels = 3;
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_eq(families[i].type, model))
            labels = families[i].labels;
    struct conf *c;
    json_t *out;
    char *full = xasprintf("{model: '%s/%s', train_data: rows.jsonl, num_labels: %d, "
                           "max_steps: 2, batch_size: 3, %s}",
                           dir, model, labels, text);
    assert_int_equal(conf_parse(full, strlen(full), "test", 0, &c, &err), 0);
    if (trial_resolve(conf_root(c), &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    conf_free(c);
    free(full);
    return out;
}

static void open_session(struct session *s, json_t *t)
{
    struct err err = ERR_INIT;
    if (session_open(s, t, dir, NULL, true, &err) || session_allocate(s, &err))
        fail_msg("%s", err.msg);
}

static void open_fails(const char *model, const char *text, const char *part)
{
    struct err err = ERR_INIT;
    struct session s;
    json_t *t = trial(model, text);
    assert_true(session_open(&s, t, dir, NULL, true, &err) < 0);
    session_close(&s);
    json_decref(t);
    if (!strstr(err.msg, part))
        fail_msg("'%s' lacks '%s'", err.msg, part);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-arch-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    put_file("rows.jsonl", "{\"input_ids\": [5, 9, 7], \"label\": 0}\n"
                           "{\"input_ids\": [8, 6, 11, 12, 30], \"label\": 1}\n"
                           "{\"input_ids\": [5, 1, 7], \"label\": 1}\n");
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        char *change = xasprintf("{\"model_type\": \"%s\"}", families[i].type);
        golden_model(dir, families[i].folder, families[i].type, change);
        free(change);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

#define ROWS   3
#define LOGITS (3 * ROWS)

/* Of rows.jsonl, ROWS x labels. */
static void logits_of(const char *model, const char *text, float out[LOGITS])
{
    struct session s;
    struct evaluation e;
    json_t *t = trial(model, text);
    open_session(&s, t);
    assert_int_equal(evaluate_split(&s, SPLIT_TRAIN, NULL, &e, NULL), 0);
    memset(out, 0, LOGITS * sizeof *out);
    memcpy(out, e.logits, (size_t)(ROWS * s.goal.num_labels) * sizeof *out);
    evaluation_release(&e);
    session_close(&s);
    json_decref(t);
}

/* What a plan says is taken, for every family and kind of method. */
static void test_methods(void **state)
{
    (void)state;
    static const char *const methods[] = {
        "method: head",
        "method: full",
        "method: lora, target_modules: all-linear",
        "method: qlora",
        "method: adapter, reduction_factor: 4",
        "method: prefix, num_virtual_tokens: 3",
    };
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
            struct session s;
            struct err err = ERR_INIT;
            struct trial_prediction p;
            json_t *t = trial(families[f].type, methods[m]);
            if (trial_predict(t, dir, ASSUME_NOTHING, NULL, &p, &err) < 0)
                fail_msg("%s, %s: %s", families[f].type, methods[m], err.msg);
            open_session(&s, t);
            size_t total = 0;
            for (int c = 0; c < MEM_COUNT; c++)
                total += s.allocated[c];
            assert_int_equal(total, p.total_bytes);
            session_close(&s);
            json_decref(t);
        }
}

/* XLM-RoBERTa and CamemBERT are RoBERTa under other names. */
static void test_roberta_rows(void **state)
{
    (void)state;
    float a[LOGITS], b[LOGITS];
    logits_of("roberta", "method: full", a);
    for (size_t i = 2; i < 4; i++) {
        logits_of(families[i].type, "method: full", b);
        assert_memory_equal(a, b, sizeof a);
    }
    struct err err = ERR_INIT;
    assert_string_equal(arch_find("xlm-roberta", &err)->class_prefix, "XLMRoberta");
    assert_string_equal(arch_find("camembert", &err)->class_prefix, "Camembert");
    assert_null(arch_find("albert", &err));
    assert_non_null(strstr(err.msg, "known: bert, roberta, xlm-roberta"));
}

static bool ends_with_one_of(const char *path, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (str_has_suffix(path, name) && path[strlen(path) - strlen(name) - 1] == '.')
            return true;
    }
    return false;
}

/* The defaults by role name the same layers as peft's maps, in the same words. */
static void test_default_targets(void **state)
{
    (void)state;
    static const struct {
        const char *model, *lora, *ia3, *ia3_input, *adalora;
    } rows[] = {
        {"bert", "query|value", "key|value|output.dense", "output.dense", "query|value"},
        {"roberta", "query|value", "key|value|output.dense", "output.dense",
         "query|key|value|dense"},
        {"xlm-roberta", "query|value", "key|value|output.dense", "output.dense",
         "query|key|value|dense"},
        {"distilbert", "q_lin|v_lin", "k_lin|v_lin|lin2", "lin2", "q_lin|v_lin"},
        {"llama", "q_proj|v_proj", "k_proj|v_proj|down_proj", "down_proj",
         "q_proj|v_proj"},
        {"phi3", "qkv_proj", "qkv_proj|down_proj", "down_proj", "qkv_proj"},
        {"gpt2", "c_attn", "c_attn|mlp.c_proj", "mlp.c_proj", "c_attn"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const want[] = {[MAP_lora] = rows[i].lora,
                                    [MAP_ia3] = rows[i].ia3,
                                    [MAP_ia3_input] = rows[i].ia3_input,
                                    [MAP_adalora] = rows[i].adalora};
        struct session s;
        json_t *t = trial(rows[i].model, "method: head");
        open_session(&s, t);
        for (size_t m = 0; m < ARRAY_LEN(want); m++) {
            json_t *list = targets_default(&s.net, (enum target_map)m);
            struct buf text = BUF_INIT;
            for (size_t k = 0; k < json_array_size(list); k++)
                buf_printf(&text, "%s%s", k ? "|" : "",
                           json_string_value(json_array_get(list, k)));
            assert_string_equal(buf_str(&text), want[m]);
            /* and by peft's rule these names hit the layers of these roles */
            for (size_t k = 0; k < s.net.sites.count; k++) {
                const struct linear_site *site = &s.net.sites.items[k];
                if (site->role != ROLE_head)
                    assert_int_equal(
                        ends_with_one_of(site->path, list),
                        targets_is_default(&s.net, (enum target_map)m, site));
            }
            buf_release(&text);
            json_decref(list);
        }
        session_close(&s);
        json_decref(t);
    }
}

static const int32_t *positions(struct session *s, json_t *t)
{
    open_session(s, t);
    session_load_batch(s, SPLIT_TRAIN, NULL, 0, ROWS);
    return s->host_batch[SLOT_positions];
}

/* RoBERTa counts from pad_token_id + 1 behind virtual tokens, and gives a pad inside a
 * row the pad's own position, as create_position_ids_from_input_ids does. */
static void test_positions(void **state)
{
    (void)state;
    static const struct {
        const char *model, *text;
        int32_t want[11];
    } cases[] = {
        {"bert", "method: head", {0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2}},
        {"distilbert", "method: head", {0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2}},
        {"roberta", "method: head", {2, 3, 4, 2, 3, 4, 5, 6, 2, 1, 3}},
        {"roberta",
         "method: prefix, num_virtual_tokens: 3",
         {5, 6, 7, 5, 6, 7, 8, 9, 5, 1, 6}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct session s;
        json_t *t = trial(cases[i].model, cases[i].text);
        assert_memory_equal(positions(&s, t), cases[i].want, sizeof cases[i].want);
        session_close(&s);
        json_decref(t);
    }
}

static void put_long_row(int tokens)
{
    struct buf b = BUF_INIT;
    for (int i = 0; i < tokens; i++)
        buf_printf(&b, "%s5", i ? ", " : "{\"label\": 0, \"input_ids\": [");
    buf_str_add(&b, "]}\n");
    put_file("long.jsonl", buf_str(&b));
    buf_release(&b);
}

/* 48 positions, of which two lie before the first token's. */
static void test_length(void **state)
{
    (void)state;
    struct session s;
    put_long_row(46);
    json_t *t = trial("roberta", "method: head, eval_data: long.jsonl");
    open_session(&s, t);
    assert_int_equal(s.data[SPLIT_EVAL]->longest, 46);
    session_close(&s);
    json_decref(t);
    open_fails("roberta", "method: prefix, num_virtual_tokens: 1, eval_data: long.jsonl",
               "has 46 tokens, but the model has 45 positions behind the virtual tokens");
    put_long_row(47);
    open_fails("roberta", "method: head, eval_data: long.jsonl",
               "has 47 tokens, but the model has 46 positions");
}

/* Each family's own names for its dropouts, in config.json and in a trial. */
static void test_dropouts(void **state)
{
    (void)state;
    struct session s;
    json_t *t =
        trial("distilbert", "method: head, dropout: 0.1, seq_classif_dropout: 0.3");
    open_session(&s, t);
    assert_float_equal(s.net.shape.hidden_dropout, 0.1, 1e-7);
    assert_float_equal(s.net.shape.attention_dropout, 0, 0);
    assert_float_equal(s.net.shape.classifier_dropout, 0.3, 1e-7);
    session_close(&s);
    json_decref(t);
    t = trial("roberta", "method: head, hidden_dropout_prob: 0.1");
    open_session(&s, t);
    assert_float_equal(s.net.shape.hidden_dropout, 0.1, 1e-7);
    session_close(&s);
    json_decref(t);
}

static void test_head(void **state)
{
    (void)state;
    struct session s;
    json_t *t = trial("distilbert", "method: lora, target_modules: all-linear");
    open_session(&s, t);
    assert_true(params_find(&s.net.params, "pre_classifier.weight")->trainable);
    assert_true(params_find(&s.net.params, "classifier.bias")->trainable);
    assert_null(params_find(&s.net.params, "pre_classifier.lora_A.weight"));
    assert_non_null(params_find(&s.net.params,
                                "distilbert.transformer.layer.1.ffn.lin2.lora_A.weight"));
    session_close(&s);
    json_decref(t);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *change, *part;
    } cases[] = {
        {"roberta", "{\"hidden_act\": \"mish\"}", "hidden_act 'mish' is not supported"},
        {"distilbert", "{\"activation\": \"mish\"}",
         "activation 'mish' is not supported"},
        {"distilbert", "{\"dim\": null}", "config.json: dim must be 1..65536"},
        {"distilbert", "{\"n_heads\": 3}", "dim 32 is no multiple of n_heads 3"},
        {"roberta", "{\"pad_token_id\": 47}", "leaves no position behind pad_token_id"},
        {"roberta", "{\"type_vocab_size\": 0}", "type_vocab_size must be"},
        {"roberta", "{\"type_vocab_size\": 2}",
         "token_type_embeddings.weight' is [1, 32]"},
        {"bert", "{\"model_type\": \"distilbert\"}", "config.json: dim"},
        {"roberta", "{\"position_embedding_type\": \"r\"}",
         "position_embedding_type 'r'"},
        {"bert", "{\"model_type\": \"t5\"}", "model_type 't5' is not supported"},
        {"gpt2", "{\"add_cross_attention\": true}", "add_cross_attention true"},
        {"gpt2", "{\"n_head\": 3}", "n_embd 32 is no multiple of n_head 3"},
        {"gpt2", "{\"n_inner\": 100}", "c_fc.weight' is [32, 128], expected [32, 100]"},
        {"phi3-partial", "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}}",
         "rope_type 'linear' is not supported (known: default, longrope)"},
        {"phi3-partial", "{\"rope_scaling\": {\"type\": \"su\", \"short_factor\": [1]}}",
         "short_factor must be a list of 8 numbers"},
        {"smollm3-list", "{\"no_rope_layers\": [1, 0]}", "no_rope_layers must be a list"},
        {"llama-cls",
         "{\"partial_rotary_factor\": 0.5, \"rope_scaling\": {\"type\": "
         "\"linear\", \"factor\": 2}}",
         "partial_rotary_factor 0.5 is not supported"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        golden_model(dir, cases[i].folder, "odd", cases[i].change);
        open_fails("odd", "method: head", cases[i].part);
    }
    /* a row's token types must be the model's */
    put_file("types.jsonl",
             "{\"input_ids\": [5, 6], \"token_type_ids\": [0, 1], \"label\": 0}\n");
    open_fails("roberta", "method: head, eval_data: types.jsonl",
               "token type 1, but the model's type_vocab_size is 1");
    open_fails("bert", "method: head, eval_data: rows.jsonl, validation_split: 0.3",
               "'validation_split' and 'eval_data' are both given");
}

/* Rows held out of the training data are the evaluation data. */
static void test_split(void **state)
{
    (void)state;
    struct session s;
    json_t *t = trial("bert", "method: head, validation_split: 0.3");
    open_session(&s, t);
    assert_int_equal(s.data[SPLIT_TRAIN]->count, 2);
    assert_int_equal(s.data[SPLIT_EVAL]->count, 1);
    assert_int_equal(s.course.rows, 2);
    session_close(&s);
    json_decref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_roberta_rows),
        cmocka_unit_test(test_default_targets),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_dropouts),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

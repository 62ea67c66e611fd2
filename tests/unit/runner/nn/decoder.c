/* runner_decoder - what the rows of causal decoders read from config.json: windows, caps,
 * widths of heads; what is refused; peft's default targets; and that a plan says what is
 * taken, for every kind of method. Their numbers are the goldens' business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/buf.h"
#include "lib/config/conf.h"
#include "runner/nn/peft/method.h"
#include "runner/session.h"
#include "runner/trial.h"
#include "tests/unit/support/golden_model.h"
#include <math.h>
#include <stdio.h>

static char dir[64];
static const char *const models[] = {"llama", "mistral", "qwen2-window",
                                     "qwen3", "gemma2",  "gemma3"};

static json_t *trial(const char *model, const char *text)
{
    struct err err = ERR_INIT;
    struct conf *c;
    json_t *out;
    char *full = xasprintf("{model: '%s/%s', train_data: rows.jsonl, task: causal-lm, "
                           "max_steps: 2, batch_size: 3, %s}",
                           dir, model, text);
    assert_int_equal(conf_parse(full, strlen(full), "test", 0, &c, &err), 0);
    if (trial_resolve(conf_root(c), &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    conf_free(c);
    free(full);
    return out;
}

static int setup(void **state)
{
    (void)state;
    static const char rows[] = "{\"input_ids\": [5, 9, 7], \"labels\": [5, 9, 7]}\n"
                               "{\"input_ids\": [8, 6, 11, 12, 30, 7], \"labels\": "
                               "[-100, -100, 11, 12, 30, 7]}\n"
                               "{\"input_ids\": [5, 1, 7], \"labels\": [5, 1, 7]}\n";
    strcpy(dir, "/tmp/peftlab-decoder-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    char *path = fs_join(dir, "rows.jsonl");
    int rc = fs_write_atomic(path, rows, strlen(rows), NULL);
    free(path);
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        golden_model(dir, models[i], models[i], "{}");
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* What a plan says is taken, for every family and kind of method. */
static void test_methods(void **state)
{
    (void)state;
    static const char *const methods[] = {
        "method: full",
        "method: ln-tuning",
        "method: ia3",
        "method: lora, target_modules: all-linear",
        "method: lora, gradient_checkpointing: true",
        "method: qlora",
        "method: adapter, reduction_factor: 4",
        "method: prompt, num_virtual_tokens: 3",
        "method: prefix, num_virtual_tokens: 3",
    };
    for (size_t f = 0; f < ARRAY_LEN(models); f++)
        for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
            struct session s;
            struct err err = ERR_INIT;
            struct trial_prediction p;
            json_t *t = trial(models[f], methods[m]);
            if (trial_predict(t, dir, ASSUME_NOTHING, NULL, &p, &err) < 0)
                fail_msg("%s, %s: %s", models[f], methods[m], err.msg);
            if (session_open(&s, t, dir, NULL, true, &err) || session_allocate(&s, &err))
                fail_msg("%s, %s: %s", models[f], methods[m], err.msg);
            size_t total = 0;
            for (int c = 0; c < MEM_COUNT; c++)
                total += s.allocated[c];
            assert_int_equal(total, p.total_bytes);
            session_close(&s);
            json_decref(t);
        }
}

/* The net of a golden model with another config.json. */
static int plan(struct session *s, const char *folder, const char *change,
                const char *text, struct err *err)
{
    golden_model(dir, folder, "odd", change);
    json_t *t = trial("odd", text);
    int rc = session_plan(s, t, dir, ASSUME_NOTHING, NULL, err);
    json_decref(t);
    return rc;
}

/* The window of each layer: "-" none. */
static void test_windows(void **state)
{
    (void)state;
#define FULL    "\"full_attention\""
#define SLIDING "\"sliding_attention\""
    static const struct {
        const char *folder, *change, *want;
    } cases[] = {
        {"llama", "{\"sliding_window\": 4}", "--"},
        {"mistral", "{}", "55"},
        {"mistral", "{\"sliding_window\": null}", "--"},
        {"mistral", "{\"layer_types\": [" SLIDING ", " SLIDING "]}", "55"},
        {"qwen2-window", "{}", "-44"},
        {"qwen2-window", "{\"max_window_layers\": 0}", "444"},
        {"qwen2-window", "{\"use_sliding_window\": false}", "---"},
        {"qwen2-window", "{\"layer_types\": [" SLIDING ", " FULL ", " SLIDING "]}",
         "4-4"},
        {"qwen3", "{\"use_sliding_window\": true, \"sliding_window\": 3}", "--"},
        {"qwen3",
         "{\"use_sliding_window\": true, \"sliding_window\": 3, "
         "\"layer_types\": null, \"max_window_layers\": 1}",
         "-3"},
        {"gemma2", "{}", "4-4"},
        {"gemma2", "{\"layer_types\": [" FULL ", " FULL ", " SLIDING "]}", "--4"},
        {"gemma3", "{}", "44444-"},
        {"gemma3", "{\"layer_types\": null, \"sliding_window_pattern\": 2}", "4-4-4-"},
        {"gemma3", "{\"layer_types\": null, \"sliding_window_pattern\": 1}", "------"},
        {"gemma3-old", "{\"layer_types\": null}", "55-5"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct session s;
        struct err err = ERR_INIT;
        char got[8] = "";
        if (plan(&s, cases[i].folder, cases[i].change, "method: lora", &err))
            fail_msg("%s: %s", cases[i].change, err.msg);
        for (int l = 0; l < s.net.shape.layers; l++) {
            const int32_t window = net_window(&s.net, l);
            got[l] = window ? (char)('0' + window) : '-';
        }
        assert_string_equal(got, cases[i].want);
        session_close(&s);
    }
}

/* Gemma 2's numbers, given, null and by default. */
static void test_numbers(void **state)
{
    (void)state;
    struct session s;
    assert_int_equal(plan(&s, "gemma2", "{}", "method: lora", NULL), 0);
    assert_float_equal(s.net.shape.score_cap, 3, 0);
    assert_float_equal(s.net.shape.logit_cap, 4, 0);
    assert_float_equal(s.net.shape.score_scale, 1 / sqrt(10), 1e-7);
    assert_float_equal(s.net.shape.word_scale, sqrt(32), 1e-6);
    assert_true(s.net.shape.tied && s.net.shape.norm_offset == 1);
    session_close(&s);
    assert_int_equal(plan(&s, "gemma2",
                          "{\"final_logit_softcapping\": null, "
                          "\"query_pre_attn_scalar\": null}",
                          "method: lora, dtype: bfloat16", NULL),
                     0);
    assert_float_equal(s.net.shape.logit_cap, 0, 0);
    assert_float_equal(s.net.shape.score_scale, 1.0 / 16, 1e-8);
    assert_float_equal(s.net.shape.word_scale, 5.65625, 0); /* sqrt(32) as bf16 */
    session_close(&s);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *change, *part;
    } cases[] = {
        {"mistral", "{\"layer_types\": [" FULL ", " SLIDING "]}",
         "layer_types [\"full_attention\",\"sliding_attention\"] is not supported (this "
         "family's window is in all layers or none)"},
        {"mistral", "{\"sliding_window\": 0}", "sliding_window must be 1.."},
        {"mistral", "{\"sliding_window\": \"4\"}", "sliding_window must be 1.."},
        {"qwen2-window", "{\"layer_types\": [" SLIDING "]}",
         "layer_types must be a list of num_hidden_layers (3) names"},
        {"qwen2-window", "{\"layer_types\": [" FULL ", " FULL ", \"chunked_attention\"]}",
         "layer_types 'chunked_attention' is not supported (known: full_attention, "},
        {"qwen3", "{\"layer_types\": [" FULL ", " SLIDING "]}",
         "layer 1 has sliding_attention, but there is no sliding_window"},
        {"gemma2", "{\"attn_logit_softcapping\": 0}",
         "attn_logit_softcapping must be a number above 0, or null"},
        {"gemma2", "{\"use_bidirectional_attention\": true}",
         "use_bidirectional_attention true is not supported"},
        {"gemma2", "{\"query_pre_attn_scalar\": 0}", "query_pre_attn_scalar must be 1.."},
        {"gemma3", "{\"sliding_window\": null}", "layer 0 has sliding_attention, but"},
        {"gemma3", "{\"layer_types\": null, \"sliding_window_pattern\": 0}",
         "sliding_window_pattern must be 1.."},
        {"gemma3",
         "{\"rope_parameters\": {\"sliding_attention\": {\"rope_type\": "
         "\"ntk\"}}}",
         "rope_type 'ntk' is not supported"},
        {"qwen3", "{\"head_dim\": null}", "q_proj.weight' is [64, 32], expected [512,"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct session s;
        struct err err = ERR_INIT;
        assert_true(plan(&s, cases[i].folder, cases[i].change, "method: lora", &err) < 0);
        session_close(&s);
        if (!strstr(err.msg, cases[i].part))
            fail_msg("'%s' lacks '%s'", err.msg, cases[i].part);
    }
}

/* The layer or norm that a parameter of layer 0 is of, once. */
static void add_module(const char *name, struct buf *out)
{
    const char *at = strstr(name, "model.layers.0.");
    for (; at; at = strchr(at, '.')) {
        at += *at == '.';
        char *part = xasprintf(" %.*s", (int)strcspn(at, "."), at);
        const bool is = str_has_suffix(part, "_proj") || str_has_suffix(part, "norm");
        if (is && !strstr(buf_str(out), part))
            buf_str_add(out, part);
        free(part);
    }
}

/* peft's maps, by the parameters that train in layer 0 of each model. */
static void test_default_targets(void **state)
{
    (void)state;
    static const struct {
        const char *model, *method, *want;
    } cases[] = {
        {"mistral", "lora", "q_proj v_proj"},
        {"gemma2", "lora", "q_proj v_proj"},
        {"gemma3", "lora", "q_proj v_proj"},
        {"gemma3", "ia3", "q_proj v_proj down_proj"},
        {"gemma3", "ln-tuning",
         "input_layernorm post_attention_layernorm pre_feedforward_layernorm "
         "post_feedforward_layernorm"},
        {"mistral", "ia3", "k_proj v_proj down_proj"},
        {"qwen2-window", "ia3", "q_proj v_proj down_proj"},
        {"qwen3", "ia3", "q_proj v_proj down_proj"},
        {"gemma2", "ia3", "q_proj v_proj down_proj"},
        {"mistral", "ln-tuning", "input_layernorm post_attention_layernorm"},
        {"qwen3", "ln-tuning", "post_attention_layernorm"},
        {"gemma2", "ln-tuning",
         "input_layernorm post_attention_layernorm pre_feedforward_layernorm "
         "post_feedforward_layernorm"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct session s;
        struct buf got = BUF_INIT;
        char *text = xasprintf("method: %s", cases[i].method);
        assert_int_equal(plan(&s, cases[i].model, "{}", text, NULL), 0);
        for (size_t p = 0; p < s.net.params.count; p++)
            if (s.net.params.items[p]->trainable)
                add_module(s.net.params.items[p]->name, &got);
        assert_string_equal(buf_str(&got) + 1, cases[i].want);
        buf_release(&got);
        session_close(&s);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),         cmocka_unit_test(test_windows),
        cmocka_unit_test(test_numbers),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_default_targets),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

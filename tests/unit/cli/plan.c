/* One planner: a base that is known by name is planned as a folder of the same shape is, for
 * every method of the registry, keys and errors included. */
#include "cli/decide/plan_item.h"
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/known.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include "runner/session.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/cli_plan.XXXXXX";
static const char *const bases[] = {"bert-base-uncased", "roberta-base",
                                    "distilbert-base-uncased"};

/* --- folders --- */

static void put(const char *path, const void *text, size_t n)
{
    assert_int_equal(fs_write_atomic(path, text, n, NULL), 0);
}

/* The header that the net's own parameters ask for, and data that are a hole. */
static void put_weights(const struct net *net, const char *path)
{
    json_t *header = json_object();
    int64_t at = 0;
    for (size_t i = 0; i < net->params.count; i++) {
        const struct param *p = net->params.items[i];
        if (p->added || p->derived)
            continue;
        const int64_t end = at + param_size(p) * (int64_t)sizeof(float);
        json_t *shape = p->ndim == 1 ? json_pack("[i]", p->cols)
                                     : json_pack("[i, i]", p->rows, p->cols);
        json_object_set_new(header, p->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape",
                                      shape, "data_offsets", (json_int_t)at,
                                      (json_int_t)end));
        at = end;
    }
    char *text = json_dumps(header, JSON_COMPACT);
    const size_t n = strlen(text);
    struct buf b = BUF_INIT;
    for (int i = 0; i < 8; i++)
        buf_char(&b, (char)(n >> (8 * i)));
    buf_str_add(&b, text);
    put(path, b.data, b.len);
    assert_int_equal(truncate(path, (off_t)b.len + at), 0);
    buf_release(&b);
    free(text);
    json_decref(header);
}

static json_t *trial_on(const char *model, const char *options)
{
    struct err err = ERR_INIT;
    json_t *t = conf_parse_value(options, &err);
    if (!t)
        fail_msg("%s: %s", options, err.msg);
    json_object_set_new(t, "model", json_string(model));
    if (!json_object_get(t, "train_data"))
        json_object_set_new(t, "train_data", json_string("rows.jsonl"));
    if (!json_object_get(t, "num_labels"))
        json_object_set_new(t, "num_labels", json_integer(2));
    return t;
}

static char *folder_of(const char *name)
{
    char *base = xasprintf("folder-%s", name), *path = fs_join(dir, base);
    free(base);
    return path;
}

static void put_folder(const char *name)
{
    const struct known_model *m = known_model_find(name);
    struct err err = ERR_INIT;
    struct session s;
    json_t *resolved, *given = trial_on(name, "{method: full}");
    char *path = folder_of(name), *config = fs_join(path, "config.json"),
         *weights = fs_join(path, "model.safetensors");
    assert_int_equal(fs_mkdirs(path, NULL), 0);
    put(config, m->config, *m->config_size);
    assert_int_equal(trial_resolve(given, &resolved, &err), 0);
    if (session_plan(&s, resolved, dir, ASSUME_MISSING, NULL, &err))
        fail_msg("%s", err.msg);
    put_weights(&s.net, weights);
    session_close(&s);
    json_decref(resolved);
    json_decref(given);
    free(weights);
    free(config);
    free(path);
}

/* Rows of ids, which need no tokenizer: of several lengths, and all of 48 tokens. */
static void put_rows(const char *name, bool even)
{
    struct buf b = BUF_INIT;
    for (int row = 0; row < 37; row++) {
        buf_str_add(&b, "{\"input_ids\": [");
        for (int t = 0; t < (even ? 48 : 5 + row * 7 % 60); t++)
            buf_printf(&b, "%s%d", t ? ", " : "", 5 + t);
        buf_printf(&b, "], \"label\": %d}\n", row % 2);
    }
    char *path = fs_join(dir, name);
    put(path, b.data, b.len);
    buf_release(&b);
    free(path);
}

static void put_texts(const char *name)
{
    struct buf b = BUF_INIT;
    for (int row = 0; row < 37; row++)
        buf_printf(&b, "{\"text\": \"row %d\", \"label\": %d}\n", row, row % 2);
    char *path = fs_join(dir, name);
    put(path, b.data, b.len);
    buf_release(&b);
    free(path);
}

static int set_up(void **state)
{
    (void)state;
    unsetenv("PEFTLAB_MODELS");
    if (!mkdtemp(dir))
        return -1;
    put_rows("rows.jsonl", false);
    put_rows("even.jsonl", true);
    put_texts("texts.jsonl");
    for (size_t i = 0; i < ARRAY_LEN(bases); i++)
        put_folder(bases[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* --- plans --- */

struct outcome {
    int rc;
    struct err err;
    struct plan_item item;
    struct base base;
};

static void plan(const char *model, const char *options, struct outcome *o)
{
    json_t *given = trial_on(model, options);
    *o = (struct outcome){.err = ERR_INIT};
    assert_int_equal(base_find(model, dir, &o->base, &o->err), 0);
    o->item.base = &o->base;
    if (o->base.trains && o->base.shape.decoder) { /* texts that are not here */
        json_object_del(given, "num_labels");
        json_object_set_new(given, "train_data", json_string("texts.jsonl"));
    }
    const struct plan_how how = {.base_dir = dir, .assume = ASSUME_MISSING};
    o->rc = plan_item_fill(&o->item, given, &how, &o->err);
    json_decref(given);
}

/* The message with the model's name where the folder's path stands. */
static char *by_name(const char *msg, const char *folder, const char *name)
{
    struct buf b = BUF_INIT;
    for (const char *at = msg; *at;) {
        const bool here = str_has_prefix(at, folder);
        buf_str_add(&b, here ? name : (char[]){*at, 0});
        at += here ? strlen(folder) : 1;
    }
    return buf_detach(&b, NULL);
}

/* Whether it can be planned, the same either way. */
static bool same_on_both(const char *name, const char *options)
{
    char *folder = folder_of(name);
    struct outcome a, b;
    plan(name, options, &a);
    plan(folder, options, &b);
    char *msg = by_name(b.err.msg, folder, name);
    if (a.rc != b.rc || strcmp(a.err.msg, msg) != 0)
        fail_msg("%s, %s: '%s' (%d) by name, '%s' (%d) as a folder", name, options,
                 a.err.msg, a.rc, msg, b.rc);
    if (!a.rc) {
        const struct estimate *x = &a.item.estimate, *y = &b.item.estimate;
        assert_true(a.item.exact && b.item.exact);
        for (int i = 0; i < EST_COUNT; i++)
            if (x->bytes[i] != y->bytes[i])
                fail_msg("%s, %s: %s %.0f by name, %.0f as a folder", name, options,
                         estimate_names[i], x->bytes[i], y->bytes[i]);
        assert_true(x->peak == y->peak && x->peak > 0);
        assert_true(x->trainable == y->trainable && x->trainable > 0);
        assert_true(x->total == y->total);
        assert_true(x->adapter_bytes == y->adapter_bytes);
        assert_true(a.item.updates == b.item.updates && a.item.updates > 0);
        assert_true(a.item.tokens == b.item.tokens);
        for (int s = 0; s < STACK_COUNT; s++)
            assert_true(a.item.gpu[s].peak == b.item.gpu[s].peak);
    }
    free(msg);
    free(folder);
    base_release(&a.base);
    base_release(&b.base);
    return !a.rc;
}

static void every_method_and_key(void **state)
{
    static const char *const variants[] = {
        /* every method reads these */
        "gradient_checkpointing: true, optim: adamw_8bit, gradient_accumulation_steps: 4",
        "num_labels: 5, max_steps: 7, load_best_model_at_end: true, eval_steps: 1",
        /* some do; who does not says so */
        "quantization: nf4, dtype: bfloat16",
        "bias: all, rank: 3",
        "target_modules: all-linear, layers_to_transform: [0, 2]",
        "target_modules: '.*attention.*', exclude_modules: [nothing]",
        "modules_to_save: [word_embeddings]",
        "rank_pattern: {layer.1: 64}",
        "num_virtual_tokens: 7",
        "prompt_tuning_init: vocab",
        "adapter_type: houlsby, reduction_factor: 5",
        "adapter_type: parallel",
        "init_r: 9, tinit: 1, tfinal: 1",
        "class_weights: balanced",
        /* and these are mistakes */
        "rnak: 64",
        "target_modules: [nowhere]",
        "layers_to_transform: [99]",
        "modules_to_save: [poler]",
        "rank: 0",
        "batch_size: -3",
        "num_virtual_tokens: 600",
        "num_labels: 1, class_weights: balanced",
        "train_data: rows.jsonl, max_length: 2",
        "init_adapter: nowhere",
        "backend: cuda",
    };
    const char *methods[64];
    const size_t n = method_names(methods, ARRAY_LEN(methods));
    (void)state;
    assert_in_range(n, 15, ARRAY_LEN(methods));
    for (size_t b = 0; b < ARRAY_LEN(bases); b++)
        for (size_t m = 0; m < n; m++) {
            char *plain = xasprintf("{method: %s}", methods[m]);
            if (!same_on_both(bases[b], plain))
                fail_msg("%s cannot be planned on %s", methods[m], bases[b]);
            free(plain);
            size_t planned = 0;
            for (size_t v = 0; v < ARRAY_LEN(variants); v++) {
                char *text = xasprintf("{method: %s, %s}", methods[m], variants[v]);
                planned += same_on_both(bases[b], text);
                free(text);
            }
            assert_in_range(planned, 2, ARRAY_LEN(variants) - 8);
        }
    assert_false(same_on_both(bases[0], "{method: lorra}"));
}

static double peak(const char *model, const char *options)
{
    struct outcome o;
    plan(model, options, &o);
    if (o.rc)
        fail_msg("%s: %s", options, o.err.msg);
    base_release(&o.base);
    return o.item.estimate.peak;
}

/* What is assumed of texts and of rows that are not there is what rows of that length
 * take. */
static void assumed_rows(void **state)
{
    static const char *const methods[] = {"lora", "full", "prompt", "prefix", "adalora"};
    struct outcome there, texts, missing;
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
        char *with = xasprintf("{method: %s, train_data: even.jsonl}", methods[m]),
             *of_text = xasprintf("{method: %s, train_data: texts.jsonl, max_length: 48}",
                                  methods[m]),
             *without = xasprintf("{method: %s, train_data: none.jsonl, max_length: 48, "
                                  "max_train_samples: 37}",
                                  methods[m]);
        plan("bert-base", with, &there);
        plan("bert-base", of_text, &texts);
        plan("bert-base", without, &missing);
        if (there.rc || texts.rc || missing.rc)
            fail_msg("%s%s%s", there.err.msg, texts.err.msg, missing.err.msg);
        assert_int_equal(there.item.assumed_length, 0);
        assert_int_equal(texts.item.assumed_length, 48);
        assert_int_equal(missing.item.assumed_length, 48);
        for (const struct outcome *o = &texts;; o = &missing) {
            assert_true(o->item.estimate.peak == there.item.estimate.peak);
            assert_true(o->item.updates == there.item.updates);
            assert_true(o->item.tokens == there.item.tokens);
            if (o == &missing)
                break;
        }
        base_release(&there.base);
        base_release(&texts.base);
        base_release(&missing.base);
        free(with);
        free(of_text);
        free(without);
    }
    plan("bert-base", "{train_data: none.jsonl, max_length: 48}", &missing);
    assert_int_equal(missing.rc, 0);
    assert_false(missing.item.rows_known);
    assert_true(missing.item.tokens != missing.item.tokens); /* how many is not known */
    base_release(&missing.base);
    assert_true(peak("bert-base", "{train_data: none.jsonl, max_length: 48}") ==
                peak("bert-base", "{train_data: even.jsonl}"));
}

/* A folder is trained from, so its rows have to be there. */
static void a_folder_needs_its_rows(void **state)
{
    char *folder = folder_of(bases[0]);
    struct outcome o;
    (void)state;
    plan(folder, "{train_data: none.jsonl}", &o);
    assert_int_equal(o.rc, -ERR_NOINPUT);
    assert_non_null(strstr(o.err.msg, "none.jsonl"));
    base_release(&o.base);
    free(folder);
}

/* --- the known models --- */

/* A Gemma that sees both ways, which the trainer refuses. */
static char *put_untrained(void)
{
    static const char config[] =
        "{\"model_type\": \"gemma2\", \"hidden_size\": 2304, \"intermediate_size\": "
        "9216, "
        "\"num_hidden_layers\": 26, \"num_attention_heads\": 8, \"num_key_value_heads\": "
        "4, "
        "\"head_dim\": 256, \"vocab_size\": 256000, \"max_position_embeddings\": 8192, "
        "\"use_bidirectional_attention\": true}";
    char *path = fs_join(dir, "untrained"), *file = fs_join(path, "config.json");
    assert_int_equal(fs_mkdirs(path, NULL), 0);
    put(file, config, strlen(config));
    free(file);
    return path;
}

/* Of a decoder that the trainer has not, what the formula cannot tell is refused. */
static void by_formula(void **state)
{
    static const char *const refused[] = {
        "{rnak: 64}",
        "{method: lorra}",
        "{batch_size: -3}",
        "{rank_pattern: {q_proj: 4}}",
        "{layers_to_transform: [0]}",
        "{modules_to_save: [lm_head]}",
        "{bias: all}",
        "{target_modules: [o_proj]}",
        "{method: head, rank: 3}",
        "{method: adalora}",
    };
    struct outcome o;
    char *untrained = put_untrained();
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        plan(untrained, refused[i], &o);
        assert_false(o.base.trains);
        if (o.rc != -ERR_CONFIG)
            fail_msg("%s: %d", refused[i], o.rc);
        base_release(&o.base);
    }
    plan(untrained, "{task: causal-lm, target_modules: all-linear, rank: 64}", &o);
    assert_int_equal(o.rc, 0);
    assert_false(o.item.exact);
    assert_true(o.item.estimate.trainable ==
                26 * 64 * (2 * (2304 + 2048) + 2 * (2304 + 1024) + 3 * (2304 + 9216)));
    assert_true(o.base.shape.parameters == 2614341888); /* as Gemma 2 2B's */
    base_release(&o.base);
    free(untrained);
}

/* Others are counted by the planner: rank 64 on all linear layers of Llama-2-7B. */
static void decoders(void **state)
{
    struct outcome o;
    (void)state;
    plan("llama-2-7b",
         "{target_modules: all-linear, rank: 64, method: qlora, max_length: 512, "
         "batch_size: 1, gradient_checkpointing: true}",
         &o);
    assert_true(o.item.exact);
    assert_true(o.item.estimate.trainable == 159907840);
    assert_true(o.item.estimate.total == 6738415616.0 + 159907840);
    base_release(&o.base);
    plan("llama-2-7b", "{task: seq-cls, rank: 8}", &o); /* q, v; a score of two rows */
    assert_true(o.item.exact);
    assert_true(o.item.estimate.trainable == 32 * 2 * 8 * (4096 + 4096) + 2 * 4096);
    base_release(&o.base);
}

/* Values are asked for: an error that says what is missing. */
static void no_values(void **state)
{
    struct err err = ERR_INIT;
    struct session s;
    json_t *resolved, *given = trial_on("bert-base", "{method: lora}");
    float *values = xcalloc(768 * 768, sizeof *values);
    (void)state;
    assert_int_equal(trial_resolve(given, &resolved, &err), 0);
    assert_int_equal(session_plan(&s, resolved, dir, ASSUME_MISSING, NULL, &err), 0);
    const struct param *p = params_find(&s.net.params, "bert.pooler.dense.weight");
    assert_int_equal(param_start_values(p, 0, values, &err), -ERR_NOINPUT);
    assert_non_null(strstr(err.msg, "configuration alone"));
    err_clear(&err);
    assert_int_equal(session_allocate(&s, &err), -ERR_NOINPUT);
    assert_non_null(strstr(err.msg, "no weights"));
    session_close(&s);
    err_clear(&err); /* and training does not even open it */
    assert_int_equal(session_open(&s, resolved, dir, NULL, true, &err), -ERR_NOINPUT);
    session_close(&s);
    json_decref(resolved);
    json_decref(given);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_and_key),
        cmocka_unit_test(assumed_rows),
        cmocka_unit_test(a_folder_needs_its_rows),
        cmocka_unit_test(by_formula),
        cmocka_unit_test(decoders),
        cmocka_unit_test(no_values),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

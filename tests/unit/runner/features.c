/* tests/unit/runner/features.c - what frozen layers gave is put in place, and no bit of a
 * training changes: losses, norms, evaluations, the adapter's file; on every backend, for
 * whatever lies above the cut. On the tiny models of tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/features.h"
#include "runner/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

static const char *const backends[] = {"ref", "cpu", "cuda-emul"};

/* What is kept: nothing, tensors of the evaluation data, or of the training data as well. */
enum kept { NOTHING, EVALUATION, BOTH };

#define UPPER "layers_to_transform: [1], learning_rate: 0.01, "
static const struct {
    const char *text;
    enum kept kept;
} cases[] = {
    {"model: bert, method: head, learning_rate: 0.05, eval_steps: 4", BOTH},
    {"model: bert, method: head, learning_rate: 0.05, classifier_dropout: 0.3, "
     "eval_steps: 4",
     BOTH},
    {"model: bert, method: head, learning_rate: 0.05, hidden_dropout_prob: 0.1, "
     "eval_steps: 4",
     EVALUATION},
    {"model: bert, method: head, learning_rate: 0.05, attention_probs_dropout_prob: 0.1, "
     "eval_steps: 4, load_best_model_at_end: true",
     BOTH}, /* below the first attention's probabilities, of two layers' work */
    {"model: bert, method: lora, " UPPER "modules_to_save: [pooler]", BOTH},
    {"model: bert, method: lora, " UPPER "eval_steps: 3", BOTH},
    {"model: bert, method: lora, " UPPER "gradient_accumulation_steps: 3", BOTH},
    {"model: bert, method: lora, " UPPER "lora_dropout: 0.2", BOTH},
    {"model: bert, method: lora, " UPPER "gradient_checkpointing: true", BOTH},
    {"model: bert, method: lora, " UPPER "dtype: bfloat16", BOTH},
    {"model: bert, method: lora, " UPPER "shuffle: false, loss_spike: rollback", BOTH},
    {"model: bert, method: qlora, " UPPER "target_modules: [key, dense]", BOTH},
    {"model: bert, method: dora, " UPPER "target_modules: [output.dense]", BOTH},
    {"model: bert, method: vera, " UPPER "rank: 4", BOTH},
    {"model: bert, method: lora, layers_to_transform: [0], learning_rate: 0.01", BOTH},
    {"model: bert, method: lora, " UPPER "hidden_dropout_prob: 0.1", NOTHING},
    {"model: bert, method: full, learning_rate: 0.001, eval_steps: 4", NOTHING},
    {"model: bert, method: prompt, num_virtual_tokens: 3, eval_steps: 4", NOTHING},
    {"model: llama, method: lora, " UPPER "eval_steps: 3", BOTH},
    {"model: llama, method: lora, " UPPER "packing: bfd, batch_size: 2", BOTH},
    {"model: llama, method: qlora, " UPPER "dtype: bfloat16, target_modules: [down_proj]",
     BOTH},
    {"model: llama-cls, method: head, learning_rate: 0.05, eval_steps: 4", BOTH},
};

static json_t *trial(const char *text, const char *keys)
{
    struct err err = ERR_INIT;
    json_t *out;
    const bool words = strstr(text, "model: llama,");
    char *golden = fs_absolute("tests/golden/models"),
         *full = xasprintf(
             "{train_data: %s.jsonl, eval_data: %s_eval.jsonl, "
             "general_data: %s, task: %s, max_length: 16, "
             "latency_requests: 2, %s%s%s, %s}",
             words ? "texts" : "rows", words ? "texts" : "rows",
             words ? "texts_eval.jsonl" : "null", words ? "causal-lm" : "seq-cls",
             strstr(keys, "max_steps") ? "" : "max_steps: 14, ",
             strstr(text, "batch_size") ? "" : "batch_size: 4, ", text, keys);
    json_t *given = conf_parse_value(full, &err);
    if (!given)
        fail_msg("%s: %s", full, err.msg);
    char *model = fs_join(golden, json_get_str(given, "model", ""));
    json_object_set_new(given, "model", json_string(model));
    if (trial_resolve(given, &out, &err) < 0)
        fail_msg("%s: %s", full, err.msg);
    json_decref(given);
    free(model);
    free(golden);
    free(full);
    return out;
}

static void write_rows(const char *name, int rows, unsigned seed, bool labels)
{
    char *path = fs_join(dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int r = 0; r < rows; r++) {
        const int n = 3 + (int)((seed = seed * 1103515245u + 12345u) >> 16) % 12;
        struct buf ids = BUF_INIT;
        for (int i = 0; i < n; i++)
            buf_printf(&ids, "%s%d", i ? ", " : "",
                       3 + (int)((seed = seed * 1103515245u + 12345u) >> 16) % 120);
        fprintf(f, "{\"input_ids\": [%s], ", buf_str(&ids));
        if (labels)
            fprintf(f, "\"label\": %d}\n", r % 3);
        else
            fprintf(f, "\"labels\": [%s]}\n", buf_str(&ids));
        buf_release(&ids);
    }
    fclose(f);
    free(path);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-features-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    write_rows("rows.jsonl", 22, 1, true);
    write_rows("rows_eval.jsonl", 9, 2, true);
    write_rows("texts.jsonl", 22, 3, false);
    write_rows("texts_eval.jsonl", 9, 4, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* --- a sink that keeps what must not change --- */

static struct {
    struct sink sink;
    struct buf numbers;
} seen;

static void see_metric(struct sink *s, const char *key, int64_t step, double value)
{
    static const char *const same[] = {"train/loss", "train/grad_norm", "eval/",
                                       "general/", "baseline/"};
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (!strncmp(key, same[i], strlen(same[i])))
            buf_printf(&seen.numbers, "%s %lld %a\n", key, (long long)step, value);
}
static void see_text(struct sink *s, const char *kind, const char *text)
{
    (void)s, (void)kind, (void)text;
}
static void see_progress(struct sink *s, const struct sink_progress *p)
{
    (void)s, (void)p;
}
static void see_json(struct sink *s, const json_t *v)
{
    (void)s, (void)v;
}
static void see_method(struct sink *s, const struct method_facts *facts)
{
    (void)s, (void)facts;
}
static bool see_alive(struct sink *s)
{
    (void)s;
    return true;
}
static const struct sink_ops see_ops = {.metric = see_metric,
                                        .progress = see_progress,
                                        .event = see_text,
                                        .method = see_method,
                                        .environment = see_json,
                                        .artifact = see_text,
                                        .keep = see_text,
                                        .alive = see_alive};

/* One training: its numbers, the bytes of its adapter, result.json; all the caller's. */
struct outcome {
    char *numbers;
    struct buf adapter;
    json_t *result;
};

static int run(const char *text, const char *keys, const char *name, int64_t until,
               struct outcome *o, struct err *err)
{
    json_t *t = trial(text, keys);
    char *out = fs_join(dir, name), *result = fs_join(out, "result.json"),
         *adapter = fs_join(out, "adapter/adapter_model.safetensors");
    *o = (struct outcome){0};
    buf_clear(&seen.numbers);
    seen.sink.ops = &see_ops;
    int rc = trial_train(
        t, dir, &(struct trial_run){.out_dir = out, .overwrite = true, .until = until},
        &seen.sink, err);
    o->numbers = xstrdup(buf_str(&seen.numbers));
    if (!rc) {
        struct err none = ERR_INIT;
        o->result = json_read_file(result, &none);
        if (fs_exists(adapter)) /* the whole model's is another file */
            fs_read(adapter, 1 << 24, &o->adapter, &none);
    }
    json_decref(t);
    free(out);
    free(result);
    free(adapter);
    return rc;
}

static void must_run(const char *text, const char *keys, struct outcome *o)
{
    struct err err = ERR_INIT;
    char *fresh = fs_join(dir, "run");
    if (fs_exists(fresh))
        assert_int_equal(fs_remove_tree(fresh, &err), 0);
    free(fresh);
    if (run(text, keys, "run", 0, o, &err))
        fail_msg("%s: %s", text, err.msg);
}

static void outcome_release(struct outcome *o)
{
    json_decref(o->result);
    free(o->numbers);
    buf_release(&o->adapter);
}

static int64_t whole(const struct outcome *o, const char *part, const char *key)
{
    return json_get_int(json_object_get(o->result, part), key, 0);
}

static void must_equal(const char *text, const struct outcome *a, const struct outcome *b)
{
    if (!str_eq(a->numbers, b->numbers))
        fail_msg("%s: numbers differ:\n%s\n%s", text, a->numbers, b->numbers);
    assert_int_equal(a->adapter.len, b->adapter.len);
    if (a->adapter.len)
        assert_memory_equal(buf_str(&a->adapter), buf_str(&b->adapter), a->adapter.len);
}

/* Mean micro-batches are rounded to whole rows. */
static void assert_predicted(const char *text, double flops)
{
    struct err err = ERR_INIT;
    struct trial_prediction p;
    json_t *t = trial(text, "cache_features: auto");
    if (trial_predict(t, dir, ASSUME_NOTHING, NULL, &p, &err))
        fail_msg("%s: %s", text, err.msg);
    if (fabs(p.flops / flops - 1) > .08)
        fail_msg("%s: %g FLOPs, predicted %g", text, flops, p.flops);
    json_decref(t);
}

static void compare(const char *text, enum kept kept)
{
    struct outcome off, on;
    must_run(text, "cache_features: off", &off);
    must_run(text, "cache_features: auto", &on);
    must_equal(text, &off, &on);
    assert_int_equal(whole(&off, "mem", "features_bytes"), 0);
    assert_int_equal(whole(&off, "train", "reused_tokens"), 0);
    assert_int_equal(whole(&on, "mem", "allocated_bytes"),
                     whole(&on, "mem", "planned_bytes"));
    if ((whole(&on, "mem", "features_bytes") > 0) != (kept != NOTHING))
        fail_msg("%s: %lld bytes are kept", text,
                 (long long)whole(&on, "mem", "features_bytes"));
    /* 14 updates out of rows for 2 or 6: the first epoch computes all */
    const double share = (double)whole(&on, "train", "reused_tokens") /
                         (double)whole(&on, "train", "tokens");
    if (kept == BOTH ? share < .4 || share > .9 : share != 0)
        fail_msg("%s: %g of the tokens are reused", text, share);
    if (kept == BOTH) {
        assert_true(whole(&on, "train", "reused_flops") > 0);
        assert_in_range(
            whole(&on, "train", "flops") + whole(&on, "train", "reused_flops"),
            whole(&off, "train", "flops") - 1, whole(&off, "train", "flops") + 1);
        assert_predicted(text, (double)whole(&on, "train", "flops"));
    }
    outcome_release(&off);
    outcome_release(&on);
}

static void test_same_bits(void **state)
{
    (void)state;
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        struct err err = ERR_INIT;
        if (!backend_get(backends[b], &err))
            continue;
        setenv("PEFTLAB_BACKEND", backends[b], 1);
        const bool slow = str_eq(backends[b], "cuda-emul");
        for (size_t i = 0; i < ARRAY_LEN(cases); i += slow ? 3 : 1)
            if (!slow || !strstr(cases[i].text, "bfloat16")) /* not its numbers */
                compare(cases[i].text, cases[i].kept);
    }
    unsetenv("PEFTLAB_BACKEND");
}

/* Parked in the second epoch: rows are computed again, and reused from the third on. */
static void test_resume(void **state)
{
    static const char text[] =
        "model: bert, method: lora, " UPPER "eval_steps: 3, num_train_epochs: 4";
    struct outcome off, first, rest;
    struct err err = ERR_INIT;
    (void)state;
    must_run(text, "max_steps: -1, cache_features: off", &off);
    assert_int_equal(run(text, "max_steps: -1", "parts", 8, &first, &err), 1);
    if (run(text, "max_steps: -1", "parts", 0, &rest, &err))
        fail_msg("%s", err.msg);
    must_equal(text, &off, &rest);
    const int64_t tokens = whole(&rest, "train", "tokens"),
                  reused = whole(&rest, "train", "reused_tokens");
    assert_in_range(reused, tokens / 4, tokens * 3 / 4);
    outcome_release(&off);
    outcome_release(&first);
    outcome_release(&rest);
}

/* The first op that gave what is no number is named as if nothing had been kept. */
static void test_not_finite(void **state)
{
    static const char text[] = "model: bert, method: lora, layers_to_transform: [1], "
                               "learning_rate: 1000, max_grad_norm: 0, optim: sgd, "
                               "alpha: 10000, lr_scheduler_type: constant, "
                               "num_train_epochs: 40";
    struct err off = ERR_INIT, on = ERR_INIT;
    struct outcome o;
    (void)state;
    setenv("PEFTLAB_BACKEND", "cpu", 1); /* in double there are numbers for longer */
    assert_int_equal(run(text, "max_steps: -1, cache_features: off", "no", 0, &o, &off),
                     -ERR_NAN);
    outcome_release(&o);
    assert_int_equal(run(text, "max_steps: -1", "no", 0, &o, &on), -ERR_NAN);
    outcome_release(&o);
    assert_string_equal(off.msg, on.msg);
    if (strtol(on.msg + strlen("update "), NULL, 10) <= 6)
        fail_msg("nothing was reused yet: %s", on.msg);
}

static int64_t planned(const char *keys)
{
    struct err err = ERR_INIT;
    struct trial_prediction p;
    json_t *t = trial("model: bert, method: lora, layers_to_transform: [1]", keys);
    if (trial_predict(t, dir, ASSUME_ROWS, NULL, &p, &err))
        fail_msg("%s: %s", keys, err.msg);
    json_decref(t);
    return p.bytes[MEM_features];
}

/* More than `auto` allows is kept where the trial says so; one epoch needs nothing. */
static void test_bound(void **state)
{
    const int64_t row = 16 * 32 * 4, many = (int64_t)FEATURES_SMALL / row;
    char keys[128];
    (void)state;
    snprintf(keys, sizeof keys,
             "num_labels: 3, max_steps: -1, max_train_samples: %lld, cache_features: ",
             (long long)many + 1);
    char *automatic = xasprintf("%sauto", keys), *on = xasprintf("%son", keys),
         *once = xasprintf("%son, num_train_epochs: 1", keys);
    assert_int_equal(planned(automatic), 0);
    assert_int_equal(planned(on), (many + 1) * row);
    assert_int_equal(planned(once), 0);
    free(automatic);
    free(on);
    free(once);
    snprintf(keys, sizeof keys, "num_labels: 3, max_steps: -1, max_train_samples: %lld",
             (long long)many);
    assert_int_equal(planned(keys), FEATURES_SMALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_bound),
    };
    int rc = cmocka_run_group_tests(tests, setup, teardown);
    buf_release(&seen.numbers);
    return rc;
}

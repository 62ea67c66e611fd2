/* tests/unit/runner/features.c - what frozen layers gave is put in place, and no bit of a
 * training changes: losses, norms, evaluations, the adapter's file; on every backend, for
 * whatever lies above the cut, whether this trial or another computed it. On the tiny models
 * of tests/golden. */
#include "tests/unit/support/feature_trials.h"
#include "runner/features.h"
#include <math.h>

static const char *const backends[] = {"ref", "cpu", "cuda-emul"};

/* What is kept: nothing, tensors of the evaluation data, or of the training data as well. */
enum kept { NOTHING, EVALUATION, BOTH };

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
    setenv("PEFTLAB_CACHE", dir, 1); /* for others, who find them there */
    assert_int_equal(planned(once), (many + 1) * row);
    setenv("PEFTLAB_CACHE", "off", 1);
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

/* tests/unit/runner/training.c - the loop around the updates: trace and its replay,
 * choosing the best, class weights, what is named when a number is not finite,
 * profile, energy counters. On the tiny BERT of tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/metric/metric.h"
#include "runner/train/energy.h"
#include "runner/train/selection.h"
#include "runner/train/train.h"
#include "runner/trial.h"
#include "tests/unit/support/deaf_sink.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-training-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

static json_t *trial(const char *text)
{
    struct err err = ERR_INIT;
    json_t *out;
    char *base = fs_absolute("tests/golden"), *full;
    full = xasprintf("{model: '%s/models/bert', train_data: "
                     "'%s/cases/bert-lora-clip/train.jsonl', eval_data: "
                     "'%s/cases/bert-lora-clip/eval.jsonl', num_labels: 3, %s}",
                     base, base, base, text);
    json_t *given = conf_parse_value(full, &err);
    if (!given || trial_resolve(given, &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    json_decref(given);
    free(base);
    free(full);
    return out;
}

/* A sink that keeps events as text and counts the metrics. */
static struct {
    struct sink sink;
    struct sink_ops ops;
    struct buf events;
    int metrics;
} seen;

static void see_metric(struct sink *s, const char *key, int64_t step, double value)
{
    (void)s, (void)key, (void)step, (void)value;
    seen.metrics++;
}
static void see_event(struct sink *s, const char *kind, const char *text)
{
    (void)s;
    buf_printf(&seen.events, "%s: %s\n", kind, text);
}

static void listen(void)
{
    seen.ops = deaf_ops();
    seen.ops.metric = see_metric;
    seen.ops.event = see_event;
    seen.sink.ops = &seen.ops;
}

static json_t *train(const char *text, const char *name, bool profile)
{
    struct err err = ERR_INIT;
    json_t *t = trial(text);
    char *out = fs_join(dir, name), *path = fs_join(out, "result.json");
    const struct trial_run run = {.out_dir = out, .profile = profile, .overwrite = true};
    buf_clear(&seen.events);
    seen.metrics = 0;
    listen();
    if (trial_train(t, "", &run, &seen.sink, &err))
        fail_msg("%s: %s", text, err.msg);
    json_t *r = json_read_file(path, &err);
    assert_non_null(r);
    json_decref(t);
    free(out);
    free(path);
    return r;
}

static struct trace read_trace(const char *name, int64_t updates)
{
    struct trace t;
    struct err err = ERR_INIT;
    char *path = xasprintf("%s/%s/trace.jsonl", dir, name);
    if (trace_open(&t, NULL, path, fs_size(path), updates, &err))
        fail_msg("%s", err.msg);
    free(path);
    return t;
}

/* Lines read back as the same doubles; what does not fit is refused. */
static void test_trace(void **state)
{
    (void)state;
    struct trace t, back;
    struct err err = ERR_INIT;
    char *path = fs_join(dir, "trace.jsonl");
    int64_t bytes, first = 0;
    assert_int_equal(trace_open(&t, dir, NULL, 0, 0, &err), 0);
    for (int i = 0; i < 9; i++) {
        trace_add(&t, &(struct update_log){.loss = i == 4 ? NAN : exp(i) / 3,
                                           .grad_norm = 1e-30 / (i + 1),
                                           .learning_rate = 0.1 * i,
                                           .tokens = 7 * i});
        assert_int_equal(trace_sync(&t, i ? &bytes : &first, &err), 0);
    }
    assert_int_equal(trace_close(&t, &err), 0);
    assert_int_equal(trace_check(path, bytes, 9, &err), 0);
    assert_int_equal(trace_check(path, first, 1, &err), 0);
    assert_int_equal(trace_check(path, bytes, 8, NULL), -ERR_PARSE);
    assert_int_equal(trace_check(path, bytes + 1, 9, NULL), -ERR_PARSE);
    assert_int_equal(trace_check(path, bytes - 1, 9, NULL), -ERR_PARSE);
    assert_int_equal(trace_check("/nowhere", 1, 1, NULL), -ERR_NOINPUT);
    /* It goes on in the same file after its fourth update. */
    char *text = xasprintf("%s/x", dir);
    for (bytes = 0, first = 0; first < 4; bytes++) {
        struct buf b = BUF_INIT;
        assert_int_equal(fs_read(path, 1 << 20, &b, &err), 0);
        first += b.data[bytes] == '\n';
        buf_release(&b);
    }
    assert_int_equal(trace_open(&back, dir, path, bytes, 4, &err), 0);
    for (int i = 0; i < 4; i++) {
        assert_true(back.log[i].loss == t.log[i].loss &&
                    back.log[i].grad_norm == t.log[i].grad_norm &&
                    back.log[i].learning_rate == t.log[i].learning_rate &&
                    back.log[i].tokens == t.log[i].tokens);
    }
    trace_add(&back, &t.log[4]);
    assert_int_equal(trace_sync(&back, &bytes, &err), 0);
    assert_int_equal(bytes, fs_size(path));
    assert_int_equal(trace_check(path, bytes, 5, &err), 0);
    trace_release(&back);
    trace_release(&t);
    free(text);
    free(path);
}

static int choose_by(struct selection *s, const json_t *resolved, struct err *err)
{
    struct trial t;
    trial_init(&t, resolved);
    int rc = selection_init(s, &t, err);
    trial_release(&t);
    return rc;
}

static void test_selection(void **state)
{
    (void)state;
    struct selection s;
    struct err err = ERR_INIT;
    double v[8] = {0};
    json_t *t = trial("metric_for_best_model: eval_accuracy, early_stopping_patience: 2, "
                      "eval_steps: 5");
    assert_int_equal(choose_by(&s, t, &err), 0);
    assert_string_equal(metric_defs[s.metric].name, "accuracy");
    const double course[] = {NAN, 0.5, 0.5, 0.6, NAN, 0.4};
    const bool better[] = {false, true, false, true, false, false};
    for (int i = 0; i < 6; i++) {
        v[s.metric] = course[i];
        assert_false(selection_wants_stop(&s));
        assert_int_equal(selection_see(&s, i + 1, v), better[i]);
    }
    assert_true(selection_wants_stop(&s));
    assert_int_equal(s.best_update, 4);
    json_decref(t);
    static const char *const wrong[][2] = {
        {"metric_for_best_model: acuracy", "'accuracy'"},
        {"load_best_model_at_end: true", "eval_steps"},
        {"early_stopping_patience: 1, eval_steps: 2, eval_data: null", "eval_data"},
    };
    for (size_t i = 0; i < 2; i++) {
        json_t *w = trial(wrong[i][0]);
        err_clear(&err);
        assert_int_equal(choose_by(&s, w, &err), -ERR_CONFIG);
        assert_non_null(strstr(err.msg, wrong[i][1]));
        json_decref(w);
    }
}

/* The saved adapter is the best evaluation's: its metrics are those of that evaluation,
 * and training ends early. */
static void test_best_is_kept(void **state)
{
    (void)state;
    json_t *r = train("method: lora, learning_rate: 0.05, batch_size: 4, max_steps: 200, "
                      "eval_steps: 5, early_stopping_patience: 3, "
                      "load_best_model_at_end: true",
                      "best", false);
    const json_t *t = json_object_get(r, "train");
    const int64_t updates = json_get_int(t, "updates", 0),
                  best = json_get_int(t, "best_update", 0);
    assert_int_equal(json_get_int(t, "stopped_early", 0), 1);
    assert_int_equal(updates, best + 15);
    /* The same training, stopped there. */
    char *text = xasprintf("method: lora, learning_rate: 0.05, batch_size: 4, max_steps: "
                           "200, eval_steps: 5, early_stopping_patience: 3");
    json_t *last = train(text, "last", false);
    assert_int_equal(json_get_int(json_object_get(last, "train"), "updates", 0), updates);
    const double loss = json_get_num(json_object_get(r, "eval"), "loss", NAN),
                 worse = json_get_num(json_object_get(last, "eval"), "loss", NAN);
    assert_true(loss < worse);
    const json_t *mem = json_object_get(r, "mem"), *plain = json_object_get(last, "mem");
    assert_int_equal(json_get_int(mem, "trainable_bytes", 0),
                     2 * json_get_int(plain, "trainable_bytes", 0));
    assert_int_equal(json_get_int(mem, "allocated_bytes", 0),
                     json_get_int(mem, "planned_bytes", 1));
    json_decref(r);
    json_decref(last);
    free(text);
}

/* An update's loss is the weighted mean of its rows' losses, as torch's
 * CrossEntropyLoss(weight); micro-batches do not change it. */
static void test_class_weights(void **state)
{
    (void)state;
    static const float weights[] = {1, 2, 0.5f};
    const char *const still = "method: head, learning_rate: 0, shuffle: false, "
                              "num_train_epochs: 1";
    char *text = xasprintf("%s, batch_size: 1", still);
    json_t *r = train(text, "rows", false);
    const int64_t rows = json_get_int(json_object_get(r, "train"), "updates", 0);
    struct trace each = read_trace("rows", rows);
    json_decref(r);
    free(text);
    for (int accumulation = 1; accumulation <= 4; accumulation *= 2) {
        text = xasprintf("%s, batch_size: %d, gradient_accumulation_steps: %d, "
                         "class_weights: [1, 2, 0.5]",
                         still, 4 / accumulation, accumulation);
        r = train(text, "weighted", false);
        const int64_t updates = json_get_int(json_object_get(r, "train"), "updates", 0);
        struct trace t = read_trace("weighted", updates);
        char *file = fs_absolute("tests/golden/cases/bert-lora-clip/train.jsonl");
        FILE *f = fopen(file, "r");
        char line[4096];
        for (int64_t u = 0; u < updates; u++) {
            double loss = 0, all = 0;
            for (int64_t i = 4 * u; i < 4 * u + 4 && i < rows; i++) {
                assert_non_null(fgets(line, sizeof line, f));
                const char *at = strstr(line, "\"label\":");
                const float w = weights[atoi(at + 8)];
                loss += w * each.log[i].loss;
                all += w;
            }
            assert_float_equal(t.log[u].loss, loss / all, 2e-6);
        }
        fclose(f);
        free(file);
        trace_release(&t);
        json_decref(r);
        free(text);
    }
    /* All alike: the bits of none at all. */
    json_decref(train("method: head, max_steps: 5", "none", false));
    json_decref(
        train("method: head, max_steps: 5, class_weights: [1, 1, 1]", "alike", false));
    struct trace a = read_trace("none", 5), b = read_trace("alike", 5);
    for (int i = 0; i < 5; i++)
        assert_float_equal(a.log[i].loss, b.log[i].loss, 1e-7);
    trace_release(&a);
    trace_release(&b);
    trace_release(&each);
    json_decref(
        train("method: head, max_steps: 3, class_weights: balanced", "balanced", false));
}

static void test_class_weights_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"class_weights: [1, 2]", "2 numbers for 3 classes"},
        {"class_weights: [1, 2, -1]", "entry 3"},
        {"class_weights: [0, 0, 0]", "no class weighs"},
        {"class_weights: inverse", "balanced"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err = ERR_INIT;
        struct session s;
        json_t *t = trial(wrong[i][0]);
        assert_int_equal(session_open(&s, t, "", NULL, true, &err), -ERR_CONFIG);
        if (!strstr(err.msg, wrong[i][1]))
            fail_msg("'%s' lacks '%s'", err.msg, wrong[i][1]);
        session_close(&s);
        json_decref(t);
    }
}

/* Puts a NaN into a frozen or trainable parameter, or an infinity into the step. */
static void check_culprit(const char *text, const char *param, float value,
                          const char *what)
{
    struct err err = ERR_INIT;
    struct session s;
    struct train_outcome o;
    json_t *t = trial(text);
    listen();
    assert_int_equal(session_open(&s, t, "", NULL, true, &err), 0);
    assert_int_equal(session_allocate(&s, &err), 0);
    ((float *)params_find(&s.net.params, param)->value.data)[1] = value;
    const struct train_place place = {.sink = &seen.sink};
    assert_int_equal(train_run(&s, &place, &o, &err), -ERR_NAN);
    if (!strstr(err.msg, what) || !strstr(err.msg, "update 1:"))
        fail_msg("'%s' lacks '%s'", err.msg, what);
    train_outcome_release(&o);
    session_close(&s);
    json_decref(t);
}

static void test_culprit(void **state)
{
    (void)state;
    const char *const norm = "bert.encoder.layer.0.output.LayerNorm.weight";
    check_culprit("method: lora, max_steps: 2", norm, NAN,
                  "output 0 of layernorm, forward, with "
                  "'bert.encoder.layer.0.output.LayerNorm.weight'");
    check_culprit("method: full, max_steps: 2", norm, INFINITY,
                  "parameter 'bert.encoder.layer.0.output.LayerNorm.weight' itself");
    check_culprit("method: lora, max_steps: 2", "classifier.bias", INFINITY,
                  "parameter 'classifier.bias' itself");
}

static void test_profile(void **state)
{
    (void)state;
    json_t *r = train("method: lora, batch_size: 4, max_steps: 6, eval_steps: 2",
                      "profile", true),
           *o;
    size_t i;
    double ms = 0, all = 0, share = 0;
    json_array_foreach(json_object_get(r, "profile"), i, o)
    {
        const char *op = json_get_str(o, "op", "");
        if (str_eq(op, "(all)")) {
            all = json_get_num(o, "ms", 0);
            continue;
        }
        ms += json_get_num(o, "ms", 0);
        share += json_get_num(o, "share_of_step", 0);
        if (str_eq(op, "cross_entropy") || str_eq(op, "zero") || str_eq(op, "sumsq"))
            /* Evaluations not counted */
            assert_int_equal(json_get_int(o, "calls", 0), 6);
    }
    assert_true(all > 0 && fabs(ms - all) < 1e-6 * all && fabs(share - 1) < 1e-6);
    const json_t *t = json_object_get(r, "train");
    assert_true(json_get_num(t, "share_of_peak", 0) > 0);
    assert_true(isfinite(json_get_num(t, "share_of_peak", 0)));
    json_decref(r);
}

static void put(const char *folder, const char *file, const char *text)
{
    struct err err = ERR_INIT;
    char *d = fs_join(dir, folder), *path = fs_join(d, file);
    assert_int_equal(fs_mkdirs(d, &err), 0);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), &err), 0);
    free(path);
    free(d);
}

/* Two packages, one counter wraps; cores within a package and psys are not counted. */
static void test_energy(void **state)
{
    (void)state;
    struct energy e;
    char *root = fs_join(dir, "rapl");
    static const char *const zones[][2] = {
        {"rapl/intel-rapl:0", "package-0\n"},
        {"rapl/intel-rapl:1", "package-1\n"},
        {"rapl/intel-rapl:2", "psys\n"},
        {"rapl/intel-rapl:0:0", "core\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        put(zones[i][0], "name", zones[i][1]);
        put(zones[i][0], "energy_uj", i == 1 ? "262143000000\n" : "5000000\n");
        put(zones[i][0], "max_energy_range_uj", "262143328850\n");
    }
    energy_start(&e, root);
    assert_int_equal(e.count, 2);
    for (size_t i = 0; i < ARRAY_LEN(zones); i++)
        put(zones[i][0], "energy_uj", i == 1 ? "1000000\n" : "9000000\n");
    energy_sample(&e);
    assert_float_equal(e.joules, 4 + 0.32885 + 1, 1e-6);
    energy_sample(&e);
    assert_float_equal(e.joules, 4 + 0.32885 + 1, 1e-6);
    energy_start(&e, "/nowhere");
    assert_int_equal(e.count, 0);
    free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_best_is_kept),
        cmocka_unit_test(test_class_weights),
        cmocka_unit_test(test_class_weights_refused),
        cmocka_unit_test(test_culprit),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_energy),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

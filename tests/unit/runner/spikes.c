/* tests/unit/runner/spikes.c - loss spikes: the rule on made-up courses, and what each
 * action makes of a real training that a rate climbing without end drives off its course
 * (a tiny Llama of tests/golden, trained whole). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/train/spike.h"
#include "runner/train/train.h"
#include "runner/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-spikes-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* --- the rule --- */

static bool see(struct spikes *s, double loss)
{
    struct update_log log = {.loss = loss, .grad_norm = 1};
    const bool spike = spikes_see(s, &log);
    if (!spike)
        spikes_applied(s, &log);
    return spike;
}

/* Would it be one? */
static bool is_spike(struct spikes s, double loss)
{
    return see(&s, loss);
}

static void test_rule(void **state)
{
    (void)state;
    struct spikes s;
    spikes_init(&s, spike_action_find("skip"));
    for (int i = 0; i < SPIKE_LEAST; i++) /* too early to tell */
        assert_false(see(&s, i == 3 ? 90 : 2 + 0.1 * (i % 2)));
    for (int i = 0; i < 40; i++) /* one that came early hides none later */
        assert_false(see(&s, 2 + 0.1 * (i % 2)));
    /* median 2.05, each 0.05 away: robust sd 0.07413 */
    assert_false(is_spike(s, 2.05 + 5.9 * 0.07413));
    assert_true(see(&s, 2.05 + 6.1 * 0.07413));
    assert_true(see(&s, NAN));
    assert_true(see(&s, INFINITY));
    assert_int_equal(s.state.in_a_row, 3);
    assert_false(see(&s, 0.5)); /* far below is none */
    assert_int_equal(s.state.in_a_row, 0);
    assert_int_equal(s.state.count, 3);
    for (int i = 0; i < SPIKE_WINDOW; i++)
        see(&s, 1);
    assert_false(
        is_spike(s, 1 + 5.9e-2)); /* flat: a hundredth of the median is nothing */
    assert_true(is_spike(s, 1 + 6.1e-2));
    struct update_log log = {.loss = 1, .grad_norm = NAN};
    assert_true(spikes_see(&s, &log));
    assert_string_equal(log.spike, "skip");
}

/* --- training --- */

#define UPDATES  60
#define DIVERGES 22 /* the update whose loss jumps */

static json_t *trial(const char *text)
{
    struct err err = ERR_INIT;
    json_t *out;
    char *base = fs_absolute("tests/golden");
    char *full =
        xasprintf("{model: '%s/models/llama', task: causal-lm, method: full, "
                  "train_data: '%s/cases/llama-lora-qv/train.jsonl', "
                  "max_train_samples: 4, batch_size: 4, max_steps: %d, "
                  "warmup_steps: 600, learning_rate: 3, latency_requests: 0, %s}",
                  base, base, UPDATES, text);
    json_t *given = conf_parse_value(full, &err);
    if (!given || trial_resolve(given, &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    json_decref(given);
    free(base);
    free(full);
    return out;
}

static int train(const char *action, const char *name, int64_t until, struct err *err)
{
    char *text = xasprintf("loss_spike: %s", action), *out = fs_join(dir, name);
    json_t *t = trial(text);
    struct sink *sink = sink_null();
    const struct trial_run run = {.out_dir = out, .until = until};
    int rc = trial_train(t, "", &run, sink, err);
    sink_close(sink, NULL);
    json_decref(t);
    free(out);
    free(text);
    return rc;
}

static struct trace trace_of(const char *name, int64_t updates)
{
    struct trace t;
    struct err err = ERR_INIT;
    char *path = xasprintf("%s/%s/trace.jsonl", dir, name);
    if (trace_open(&t, NULL, path, fs_size(path), updates, &err))
        fail_msg("%s", err.msg);
    free(path);
    return t;
}

static json_t *result_of(const char *name)
{
    char *path = xasprintf("%s/%s/result.json", dir, name);
    json_t *r = json_read_file(path, NULL);
    free(path);
    return r;
}

static size_t spikes_in(const struct trace *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++)
        n += t->log[i].spike != NULL;
    return n;
}

static void test_none(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(train("none", "none", 0, &err), 0);
    struct trace t = trace_of("none", UPDATES);
    for (int i = 0; i < DIVERGES - 1; i++)
        assert_null(t.log[i].spike);
    assert_string_equal(t.log[DIVERGES - 1].spike, "none");
    assert_true(t.log[UPDATES - 1].loss > 0.1);
    json_t *r = result_of("none");
    const json_t *list = json_object_get(r, "loss_spikes");
    assert_int_equal(json_array_size(list), spikes_in(&t));
    assert_int_equal(json_get_int(json_array_get(list, 0), "step", 0), DIVERGES);
    json_decref(r);
    trace_release(&t);
}

static void adapter_equals(const char *a, const char *b)
{
    struct buf x = BUF_INIT, y = BUF_INIT;
    char *p = xasprintf("%s/%s/adapter/model.safetensors", dir, a),
         *q = xasprintf("%s/%s/adapter/model.safetensors", dir, b);
    assert_int_equal(fs_read(p, 1 << 24, &x, NULL), 0);
    assert_int_equal(fs_read(q, 1 << 24, &y, NULL), 0);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    buf_release(&x);
    buf_release(&y);
    free(p);
    free(q);
}

/* It fails, and leaves the parameters of its last good point: those of a training that
 * ended there. */
static void test_stop(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(train("stop", "stop", 0, &err), -ERR_FAILED);
    assert_non_null(strstr(err.msg, "update 22: loss"));
    assert_non_null(strstr(err.msg, "the adapter before update 21 is kept"));
    assert_null(result_of("stop"));
    struct trace t = trace_of("stop", DIVERGES);
    assert_string_equal(t.log[DIVERGES - 1].spike, "stop");
    trace_release(&t);
    /* The same course: warm-up is in updates, not a share of them. */
    char *out = fs_join(dir, "twenty");
    json_t *short_one = trial("loss_spike: none");
    struct sink *sink = sink_null();
    const struct trial_run run = {.out_dir = out};
    json_object_set_new(short_one, "max_steps", json_integer(20));
    err_clear(&err);
    assert_int_equal(trial_train(short_one, "", &run, sink, &err), 0);
    adapter_equals("stop", "twenty");
    sink_close(sink, NULL);
    json_decref(short_one);
    free(out);
}

/* Parameters that are off the course stay off it, whatever is left out. */
static void test_skip(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(train("skip", "skip", 0, &err), -ERR_FAILED);
    assert_non_null(strstr(err.msg, "too many in a row"));
    struct trace t = trace_of("skip", DIVERGES + SPIKE_IN_A_ROW - 1);
    for (size_t i = DIVERGES; i < t.count; i++) /* the same rows, nothing applied */
        assert_true(t.log[i].loss == t.log[DIVERGES - 1].loss);
    trace_release(&t);
    adapter_equals("skip", "stop");
}

/* Each finds back, and says at which rate it ended. */
static void test_recovers(void **state)
{
    (void)state;
    static const char *const actions[] = {"halve", "rollback"};
    for (size_t k = 0; k < ARRAY_LEN(actions); k++) {
        struct err err = ERR_INIT;
        if (train(actions[k], actions[k], 0, &err))
            fail_msg("%s: %s", actions[k], err.msg);
        struct trace t = trace_of(actions[k], UPDATES);
        const size_t n = spikes_in(&t);
        const double factor = pow(0.5, (double)n);
        assert_in_range(n, 1, SPIKE_IN_A_ROW - 1);
        assert_true(t.log[UPDATES - 1].loss < 1e-3);
        assert_float_equal(t.log[UPDATES - 1].learning_rate,
                           factor * 3 * (UPDATES - 1) / 600, 1e-9);
        json_t *r = result_of(actions[k]);
        const json_t *own = json_object_get(r, "train"), *mem = json_object_get(r, "mem");
        assert_int_equal(json_get_int(own, "loss_spikes", 0), n);
        assert_float_equal(json_get_num(own, "learning_rate_factor", 0), factor, 0);
        assert_int_equal(json_get_int(mem, "planned_bytes", 0),
                         json_get_int(mem, "allocated_bytes", 1));
        json_decref(r);
        trace_release(&t);
    }
    /* Back at the good point, the next loss is that of before. */
    struct trace t = trace_of("rollback", UPDATES);
    assert_true(t.log[DIVERGES].loss == t.log[20].loss);
    trace_release(&t);
}

/* Cut before, in and behind the spikes: the same bits. */
static void test_resume(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    for (int64_t until = DIVERGES - 2; until <= DIVERGES + 2; until++) {
        char name[32];
        snprintf(name, sizeof name, "cut-%d", (int)until);
        assert_int_equal(train("rollback", name, until, &err), 1);
        if (train("rollback", name, 0, &err))
            fail_msg("%s", err.msg);
        struct trace a = trace_of("rollback", UPDATES), b = trace_of(name, UPDATES);
        for (int i = 0; i < UPDATES; i++)
            assert_true(a.log[i].loss == b.log[i].loss &&
                        a.log[i].learning_rate == b.log[i].learning_rate &&
                        a.log[i].spike == b.log[i].spike);
        trace_release(&a);
        trace_release(&b);
        adapter_equals("rollback", name);
    }
}

/* AdaLoRA gives up ranks at certain updates, none of which may be left out. */
static void test_refused(void **state)
{
    (void)state;
    static const char *const actions[] = {"none", "stop", "skip", "halve", "rollback"};
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        struct err err = ERR_INIT;
        struct trial_prediction p;
        char *text = xasprintf("loss_spike: %s", actions[i]);
        json_t *t = trial(text);
        json_object_set_new(t, "method", json_string("adalora"));
        const int rc = trial_predict(t, "", ASSUME_NOTHING, NULL, &p, &err);
        assert_int_equal(rc, i < 2 ? 0 : -ERR_CONFIG);
        if (i >= 2)
            assert_non_null(strstr(err.msg, "'adalora'"));
        json_decref(t);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),     cmocka_unit_test(test_none),
        cmocka_unit_test(test_stop),     cmocka_unit_test(test_skip),
        cmocka_unit_test(test_recovers), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

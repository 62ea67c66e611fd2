/* tests/unit/support/feature_trials.h - trials on the tiny models of tests/golden, and what
 * keeping features must not change of them: losses, norms, evaluations, the adapter's file.
 * For runner/features.c and runner/features_shared.c. */
#ifndef TESTS_UNIT_SUPPORT_FEATURE_TRIALS_H
#define TESTS_UNIT_SUPPORT_FEATURE_TRIALS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/trial.h"
#include "tests/unit/support/deaf_sink.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

#define UPPER "layers_to_transform: [1], learning_rate: 0.01, "

static json_t *trial(const char *text, const char *keys)
{
    struct err err = ERR_INIT;
    json_t *out;
    const bool words = strstr(text, "model: llama,");
    char *golden = fs_absolute("tests/golden/models"),
         *full = xasprintf(
             "{train_data: %s.jsonl, eval_data: %s_eval.jsonl, "
             "general_data: %s, task: %s, "
             "latency_requests: 2, %s%s%s%s, %s}",
             words ? "texts" : "rows", words ? "texts" : "rows",
             words ? "texts_eval.jsonl" : "null", words ? "causal-lm" : "seq-cls",
             strstr(keys, "max_length") ? "" : "max_length: 16, ",
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
    setenv("PEFTLAB_CACHE", "off", 1);
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
    struct sink_ops ops;
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
    seen.ops = deaf_ops();
    seen.ops.metric = see_metric;
    seen.sink.ops = &seen.ops;
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

#endif

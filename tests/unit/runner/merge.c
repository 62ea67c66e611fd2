/* tests/unit/runner/merge.c - merging, for each method that can: the folder gives the
 * unmerged model's logits, and so do the weights merged where they lie. The others say
 * why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/merge/merge.h"
#include "runner/nn/peft/method.h"
#include "runner/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64]; /* temporary folder with the data */

static const char *const mergeable[] = {
    "method: head, learning_rate: 0.01",
    "method: full, learning_rate: 0.002",
    "method: bitfit",
    "method: ln-tuning, learning_rate: 0.01",
    "method: lora, target_modules: all-linear, bias: all",
    "method: lora, init_lora_weights: olora",
    "method: qlora, target_modules: all-linear",
    "method: rslora, modules_to_save: pooler",
    "method: pissa, rank: 3, alpha: 6, target_modules: [query, dense]",
    "method: dora, target_modules: all-linear",
    "method: qdora, bias: lora_only",
    "method: ia3, learning_rate: 0.1",
    "method: ia3, learning_rate: 0.1, quantization: nf4",
    "method: vera, rank: 6, target_modules: all-linear",
    "method: adalora, target_r: 2, init_r: 5, target_modules: all-linear",
};

static const char *const others[] = {
    "method: adapter, adapter_type: houlsby",
    "method: prefix, num_virtual_tokens: 3",
    "method: prompt, num_virtual_tokens: 3",
    "method: p-tuning, num_virtual_tokens: 3",
};

static json_t *trial(const char *text)
{
    struct err err = ERR_INIT;
    struct conf *c;
    json_t *out;
    char *full = xasprintf("{model: '%s/model', train_data: rows.jsonl, eval_data: "
                           "rows.jsonl, num_labels: 3, batch_size: 4, max_steps: 6, "
                           "learning_rate: 0.02, %s}",
                           dir, text);
    char *rate =
        strstr(text, "learning_rate") ? strstr(full, "learning_rate: 0.02, ") : NULL;
    if (rate)
        memset(rate, ' ', strlen("learning_rate: 0.02, "));
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
    strcpy(dir, "/tmp/peftlab-merge-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    char *here = fs_absolute("tests/golden/models/bert"), *link = fs_join(dir, "model"),
         *rows = fs_join(dir, "rows.jsonl");
    int rc = symlink(here, link);
    FILE *f = fopen(rows, "w");
    for (int r = 0; f && r < 12; r++) {
        fputs("{\"input_ids\": [2", f);
        for (int i = 0; i < 3 + r; i++)
            fprintf(f, ", %d", (r * 37 + i * 11) % 160);
        fprintf(f, "], \"label\": %d}\n", r % 3);
    }
    if (f)
        fclose(f);
    free(here);
    free(link);
    free(rows);
    return f ? rc : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

static void train(const json_t *t, const char *out)
{
    struct err err = ERR_INIT;
    struct sink *sink = sink_null();
    if (trial_train(t, dir, &(struct trial_run){.out_dir = out}, sink, &err) < 0)
        fail_msg("%s", err.msg);
    sink_close(sink, NULL);
}

/* Trained, merged into a folder, read back. */
static void check_folder(const char *text)
{
    struct err err = ERR_INIT;
    struct merge_report r;
    json_t *t = trial(text);
    char *run = fs_join(dir, "run"), *adapter = fs_join(run, "adapter"),
         *merged = fs_join(dir, "merged"), *file = fs_join(run, "result.json");
    assert_int_equal(fs_remove_tree(run, NULL), 0);
    train(t, run);
    if (merge_folder(
            t, dir, adapter,
            &(struct merge_target){.out = merged, .dtype = DT_COUNT, .overwrite = true},
            &r, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_int_equal(r.rows, 12);
    assert_true(r.largest_logit > 0.05);
    if (!(r.largest_change < 1e-5 * fmax(1, r.largest_logit)))
        fail_msg("%s: logits change by %g", text, r.largest_change);

    json_t *result = json_read_file(file, &err),
           *latency = json_object_get(result, "latency");
    const struct method *m = method_find(json_get_str(t, "method", ""), NULL);
    const bool measured =
        m->merge && str_eq(json_get_str(t, "quantization", "none"), "none");
    assert_true(json_get_num(latency, "p50_ms", 0) > 0);
    assert_int_equal(json_get_num(latency, "merged_p50_ms", 0) > 0, measured);
    assert_int_equal(r.layers > 0, m->merge != NULL);
    json_decref(result);
    json_decref(t);
    free(run);
    free(adapter);
    free(merged);
    free(file);
}

static void test_folders(void **state)
{
    (void)state;
    static const char *const backends[] = {"ref", "cpu"};
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        setenv("PEFTLAB_BACKEND", backends[b], 1);
        for (size_t i = 0; i < ARRAY_LEN(mergeable); i++)
            check_folder(mergeable[i]);
    }
}

static void logits_of(struct session *s, const struct graph *g, float *out)
{
    const struct op_step step = {.seed = 0};
    const struct extent e = session_load_batch(s, SPLIT_EVAL, NULL, 0, 4);
    graph_run(g, s->backend, &s->memory, &e, &step);
    const struct tensor t = graph_tensor(g, &s->memory, g->logits, &e);
    s->backend->download(s->backend->device, out, t.data, 12 * sizeof *out);
}

/* The trainable parameters away from their start, so that every part counts. */
static void disturb(struct session *s)
{
    for (size_t i = 0; i < s->net.params.count; i++) {
        const struct param *p = s->net.params.items[i];
        for (int64_t k = 0; p->trainable && k < param_size(p); k++)
            ((float *)p->value.data)[k] += 0.05f * sinf((float)(k + (int64_t)i));
    }
}

static void check_in_place(const char *text)
{
    struct err err = ERR_INIT;
    struct session s;
    struct latency latency;
    float before[12], after[12];
    json_t *t = trial(text);
    if (session_open(&s, t, dir, NULL, true, &err) || session_allocate(&s, &err))
        fail_msg("%s: %s", text, err.msg);
    if (s.merged_graph.node_count) {
        disturb(&s);
        logits_of(&s, &s.eval_graph, before);
        assert_int_equal(merge_latency(&s, 3, &latency, &err), 0);
        assert_true(latency.requests == 3 && latency.p50_ms > 0);
        logits_of(&s, &s.merged_graph, after);
        for (int i = 0; i < 12; i++)
            if (!(fabsf(before[i] - after[i]) < 1e-5f))
                fail_msg("%s: logit %d: %g unmerged, %g merged", text, i, before[i],
                         after[i]);
        latency_release(&latency);
    }
    session_close(&s);
    json_decref(t);
}

static void test_in_place(void **state)
{
    (void)state;
    static const char *const backends[] = {"ref", "cpu"};
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        setenv("PEFTLAB_BACKEND", backends[b], 1);
        for (size_t i = 0; i < ARRAY_LEN(mergeable); i++)
            check_in_place(mergeable[i]);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    char *run = fs_join(dir, "run"), *adapter = fs_join(run, "adapter"),
         *merged = fs_join(dir, "refused");
    struct merge_report r;
    setenv("PEFTLAB_BACKEND", "cpu", 1);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct err err = ERR_INIT;
        json_t *t = trial(others[i]);
        assert_int_equal(fs_remove_tree(run, NULL), 0);
        train(t, run);
        assert_int_equal(merge_folder(t, dir, adapter,
                                      &(struct merge_target){.out = merged,
                                                             .dtype = DT_COUNT,
                                                             .overwrite = true},
                                      &r, &err),
                         -ERR_CONFIG);
        assert_non_null(strstr(err.msg, "cannot be merged"));
        assert_false(fs_exists(merged));
        json_decref(t);
    }
    struct err err = ERR_INIT;
    json_t *t = trial("method: lora");
    assert_int_equal(fs_remove_tree(run, NULL), 0);
    train(t, run);
    assert_int_equal(
        merge_folder(t, dir, adapter,
                     &(struct merge_target){.out = "tests/golden/models/bert",
                                            .dtype = DT_COUNT,
                                            .overwrite = true},
                     &r, &err),
        -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "own folder"));
    json_decref(t);
    free(run);
    free(adapter);
    free(merged);
}

/* Every method and preset of the registry is in one of the lists above. */
static void test_all_methods(void **state)
{
    (void)state;
    const char *names[64];
    const size_t n = method_names(names, ARRAY_LEN(names));
    for (size_t i = 0; i < n; i++) {
        char *key = xasprintf("method: %s", names[i]);
        const size_t len = strlen(key);
        bool found = false;
        for (size_t k = 0; k < ARRAY_LEN(mergeable); k++)
            found |= !strncmp(mergeable[k], key, len) && strchr(",", mergeable[k][len]);
        for (size_t k = 0; k < ARRAY_LEN(others); k++)
            found |= !strncmp(others[k], key, len) && strchr(",", others[k][len]);
        if (!found)
            fail_msg("method %s is merged by no test", names[i]);
        free(key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_all_methods),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

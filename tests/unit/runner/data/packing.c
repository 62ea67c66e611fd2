/* tests/unit/runner/data/packing.c - labels, bins, and the course and loss of packed
 * trainings, as TRL 1.16 makes them (tests/golden/packing). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/data/bins.h"
#include "runner/data/course.h"
#include "runner/data/language.h"
#include "runner/trial.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *golden(const char *name)
{
    return fs_join("tests/golden", name);
}

static json_t *read_json(const char *name)
{
    struct err err = ERR_INIT;
    char *path = golden(name);
    json_t *j = json_read_file(path, &err);
    if (!j)
        fail_msg("%s", err.msg);
    free(path);
    return j;
}

/* --- labels --- */

/* A folder with the tokenizer of a case and its special tokens. */
static char *make_model(const json_t *c)
{
    char dir[] = "/tmp/runner_packing.XXXXXX", real[4096];
    assert_non_null(mkdtemp(dir));
    char *part =
             xasprintf("tokenizers/%s/tokenizer.json", json_get_str(c, "tokenizer", "")),
         *from = golden(part), *to = fs_join(dir, "tokenizer.json"),
         *config = fs_join(dir, "tokenizer_config.json");
    assert_non_null(realpath(from, real));
    assert_int_equal(symlink(real, to), 0);
    json_t *tokens = json_copy(json_object_get(c, "tokens"));
    json_object_set_new(tokens, "tokenizer_class",
                        json_string("PreTrainedTokenizerFast"));
    assert_int_equal(json_write_file(config, tokens, 0, NULL), 0);
    json_decref(tokens);
    free(part);
    free(from);
    free(to);
    free(config);
    return xstrdup(dir);
}

static void check_labels(const json_t *c, const struct dataset *d, size_t line)
{
    const struct example *e = &d->rows[0];
    const json_t *ids = json_object_get(c, "input_ids"),
                 *runs = json_object_get(c, "labelled");
    if (e->dropped != json_is_true(json_object_get(c, "dropped")))
        fail_msg("line %zu: dropped: %d", line, e->dropped);
    if (e->dropped)
        return;
    if ((size_t)e->n != json_array_size(ids))
        fail_msg("line %zu: %d tokens, not %zu", line, e->n, json_array_size(ids));
    for (int32_t t = 0, k = 0; t < e->n; t++) {
        const json_t *run = json_array_get(runs, (size_t)k);
        const int32_t id = (int32_t)json_integer_value(json_array_get(ids, (size_t)t));
        const bool in = t >= json_integer_value(json_array_get(run, 0)) && run &&
                        t < json_integer_value(json_array_get(run, 1));
        if (e->ids[t] != id || e->token_labels[t] != (in ? id : -1))
            fail_msg("line %zu: token %d: id %d, label %d", line, t, e->ids[t],
                     e->token_labels[t]);
        k += run && t + 1 == json_integer_value(json_array_get(run, 1));
    }
}

static void check_case(const json_t *c, size_t line)
{
    const json_t *options = json_object_get(c, "options"),
                 *only = json_object_get(options, "completion_only_loss");
    const char *name = json_get_str(c, "template", NULL);
    char *dir = make_model(c), *text = json_dumps(json_object_get(c, "row"), 0),
         *file = name ? xasprintf("chat/trl/templates/%s.jinja", name) : NULL;
    struct language language = {
        .model = dir,
        .template_file = file ? golden(file) : NULL,
        .eos = xstrdup(json_get_str(json_object_get(c, "tokens"), "eos_token", "")),
        .assistant_only = json_get_bool(options, "assistant_only_loss", 0),
        .completion_only = only ? json_is_true(only) : -1};
    const struct data_spec spec = {.max_length =
                                       (int32_t)json_get_int(options, "max_length", 1024),
                                   .labels = LABEL_token,
                                   .reader = &language_rows,
                                   .language = &language,
                                   .keep_dropped = true};
    struct tokenizer *t;
    struct labels none = {0};
    struct dataset *d;
    struct err err = ERR_INIT;
    if (tokenizer_load(dir, &t, &err) < 0 ||
        dataset_parse(text, strlen(text), "rows", &spec, t, &none, &d, NULL, &err) < 0)
        fail_msg("line %zu: %s", line, err.msg);
    check_labels(c, d, line);
    dataset_free(d);
    tokenizer_free(t);
    language_release(&language);
    fs_remove_tree(dir, NULL);
    free(file);
    free(text);
    free(dir);
}

static void test_labels(void **state)
{
    (void)state;
    char *path = golden("packing/masks.jsonl");
    struct buf text = BUF_INIT;
    size_t line = 0;
    assert_int_equal(fs_read(path, 1 << 24, &text, NULL), 0);
    for (char *s = text.data, *end; (end = strchr(s, '\n')); s = end + 1) {
        json_t *c = json_parse_line(s, (size_t)(end - s), path, ++line, NULL);
        assert_non_null(c);
        if (!json_object_get(c, "error"))
            check_case(c, line);
        json_decref(c);
    }
    assert_true(line >= 50);
    buf_release(&text);
    free(path);
}

/* --- bins --- */

static int32_t *numbers(const json_t *list)
{
    int32_t *out = xcalloc(json_array_size(list) + 1, sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return out;
}

static void test_bins(void **state)
{
    (void)state;
    json_t *file = read_json("packing/bins.json"), *c;
    size_t i;
    json_array_foreach(json_object_get(file, "cases"), i, c)
    {
        const json_t *lengths = json_object_get(c, "lengths"), *want;
        const char *name = json_get_str(c, "name", "");
        /* TRL goes by thousands */
        if (!str_eq(json_get_str(c, "strategy", ""), "bfd") ||
            json_array_size(lengths) > 1000)
            continue;
        int32_t *n = numbers(lengths);
        struct bins b;
        want = json_object_get(c, "bins");
        bins_pack(&b, n, json_array_size(lengths),
                  (int32_t)json_get_int(c, "max_length", 0));
        if (b.count != json_array_size(want))
            fail_msg("%s: %zu bins, not %zu", name, b.count, json_array_size(want));
        for (size_t k = 0, at = 0; k < b.count; k++) {
            const json_t *bin = json_array_get(want, k);
            if (b.ends[k] - at != json_array_size(bin))
                fail_msg("%s: bin %zu has %zu rows", name, k, b.ends[k] - at);
            for (size_t j = 0; at < b.ends[k]; at++, j++)
                assert_int_equal(b.rows[at], json_integer_value(json_array_get(
                                                 json_array_get(bin, j), 0)));
        }
        bins_release(&b);
        free(n);
    }
    assert_true(i >= 7);
    json_decref(file);
}

/* Every row is in one bin, no bin is over its capacity, and hardly any room is left. */
static void test_bins_hold(void **state)
{
    (void)state;
    enum { ROWS = 3000, CAPACITY = 97 };
    static int32_t n[ROWS];
    static bool seen[ROWS];
    uint32_t x = 1;
    for (size_t i = 0; i < ROWS; i++) {
        x = x * 1664525 + 1013904223;
        n[i] = (int32_t)(x >> 16) % CAPACITY + 1;
    }
    struct bins b;
    size_t tokens = 0;
    bins_pack(&b, n, ROWS, CAPACITY);
    for (size_t k = 0, at = 0; k < b.count; k++) {
        int32_t full = 0;
        for (; at < b.ends[k]; at++) {
            assert_false(seen[b.rows[at]]);
            seen[b.rows[at]] = true;
            full += n[b.rows[at]];
        }
        assert_true(full > 0 && full <= CAPACITY);
        tokens += (size_t)full;
    }
    assert_int_equal(b.ends[b.count - 1], ROWS);
    assert_true((double)tokens / (double)(b.count * CAPACITY) > 0.97);
    bins_release(&b);
    bins_pack(&b, n, 0, CAPACITY);
    assert_int_equal(b.count, 0);
    bins_release(&b);
}

/* --- the course --- */

/* What a packed training feeds is what TRL's collator makes of the same rows: their ids
 * one behind the other, positions that begin anew, borders; and the label of a row's
 * first token counts for nothing. */
static void test_collated(void **state)
{
    (void)state;
    json_t *file = read_json("packing/collated.json"), *c;
    size_t i;
    json_array_foreach(json_object_get(file, "cases"), i, c)
    {
        const json_t *rows = json_object_get(c, "rows"),
                     *ids = json_array_get(json_object_get(c, "input_ids"), 0),
                     *ends = json_object_get(c, "cu_seq_lens_q");
        struct buf text = BUF_INIT;
        const struct data_spec spec = {.labels = LABEL_token, .reader = &language_rows};
        const struct trial t = {
            .batch_size = 8, .gradient_accumulation_steps = 1, .num_train_epochs = 1};
        struct labels none = {0};
        struct dataset *d;
        struct course course = {0};
        struct epoch e;
        struct err err = ERR_INIT;
        for (size_t r = 0; r < json_array_size(rows); r++) {
            char *line = json_dumps(json_array_get(rows, r), 0);
            buf_printf(&text, "%s\n", line);
            free(line);
        }
        if (dataset_parse(buf_str(&text), text.len, "rows", &spec, NULL, &none, &d, NULL,
                          &err) < 0 ||
            course_plan(&course, &t, d, 0, (int32_t)json_get_int(c, "max_length", 0),
                        &err) < 0)
            fail_msg("%s", err.msg);
        epoch_init(&e, &course);
        epoch_seek(&e, &course, d, 0);
        const struct stretch all = epoch_batch(&e, &course, 0, 0);
        assert_int_equal(all.end - all.begin, json_array_size(ends) - 1);
        size_t at = 0;
        for (int64_t r = all.begin; r < all.end; r++) {
            const struct example *x = &d->rows[e.rows[r]];
            for (int32_t k = 0; k < x->n; k++, at++)
                assert_int_equal(x->ids[k], json_integer_value(json_array_get(ids, at)));
            assert_int_equal(at, json_integer_value(json_array_get(ends, (size_t)r + 1)));
        }
        assert_int_equal(at, course.max_tokens);
        assert_int_equal(at, json_array_size(ids));
        epoch_release(&e);
        course_release(&course);
        dataset_free(d);
        buf_release(&text);
    }
    assert_true(i > 0);
    json_decref(file);
}

/* Each epoch has every row once, bin by bin; batches are whole bins, none crosses its
 * end, and another seed gives another order. */
static void test_course(void **state)
{
    (void)state;
    enum { ROWS = 23, CAPACITY = 10 };
    struct example rows[ROWS] = {0};
    const struct dataset d = {.rows = rows, .count = ROWS};
    for (int32_t i = 0; i < ROWS; i++)
        rows[i].n = i % 7 + 1;
    const struct trial t = {.batch_size = 2,
                            .gradient_accumulation_steps = 2,
                            .num_train_epochs = 2,
                            .shuffle = true,
                            .seed = 3};
    struct course c = {0};
    struct epoch e, first;
    assert_int_equal(course_plan(&c, &t, &d, 0, CAPACITY, NULL), 0);
    assert_int_equal(c.units, c.bins.count);
    assert_int_equal(c.updates, 2 * ((c.units + 3) / 4));
    assert_int_equal(c.samples, 2 * ROWS);
    assert_in_range(c.max_tokens, 1, 2 * CAPACITY);
    epoch_init(&e, &c);
    epoch_init(&first, &c);
    epoch_seek(&first, &c, &d, 0);
    bool seen[ROWS] = {false};
    for (int64_t u = 0; u < c.updates; u++) {
        if (u == c.updates_per_epoch)
            memset(seen, 0, sizeof seen);
        epoch_seek(&e, &c, &d, u);
        const struct stretch all = epoch_update(&e, &c, u);
        int64_t at = all.begin;
        for (int64_t k = 0; k <= c.accumulation; k++) {
            const struct stretch b = epoch_batch(&e, &c, u, k);
            int32_t tokens = 0;
            assert_true(k < c.accumulation || b.begin == b.end);
            assert_true(b.begin == at || b.begin == b.end);
            for (at = b.begin; at < b.end; at++) {
                assert_false(seen[e.rows[at]]);
                seen[e.rows[at]] = true;
                tokens += rows[e.rows[at]].n;
            }
            assert_true(tokens <= c.max_tokens && b.end - b.begin <= c.max_rows);
        }
        assert_int_equal(at, all.end);
        for (size_t i = 0; (u + 1) % c.updates_per_epoch == 0 && i < ROWS; i++)
            assert_true(seen[i]);
    }
    assert_memory_not_equal(e.rows, first.rows, ROWS * sizeof *e.rows);
    epoch_release(&e);
    epoch_release(&first);
    course_release(&c);
}

/* --- losses --- */

/* The three losses of a training, which parks after `until` updates and goes on from
 * there (0: it does not). */
static void train(const json_t *rows, const char *model, const char *packing, int batch,
                  int64_t until, double loss[3])
{
    char dir[] = "/tmp/runner_packing.XXXXXX", where[4096];
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    assert_non_null(mkdtemp(dir));
    for (size_t r = 0; r < json_array_size(rows); r++) {
        char *line = json_dumps(json_array_get(rows, r), 0);
        buf_printf(&text, "%s\n", line);
        free(line);
    }
    char *file = fs_join(dir, "rows.jsonl"), *trace = fs_join(dir, "out/trace.jsonl"),
         *out = fs_join(dir, "out"), *at = xasprintf("tests/golden/models/%s", model);
    assert_non_null(realpath(at, where));
    assert_int_equal(fs_write_atomic(file, buf_str(&text), text.len, NULL), 0);
    json_t *given =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:i, s:i, s:i, s:i, s:b}", "model",
                  where, "task", "causal-lm", "method", "lora", "train_data", file,
                  "packing", packing, "learning_rate", 0.01, "max_steps", 3, "batch_size",
                  batch, "max_length", 16, "latency_requests", 0, "shuffle", batch == 1);
    json_t *resolved = NULL;
    struct trial_run run = {.out_dir = out, .until = until};
    if (trial_resolve(given, &resolved, &err))
        fail_msg("%s", err.msg);
    for (int rc = 1; rc == 1; run.until = 0) { /* 1: it parked */
        struct sink *sink = sink_null();
        if ((rc = trial_train(resolved, dir, &run, sink, &err)) < 0)
            fail_msg("%s", err.msg);
        sink_close(sink, NULL);
    }
    buf_clear(&text);
    assert_int_equal(fs_read(trace, 1 << 20, &text, NULL), 0);
    char *s = text.data;
    for (size_t i = 0; i < 3; i++, s = strchr(s, '\n') + 1) {
        json_t *line = json_parse_line(s, strcspn(s, "\n"), trace, i + 1, NULL);
        loss[i] = json_get_num(line, "loss", 0);
        json_decref(line);
    }
    json_decref(given);
    json_decref(resolved);
    fs_remove_tree(dir, NULL);
    buf_release(&text);
    free(file);
    free(trace);
    free(out);
    free(at);
}

static void test_loss(void **state)
{
    (void)state;
    json_t *file = read_json("packing/loss.json"), *c;
    size_t i;
    json_array_foreach(json_object_get(file, "cases"), i, c)
    {
        const double want = json_get_num(c, "loss", 0);
        double alone[3], packed[3];
        train(json_object_get(c, "rows"), json_get_str(c, "model", ""), "none", 8, 0,
              alone);
        train(json_object_get(c, "rows"), json_get_str(c, "model", ""), "bfd", 8, 0,
              packed);
        assert_true(fabs(alone[0] - want) <= 2e-5 * want);
        for (size_t k = 0; k < 3; k++)
            assert_true(fabs(packed[k] - alone[k]) <= 2e-6 * want);
    }
    assert_true(i > 0);
    json_decref(file);
}

/* Shuffled bins, parked in the midst of an epoch: the same numbers as in one go. */
static void test_resume(void **state)
{
    (void)state;
    json_t *file = read_json("packing/loss.json");
    const json_t *c = json_array_get(json_object_get(file, "cases"), 0),
                 *rows = json_object_get(c, "rows");
    double whole[3], parked[3];
    train(rows, json_get_str(c, "model", ""), "bfd", 1, 0, whole);
    train(rows, json_get_str(c, "model", ""), "bfd", 1, 1, parked);
    assert_memory_equal(whole, parked, sizeof whole);
    assert_true(whole[0] != whole[1]);
    json_decref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),    cmocka_unit_test(test_bins),
        cmocka_unit_test(test_bins_hold), cmocka_unit_test(test_collated),
        cmocka_unit_test(test_course),    cmocka_unit_test(test_loss),
        cmocka_unit_test(test_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

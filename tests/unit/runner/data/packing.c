/* tests/unit/runner/data/packing.c - labels and bins as TRL 1.16 makes them
 * (tests/golden/packing). */
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
#include "runner/data/dataset.h"
#include "runner/data/language.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_bins),
        cmocka_unit_test(test_bins_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

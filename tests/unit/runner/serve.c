/* tests/unit/runner/serve.c - rows of many adapters in one batch get, bit by bit, what each
 * adapter's own evaluation gives them: all methods, several numbers of labels, any order and
 * company; on every backend. On the tiny models of tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/serve/twins.h"
#include "runner/trial.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS   9
#define LABELS 4
#define AGAIN  ", seed: 9"

static char dir[64];
static const char *const backends[] = {"ref", "cpu", "cuda-emul"};

static const struct {
    const char *model, *text;
    int labels;
    int apart; /* nodes of the base that it does not share: its head, and what else trains */
} cases[] = {
    {"bert", "method: lora, rank: 4, learning_rate: 0.01", 2, 1},
    {"bert", "method: lora, rank: 8, target_modules: all-linear, learning_rate: 0.01", 4,
     1},
    {"bert", "method: lora, rank: 2, bias: lora_only, learning_rate: 0.01", 3, 5},
    {"bert",
     "method: dora, rank: 4, target_modules: [query, output.dense], learning_rate: 0.01",
     3, 11},
    {"bert",
     "method: lora, rank: 2, layers_to_transform: [1], modules_to_save: [pooler], "
     "learning_rate: 0.01",
     2, 2},
    {"bert", "method: ia3, learning_rate: 0.05", 2, 1},
    {"bert",
     "method: ia3, target_modules: [query, key, intermediate.dense], "
     "feedforward_modules: [query], learning_rate: 0.05",
     3, 3},
    {"bert", "method: adapter, learning_rate: 0.01", 3, 1},
    {"bert", "method: adapter, adapter_type: houlsby, learning_rate: 0.01", 2, 1},
    {"bert", "method: adapter, adapter_type: parallel, learning_rate: 0.01", 2, 1},
    {"bert", "method: prefix, num_virtual_tokens: 3, learning_rate: 0.05", 2, 3},
    {"bert",
     "method: prefix, num_virtual_tokens: 5, prefix_projection: true, "
     "learning_rate: 0.05",
     4, 3},
    {"bert", "method: prompt, num_virtual_tokens: 3, learning_rate: 0.05", 3, 2},
    {"bert", "method: bitfit, learning_rate: 0.05", 2, 19},
    {"bert", "method: ln-tuning, learning_rate: 0.05", 3, 6},
    {"bert", "method: vera, rank: 4, learning_rate: 0.05", 2, 1},
    {"bert", "method: pissa, rank: 4, learning_rate: 0.01", 2, 1},
    {"bert", "method: p-tuning, num_virtual_tokens: 2, learning_rate: 0.05", 2, 2},
    {"bert", "method: adalora, learning_rate: 0.05", 3, 1},
    {"bert", "method: head, learning_rate: 0.05", 4, 1},
    /* other numbers in the mould of a case above */
    {"bert", "method: lora, rank: 4, learning_rate: 0.01" AGAIN, 2, 1},
    {"bert",
     "method: dora, rank: 4, target_modules: [query, output.dense], "
     "learning_rate: 0.01" AGAIN,
     3, 11},
    {"bert", "method: adapter, learning_rate: 0.01" AGAIN, 3, 1},
    {"bert", "method: prefix, num_virtual_tokens: 3, learning_rate: 0.05" AGAIN, 2, 3},
    {"bert", "method: vera, rank: 4, learning_rate: 0.05" AGAIN, 2, 1},
    {"bert", "method: bitfit, learning_rate: 0.05" AGAIN, 2, 19},
    {"bert", "method: head, learning_rate: 0.05" AGAIN, 4, 1},
    {"distilbert", "method: lora, rank: 4, learning_rate: 0.01", 2, 2},
    {"distilbert", "method: adapter, adapter_type: houlsby, learning_rate: 0.01", 3, 2},
    {"distilbert", "method: prefix, num_virtual_tokens: 3, learning_rate: 0.05", 2, 4},
    {"distilbert", "method: bitfit, learning_rate: 0.05", 2, 19},
    {"roberta", "method: lora, rank: 4, target_modules: all-linear, learning_rate: 0.01",
     3, 2},
    {"roberta", "method: prompt, num_virtual_tokens: 3, learning_rate: 0.05", 2, 3},
    {"roberta", "method: ia3, learning_rate: 0.05", 2, 2},
    {"llama-cls",
     "method: lora, rank: 4, target_modules: all-linear, learning_rate: 0.01", 3, 1},
    {"llama-cls", "method: ia3, learning_rate: 0.05", 2, 1},
    {"llama-cls", "method: prefix, num_virtual_tokens: 3, learning_rate: 0.05", 2, 3},
    {"llama-cls", "method: head, learning_rate: 0.05", 4, 1},
};

static struct example rows[ROWS];
static size_t forked; /* rows of texts that went through the first layers once */
static float *alone[ARRAY_LEN(cases)]; /* logits of its own evaluation */
static char *folders[ARRAY_LEN(cases)];

static void write_rows(const char *name, int labels)
{
    char *path = fs_join(dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int r = 0; r < ROWS; r++) {
        fprintf(f, "{\"input_ids\": [");
        for (int i = 0; i < rows[r].n; i++)
            fprintf(f, "%s%d", i ? ", " : "", rows[r].ids[i]);
        fprintf(f, "], \"label\": %d}\n", r % labels);
    }
    fclose(f);
    free(path);
}

static int setup(void **state)
{
    (void)state;
    unsigned seed = 7;
    strcpy(dir, "/tmp/peftlab-serve-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    for (int r = 0; r < ROWS; r++) {
        const int n = 3 + (int)((seed = seed * 1103515245u + 12345u) >> 16) % 12;
        rows[r].ids = xcalloc((size_t)n, sizeof *rows[r].ids);
        rows[r].n = n;
        for (int i = 0; i < n; i++)
            rows[r].ids[i] = 3 + (int)((seed = seed * 1103515245u + 12345u) >> 16) % 120;
    }
    for (int labels = 2; labels <= LABELS; labels++) {
        char *name = xasprintf("rows%d.jsonl", labels);
        write_rows(name, labels);
        free(name);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int r = 0; r < ROWS; r++)
        free(rows[r].ids);
    return fs_remove_tree(dir, NULL);
}

/* DIR/NAME: a golden model without its head, so that heads may have any number of labels. */
static void make_base(const char *name)
{
    struct err err = ERR_INIT;
    char *from = xasprintf("tests/golden/models/%s", name), *to = fs_join(dir, name),
         *out = fs_join(to, "model.safetensors"), *config = fs_join(from, "config.json"),
         *own_config = fs_join(to, "config.json");
    struct st *s;
    struct st_writer *w = st_writer_new();
    json_t *c = json_read_file(config, &err);
    if (!c || fs_mkdirs(to, &err) < 0 || st_open_folder(from, &s, &err) < 0)
        fail_msg("%s", err.msg);
    json_object_del(c, "id2label");
    json_object_del(c, "label2id");
    for (size_t i = 0; i < st_count(s); i++) {
        const struct st_tensor *t = st_at(s, i);
        if (!strstr(t->name, "classifier.") && !strstr(t->name, "score."))
            st_writer_add(w, t->name, t->dtype, t->ndim, t->shape, t->data);
    }
    if (st_writer_save(w, out, &err) < 0 || json_write_file(own_config, c, 2, &err) < 0)
        fail_msg("%s", err.msg);
    st_writer_free(w);
    st_close(s);
    json_decref(c);
    free(own_config), free(config), free(out), free(to), free(from);
}

/* --- each by itself --- */

static json_t *trial(size_t i, const char *model)
{
    struct err err = ERR_INIT;
    json_t *out;
    char *text =
        xasprintf("{train_data: rows%d.jsonl, eval_data: rows%d.jsonl, max_steps: 4, "
                  "batch_size: 4, latency_requests: 0, model: %s, %s}",
                  cases[i].labels, cases[i].labels, model, cases[i].text);
    json_t *given = conf_parse_value(text, &err);
    if (!given || trial_resolve(given, &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    json_decref(given);
    free(text);
    return out;
}

static float *read_logits(const char *folder, int labels)
{
    struct err err = ERR_INIT;
    struct st *s;
    char *path = fs_join(folder, "logits.safetensors");
    if (st_open_file(path, &s, &err) < 0)
        fail_msg("%s", err.msg);
    const struct st_tensor *t = st_at(s, 0);
    assert_int_equal(t->count, ROWS * labels);
    float *out = xcalloc((size_t)t->count, sizeof *out);
    assert_int_equal(st_read_f32(t, out, &err), 0);
    st_close(s);
    free(path);
    return out;
}

static void make_adapter(size_t i, const char *model)
{
    struct err err = ERR_INIT;
    json_t *t = trial(i, model);
    struct sink *sink = sink_null();
    char *out = xasprintf("%s/trial%zu", dir, i), *eval = xasprintf("%s/eval%zu", dir, i);
    folders[i] = xasprintf("%s/adapter", out);
    const struct trial_run train = {.out_dir = out, .overwrite = true},
                           look = {.out_dir = eval, .overwrite = true};
    if (trial_train(t, dir, &train, sink, &err) < 0 ||
        trial_evaluate(t, dir, folders[i], &look, &err) < 0)
        fail_msg("%s: %s", cases[i].text, err.msg);
    sink_close(sink, &err);
    alone[i] = read_logits(eval, cases[i].labels);
    json_decref(t);
    free(out);
    free(eval);
}

/* --- all at once --- */

static void check_row(size_t i, int row, const float *logits)
{
    const float *want = alone[i] + row * cases[i].labels;
    if (memcmp(logits, want, (size_t)cases[i].labels * sizeof *want))
        fail_msg("%s, row %d: %.9g and not %.9g", cases[i].text, row, (double)logits[0],
                 (double)want[0]);
}

static void check_apart(size_t i, const struct graft *f)
{
    int apart = 0;
    for (size_t h = 0; h < f->host->node_count; h++)
        apart += f->host->nodes[h].base >= 0 && !f->shared[h];
    if (apart != cases[i].apart)
        fail_msg("%s %s: %d nodes are not shared, expected %d", cases[i].model,
                 cases[i].text, apart, cases[i].apart);
}

/* Every `step`-th of some guests, which are those of the cases from `base` on, each with the
 * rows from `first` on. */
static void run_some(struct serve_base *b, struct guest *guests, size_t base,
                     size_t count, size_t step, int first)
{
    struct err err = ERR_INIT;
    struct serve_row batch[ARRAY_LEN(cases) * ROWS];
    size_t who[ARRAY_LEN(batch)], n = 0;
    int which[ARRAY_LEN(batch)];
    static float logits[ARRAY_LEN(batch)][LABELS];
    for (int r = first; r < ROWS; r++)
        for (size_t i = 0; i < count; i += step) {
            who[n] = (i * 5 + (size_t)r) % count; /* nobody's rows stand together */
            who[n] -= who[n] % step;
            which[n] = (r + (int)i) % ROWS;
            batch[n] = (struct serve_row){&guests[who[n]], &rows[which[n]], logits[n]};
            n++;
        }
    if (serve_batch_run(b, batch, n, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t k = 0; k < n; k++)
        check_row(base + who[k], which[k], logits[k]);
}

/* All rows for every guest whose first layers are the base's: each text goes through those
 * once. The others' rows, which have none, do not change that there are some. */
static void run_forked(struct serve_base *b, struct guest *guests, size_t base,
                       size_t count)
{
    struct err err = ERR_INIT;
    struct serve_row batch[ARRAY_LEN(cases) * ROWS];
    size_t who[ARRAY_LEN(batch)], n = 0;
    int which[ARRAY_LEN(batch)];
    static float logits[ARRAY_LEN(batch)][LABELS];
    struct twins twins;
    for (int r = 0; r < ROWS; r++)
        for (size_t i = 0; i < count; i++) {
            if (guests[i].mould->graft.fork < 8 ||
                guests[i].mould->net.change.virtual_tokens) /* at other positions */
                continue;
            who[n] = i;
            which[n] = (r * 2) % ROWS;
            batch[n] = (struct serve_row){&guests[i], &rows[which[n]], logits[n]};
            n++;
        }
    const struct serve_row *all[ARRAY_LEN(batch)];
    for (size_t k = 0; k < n; k++)
        all[k] = &batch[k];
    if (n <= ROWS) /* one guest */
        return;
    assert_int_equal(twins_find(&twins, b, all, n), !b->session.backend->device);
    assert_true(!twins.texts || twins.once.all.of[ROWS_SEQUENCES] == ROWS);
    twins_release(&twins);
    if (serve_batch_run(b, batch, n, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t k = 0; k < n; k++)
        check_row(base + who[k], which[k], logits[k]);
    forked += n;
}

/* All cases of a model, from `first` on. */
static size_t count_cases(size_t first)
{
    size_t n = 0;
    while (first + n < ARRAY_LEN(cases) &&
           str_eq(cases[first + n].model, cases[first].model))
        n++;
    return n;
}

/* Made alike: one mould. */
static void check_moulds(const struct guest *guests, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            char *twin = xasprintf("%s%s", cases[first + k].text, AGAIN);
            if (i == k || str_eq(cases[first + i].text, twin))
                assert_ptr_equal(guests[i].mould, guests[k].mould);
            else if (!str_has_suffix(cases[first + k].text, AGAIN) &&
                     !str_has_suffix(cases[first + i].text, AGAIN))
                assert_ptr_not_equal(guests[i].mould, guests[k].mould);
            free(twin);
        }
}

/* DIR/NAME, with a last number that is none where it has tensors. */
static void spoil(const char *from, const char *to, const char *name)
{
    struct err err = ERR_INIT;
    struct buf all = BUF_INIT;
    char *source = fs_join(from, name), *path = fs_join(to, name);
    if (fs_exists(source)) {
        assert_int_equal(fs_read(source, 1 << 24, &all, &err), 0);
        if (str_has_suffix(name, ".safetensors"))
            memset(all.data + all.len - sizeof(float), 0xff, sizeof(float));
        assert_int_equal(fs_write_atomic(path, all.data, all.len, &err), 0);
    }
    buf_release(&all);
    free(source), free(path);
}

/* One that was made with the same settings and cannot be opened: the others of its mould
 * are what they were. */
static void check_spoilt(struct serve_base *b, size_t i)
{
    static const char *const files[] = {
        "adapter_config.json", "head_config.json",       "adapter_model.safetensors",
        "adapter.safetensors", "model_head.safetensors", "prompt_encoder.safetensors"};
    struct err err = ERR_INIT;
    struct guest guest;
    char *to = xasprintf("%s/spoilt%zu", dir, i);
    assert_int_equal(fs_mkdirs(to, &err), 0);
    for (size_t k = 0; k < ARRAY_LEN(files); k++)
        spoil(folders[i], to, files[k]);
    if (guest_open(&guest, b, to, "a", &err) != -ERR_NAN)
        fail_msg("%s: %s", cases[i].text, err.msg);
    free(to);
}

static void each_as_by_itself(size_t first, size_t count)
{
    struct err err = ERR_INIT;
    struct serve_base base;
    struct guest guests[ARRAY_LEN(cases)];
    char *model = fs_join(dir, cases[first].model);
    make_base(cases[first].model);
    for (size_t i = 0; i < count; i++)
        make_adapter(first + i, model);
    const struct serve_options o = {.most = extent_of(4096, 256, 256)};
    if (serve_base_open(&base, model, &o, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < count; i++)
        if (guest_open(&guests[i], &base, folders[first + i], "a", &err) < 0)
            fail_msg("%s: %s", cases[first + i].text, err.msg);
    check_moulds(guests, first, count);
    for (size_t i = 0; i < count; i++)
        check_spoilt(&base, first + i);
    for (size_t i = 0; i < count; i++)
        check_apart(first + i, &guests[i].mould->graft);
    for (size_t i = 0; i < count; i++)
        run_some(&base, guests + i, first + i, 1, 1, 0);
    run_some(&base, guests, first, count, 1, 0);
    run_some(&base, guests, first, count, 3, 4);
    run_forked(&base, guests, first, count);
    for (size_t i = 0; i < count; i++) {
        guest_close(&guests[i], &base);
        free(folders[first + i]);
        free(alone[first + i]);
    }
    serve_base_close(&base);
    free(model);
}

static void test_rows_as_alone(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++) {
        setenv("PEFTLAB_BACKEND", backends[k], 1);
        for (size_t i = 0; i < ARRAY_LEN(cases); i += count_cases(i))
            each_as_by_itself(i, count_cases(i));
    }
    unsetenv("PEFTLAB_BACKEND");
    assert_true(forked >= 3 * 3 * ROWS); /* of three guests, on three backends */
}

/* --- on a device, adapters that were made alike --- */

enum { FLEET = 32 };

/* Launches for one row for each of so many guests, of whom every other is of the second of
 * two cases. */
static uint64_t launches_of(struct serve_base *b, struct guest *guests, size_t count,
                            const size_t pair[2])
{
    struct err err = ERR_INIT;
    struct serve_row batch[FLEET];
    float logits[FLEET][LABELS];
    const struct backend *d = b->session.backend;
    for (size_t i = 0; i < count; i++)
        batch[i] = (struct serve_row){&guests[i], &rows[i % ROWS], logits[i]};
    const uint64_t before = d->launches(d->device);
    if (serve_batch_run(b, batch, count, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < count; i++)
        check_row(pair[i % 2], (int)(i % ROWS), logits[i]);
    return d->launches(d->device) - before;
}

static void count_launches(const size_t pair[2])
{
    struct err err = ERR_INIT;
    struct serve_base base;
    struct guest guests[FLEET];
    char *model = fs_join(dir, cases[pair[0]].model);
    make_base(cases[pair[0]].model);
    for (int i = 0; i < 2; i++)
        make_adapter(pair[i], model);
    const struct serve_options o = {.most = extent_of(1024, FLEET, FLEET)};
    if (serve_base_open(&base, model, &o, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < FLEET; i++)
        if (guest_open(&guests[i], &base, folders[pair[i % 2]], "a", &err) < 0)
            fail_msg("%s", err.msg);
    const size_t own = guests[0].mould->graft.begin[base.host->node_count];
    const uint64_t for_one = launches_of(&base, guests, 1, pair);
    assert_true(for_one > own);
    assert_int_equal(launches_of(&base, guests, FLEET, pair), for_one);
    /* the same without: each own node of each */
    struct backend looped = *base.session.backend;
    looped.run_many = NULL;
    base.session.backend = &looped;
    assert_int_equal(launches_of(&base, guests, FLEET, pair),
                     for_one + (FLEET - 1) * own);
    for (size_t i = 0; i < FLEET; i++)
        guest_close(&guests[i], &base);
    for (int i = 0; i < 2; i++) {
        free(folders[pair[i]]);
        free(alone[pair[i]]);
    }
    serve_base_close(&base);
    free(model);
}

/* The case whose numbers are others in the mould of this one. */
static size_t twin_of(size_t i)
{
    char *text = xasprintf("%s%s", cases[i].text, AGAIN);
    size_t twin = i;
    while (!str_eq(cases[twin].text, text))
        assert_true(++twin < ARRAY_LEN(cases));
    free(text);
    return twin;
}

/* 32 adapters of a mould take as many launches as one, where each node of a part is one. */
static void test_launches(void **state)
{
    (void)state;
    static const char *const methods[] = {
        "method: lora, rank: 4, l", "method: adapter, l",
        "method: prefix, num_virtual_tokens: 3", "method: bitfit"};
    if (!backend_get("cuda-emul", NULL))
        skip();
    setenv("PEFTLAB_BACKEND", "cuda-emul", 1);
    for (size_t k = 0; k < ARRAY_LEN(methods); k++) {
        size_t i = 0;
        while (!str_has_prefix(cases[i].text, methods[k]))
            i++;
        count_launches((const size_t[]){i, twin_of(i)});
    }
    unsetenv("PEFTLAB_BACKEND");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_as_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_launches, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

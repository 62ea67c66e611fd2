/* tests/unit/runner/writer.c - texts of many adapters in one batch are, token by token, those
 * that each adapter's own generator writes: all methods, whenever they join, however prompts
 * are cut; on every backend. Then what is asked of the thread: ends, refusals, what is told
 * of a token. On the tiny models of tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/generate/generator.h"
#include "runner/nn/adapter_files/trial_of.h"
#include "runner/serve/write/writing.h"
#include "runner/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXTS = 3, NEW = 10, CAPACITY = 48, WIDTH_MOST = 160 };

static char dir[64];
static const char *const backends[] = {"ref", "cpu", "cuda-emul"};

#define BF16 "dtype: bfloat16"
#define NF4  "quantization: nf4"

static const struct {
    const char *model, *settings;
    const char *text; /* NULL: the base alone */
    int apart;        /* nodes of the base that it does not share */
} cases[] = {
    {"llama", NULL, NULL, 0},
    {"llama", NULL, "method: lora, rank: 4, learning_rate: 0.01", 0},
    {"llama", NULL,
     "method: lora, rank: 8, target_modules: all-linear, learning_rate: 0.01", 0},
    {"llama", NULL,
     "method: lora, rank: 4, modules_to_save: [lm_head], learning_rate: 0.01", 1},
    {"llama", NULL, "method: dora, rank: 4, learning_rate: 0.01", 4},
    {"llama", NULL, "method: ia3, learning_rate: 0.05", 0},
    {"llama", NULL, "method: adapter, learning_rate: 0.01", 0},
    {"llama", NULL, "method: adapter, adapter_type: parallel, learning_rate: 0.01", 0},
    {"llama", NULL, "method: prefix, num_virtual_tokens: 3, learning_rate: 0.05", 0},
    {"llama", NULL,
     "method: prefix, num_virtual_tokens: 5, prefix_projection: true, learning_rate: "
     "0.05",
     0},
    {"llama", NULL, "method: prompt, num_virtual_tokens: 3, learning_rate: 0.05", 1},
    {"llama", NULL, "method: p-tuning, num_virtual_tokens: 2, learning_rate: 0.05", 1},
    {"llama", NULL, "method: ln-tuning, learning_rate: 0.05", 5},
    {"llama", NULL, "method: vera, rank: 4, learning_rate: 0.05", 0},
    {"llama", NULL, "method: adalora, learning_rate: 0.05", 0},
    {"gpt2", NULL, NULL, 0},
    {"gpt2", NULL,
     "method: lora, rank: 4, target_modules: all-linear, learning_rate: 0.01", 0},
    {"gpt2", NULL, "method: dora, rank: 4, learning_rate: 0.01", 2},
    {"gpt2", NULL, "method: bitfit, learning_rate: 0.05", 13},
    {"gpt2", NULL, "method: prefix, num_virtual_tokens: 3, learning_rate: 0.05", 0},
    {"gpt2", NULL, "method: prompt, num_virtual_tokens: 3, learning_rate: 0.05", 1},
    {"gemma3", NULL, NULL, 0},
    {"gemma3", NULL,
     "method: lora, rank: 4, target_modules: all-linear, learning_rate: 0.01", 0},
    {"gemma3", NULL, "method: prompt, num_virtual_tokens: 3, learning_rate: 0.05", 1},
    {"qwen3", NULL, NULL, 0},
    {"qwen3", NULL, "method: lora, rank: 4, learning_rate: 0.01", 0},
    {"qwen3", NULL, "method: prefix, num_virtual_tokens: 3, learning_rate: 0.05", 0},
    {"llama", BF16, NULL, 0},
    {"llama", BF16,
     "method: lora, rank: 8, target_modules: all-linear, learning_rate: 0.01", 0},
    {"llama", BF16, "method: prefix, num_virtual_tokens: 3, learning_rate: 0.05", 0},
    {"llama", BF16, "method: prompt, num_virtual_tokens: 3, learning_rate: 0.05", 1},
    {"llama", NF4, NULL, 0},
    {"llama", NF4,
     "method: lora, rank: 8, target_modules: all-linear, learning_rate: 0.01", 0},
    {"llama", NF4, "method: ia3, learning_rate: 0.05", 0},
};

/* The last begins as the first. */
static const int32_t prompts[TEXTS][22] = {
    {9, 8, 7, 6, 5, 4, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20},
    {40, 41},
    {9, 8, 7, 6, 5, 4, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 61, 33, 34, 35, 36}};
static const int32_t lengths[TEXTS] = {18, 2, 22};

/* Drawn, so that a bit's difference in the logits has a chance to show. */
static const struct sampling drawn = {1.5, 0, 1, 1, 11};

static char *folders[ARRAY_LEN(cases)];
static int32_t alone[ARRAY_LEN(cases)][TEXTS][NEW];

static int setup(void **state)
{
    (void)state;
    unsigned seed = 7;
    strcpy(dir, "/tmp/peftlab-writer-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    char *path = fs_join(dir, "rows.jsonl");
    FILE *f = fopen(path, "w");
    for (int r = 0; r < 8; r++) {
        char ids[128] = "3";
        for (int i = 0; i < 4 + r; i++) {
            char id[8];
            seed = seed * 1103515245u + 12345u;
            snprintf(id, sizeof id, ", %u", 3 + (seed >> 16) % 120);
            strcat(ids, id);
        }
        fprintf(f, "{\"input_ids\": [%s], \"labels\": [%s]}\n", ids, ids);
    }
    fclose(f);
    free(path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

static json_t *settings_of(size_t i)
{
    struct err err = ERR_INIT;
    char *text = xasprintf("{%s}", cases[i].settings ? cases[i].settings : "");
    json_t *out = conf_parse_value(text, &err);
    if (!out)
        fail_msg("%s", err.msg);
    free(text);
    return out;
}

static char *model_of(size_t i)
{
    return xasprintf("tests/golden/models/%s", cases[i].model);
}

/* --- each by itself --- */

static void make_adapter(size_t i)
{
    struct err err = ERR_INIT;
    json_t *resolved = NULL;
    char *here = getcwd(NULL, 0), *model = model_of(i),
         *text = xasprintf("{train_data: rows.jsonl, max_steps: 4, batch_size: 4, "
                           "task: causal-lm, latency_requests: 0, model: %s/%s, %s}",
                           here, model, cases[i].text),
         *out = xasprintf("%s/trial%zu", dir, i);
    struct sink *sink = sink_null();
    const struct trial_run run = {.out_dir = out, .overwrite = true};
    json_t *given = conf_parse_value(text, &err), *settings = settings_of(i);
    json_object_update(given, settings);
    json_decref(settings);
    if (!given || trial_resolve(given, &resolved, &err) < 0 ||
        trial_train(resolved, dir, &run, sink, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    sink_close(sink, &err);
    folders[i] = fs_join(out, "adapter");
    json_decref(given);
    json_decref(resolved);
    free(here), free(model), free(text), free(out);
}

static void write_alone(size_t i)
{
    struct err err = ERR_INIT;
    struct session s;
    struct generator g;
    struct generation texts[TEXTS];
    char *model = model_of(i);
    json_t *given = json_pack("{s:s, s:s}", "model", model, "task", "causal-lm"),
           *resolved = NULL;
    if (folders[i]) {
        json_decref(given);
        given = NULL;
        assert_int_equal(adapter_trial(folders[i], model, &given, &err), 0);
    }
    json_t *settings = settings_of(i);
    json_object_update(given, settings);
    json_decref(settings);
    if (trial_resolve_use(given, &resolved, &err) ||
        session_open_decoder(&s, resolved, ".", folders[i], &err))
        fail_msg("%s", err.msg);
    s.decode = (struct decode_size){1, CAPACITY, 64};
    if (session_plan_memory(&s, &err) || session_allocate(&s, &err))
        fail_msg("%s", err.msg);
    for (int k = 0; k < TEXTS; k++)
        texts[k] = (struct generation){.prompt = prompts[k],
                                       .n_prompt = lengths[k],
                                       .most = NEW,
                                       .stream = (uint64_t)k};
    generator_init(&g, &s, &drawn, NULL, 0);
    if (generator_run(&g, texts, TEXTS, NULL, NULL, &err))
        fail_msg("%s", err.msg);
    for (int k = 0; k < TEXTS; k++) {
        memcpy(alone[i][k], texts[k].ids, sizeof alone[i][k]);
        generation_release(&texts[k]);
    }
    generator_release(&g);
    session_close(&s);
    json_decref(given);
    json_decref(resolved);
    free(model);
}

/* --- all at once --- */

struct opened {
    struct serve_base base;
    struct shelf shelf;
    size_t first, count; /* of cases */
};

static void open_shelf(struct opened *o, size_t first, size_t count,
                       struct decode_size size)
{
    struct err err = ERR_INIT;
    char *model = model_of(first);
    json_t *settings = settings_of(first);
    const struct serve_options options = {.decode = size, .settings = settings};
    o->first = first;
    o->count = count;
    if (serve_base_open(&o->base, model, &options, &err))
        fail_msg("%s", err.msg);
    assert_true(o->base.writes);
    shelf_init(&o->shelf, &o->base, 0);
    for (size_t i = 0; i < 2 * count; i++) { /* each twice: what they share is one */
        char name[24];
        const char *folder = folders[first + i / 2];
        snprintf(name, sizeof name, "a%zu", i);
        if (folder && shelf_add(&o->shelf, name, folder, false, &err))
            fail_msg("%s", err.msg);
    }
    json_decref(settings);
    free(model);
}

static void close_shelf(struct opened *o)
{
    shelf_release(&o->shelf);
    serve_base_close(&o->base);
}

static struct writer_request ask(struct opened *o, size_t i, int text)
{
    char name[24];
    snprintf(name, sizeof name, "a%zu", 2 * i + (size_t)(text % 2));
    return (struct writer_request){
        .adapter = folders[o->first + i] ? shelf_want(&o->shelf, name, 1) : NULL,
        .prompt = prompts[text],
        .n_prompt = lengths[text],
        .most = NEW,
        .ignores_end = true,
        .how = drawn,
        .stream = (uint64_t)text,
        .top = -1};
}

static void check(size_t i, int text, const struct writer_request *r)
{
    if (r->rc)
        fail_msg("%s", r->err.msg);
    assert_int_equal(r->n, NEW);
    assert_int_equal(r->end, WRITER_LENGTH);
    for (int k = 0; k < NEW; k++)
        if (r->ids[k] != alone[i][text][k])
            fail_msg("%s %s, text %d: token %d is %d and not %d", cases[i].model,
                     cases[i].text ? cases[i].text : "(base)", text, k, r->ids[k],
                     alone[i][text][k]);
}

/* All texts of all cases, `each` of which join before a step where there is room. */
static void write_all(size_t first, size_t count, struct decode_size size, int32_t each)
{
    struct err err = ERR_INIT;
    struct opened o;
    struct writing w;
    struct writer_request all[ARRAY_LEN(cases) * TEXTS];
    const size_t requests = count * TEXTS;
    size_t next = 0, ended = 0;
    open_shelf(&o, first, count, size);
    assert_int_equal(writing_init(&w, &o.shelf, NULL, 0, &err), 0);
    for (size_t k = 0; k < requests; k++)
        all[k] = ask(&o, k / TEXTS, (int)(k % TEXTS));
    while (ended < requests) {
        for (int32_t n = 0; n < each && next < requests && writing_room(&w); n++)
            if (!writing_begin(&w, &all[next++]))
                fail_msg("%s", all[next - 1].err.msg);
        for (struct writer_request *r = writing_step(&w); r; r = r->after, ended++)
            writing_end(&w, r);
    }
    for (size_t k = 0; k < requests; k++) {
        check(first + k / TEXTS, (int)(k % TEXTS), &all[k]);
        writer_request_release(&all[k]);
    }
    assert_int_equal(w.counts.texts, requests);
    assert_int_equal(w.counts.new_tokens, requests * NEW);
    assert_int_equal(w.counts.writing, 0);
    if (size.sequences > 1) /* the last text of each has its beginning from the first */
        assert_true(w.counts.reused_tokens >= (int64_t)count * 16);
    writing_release(&w);
    close_shelf(&o);
}

static void check_apart(size_t first, size_t count)
{
    struct err err = ERR_INIT;
    struct opened o;
    open_shelf(&o, first, count, (struct decode_size){2, CAPACITY, 8});
    for (size_t i = 0; i < count; i++) {
        struct guest guest;
        int apart = 0;
        if (guest_open(&guest, &o.base, folders[first + i], "a", &err))
            fail_msg("%s", err.msg);
        const struct graph *host = guest.mould->graft.host;
        for (size_t h = 0; h < host->node_count; h++)
            apart += host->nodes[h].base >= 0 && !guest.mould->graft.shared[h];
        if (apart != cases[first + i].apart)
            fail_msg("%s %s: %d nodes are not shared, expected %d",
                     cases[first + i].model,
                     cases[first + i].text ? cases[first + i].text : "(base)", apart,
                     cases[first + i].apart);
        guest_close(&guest, &o.base);
    }
    close_shelf(&o);
}

static size_t count_cases(size_t first)
{
    size_t n = 0;
    while (first + n < ARRAY_LEN(cases) &&
           str_eq(cases[first + n].model, cases[first].model) &&
           cases[first + n].settings == cases[first].settings)
        n++;
    return n;
}

static void each_as_by_itself(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if (cases[i].text)
            make_adapter(i);
        write_alone(i);
        if (i > first && !memcmp(alone[i], alone[first], sizeof alone[i]))
            fail_msg("%s %s writes what the base writes", cases[i].model, cases[i].text);
    }
    check_apart(first, count);
    write_all(first, count, (struct decode_size){(int32_t)count, CAPACITY, 64}, 64);
    write_all(first, count, (struct decode_size){4, CAPACITY, 5}, 1);
    write_all(first, count, (struct decode_size){1, CAPACITY, 3}, 1);
    for (size_t i = first; i < first + count; i++) {
        free(folders[i]);
        folders[i] = NULL;
    }
}

static void test_texts_as_alone(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++) {
        setenv("PEFTLAB_BACKEND", backends[k], 1);
        const bool emulates = str_eq(backends[k], "cuda-emul"); /* in fp32 only */
        for (size_t i = 0; i < ARRAY_LEN(cases); i += count_cases(i))
            if (!(emulates && cases[i].settings && str_eq(cases[i].settings, BF16)))
                each_as_by_itself(i, count_cases(i));
    }
    unsetenv("PEFTLAB_BACKEND");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_texts_as_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

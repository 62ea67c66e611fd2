/* Advice: the questions that people ask, what rules out, what the store outweighs. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/advise/advise.h"
#include "tests/unit/support/method_facts.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/report/known_shape.h"

static struct catalog catalog;
static struct priors priors;

/* As runner/hub/known.h has them. */
static const char *known_name(const char *path)
{
    return str_eq(path, "minilm") || str_has_suffix(path, "/all-MiniLM-L6-v2")
               ? "all-minilm-l6-v2"
               : NULL;
}

static struct advise_request ask(const char *model, const char *gpu, double rows)
{
    struct err e = ERR_INIT;
    struct advise_request r = {.model = model,
                               .rows = rows,
                               .epochs = 3,
                               .batch = 16,
                               .rank = NAN,
                               .hours = NAN,
                               .usd = NAN,
                               .latency_ms = NAN,
                               .ttft_ms = NAN,
                               .checkpointing = -1,
                               .known_name = known_name,
                               .machine = {NULL, 1},
                               .memory_bytes = 16e9,
                               .catalog = &catalog,
                               .priors = &priors,
                               .methods = method_list,
                               .method_count = ARRAY_LEN(method_list)};
    if (known_shape(model, &r.shape) != 1)
        fail_msg("no model '%s'", model);
    r.trains = !r.shape.decoder;
    r.task = r.shape.decoder ? "causal-lm" : "seq-cls";
    r.seq_len = r.shape.decoder ? 512 : 128;
    if (gpu && machine_parse(&catalog, gpu, &r.machine, &e) < 0)
        fail_msg("%s", e.msg);
    if (gpu)
        r.memory_bytes = r.machine.gpu->memory_bytes;
    return r;
}

static struct advise advise(const struct advise_request *r)
{
    struct advise a;
    struct err e = ERR_INIT;
    if (advise_make(r, &a, &e) < 0)
        fail_msg("%s", e.msg);
    return a;
}

static bool says(const json_t *list, const char *text)
{
    json_t *line;
    size_t i;
    json_array_foreach((json_t *)list, i, line)
    {
        if (strstr(json_string_value(line), text))
            return true;
    }
    return false;
}

static void must_say(const json_t *list, const char *text)
{
    if (says(list, text))
        return;
    char *dump = json_dumps(list, 0);
    fail_msg("lacks '%s': %s", text, dump);
}

static const struct advice *item(const struct advise *a, const char *method,
                                 enum served served)
{
    for (size_t i = 0; i < a->count; i++)
        if (str_eq(a->items[i].candidate->method, method) &&
            a->items[i].candidate->served == served)
            return &a->items[i];
    return NULL;
}

/* Llama-2 of 7, 13 and 70 B on two A100 of 40 GB, or one card of 24: QLoRA in NF4, rank
 * 32 or 64 on all linear layers, checkpointing, paged or 8-bit optimiser, spikes. */
static void question_of_two_a100(void **state)
{
    static const struct {
        const char *model, *gpu;
        double rows;
        enum fit fit;
    } cases[] = {
        {"llama-2-7b", "2xa100-40", 5000, FIT_YES},
        {"llama-2-7b", "2xa100-40", 50000, FIT_YES},
        {"llama-2-7b", "2xa100-40", NAN, FIT_YES},
        {"llama-2-7b", "rtx4090", 5000, FIT_YES},
        {"llama-2-7b", "3090", 20000, FIT_YES},
        {"llama-2-7b", "l4", NAN, FIT_YES},
        {"llama-2-13b", "2xa100-40", 20000, FIT_YES},
        {"llama-2-13b", "rtx4090", 5000, FIT_YES},
        {"llama-2-70b", "2xa100-40", 20000, FIT_SHARDED},
        {"llama-3.1-8b", "rtx4090", 20000, FIT_YES},
        {"mistral-7b", "l4", 9000, FIT_YES},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct advise_request r = ask(cases[i].model, cases[i].gpu, cases[i].rows);
        struct advise a = advise(&r);
        const struct advice *first = &a.items[0];
        if (!str_eq(first->candidate->method, "qlora") || first->fit != cases[i].fit)
            fail_msg("%s on %s: %s, %s", cases[i].model, cases[i].gpu,
                     first->candidate->method, fit_names[first->fit]);
        assert_true(first->setup.rank == 32 || first->setup.rank == 64);
        assert_int_equal(first->setup.targets, TARGETS_ALL);
        assert_true(first->setup.checkpointing);
        must_say(a.watch, "gradient checkpointing");
        must_say(a.watch, "paged or 8-bit");
        must_say(a.watch, "loss spikes");
        must_say(a.watch, "all linear layers");
        must_say(a.watch, "bfloat16");
        must_say(a.watch, "NF4");
        advise_release(&a);
    }
}

/* Where memory does not bind, 4 bits are not the first choice. */
static void room_for_sixteen_bits(void **state)
{
    (void)state;
    struct advise_request r = ask("llama-2-7b", "h100", 5000);
    struct advise a = advise(&r);
    assert_string_equal(a.items[0].candidate->method, "lora");
    must_say(advise_find(&a, "qlora")->against, "memory does not bind");
    advise_release(&a);
    r = ask("llama-3.2-1b", "rtx4090", 5000);
    a = advise(&r);
    assert_string_equal(a.items[0].candidate->method, "lora");
    advise_release(&a);
}

/* A certified base that has to stay byte-identical, tasks added later. */
static void question_of_the_certified_base(void **state)
{
    static const struct {
        const char *model, *gpu;
        double rows;
    } cases[] = {{"bert-base", "t4", 5000},          {"bert-base", NULL, 150},
                 {"roberta-base", "l4", 50000},      {"minilm", NULL, 400},
                 {"llama-2-7b", "2xa100-40", 5000},  {"llama-2-7b", "h100", NAN},
                 {"llama-2-13b", "a100-80", 500000}, {"mistral-7b", "rtx4090", 2000}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct advise_request r = ask(cases[i].model, cases[i].gpu, cases[i].rows);
        r.base_untouched = r.tasks_later = true;
        struct advise a = advise(&r);
        if (!str_eq(a.items[0].candidate->method, "adapter") ||
            !str_in_list(a.items[1].candidate->method, "lora|qlora", '|') ||
            a.items[1].candidate->served != SERVED_BESIDE)
            fail_msg("%s: %s, %s", cases[i].model, a.items[0].candidate->title,
                     a.items[1].candidate->title);
        must_say(a.items[0].reasons, "byte-identical");
        must_say(item(&a, "full", SERVED_OWN)->ruled_out, "changes every weight");
        must_say(item(&a, "lora", SERVED_MERGED)->ruled_out, "merging writes");
        must_say(item(&a, "ia3", SERVED_MERGED)->ruled_out, "merging writes");
        must_say(a.watch, "SHA-256");
        for (size_t k = a.open; k < a.count; k++)
            assert_true(json_array_size(a.items[k].ruled_out) > 0);
        advise_release(&a);
    }
}

static void nothing_fits(void **state)
{
    (void)state;
    struct advise_request r = ask("llama-2-70b", "t4", 1000);
    struct advise a = advise(&r);
    assert_int_equal(a.open, 0);
    assert_int_equal(json_array_size(a.watch), 0);
    must_say(advise_find(&a, "qlora")->ruled_out, "memory:");
    assert_null(advise_sweep(&a));
    json_t *j = advise_json(&a);
    assert_int_equal(json_array_size(json_object_get(j, "advice")), 0);
    assert_int_equal(json_array_size(json_object_get(j, "ruled_out")), a.count);
    json_decref(j);
    advise_release(&a);
}

/* What is asked for is made to fit by smaller micro-batches of the same update. */
static void micro_batches(void **state)
{
    (void)state;
    struct advise_request r = ask("llama-2-7b", "rtx4090", 1000);
    r.batch = 64;
    r.seq_len = 2048;
    struct advise a = advise(&r);
    const struct advice *q = advise_find(&a, "qlora");
    assert_int_equal(q->fit, FIT_YES);
    assert_true(q->setup.accumulation > 1);
    assert_true(q->setup.batch * q->setup.accumulation == 64);
    assert_true(q->peak <= 0.95 * r.memory_bytes);
    advise_release(&a);
    r.checkpointing = 0; /* forbidden: then it needs more, or smaller micro-batches */
    a = advise(&r);
    assert_false(advise_find(&a, "qlora")->setup.checkpointing);
    advise_release(&a);
}

static void hours_and_dollars(void **state)
{
    (void)state;
    struct advise_request r = ask("llama-2-7b", "rtx4090", 100000);
    r.hours = 0.5;
    struct advise a = advise(&r);
    must_say(advise_find(&a, "qlora")->ruled_out, "time: at least");
    advise_release(&a);
    r.hours = NAN;
    r.usd = 0.01;
    a = advise(&r);
    must_say(advise_find(&a, "qlora")->ruled_out, "money: at least");
    advise_release(&a);
    r.usd = 1e6;
    r.hours = 1e4;
    a = advise(&r);
    assert_true(a.open > 0);
    assert_true(a.items[0].usd.low < a.items[0].usd.high);
    advise_release(&a);
}

/* One output token of 7 B in 16 bits reads 13.5 GB: 4 to 8 ms at the 3.35 TB/s of an
 * H100, 45 to 90 at an L4's 0.3. */
static void latency(void **state)
{
    (void)state;
    struct advise_request r = ask("llama-2-7b", "h100", 5000);
    r.latency_ms = 20;
    struct advise a = advise(&r);
    const struct advice *lora = item(&a, "lora", SERVED_MERGED);
    assert_true(lora->request_ms.low > 4 && lora->request_ms.low < 5);
    assert_true(lora->request_ms.base > 5 && lora->request_ms.base < 9);
    must_say(lora->reasons, "per output token predicted, 20 ms allowed");
    must_say(advise_find(&a, "adapter")->against, "to be avoided: a latency bound");
    assert_true(advise_find(&a, "adapter")->request_ms.base > lora->request_ms.base);
    must_say(lora->reasons, "first choice: a latency bound");
    assert_false(says(advise_find(&a, "qlora")->reasons, "a latency bound"));
    advise_release(&a);
    r = ask("llama-2-7b", "l4", 5000);
    r.latency_ms = 20;
    a = advise(&r);
    must_say(advise_find(&a, "ia3")->ruled_out, "latency: at least");
    assert_string_equal(a.items[0].candidate->method, "qlora"); /* a quarter to read */
    advise_release(&a);
}

static void old_gpus_and_few_rows(void **state)
{
    (void)state;
    struct advise_request r = ask("llama-2-7b", "t4", 5000);
    struct advise a = advise(&r);
    assert_string_equal(a.items[0].candidate->method, "qlora");
    must_say(a.watch, "no bfloat16");
    advise_release(&a);
    r = ask("bert-base", NULL, 100);
    a = advise(&r);
    must_say(advise_find(&a, "full")->against, "to be avoided: fewer than 200 rows");
    must_say(advise_find(&a, "ia3")->reasons, "first choice");
    advise_release(&a);
}

/* A language model under a classifier: a head to train, no logits over the vocabulary. */
static void classifier_on_a_decoder(void **state)
{
    (void)state;
    struct advise_request r = ask("llama-3.2-3b", "l4", 5000);
    struct advise lm = advise(&r);
    r.task = "seq-cls";
    struct advise cls = advise(&r);
    const struct advice *a = advise_find(&lm, "lora"), *b = advise_find(&cls, "lora");
    assert_true(a->estimates[STACK_PEFT].bytes[EST_logits] > 1e9);
    assert_true(b->estimates[STACK_PEFT].bytes[EST_logits] == 0);
    assert_true(b->estimates[STACK_PEFT].trainable ==
                a->estimates[STACK_PEFT].trainable + 2 * 3072);
    assert_int_equal(json_array_size(advise_find(&cls, "head")->ruled_out), 0);
    assert_true(json_array_size(advise_find(&lm, "head")->ruled_out) > 0);
    advise_release(&lm);
    advise_release(&cls);
}

/* --- the store --- */

static void add(struct store *s, const char *method, int config, int64_t seed,
                double score, double select, double latency)
{
    struct err e = ERR_INIT;
    static int64_t experiment;
    static int number;
    size_t added;
    struct run_claim claim;
    char key[32];
    snprintf(key, sizeof key, "%s-%d", method, config);
    json_t *params = json_pack("{s:s, s:i}", "method", method, "max_train_samples", 400);
    json_t *cfg = json_pack("{s:s, s:s, s:s, s:i, s:I}", "method",
                            strcmp(method, "qlora") ? method : "lora", "model",
                            "../models/all-MiniLM-L6-v2", "task", "seq-cls",
                            "max_train_samples", 400, "seed", (json_int_t)seed);
    assert_int_equal(store_experiment(s, "x", &experiment, &e), 0);
    struct trial_row row = {.experiment = experiment,
                            .number = number++,
                            .key = key,
                            .seed = (uint64_t)seed,
                            .base_dir = "/tmp",
                            .config = cfg,
                            .params = params,
                            .predicted_bytes = -1,
                            .predicted_s = NAN};
    assert_int_equal(store_add_trials(s, &row, 1, &added, &e), 0);
    json_t *ids = store_query(s, "SELECT max(id) FROM trial_view", NULL, 1, &e);
    int64_t id = json_integer_value(
        json_array_get(json_array_get(json_object_get(ids, "rows"), 0), 0));
    assert_int_equal(store_claim(s, 0, id, 60000, NULL, &claim, &e), 1);
    const struct metric_point p[] = {{"test/macro_f1", -1, score},
                                     {"eval/macro_f1", -1, select},
                                     {"latency/p50_ms", -1, latency}};
    assert_int_equal(log_method(s, claim.run, method, &e), 0);
    assert_int_equal(store_log_metrics(s, claim.run, p, 3, &e), 0);
    assert_int_equal(store_run_finish(s, claim.run, TRIAL_complete, 0, NULL, &e), 0);
    json_decref(ids);
    json_decref(cfg);
    json_decref(params);
}

static void measurements_outweigh(void **state)
{
    char path[] = "/tmp/report_advise.XXXXXX", other[64];
    struct store *s;
    (void)state;
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(store_open(path, STORE_CREATE, &s, NULL), 0);
    for (int64_t seed = 0; seed < 4; seed++) {
        double n = 0.002 * (double)seed;
        add(s, "lora", 1, seed, 0.90 + n, 0.60, 5); /* worse by the eval split */
        add(s, "lora", 2, seed, 0.70 + n, 0.72, 5); /* so this one counts */
        add(s, "adapter", 1, seed, 0.80 + n, 0.8, 6);
        add(s, "full", 1, seed, 0.799 + n, 0.79, 12);
    }
    add(s, "head", 1, 0, 0.99, 0.99, 1); /* one seed: nothing is concluded */
    struct advise_request r = ask("minilm", NULL, 400); /* by another of its names */
    r.store = s;
    struct advise a = advise(&r);
    const struct advice *lora = advise_find(&a, "lora"), *full = advise_find(&a, "full"),
                        *head = advise_find(&a, "head");
    assert_string_equal(a.items[0].candidate->method, "adapter");
    assert_true(fabs(lora->measured.mean - 0.703) < 1e-9);
    assert_int_equal(lora->measured.configurations, 2);
    assert_int_equal(lora->measured.trials, 8);
    must_say(lora->against, "measured:");
    must_say(a.items[0].reasons, "measured: best mean test/macro_f1");
    must_say(full->reasons, "not told apart from adapter");
    assert_false(says(head->reasons, "measured"));
    advise_release(&a);

    r.latency_ms = 10; /* full was measured at 12 */
    a = advise(&r);
    must_say(advise_find(&a, "full")->ruled_out, "p50 of 12 ms measured");
    advise_release(&a);
    r = ask("bert-base", NULL, 400); /* another base: nothing was measured on it */
    r.store = s;
    a = advise(&r);
    assert_int_equal(advise_find(&a, "lora")->measured.trials, 0);
    advise_release(&a);
    store_close(s);
    snprintf(other, sizeof other, "%s-wal", path);
    unlink(other);
    snprintf(other, sizeof other, "%s-shm", path);
    unlink(other);
    snprintf(other, sizeof other, "%s-lock", path);
    unlink(other);
    unlink(path);
}

/* --- names of machines --- */

static void machines(void **state)
{
    static const struct {
        const char *text, *gpu;
        int count;
    } good[] = {{"2xa100-40", "A100 40GB", 2},   {"A100 80GB", "A100 80GB", 1},
                {"rtx4090", "RTX 4090", 1},      {"4090", "RTX 4090", 1},
                {"8xH100", "H100 SXM", 8},       {"T4", "T4", 1},
                {"4 x l40s", NULL, 0},           {"4xL40S", "L40S", 4},
                {"1024xmi300x", "MI300X", 1024}, {"l4", "L4", 1}};
    static const char *const bad[] = {"",   "0xt4", "-1xt4", "9999999xt4", "x",
                                      "2x", "a100", "gpu",   "2xnope",     "4"};
    struct machine m;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err e = ERR_INIT;
        if (!good[i].gpu)
            continue;
        if (machine_parse(&catalog, good[i].text, &m, &e) < 0)
            fail_msg("%s", e.msg);
        assert_string_equal(m.gpu->name, good[i].gpu);
        assert_int_equal(m.count, good[i].count);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = ERR_INIT;
        if (machine_parse(&catalog, bad[i], &m, &e) != -ERR_CONFIG)
            fail_msg("taken: '%s' as %s", bad[i], m.gpu->name);
    }
    struct err e = ERR_INIT;
    machine_parse(&catalog, "a100", &m, &e);
    assert_non_null(strstr(e.msg, "which one? There are A100 40GB, A100 80GB"));
    machine_parse(&catalog, "t4", &m, NULL);
    assert_false(machine_has_bf16(&m));
}

/* --- the sweep file --- */

static void sweep_files(void **state)
{
    (void)state;
    struct advise_request r = ask("minilm", NULL, 400);
    r.train_data = "rows: of \"mine\".jsonl";
    struct advise a = advise(&r);
    char *text = advise_sweep(&a);
    assert_non_null(strstr(text, "method: {values: [lora, "));
    assert_non_null(
        strstr(text, "train_data: {value: \"rows: of \\\"mine\\\".jsonl\"}\n"));
    assert_non_null(strstr(text, "head"));
    assert_null(strstr(text, "program:"));
    assert_non_null(strstr(text, "seeds: [0, 1, 2]\nuntil: {chance: 0.05}"));
    free(text);
    advise_release(&a);
    r = ask("llama-2-7b", "2xa100-40", 20000);
    a = advise(&r);
    text = advise_sweep(&a);
    assert_non_null(strstr(text, "program: train.py"));
    assert_non_null(strstr(text, "rank: {values: [32, 64]"));
    assert_non_null(strstr(text, "all-linear"));
    assert_non_null(strstr(text, "max_grad_norm: {value: 0.3}"));
    free(text);
    advise_release(&a);
}

int main(void)
{
    if (catalog_load(NULL, NULL, &catalog, NULL) || priors_load(&priors, NULL))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(question_of_two_a100),
        cmocka_unit_test(room_for_sixteen_bits),
        cmocka_unit_test(question_of_the_certified_base),
        cmocka_unit_test(nothing_fits),
        cmocka_unit_test(micro_batches),
        cmocka_unit_test(hours_and_dollars),
        cmocka_unit_test(latency),
        cmocka_unit_test(old_gpus_and_few_rows),
        cmocka_unit_test(classifier_on_a_decoder),
        cmocka_unit_test(measurements_outweigh),
        cmocka_unit_test(machines),
        cmocka_unit_test(sweep_files),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    catalog_release(&catalog);
    priors_release(&priors);
    return rc;
}

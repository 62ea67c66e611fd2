/* Texts on tiny models: the cache gives what the whole sequence gives, however prompts are
 * cut, whoever is beside, and where a slot holds the beginning already; memory is that of
 * the plan. */
#include "runner/generate/generator.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/generate/prompter.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TEXTS = 4, NEW = 12 };

static const int32_t prompts[TEXTS][9] = {
    {9, 8, 7, 6, 5, 4, 3, 10, 11}, {40, 41}, {9, 8, 7, 6, 5, 60, 61}, {77}};
static const int32_t lengths[TEXTS] = {9, 2, 7, 1};

/* `trial` under tests/golden, a model's folder or a case with its adapter. */
struct source {
    const char *model, *trial, *adapter;
};
static const struct source sources[] = {
    {"tests/golden/models/llama", NULL, NULL},
    {NULL, "tests/golden/cases/llama-prefix", "/expected/adapter"},
    {NULL, "tests/golden/cases/llama-prompt", "/expected/adapter"},
    {NULL, "tests/golden/cases/llama-adapter-houlsby", "/expected/adapter"},
};

struct opened {
    struct session s;
    json_t *resolved;
    char *base_dir, *adapter;
};

static void open_source(struct opened *o, const struct source *from)
{
    struct err err = ERR_INIT;
    char *file = from->trial ? xasprintf("%s/trial.yaml", from->trial) : NULL;
    *o = (struct opened){
        .adapter = from->adapter ? xasprintf("%s%s", from->trial, from->adapter) : NULL};
    int rc;
    if (file) {
        rc = trial_read(file, NULL, 0, trial_resolve_use, &o->resolved, &o->base_dir,
                        &err);
    } else {
        json_t *given =
            json_pack("{s:s, s:s}", "model", from->model, "task", "causal-lm");
        rc = trial_resolve_use(given, &o->resolved, &err);
        o->base_dir = xstrdup(".");
        json_decref(given);
    }
    if (!rc)
        rc = session_open_decoder(&o->s, o->resolved, o->base_dir, o->adapter, &err);
    if (rc)
        fail_msg("%s", err.msg);
    free(file);
}

static void close_source(struct opened *o)
{
    session_close(&o->s);
    json_decref(o->resolved);
    free(o->base_dir);
    free(o->adapter);
}

static void plan(struct opened *o, int32_t sequences, int32_t tokens)
{
    struct err err = ERR_INIT;
    o->s.decode =
        (struct decode_size){sequences, generator_length(&o->s, 9, NEW), tokens};
    if (session_plan_memory(&o->s, &err) || session_allocate(&o->s, &err))
        fail_msg("%s", err.msg);
    for (int c = 0; c < MEM_COUNT; c++)
        assert_int_equal(o->s.planned[c], o->s.allocated[c]);
}

static void fill(struct generation *texts)
{
    for (int i = 0; i < TEXTS; i++)
        texts[i] = (struct generation){.prompt = prompts[i],
                                       .n_prompt = lengths[i],
                                       .most = NEW - i,
                                       .stream = (uint64_t)i};
}

static void release(struct generation *texts)
{
    for (int i = 0; i < TEXTS; i++)
        generation_release(&texts[i]);
}

static const struct sampling drawn = {1.5, 0, 1, 1, 11};

static void run_all(const struct source *from, int32_t sequences, int32_t tokens,
                    struct generation *texts)
{
    struct err err = ERR_INIT;
    struct opened o;
    struct generator g;
    open_source(&o, from);
    plan(&o, sequences, tokens);
    fill(texts);
    generator_init(&g, &o.s, &drawn, NULL, 0);
    if (generator_run(&g, texts, TEXTS, NULL, NULL, &err))
        fail_msg("%s", err.msg);
    generator_release(&g);
    close_source(&o);
}

static void assert_same_texts(const struct generation *a, const struct generation *b)
{
    for (int i = 0; i < TEXTS; i++) {
        assert_int_equal(a[i].n, NEW - i);
        assert_int_equal(b[i].n, NEW - i);
        assert_memory_equal(a[i].ids, b[i].ids, (size_t)a[i].n * sizeof *a[i].ids);
    }
}

/* Drawn, not greedy, so that a bit's difference in the logits has a chance to show. */
static void texts_stand_alone(void **state)
{
    static const int32_t sizes[][2] = {{4, 64}, {2, 2}, {3, 5}, {1, 4}};
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(sources); k++) {
        struct generation alone[TEXTS], batch[TEXTS];
        run_all(&sources[k], 1, 64, alone);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            run_all(&sources[k], sizes[i][0], sizes[i][1], batch);
            assert_same_texts(alone, batch);
            release(batch);
        }
        release(alone);
    }
}

/* One slot, twice the same prompt and one that begins as it: what is there is not read
 * again, and the texts are as before. */
static void beginnings_are_kept(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(sources); k++) {
        struct err err = ERR_INIT;
        struct opened o;
        struct generator g;
        struct generation first[TEXTS], again[TEXTS];
        open_source(&o, &sources[k]);
        plan(&o, 1, 64);
        fill(first);
        fill(again);
        generator_init(&g, &o.s, &drawn, NULL, 0);
        assert_int_equal(generator_run(&g, first, 1, NULL, NULL, &err), 0);
        assert_int_equal(generator_run(&g, again, 1, NULL, NULL, &err), 0);
        assert_int_equal(first[0].reused, 0);
        assert_int_equal(again[0].reused, 8); /* the last one gives the logits */
        assert_memory_equal(first[0].ids, again[0].ids, NEW * sizeof(int32_t));
        assert_int_equal(generator_run(&g, again + 2, 1, NULL, NULL, &err), 0);
        assert_int_equal(again[2].reused, 5);
        release(first);
        run_all(&sources[k], 1, 64, first);
        assert_memory_equal(first[2].ids, again[2].ids,
                            (size_t)again[2].n * sizeof(int32_t));
        release(first);
        release(again);
        generator_release(&g);
        close_source(&o);
    }
}

/* A cache that may be as wrong as its own writer would agree with itself: so logits are
 * compared with those of the graph for evaluation, which has none. */
static void cache_is_the_whole_sequence(void **state)
{
    (void)state;
    for (size_t k = 1; k < ARRAY_LEN(sources); k++) {
        struct err err = ERR_INIT;
        struct opened o;
        struct generator g;
        struct generation text = {.prompt = prompts[0], .n_prompt = 9, .most = 1};
        struct session whole;
        json_t *resolved = NULL;
        open_source(&o, &sources[k]);
        plan(&o, 1, 4); /* 9 tokens in three pieces */
        generator_init(&g, &o.s, &SAMPLING_GREEDY, NULL, 0);
        assert_int_equal(generator_run(&g, &text, 1, NULL, NULL, &err), 0);

        resolved = json_copy(o.resolved);
        if (session_open(&whole, resolved, o.base_dir, o.adapter, false, &err) ||
            session_allocate(&whole, &err))
            fail_msg("%s", err.msg);
        whole.goal.every_token = true;
        struct example row = {.ids = (int32_t *)prompts[0], .n = 9};
        struct example *const kept = whole.data[SPLIT_EVAL]->rows;
        whole.data[SPLIT_EVAL]->rows = &row;
        const struct extent e = session_load_batch(&whole, SPLIT_EVAL, NULL, 0, 1);
        const struct op_step step = {0};
        graph_run(&whole.eval_graph, whole.backend, &whole.memory, &e, &step);
        whole.data[SPLIT_EVAL]->rows = kept;
        const struct tensor t =
            graph_tensor(&whole.eval_graph, &whole.memory, whole.eval_graph.logits, &e);
        const float *last = (float *)t.data + (t.rows - 1) * t.ld;
        double difference = 0, size = 0;
        for (int32_t c = 0; c < t.cols; c++) {
            difference += pow((double)g.logits[c] - last[c], 2);
            size += pow((double)last[c], 2);
        }
        if (sqrt(difference / size) > 2e-6)
            fail_msg("%s: logits off by %.1e", sources[k].trial, sqrt(difference / size));
        generation_release(&text);
        generator_release(&g);
        session_close(&whole);
        json_decref(resolved);
        close_source(&o);
    }
}

enum { SHARED = 24, LONG = 30 };

/* Texts that begin alike, at the same time: what the first one reads the others copy, behind
 * virtual keys and tokens too, and write what each writes alone. */
static void beginnings_are_copied(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(sources); k++) {
        struct err err = ERR_INIT;
        int32_t long_prompts[3][LONG];
        struct generation together[3], alone;
        struct opened o;
        struct generator g;
        for (int i = 0; i < 3; i++) {
            for (int t = 0; t < LONG; t++)
                long_prompts[i][t] = 5 + (t < SHARED ? t * 7 : t * 3 + i) % 100;
            together[i] = (struct generation){.prompt = long_prompts[i],
                                              .n_prompt = i == 2 ? SHARED : LONG,
                                              .most = NEW,
                                              .stream = (uint64_t)i};
        }
        open_source(&o, &sources[k]);
        o.s.decode = (struct decode_size){3, generator_length(&o.s, LONG, NEW), 64};
        if (session_plan_memory(&o.s, &err) || session_allocate(&o.s, &err))
            fail_msg("%s", err.msg);
        generator_init(&g, &o.s, &drawn, NULL, 0);
        assert_int_equal(generator_run(&g, together, 3, NULL, NULL, &err), 0);
        assert_int_equal(together[0].reused, 0);
        assert_int_equal(together[1].reused, SHARED);
        assert_int_equal(together[2].reused, SHARED - 1);
        generator_release(&g);
        close_source(&o);
        for (int i = 0; i < 3; i++) {
            open_source(&o, &sources[k]);
            o.s.decode = (struct decode_size){1, generator_length(&o.s, LONG, NEW), 64};
            if (session_plan_memory(&o.s, &err) || session_allocate(&o.s, &err))
                fail_msg("%s", err.msg);
            alone = together[i];
            generator_init(&g, &o.s, &drawn, NULL, 0);
            assert_int_equal(generator_run(&g, &alone, 1, NULL, NULL, &err), 0);
            assert_int_equal(alone.reused, 0);
            assert_memory_equal(alone.ids, together[i].ids, NEW * sizeof *alone.ids);
            generation_release(&alone);
            generation_release(&together[i]);
            generator_release(&g);
            close_source(&o);
        }
    }
}

static bool three(void *ctx, const struct generation *text)
{
    ++*(int *)ctx;
    return text->n < 3;
}

static void texts_end(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct opened o;
    struct generator g;
    struct generation texts[TEXTS], stopped;
    int heard = 0;
    open_source(&o, &sources[0]);
    plan(&o, 2, 8);
    fill(texts);
    generator_init(&g, &o.s, &drawn, NULL, 0);
    assert_int_equal(generator_run(&g, texts, 1, three, &heard, &err), 0);
    assert_int_equal(texts[0].n, 3); /* whoever listens has enough */
    assert_int_equal(heard, 3);
    generator_release(&g);
    generator_init(&g, &o.s, &drawn, &texts[0].ids[1], 1);
    stopped = (struct generation){.prompt = prompts[0], .n_prompt = 9, .most = NEW};
    assert_int_equal(generator_run(&g, &stopped, 1, NULL, NULL, &err), 0);
    assert_true(stopped.stopped && stopped.n <= 2);
    generation_release(&stopped);
    generation_release(&texts[0]);
    generator_release(&g);
    close_source(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_stand_alone),
        cmocka_unit_test(beginnings_are_kept),
        cmocka_unit_test(beginnings_are_copied),
        cmocka_unit_test(cache_is_the_whole_sequence),
        cmocka_unit_test(texts_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

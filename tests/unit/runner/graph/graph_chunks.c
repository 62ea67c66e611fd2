/* tests/unit/runner/graph/graph_chunks.c - the head of a language model in chunks: the same
 * losses and gradients whatever their rows, and a plan that knows of no more than a chunk. */
#include "tests/unit/support/graph_bench.h"

static const int32_t every[TOKENS] = {0, 1, 2, 3, 4, 5},
                     words[TOKENS] = {5, 2, -1, 0, 10, 7};

/* What may stand in a head: a tied table or one of its own, frozen or not, with dropout, an
 * update of low rank and a scale behind it. */
struct head {
    const char *weight;
    bool trains, low_rank;
};
static const struct head heads[] = {
    {"table", true, false},
    {"head", true, true},
    {"head", false, true},
    {"head", false, false},
};

static void record_head(struct bench *t, const struct head *h, int32_t chunk_rows)
{
    static const struct graph_loss loss = {.label_smoothing = 0.1f, .class_weights = -1};
    add(t, "table", VOCABULARY, D, true)->table = true;
    add(t, "gamma", 1, D, true);
    add(t, "head", VOCABULARY, D, h->trains)->linear = true;
    add(t, "a", 2, D, true);
    add(t, "b", VOCABULARY, 2, true);
    add(t, "factor", 1, VOCABULARY, true);
    t->rows = extent_of(TOKENS, SEQUENCES, TOKENS);
    record(t, GRAPH_TRAIN);
    struct graph *g = &t->graph;
    g->chunk_rows = chunk_rows;
    int x = g_embed(g, g_table(g, "table"), -1, -1, -1);
    x = g_pick(g, g_rmsnorm(g, x, g_param(g, "gamma"), 1e-5f, 0));
    graph_chunk_head(g);
    const int y = g_linear(g, x, g_param(g, h->weight), -1, 1);
    if (h->low_rank)
        g_linear_onto(g, y, g_linear(g, g_dropout(g, x, 0.3f), g_param(g, "a"), -1, 1),
                      g_param(g, "b"), 0.5f);
    const int z = h->low_rank ? g_colscale(g, y, g_param(g, "factor"), -1) : y;
    graph_finish(g, z, false, &loss);
    place_params(t);
    place_graph(t);
    put(t, SLOT_picked, every, TOKENS);
    put(t, SLOT_labels, words, TOKENS);
}

static size_t gradient_floats(const struct bench *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->params.count; i++)
        if (t->params.items[i]->trainable)
            n += mem_round_up((size_t)param_size(t->params.items[i]) * sizeof(float)) /
                 sizeof(float);
    return n;
}

/* Losses bit for bit; sums over rows are rounded once per chunk. */
static void compare(const char *backend, const struct head *h, int32_t chunk_rows)
{
    struct bench whole, parts;
    open_bench(&whole, backend);
    open_bench(&parts, backend);
    record_head(&whole, h, TOKENS);
    record_head(&parts, h, chunk_rows);
    const size_t n = gradient_floats(&whole);
    memset(whole.gradients, 0, n * sizeof(float));
    memset(parts.gradients, 0, n * sizeof(float));
    run(&whole);
    run(&parts);
    assert_memory_equal(values_of(&whole, whole.graph.loss),
                        values_of(&parts, parts.graph.loss), TOKENS * sizeof(float));
    const float *a = whole.gradients, *b = parts.gradients;
    for (size_t i = 0; i < n; i++)
        if (fabsf(a[i] - b[i]) > 1e-5f * (1 + fabsf(a[i])))
            fail_msg("%s, chunks of %d: gradient %zu is %g, at once %g", backend,
                     chunk_rows, i, (double)b[i], (double)a[i]);
    close_bench(&whole);
    close_bench(&parts);
}

static void test_numbers(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++)
        for (size_t h = 0; h < ARRAY_LEN(heads); h++)
            for (int32_t rows = 1; rows < TOKENS; rows++)
                compare(backends[k], &heads[h], rows);
}

static void test_gradients(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++)
        for (size_t h = 0; h < ARRAY_LEN(heads); h++) {
            struct bench t;
            open_bench(&t, backends[k]);
            record_head(&t, &heads[h], 4);
            check_gradients(&t);
            close_bench(&t);
        }
}

/* A reader sees every row's logits once. */
struct reading {
    struct graph_reader reader;
    float logits[TOKENS * VOCABULARY];
    int32_t rows;
};

static void keep(struct graph_reader *r, const struct tensor *logits, int32_t begin)
{
    struct reading *k = (struct reading *)r;
    assert_int_equal(begin, k->rows);
    memcpy(k->logits + begin * VOCABULARY, logits->data,
           (size_t)logits->rows * VOCABULARY * sizeof(float));
    k->rows += logits->rows;
}

static void read_logits(const char *backend, int32_t chunk_rows, struct reading *out)
{
    struct bench t;
    open_bench(&t, backend);
    add(&t, "table", VOCABULARY, D, false)->table = true;
    add(&t, "head", VOCABULARY, D, false)->linear = true;
    t.rows = extent_of(TOKENS, SEQUENCES, TOKENS);
    record(&t, GRAPH_EVAL);
    struct graph *g = &t.graph;
    g->chunk_rows = chunk_rows;
    const int x = g_pick(g, g_embed(g, g_table(g, "table"), -1, -1, -1));
    graph_chunk_head(g);
    graph_finish(g, g_linear(g, x, g_param(g, "head"), -1, 1), false, NULL);
    place_params(&t);
    place_graph(&t);
    put(&t, SLOT_picked, every, TOKENS);
    *out = (struct reading){.reader = {keep}};
    t.memory.reader = &out->reader;
    run(&t);
    assert_int_equal(out->rows, TOKENS);
    close_bench(&t);
}

static void test_reader(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++)
        for (int32_t rows = 1; rows <= TOKENS; rows++) {
            struct reading whole, parts;
            read_logits(backends[k], TOKENS, &whole);
            read_logits(backends[k], rows, &parts);
            assert_memory_equal(whole.logits, parts.logits, sizeof whole.logits);
        }
}

/* Of 1000 times the tokens a plan takes 1000 times what is as wide as a hidden state, and
 * no more of the vocabulary. */
static size_t planned(int32_t tokens, int32_t chunk_rows)
{
    static const struct graph_loss loss = {.class_weights = -1};
    enum { WORDS = 50000 };
    struct bench t;
    open_bench(&t, "ref");
    add(&t, "table", WORDS, D, true)->table = true;
    add(&t, "head", WORDS, D, false)->linear = true;
    t.rows = extent_of(tokens, 1, tokens);
    record(&t, GRAPH_TRAIN);
    struct graph *g = &t.graph;
    g->chunk_rows = chunk_rows;
    const int x = g_pick(g, g_embed(g, g_table(g, "table"), -1, -1, -1));
    graph_chunk_head(g);
    graph_finish(g, g_linear(g, x, g_param(g, "head"), -1, 1), false, &loss);
    assert_int_equal(graph_plan(g, t.b, NULL), 0);
    const size_t bytes = g->activation_bytes;
    graph_release(g);
    params_release(&t.params);
    return bytes;
}

static void test_plan(void **state)
{
    (void)state;
    const size_t few = planned(1000, 100), many = planned(1000000, 100);
    /* hidden states, picked ones, the gradients of both, losses */
    assert_in_range(many - few, 0, (size_t)999000 * (4 * D + 1) * sizeof(float));
    /* logits and their gradient are one tensor */
    assert_in_range(planned(1000, 200) - few, (size_t)100 * 50000 * sizeof(float),
                    (size_t)100 * 50001 * sizeof(float));
    assert_int_equal(planned(64, 100), planned(64, 64)); /* no more than there are */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

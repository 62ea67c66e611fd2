/* tests/unit/runner/graph/graph_cut.c - where a graph may be cut, and that a run from there
 * needs nothing of what it leaves out: memory is poisoned before it, losses and gradients
 * are the same bits. */
#include "tests/unit/support/graph_bench.h"
#include "runner/graph/cut.h"

enum variant {
    PLAIN,   /* hidden states are the cut */
    ADDED,   /* ... made by two nodes, of which the second adds */
    PICKED,  /* only rows with labels are read above */
    ANGLES,  /* a table below and above the cut is made again */
    BESIDE,  /* what trains adds to a frozen product of the hidden states */
    DROPPED, /* dropout below: no cut */
    TRAINED, /* the table of words trains: no cut */
    VARIANTS
};

static int front(struct bench *t, enum variant v, int angles)
{
    struct graph *g = &t->graph;
    int x = g_embed(g, g_table(g, "words"), -1, -1, -1);
    x = v == DROPPED ? g_dropout(g, x, 0.5f) : x;
    int h = g_linear(g, g_act(g, g_linear(g, x, g_param(g, "up"), -1, 1), ACT_gelu),
                     g_param(g, "down"), -1, 1);
    if (v == ADDED)
        g_linear_onto(g, h, x, g_param(g, "square"), 0.5f);
    return v == ANGLES ? g_rope(g, h, angles, 2) : h;
}

static void record_all(struct bench *t, enum variant v)
{
    static const struct graph_loss loss = {.class_weights = -1};
    static const struct attention_kind kind = {.heads = 2, .scale = 0.5f};
    add(t, "words", VOCABULARY, D, v == TRAINED)->table = true;
    add(t, "up", WIDE, D, false);
    add(t, "down", D, WIDE, false);
    add(t, "square", D, D, false);
    add(t, "a", 2, D, true);
    add(t, "b", D, 2, true);
    add(t, "head", WIDE, D, true);
    add(t, "frequencies", 1, 2, false);
    record(t, GRAPH_TRAIN);
    struct graph *g = &t->graph;
    const int angles =
        v == ANGLES ? g_rope_table(g, g_param(g, "frequencies"), 0, 1) : -1;
    int h = front(t, v, angles);
    int y = v == BESIDE ? g_linear(g, h, g_param(g, "square"), -1, 1) : h;
    const int update =
        g_linear(g, g_linear(g, h, g_param(g, "a"), -1, 1), g_param(g, "b"), -1, 1);
    y = v == PICKED ? y : g_add(g, y, update);
    y = v == ANGLES ? g_rope(g, y, angles, 2) : y;
    y = v == PICKED ? y : g_attention(g, y, y, y, -1, -1, &kind); /* reads all rows */
    graph_finish(g, g_linear(g, g_pick(g, y), g_param(g, "head"), -1, 1), false, &loss);
    place_params(t);
    place_graph(t);
    put(t, SLOT_positions, ids, TOKENS);
}

/* Tensors at the cut, taken out or put in place. */
struct shelf {
    struct graph_reuse reuse;
    float values[4][TOKENS * WIDE];
    int32_t rows[4];
};

static void move(struct graph_reuse *r, size_t k, const struct tensor *t)
{
    struct shelf *s = (struct shelf *)r;
    const size_t bytes = (size_t)t->rows * (size_t)t->cols * sizeof(float);
    assert_true(k < ARRAY_LEN(s->values) && bytes <= sizeof s->values[k]);
    s->rows[k] = t->rows;
    if (r->there)
        memcpy(t->data, s->values[k], bytes);
    else
        memcpy(s->values[k], t->data, bytes);
}

static size_t gradient_bytes(const struct bench *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->params.count; i++)
        if (t->params.items[i]->trainable)
            n += mem_round_up((size_t)param_size(t->params.items[i]) * sizeof(float));
    return n;
}

static void run_twice(struct bench *t, const struct graph_cut *cut, struct shelf *s)
{
    const size_t n = gradient_bytes(t);
    float losses[SEQUENCES], *gradients = xmalloc(n);
    *s = (struct shelf){.reuse = {.cut = cut, .move = move}};
    t->memory.reuse = &s->reuse;
    memset(t->gradients, 0, n);
    run(t);
    memcpy(losses, values_of(t, t->graph.loss), sizeof losses);
    memcpy(gradients, t->gradients, n);
    memset(t->gradients, 0, n);
    memset(t->memory.activations, 0xff, t->graph.activation_bytes); /* NaN */
    s->reuse.there = true;
    run(t);
    assert_memory_equal(losses, values_of(t, t->graph.loss), sizeof losses);
    assert_memory_equal(gradients, t->gradients, n);
    assert_true(isfinite(losses[0]) && isfinite(losses[1]));
    free(gradients);
}

static void check(const char *backend, enum variant v)
{
    struct bench t;
    struct graph_cut cut;
    struct shelf s;
    size_t left_out = 0;
    open_bench(&t, backend);
    record_all(&t, v);
    graph_cut_find(&t.graph, &t.rows, &cut);
    if (v == DROPPED || v == TRAINED) {
        assert_int_equal(cut.count, 0);
        assert_true(graph_cut_flops(&t.graph, &cut, &t.rows) == 0);
        close_bench(&t);
        return;
    }
    assert_int_equal(cut.count, 1); /* also beside a product that could be kept as well */
    run_twice(&t, &cut, &s);
    assert_int_equal(s.rows[0], v == PICKED ? SEQUENCES : TOKENS);
    for (size_t i = 0; i < t.graph.node_count; i++) {
        left_out += cut.skip[i];
        if (t.graph.nodes[i].op == OP_rope_table)
            assert_false(cut.skip[i]);
        if (t.graph.nodes[i].op == OP_embed) /* nobody above the cut reads it */
            assert_true(cut.skip[i]);
    }
    assert_in_range(left_out, 4, 6);
    const double saved = graph_cut_flops(&t.graph, &cut, &t.rows),
                 all = graph_flops(&t.graph, &t.rows);
    assert_true(saved >= 2.0 * 2 * s.rows[0] * D * WIDE && saved < all);
    graph_cut_release(&cut);
    close_bench(&t);
}

static void test_cuts(void **state)
{
    (void)state;
    for (size_t b = 0; b < ARRAY_LEN(backends); b++)
        for (int v = 0; v < VARIANTS; v++)
            check(backends[b], (enum variant)v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/runner/graph/graph.c - small graphs on ref and cpu: modes, states, tied parameters,
 * gathers that sink, ops that a backend declines. */
#include "tests/unit/support/graph_bench.h"

/* --- modes --- */

static void test_modes(void **state)
{
    (void)state;
    static const enum graph_mode modes[] = {GRAPH_TRAIN, GRAPH_EVAL, GRAPH_DECODE};
    static const struct graph_loss loss = {.class_weights = -1};
    for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
        struct bench t;
        const bool trains = modes[m] == GRAPH_TRAIN;
        open_bench(&t, "ref");
        add(&t, "w", VOCABULARY, D, false)->table = true;
        add(&t, "h", VOCABULARY, D, true)->linear = true;
        record(&t, modes[m]);
        int x = g_dropout(
            &t.graph,
            g_embed(&t.graph, g_table(&t.graph, "w"), g_table(&t.graph, "w"), -1, -1),
            0.5f);
        x = g_linear(&t.graph, g_pick(&t.graph, x), g_param(&t.graph, "h"), -1, 1);
        graph_finish(&t.graph, x, false, modes[m] == GRAPH_DECODE ? NULL : &loss);
        place_params(&t);
        place_graph(&t);
        assert_int_equal(count_ops(&t.graph, OP_dropout), trains);
        assert_int_equal(count_ops(&t.graph, OP_linear_dw), trains);
        assert_int_equal(count_ops(&t.graph, OP_cross_entropy), m != 2);
        assert_int_equal(t.graph.loss < 0, m == 2);
        run(&t);
        assert_true(isfinite(values_of(&t, t.graph.logits)[0]));
        close_bench(&t);
    }
}

/* --- states --- */

/* One graph counts what it is shown into a state, another reads it. */
static void test_states(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++) {
        struct bench t;
        open_bench(&t, backends[k]);
        const int sums = states_add(&t.states, "sums", DT_F32, D, D);
        const int kept = states_add(&t.states, "kept", DT_F32, 1, WIDE);
        assert_int_equal(states_add(&t.states, "sums", DT_F32, D, D), sums);
        assert_int_equal(t.states.count, 2);
        assert_int_equal(t.states.bytes, D * D * 4 + 64);
        add(&t, "a", D, WIDE, false);
        add(&t, "b", D, WIDE, false)->linear = true;
        add(&t, "row", 1, WIDE, false);
        record(&t, GRAPH_DECODE);
        const int into = g_state(&t.graph, sums);
        g_linear_onto(&t.graph, into, g_param(&t.graph, "a"), g_param(&t.graph, "b"), 1);
        g_store(&t.graph, g_state(&t.graph, kept), g_param(&t.graph, "row"));
        graph_finish(&t.graph, g_scale(&t.graph, g_param(&t.graph, "a"), 2), false, NULL);
        place_params(&t);
        place_graph(&t);
        float once[D * D], row[WIDE];
        run(&t);
        memcpy(once, values_of(&t, into), sizeof once);
        run(&t);
        for (int i = 0; i < D * D; i++)
            assert_float_equal(values_of(&t, into)[i], 2 * once[i], 1e-5);
        assert_true(fabsf(once[3]) > 1e-4f);
        memcpy(row, params_find(&t.params, "row")->value.data, sizeof row);
        close_graph(&t);

        record(&t, GRAPH_DECODE);
        const int seen = g_scale(&t.graph, g_state(&t.graph, kept), 3);
        graph_finish(&t.graph, seen, false, NULL);
        place_graph(&t);
        run(&t);
        for (int i = 0; i < WIDE; i++)
            assert_float_equal(values_of(&t, seen)[i], 3 * row[i], 1e-6);
        close_bench(&t);
    }
}

/* --- tied parameters --- */

/* logits = tanh(E[ids]) E^T: the same table in front and behind. */
static void record_tied(struct bench *t, bool trainable)
{
    static const struct graph_loss loss = {.class_weights = -1};
    struct param *p = add(t, "table", VOCABULARY, D, trainable);
    p->linear = p->table = true;
    add(t, "positions", 1, D, false);
    record(t, GRAPH_TRAIN);
    struct graph *g = &t->graph;
    int x = g_act(g, g_embed(g, g_table(g, "table"), g_table(g, "positions"), -1, -1),
                  ACT_tanh);
    graph_finish(g, g_linear(g, g_pick(g, x), g_param(g, "table"), -1, 1), false, &loss);
    place_params(t);
    place_graph(t);
}

static void test_tied(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++) {
        struct bench frozen, trained;
        open_bench(&frozen, backends[k]);
        open_bench(&trained, backends[k]);
        record_tied(&frozen, false);
        record_tied(&trained, true);
        const struct param *f = params_find(&frozen.params, "table"),
                           *p = params_find(&trained.params, "table");
        /* it lies there once, frozen or not, and is counted once */
        assert_int_equal(param_frozen_bytes(f, frozen.b),
                         mem_round_up(frozen.b->weight_bytes(&f->spec)));
        assert_null(f->value.data);
        assert_int_equal(params_count(&frozen.params, false), VOCABULARY * D + D);
        assert_int_equal(params_count(&trained.params, true), VOCABULARY * D);
        assert_non_null(f->prepared.data);
        assert_null(p->prepared.data);
        /* rows of a prepared table are those of a plain one */
        run(&frozen);
        run(&trained);
        for (int i = 0; i < SEQUENCES * VOCABULARY; i++)
            assert_float_equal(values_of(&frozen, frozen.graph.logits)[i],
                               values_of(&trained, trained.graph.logits)[i], 1e-5);
        check_gradients(&trained);
        assert_int_equal(count_ops(&trained.graph, OP_linear_dw), 1);
        assert_int_equal(count_ops(&trained.graph, OP_embed_bwd), 1);
        assert_int_equal(count_ops(&frozen.graph, OP_embed_bwd), 0);
        close_bench(&frozen);
        close_bench(&trained);
    }
}

/* --- gathers that sink --- */

enum reader { NOBODY_ELSE, WHOLE, OTHER_ROWS };

/* x = E[ids]; y = LN(x + up(act(down x) + low-rank part)), logits from the first tokens of
 * y. With another reader of y its gather must stay. */
static int record_block(struct bench *t, enum reader reader, bool checkpointing)
{
    static const struct graph_loss loss = {.class_weights = -1};
    static const struct attention_kind kind = {.heads = 2, .scale = 0.5f};
    add(t, "table", VOCABULARY, D, true);
    add(t, "positions", 1, D, false);
    add(t, "down", WIDE, D, false)->linear = true;
    add(t, "up", D, WIDE, true)->linear = true;
    add(t, "A", 2, WIDE, true);
    add(t, "B", D, 2, true);
    add(t, "gamma", 1, D, true);
    add(t, "beta", 1, D, true);
    add(t, "head", VOCABULARY, D, true)->linear = true;
    record(t, GRAPH_TRAIN);
    struct graph *g = &t->graph;
    const int x = g_embed(g, g_table(g, "table"), g_table(g, "positions"), -1, -1);
    graph_segment(g, true);
    int h = g_act(g, g_linear(g, x, g_param(g, "down"), -1, 1), ACT_gelu);
    int u = g_linear(g, h, g_param(g, "up"), -1, 1);
    g_linear_onto(g, u, g_linear(g, h, g_param(g, "A"), -1, 1), g_param(g, "B"), 2);
    const int y =
        g_layernorm(g, g_add(g, u, x), g_param(g, "gamma"), g_param(g, "beta"), 1e-5f);
    graph_segment(g, false);
    int picked = g_pick(g, y);
    if (reader == WHOLE) /* an op that looks at other rows too */
        picked = g_add(g, picked, g_pick(g, g_attention(g, y, y, y, -1, -1, &kind)));
    if (reader == OTHER_ROWS)
        picked = g_add(g, picked, g_gather(g, y, g->slots[SLOT_labels]));
    graph_finish(g, g_linear(g, picked, g_param(g, "head"), -1, 1), checkpointing, &loss);
    place_params(t);
    place_graph(t);
    return y;
}

static void test_sink(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++)
        for (int checkpointing = 0; checkpointing < 2; checkpointing++)
            for (int r = NOBODY_ELSE; r <= OTHER_ROWS; r++) {
                struct bench t;
                open_bench(&t, backends[k]);
                const int y = record_block(&t, (enum reader)r, checkpointing);
                const struct g_node *n = t.graph.nodes;
                assert_int_equal(n[0].op, OP_embed);
                if (r ==
                    NOBODY_ELSE) { /* right behind the embedding: all is row by row */
                    assert_int_equal(n[1].op, OP_gather);
                    assert_int_equal(t.graph.tensors[y].rows_kind, ROWS_PICKED);
                    if (!checkpointing)
                        assert_int_equal(count_ops(&t.graph, OP_gather), 1);
                } else {
                    assert_int_equal(n[1].op, OP_linear);
                    assert_int_equal(t.graph.tensors[y].rows_kind, ROWS_TOKENS);
                }
                check_gradients(&t);
                close_bench(&t);
            }
}

/* The rows that are picked are those of the whole, to the bit. */
static void test_sink_changes_nothing(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++) {
        struct bench t[2];
        for (int whole = 0; whole < 2; whole++) {
            open_bench(&t[whole], backends[k]);
            add(&t[whole], "table", VOCABULARY, D, false);
            add(&t[whole], "up", D, D, false)->linear = true;
            record(&t[whole], GRAPH_EVAL);
            struct graph *g = &t[whole].graph;
            const int e = g_table(g, "table"), x = g_embed(g, e, e, -1, -1);
            const int y = g_add(g, g_linear(g, x, g_param(g, "up"), -1, 1), x);
            graph_finish(g, whole ? y : g_pick(g, y), false, NULL);
            place_params(&t[whole]);
            place_graph(&t[whole]);
            run(&t[whole]);
        }
        const float *picked = values_of(&t[0], t[0].graph.logits),
                    *all = values_of(&t[1], t[1].graph.logits);
        for (int s = 0; s < SEQUENCES; s++)
            assert_memory_equal(picked + s * D, all + first[s] * D, D * sizeof *all);
        assert_true(t[0].graph.activation_bytes < t[1].graph.activation_bytes);
        close_bench(&t[0]);
        close_bench(&t[1]);
    }
}

/* --- what a backend declines --- */

static bool no_tanh(void *device, enum op op, const struct op_args *shapes, char *reason,
                    size_t size)
{
    (void)device;
    if (op != OP_act || shapes->attr.act != ACT_tanh)
        return true;
    snprintf(reason, size, "no tanh for %d rows", shapes->in[0].rows);
    return false;
}

static void test_declined(void **state)
{
    (void)state;
    static const struct {
        enum act act;
        unsigned activations;
        const char *message;
    } rows[] = {
        {ACT_gelu, 1u << DT_F32, NULL},
        {ACT_tanh, 1u << DT_F32,
         "backend 'ref' does not run 'act' here: no tanh for 6 rows"},
        {ACT_gelu, 1u << DT_BF16, "backend 'ref' does not keep activations in F32"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bench t;
        struct err err = ERR_INIT;
        open_bench(&t, "ref");
        struct backend picky = *t.b;
        picky.supports = no_tanh;
        picky.activations = rows[i].activations;
        add(&t, "table", VOCABULARY, D, false);
        record(&t, GRAPH_EVAL);
        const int e = g_table(&t.graph, "table"), x = g_embed(&t.graph, e, e, -1, -1);
        graph_finish(&t.graph, g_act(&t.graph, x, rows[i].act), false, NULL);
        const int rc = graph_plan(&t.graph, &picky, &err);
        assert_int_equal(rc, rows[i].message ? -ERR_CONFIG : 0);
        if (rows[i].message)
            assert_string_equal(err.msg, rows[i].message);
        close_bench(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_tied),
        cmocka_unit_test(test_sink),
        cmocka_unit_test(test_sink_changes_nothing),
        cmocka_unit_test(test_declined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

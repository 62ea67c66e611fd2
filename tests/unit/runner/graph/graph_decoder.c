/* tests/unit/runner/graph/graph_decoder.c - the graph of a decoder's layer: its gradients, with
 * and without checkpointing, on ref and cpu. */
#include "tests/unit/support/graph_bench.h"

/* RMSNorm, rotary embeddings, four heads of queries on two of keys, gated activation of two
 * halves of one product. */
static void record_decoder(struct bench *t, bool checkpointing, enum dtype kept)
{
    static const struct graph_loss loss = {.class_weights = -1};
    static const struct attention_kind kind = {
        .heads = 4, .kv_heads = 2, .causal = true, .scale = 0.7f};
    static const int32_t positions[TOKENS] = {0, 1, 2, 3, 0, 1};
    add(t, "table", VOCABULARY, D, true);
    add(t, "frequencies", 1, 1, false);
    add(t, "gamma", 1, D, true);
    add(t, "q", D, D, true);
    add(t, "k", D / 2, D, true);
    add(t, "v", D / 2, D, false)->linear = true;
    add(t, "gate_up", 2 * WIDE, D, true);
    add(t, "down", D, WIDE, false)->linear = true;
    record(t, GRAPH_TRAIN);
    struct graph *g = &t->graph;
    int x = g_embed(g, g_table(g, "table"), -1, -1, -1);
    const int rope = g_rope_table(g, g_param(g, "frequencies"), 0, 0.9f);
    graph_segment(g, true);
    int h = g_rmsnorm(g, x, g_param(g, "gamma"), 1e-5f, 0);
    const int q = g_rope(g, g_linear(g, h, g_param(g, "q"), -1, 1), rope, 4);
    const int k = g_rope(g, g_linear(g, h, g_param(g, "k"), -1, 1), rope, 2);
    const int v = g_linear(g, h, g_param(g, "v"), -1, 1);
    x = g_add(g, g_attention(g, q, k, v, -1, -1, &kind), x);
    h = g_rmsnorm(g, x, g_param(g, "gamma"), 1e-5f, 0);
    h = g_linear(g, h, g_param(g, "gate_up"), -1, 1);
    h = g_gated_act(g, g_slice(g, h, 0, WIDE), g_slice(g, h, WIDE, WIDE), ACT_swish);
    x = g_add(g, g_linear(g, h, g_param(g, "down"), -1, 1), x);
    graph_segment(g, false);
    g->kept = kept;
    x = g_rmsnorm(g, g_pick(g, x), g_param(g, "gamma"), 1e-5f, 0);
    graph_finish(g, g_linear(g, x, g_param(g, "table"), -1, 1), checkpointing, &loss);
    place_params(t);
    place_graph(t);
    put(t, SLOT_positions, positions, TOKENS);
}

static void test_decoder(void **state)
{
    (void)state;
    static const int32_t last[SEQUENCES] = {3, 5};
    for (size_t k = 0; k < ARRAY_LEN(backends); k++)
        for (int checkpointing = 0; checkpointing < 2; checkpointing++) {
            struct bench t;
            open_bench(&t, backends[k]);
            record_decoder(&t, checkpointing, DT_F32);
            put(&t, SLOT_picked, last, SEQUENCES);
            check_gradients(&t);
            assert_int_equal(count_ops(&t.graph, OP_rope_table), 1);
            close_bench(&t);
        }
}

/* |a - b| / |b| over the gradients of both. */
static double gradients_off(const struct bench *a, const struct bench *b)
{
    double off = 0, size = 0;
    for (size_t i = 0; i < b->params.count; i++) {
        const struct param *p = b->params.items[i];
        const float *x = a->params.items[i]->grad.data, *y = p->grad.data;
        for (int64_t k = 0; p->trainable && k < param_size(p); k++) {
            off += (double)(x[k] - y[k]) * (x[k] - y[k]);
            size += (double)y[k] * y[k];
        }
    }
    return sqrt(off / size);
}

/* What the forward pass makes has the same bits, its gradients those of numbers rounded
 * once; a tensor is there in one of its forms at a time. */
static void test_kept_in_bf16(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(backends); k++)
        for (int checkpointing = 0; checkpointing < 2; checkpointing++) {
            struct bench wide, narrow;
            open_bench(&wide, backends[k]);
            open_bench(&narrow, backends[k]);
            record_decoder(&wide, checkpointing, DT_F32);
            record_decoder(&narrow, checkpointing, DT_BF16);
            assert_true(sum_of_losses(&wide) == sum_of_losses(&narrow));
            const double off = gradients_off(&narrow, &wide);
            if (!(off > 1e-5 && off < 5e-3))
                fail_msg("%s: gradients are off by %g", backends[k], off);
            /* There and back: the words, q, k, v, o, the sum, gate and up in one, the last
             * norm's input; with checkpointing what goes into and out of the segment. */
            assert_int_equal(count_ops(&narrow.graph, OP_copy) -
                                 count_ops(&wide.graph, OP_copy),
                             2 * (checkpointing ? 2 : 8));
            close_bench(&wide);
            close_bench(&narrow);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoder),
        cmocka_unit_test(test_kept_in_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

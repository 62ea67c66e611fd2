/* tests/unit/support/graph_bench.h - a net of loose parameters, what a run of one graph on it
 * takes, and its gradients against difference quotients of the loss. */
#ifndef TESTS_SUPPORT_GRAPH_BENCH_H
#define TESTS_SUPPORT_GRAPH_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "runner/graph/graph.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCABULARY = 11, D = 8, WIDE = 12, TOKENS = 6, SEQUENCES = 2 };

static const char *const backends[] = {"ref", "cpu"};

struct bench {
    const struct backend *b;
    struct params params;
    struct states states;
    struct graph graph;
    struct graph_memory memory;
    void *weights, *trainable, *gradients;
    struct extent rows; /* of the micro-batch */
};

static const int32_t ids[TOKENS] = {3, 0, 7, 7, 10, 1}, seq[] = {0, 4, TOKENS};
static const int32_t first[SEQUENCES] = {0, 4}, labels[SEQUENCES] = {5, 2};

static inline void open_bench(struct bench *t, const char *backend)
{
    *t = (struct bench){.b = backend_get(backend, NULL),
                        .rows = extent_of(TOKENS, SEQUENCES, SEQUENCES)};
    params_init(&t->params);
}

static inline struct param *add(struct bench *t, const char *name, int32_t rows,
                                int32_t cols, bool trainable)
{
    struct param *p = params_add(&t->params, name, rows == 1 ? 1 : 2, rows, cols);
    p->init = INIT_NORMAL;
    p->init_scale = 0.5f;
    p->trainable = trainable;
    p->spec = (struct weight_spec){
        .rows = rows, .cols = cols, .block = 64, .dx_panels = 1, .compute = DT_F32};
    return p;
}

static inline void record(struct bench *t, enum graph_mode mode)
{
    graph_init(&t->graph, &t->params, &t->states, mode, t->rows);
}

/* Every parameter gets its memory and start values. */
static inline void place_params(struct bench *t)
{
    size_t frozen = 0, trained = 0;
    for (size_t i = 0; i < t->params.count; i++) {
        struct param *p = t->params.items[i];
        size_t *at = p->trainable ? &trained : &frozen;
        p->offset = *at;
        *at += p->trainable ? mem_round_up((size_t)param_size(p) * sizeof(float))
                            : param_frozen_bytes(p, t->b);
    }
    t->weights = t->b->alloc(t->b->device, frozen);
    t->trainable = t->b->alloc(t->b->device, trained);
    t->gradients = t->b->alloc(t->b->device, trained);
    for (size_t i = 0; i < t->params.count; i++) {
        struct param *p = t->params.items[i];
        float values[VOCABULARY * 2 * WIDE];
        assert_true(param_size(p) <= (int64_t)ARRAY_LEN(values));
        assert_int_equal(param_start_values(p, 1, values, NULL), 0);
        param_bind(p, p->trainable ? t->trainable : t->weights, t->gradients);
        if (param_is_plain(p))
            memcpy(p->value.data, values, (size_t)param_size(p) * sizeof *values);
        if (param_is_prepared(p))
            assert_int_equal(
                backend_prepare(t->b, &p->spec, values, p->prepared.data, NULL), 0);
    }
}

static inline void put(struct bench *t, enum batch_slot slot, const int32_t *values,
                       int n)
{
    memcpy((char *)t->memory.batch + t->memory.batch_offsets[slot], values,
           (size_t)n * sizeof *values);
}

/* Plans the graph and takes exactly what it says. */
static inline void place_graph(struct bench *t)
{
    struct err err = ERR_INIT;
    if (graph_plan(&t->graph, t->b, &err))
        fail_msg("%s", err.msg);
    t->memory = (struct graph_memory){
        .activations = t->b->alloc(t->b->device, t->graph.activation_bytes),
        .workspace = t->b->alloc(t->b->device, t->graph.workspace_bytes + 64),
        .state = t->memory.state ? t->memory.state
                                 : t->b->alloc(t->b->device, t->states.bytes + 64)};
    t->memory.batch = t->b->alloc(
        t->b->device, graph_batch_bytes(&t->rows, 0, t->memory.batch_offsets));
    put(t, SLOT_ids, ids, TOKENS);
    put(t, SLOT_seq, seq, SEQUENCES + 1);
    put(t, SLOT_picked, first, SEQUENCES);
    put(t, SLOT_labels, labels, SEQUENCES);
}

static inline void run(struct bench *t)
{
    const struct op_step step = {.seed = 3, .loss_scale = 1};
    graph_run(&t->graph, t->b, &t->memory, &t->rows, &step);
}

static inline const float *values_of(struct bench *t, int tensor)
{
    return graph_tensor(&t->graph, &t->memory, tensor, &t->rows).data;
}

static inline double sum_of_losses(struct bench *t)
{
    run(t);
    double sum = 0;
    for (int i = 0; i < t->rows.of[ROWS_PICKED]; i++)
        sum += values_of(t, t->graph.loss)[i];
    return sum;
}

static inline void close_graph(struct bench *t)
{
    t->b->release(t->b->device, t->memory.activations);
    t->b->release(t->b->device, t->memory.workspace);
    t->b->release(t->b->device, t->memory.batch);
    graph_release(&t->graph);
}

static inline void close_bench(struct bench *t)
{
    close_graph(t);
    t->b->release(t->b->device, t->memory.state);
    t->b->release(t->b->device, t->weights);
    t->b->release(t->b->device, t->trainable);
    t->b->release(t->b->device, t->gradients);
    params_release(&t->params);
    states_release(&t->states);
}

/* Each number of each trainable parameter against a difference quotient of the loss. */
static inline void check_gradients(struct bench *t)
{
    size_t bytes = 0;
    for (size_t i = 0; i < t->params.count; i++)
        if (t->params.items[i]->trainable)
            bytes += mem_round_up((size_t)param_size(t->params.items[i]) * sizeof(float));
    float *own = xmalloc(bytes);
    memset(t->gradients, 0, bytes);
    run(t);
    memcpy(own, t->gradients, bytes);
    for (size_t i = 0; i < t->params.count; i++) {
        const struct param *p = t->params.items[i];
        for (int64_t k = 0; p->trainable && k < param_size(p); k++) {
            float *v = (float *)p->value.data + k;
            const float kept = *v, h = 1e-2f;
            *v = kept + h;
            const double up = sum_of_losses(t);
            *v = kept - h;
            const double down = sum_of_losses(t);
            *v = kept;
            const double want = (up - down) / (2.0 * h), have = own[p->offset / 4 + k];
            if (fabs(want - have) > 2e-3 + 5e-3 * fabs(want))
                fail_msg("%s: %s[%d]: gradient %g, the loss says %g", t->b->name, p->name,
                         (int)k, have, want);
        }
    }
    free(own);
}

static inline int count_ops(const struct graph *g, enum op op)
{
    int n = 0;
    for (size_t i = 0; i < g->node_count; i++)
        n += g->nodes[i].op == op;
    return n;
}

#endif

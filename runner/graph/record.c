/* runner/graph/record.c - builder functions: each appends one node and infers the shape
 * of its output. */
#include "lib/mem.h"
#include "lib/text_table.h"
#include "runner/graph/graph.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Logits of a chunk; a multiple of CHUNK_BLOCK rows. With SmolLM2's 49,152 words 320 rows:
 * the weight is read so often that products take all of the time. */
#define CHUNK_BYTES ((size_t)64 << 20)
#define CHUNK_BLOCK 64

static const struct {
    enum rows_kind kind;
    int32_t extra;
} slot_shapes[SLOT_COUNT] = {
#define X(name, kind, extra) {kind, extra},
    BATCH_SLOTS(X)
#undef X
};

void graph_init(struct graph *g, struct params *params, struct states *states,
                enum graph_mode mode, struct extent budget)
{
    *g = (struct graph){.params = params,
                        .states = states,
                        .mode = mode,
                        .budget = budget,
                        .segment = -1,
                        .logits = -1,
                        .loss = -1,
                        .prompt = -1};
    for (int s = 0; s < SLOT_COUNT; s++) {
        int t = graph_new_tensor(g, DT_I32, slot_shapes[s].kind, slot_shapes[s].extra, 1);
        g->tensors[t].home = HOME_BATCH;
        g->tensors[t].slot = s;
        g->slots[s] = t;
    }
}

void graph_release(struct graph *g)
{
    free(g->tensors);
    free(g->nodes);
    free(g->param_tensor);
    *g = (struct graph){0};
}

int *graph_ints(size_t count, int value)
{
    int *p = xmalloc((count + 1) * sizeof *p);
    for (size_t i = 0; i < count; i++)
        p[i] = value;
    return p;
}

int graph_new_tensor(struct graph *g, enum dtype dtype, enum rows_kind kind, int32_t rows,
                     int32_t cols)
{
    g->tensors =
        xgrow(g->tensors, &g->tensor_cap, g->tensor_count + 1, sizeof *g->tensors);
    g->tensors[g->tensor_count] = (struct g_tensor){.dtype = dtype,
                                                    .rows_kind = kind,
                                                    .rows = rows,
                                                    .cols = cols,
                                                    .home = HOME_ACTIVATION,
                                                    .param = -1,
                                                    .host = -1,
                                                    .state = -1,
                                                    .parent = -1,
                                                    .first = -1,
                                                    .last = -1};
    return (int)g->tensor_count++;
}

int graph_like(struct graph *g, int t)
{
    const struct g_tensor s = g->tensors[t];
    return graph_new_tensor(g, s.dtype, s.rows_kind, s.rows, s.cols);
}

struct g_node *graph_append(struct graph *g, enum op op)
{
    g->nodes = xgrow(g->nodes, &g->node_cap, g->node_count + 1, sizeof *g->nodes);
    struct g_node *n = &g->nodes[g->node_count++];
    *n = (struct g_node){.op = op,
                         .base = g->of_method ? -1 : g->bases++,
                         .segment = g->segment,
                         .chunked = g->chunked,
                         .attr = {.scale = 1}};
    for (int i = 0; i < OP_MAX_IN; i++)
        n->in[i] = -1;
    for (int i = 0; i < OP_MAX_OUT; i++)
        n->out[i] = -1;
    return n;
}

static bool any_needs_grad(const struct graph *g, const struct g_node *n)
{
    for (int i = 0; i < op_info[n->op].n_in; i++)
        if (n->in[i] >= 0 && g->tensors[n->in[i]].needs_grad)
            return true;
    return false;
}

/* Appends a node whose single interesting output is `out`. */
static int emit(struct graph *g, enum op op, const int *in, int n_in, int out,
                struct op_attr attr)
{
    struct g_node *n = graph_append(g, op);
    memcpy(n->in, in, (size_t)n_in * sizeof *in);
    n->out[0] = out;
    n->attr = attr;
    if (any_needs_grad(g, n) && g->tensors[out].home != HOME_STATE)
        g->tensors[out].needs_grad = true;
    return out;
}

static int param_tensor(struct graph *g, const char *name, bool plain)
{
    int64_t at;
    if (!strmap_get(g->params->by_name, name, strlen(name), &at)) {
        text_print(stderr, "peftlab: no parameter '%s'; this is a bug\n", name);
        abort();
    }
    const struct param *p = g->params->items[at];
    const bool prepared = param_is_prepared(p) && !(plain && param_is_plain(p));
    const size_t i = 2 * (size_t)at + prepared;
    if (i >= g->param_cap) {
        const size_t cap = 2 * g->params->count;
        g->param_tensor = xrealloc(g->param_tensor, cap * sizeof *g->param_tensor);
        for (size_t k = g->param_cap; k < cap; k++)
            g->param_tensor[k] = -1;
        g->param_cap = cap;
    }
    if (g->param_tensor[i] < 0) {
        int t = graph_new_tensor(g, prepared ? DT_PREPARED : DT_F32, ROWS_FIXED, p->rows,
                                 p->cols);
        g->tensors[t].home = HOME_PARAM;
        g->tensors[t].param = (int)at;
        g->tensors[t].needs_grad = p->trainable;
        g->param_tensor[i] = t;
    }
    return g->param_tensor[i];
}

int g_param(struct graph *g, const char *name)
{
    return param_tensor(g, name, false);
}

int g_table(struct graph *g, const char *name)
{
    return param_tensor(g, name, true);
}

int g_state(struct graph *g, int state)
{
    const struct state s = g->states->items[state];
    int t = graph_new_tensor(g, s.dtype, ROWS_FIXED, s.rows, s.cols);
    g->tensors[t].home = HOME_STATE;
    g->tensors[t].state = state;
    return t;
}

void g_store(struct graph *g, int state, int x)
{
    assert(g->tensors[state].home == HOME_STATE);
    emit(g, OP_copy, &x, 1, state, (struct op_attr){.scale = 1});
}

static int view(struct graph *g, int t, int32_t rows, int32_t column, int32_t cols)
{
    const struct g_tensor s = g->tensors[t];
    int v = graph_new_tensor(g, s.dtype, s.rows_kind, rows, cols);
    g->tensors[v].home = HOME_VIEW;
    g->tensors[v].parent = t;
    g->tensors[v].column = column;
    g->tensors[v].needs_grad = s.needs_grad;
    return v;
}

int g_slice(struct graph *g, int t, int32_t column, int32_t cols)
{
    assert(column + cols <= g->tensors[t].cols);
    return view(g, t, g->tensors[t].rows, column, cols);
}

int g_rows(struct graph *g, int t, int32_t rows)
{
    assert(g->tensors[t].rows_kind == ROWS_FIXED && rows <= g->tensors[t].rows);
    return view(g, t, rows, 0, g->tensors[t].cols);
}

int g_embed(struct graph *g, int word, int position, int type, int prompt)
{
    const int in[] = {g->slots[SLOT_ids],
                      g->slots[SLOT_positions],
                      g->slots[SLOT_type_ids],
                      word,
                      position,
                      type,
                      prompt};
    int y = graph_new_tensor(g, DT_F32, ROWS_TOKENS, 0, g->tensors[word].cols);
    return emit(g, OP_embed, in, 7, y, (struct op_attr){.scale = 1});
}

/* Its second output, mean and 1 / sd per row, is for the backward pass. */
int g_layernorm(struct graph *g, int x, int gamma, int beta, float eps)
{
    const int in[] = {x, gamma, beta};
    const struct g_tensor s = g->tensors[x];
    int y = graph_like(g, x);
    int stats = graph_new_tensor(g, DT_F32, s.rows_kind, s.rows, 2);
    emit(g, OP_layernorm, in, 3, y, (struct op_attr){.eps = eps});
    g->nodes[g->node_count - 1].out[1] = stats;
    return y;
}

/* Its second output, 1 / rms per row and head, is for the backward pass. */
int g_rmsnorm(struct graph *g, int x, int gamma, float eps, float offset)
{
    const int in[] = {x, gamma};
    const struct g_tensor s = g->tensors[x];
    const int32_t heads = s.cols / g->tensors[gamma].cols;
    assert(s.cols == heads * g->tensors[gamma].cols);
    int y = graph_like(g, x);
    int stats = graph_new_tensor(g, DT_F32, s.rows_kind, s.rows, heads);
    emit(g, OP_rmsnorm, in, 2, y, (struct op_attr){.eps = eps, .offset = offset});
    g->nodes[g->node_count - 1].out[1] = stats;
    return y;
}

/* The format that a parameter's products are computed in. */
static enum dtype compute_of(const struct graph *g, int weight)
{
    const struct g_tensor *t = &g->tensors[weight];
    return t->home == HOME_PARAM ? g->params->items[t->param]->spec.compute : DT_F32;
}

int g_linear(struct graph *g, int x, int weight, int bias, float scale)
{
    const int in[] = {x, weight, bias};
    const struct g_tensor s = g->tensors[x];
    assert(s.cols == g->tensors[weight].cols);
    int y = graph_new_tensor(g, DT_F32, s.rows_kind, s.rows, g->tensors[weight].rows);
    return emit(g, OP_linear, in, 3, y,
                (struct op_attr){.scale = scale, .compute = compute_of(g, weight)});
}

void g_linear_onto(struct graph *g, int y, int x, int weight, float scale)
{
    const int in[] = {x, weight, -1};
    assert(g->tensors[x].cols == g->tensors[weight].cols);
    assert(g->tensors[y].cols == g->tensors[weight].rows);
    emit(g, OP_linear, in, 3, y,
         (struct op_attr){.scale = scale, .compute = compute_of(g, weight)});
    g->nodes[g->node_count - 1].accumulate = 1;
}

int g_act(struct graph *g, int x, enum act act)
{
    return emit(g, OP_act, &x, 1, graph_like(g, x), (struct op_attr){.act = act});
}

int g_gated_act(struct graph *g, int gate, int up, enum act act)
{
    const int in[] = {gate, up};
    return emit(g, OP_gated_act, in, 2, graph_like(g, gate),
                (struct op_attr){.act = act});
}

int g_rope_table(struct graph *g, int frequencies, int32_t length, float factor)
{
    const bool several = g->tensors[frequencies].rows > 1;
    const int in[] = {g->slots[SLOT_positions], frequencies,
                      several ? g->slots[SLOT_seq] : -1};
    int y = graph_new_tensor(g, DT_F32, ROWS_TOKENS, 0, 2 * g->tensors[frequencies].cols);
    return emit(g, OP_rope_table, in, 3, y,
                (struct op_attr){.scale = factor, .length = length});
}

int g_rope(struct graph *g, int x, int table, int heads)
{
    const int in[] = {x, table};
    assert(g->tensors[x].cols % heads == 0);
    assert(g->tensors[x].cols / heads >= g->tensors[table].cols);
    return emit(g, OP_rope, in, 2, graph_like(g, x), (struct op_attr){.heads = heads});
}

int g_dropout(struct graph *g, int x, float p)
{
    if (p == 0 || g->mode != GRAPH_TRAIN)
        return x;
    return emit(g, OP_dropout, &x, 1, graph_like(g, x),
                (struct op_attr){.p = p, .site = g->sites++});
}

int g_scale(struct graph *g, int x, float scale)
{
    if (scale == 1)
        return x;
    return emit(g, OP_scale, &x, 1, graph_like(g, x), (struct op_attr){.scale = scale});
}

int g_add(struct graph *g, int a, int b)
{
    const int in[] = {a, b};
    return emit(g, OP_add, in, 2, graph_like(g, a), (struct op_attr){.scale = 1});
}

int g_colscale(struct graph *g, int x, int scale, int bias)
{
    const int in[] = {x, scale, bias};
    assert(g->tensors[x].cols == g->tensors[scale].cols);
    return emit(g, OP_colscale, in, 3, graph_like(g, x), (struct op_attr){.scale = 1});
}

/* |W + s B A|^2 by rows = |W|^2 + 2 s (W A^T) . B + s^2 (B A A^T) . B: products as small
 * as the rank, p = A W^T (r, out) and aa = A A^T (r, r), instead of the sum of two
 * matrices. The norm is a constant to the gradient, so neither wants one. */
int g_dora_norm(struct graph *g, int w2, int weight, int a, int b, float scale)
{
    const int p = g_linear(g, a, weight, -1, 1), aa = g_linear(g, a, a, -1, 1);
    const int in[] = {w2, p, aa, b};
    const int out = graph_new_tensor(g, DT_F32, ROWS_FIXED, 1, g->tensors[b].rows);
    g->tensors[p].needs_grad = g->tensors[aa].needs_grad = false;
    emit(g, OP_dora_norm, in, 4, out, (struct op_attr){.scale = scale});
    g->tensors[out].needs_grad = false;
    return out;
}

int g_attention(struct graph *g, int q, int k, int v, int prefix_k, int prefix_v,
                const struct attention_kind *kind)
{
    const int in[] = {q, k, v, g->slots[SLOT_seq], prefix_k, prefix_v};
    const struct g_tensor s = g->tensors[q];
    const float p = g->mode == GRAPH_TRAIN ? kind->p : 0;
    assert(!kind->window || kind->causal);
    int o = graph_like(g, q);
    /* (T, heads): with it the backward pass makes the probabilities again. */
    int lse = graph_new_tensor(g, DT_F32, s.rows_kind, s.rows, kind->heads);
    emit(g, OP_attention, in, 6, o,
         (struct op_attr){.scale = kind->scale,
                          .p = p,
                          .heads = kind->heads,
                          .kv_heads = kind->kv_heads,
                          .causal = kind->causal,
                          .window = kind->window,
                          .softcap = kind->softcap,
                          .site = p > 0 ? g->sites++ : 0});
    g->nodes[g->node_count - 1].out[1] = lse;
    return o;
}

void g_cache_store(struct graph *g, int cache, int x)
{
    const int in[] = {x, g->slots[SLOT_seq], g->slots[SLOT_slot], g->slots[SLOT_past]};
    assert(g->tensors[cache].home == HOME_STATE && g->capacity > 0);
    emit(g, OP_cache_store, in, 4, cache,
         (struct op_attr){.kv_heads = g->tensors[x].cols / g->tensors[cache].cols,
                          .capacity = g->capacity});
}

int g_cached_attention(struct graph *g, int q, int keys, int values,
                       const struct attention_kind *kind)
{
    const int in[] = {
        q, keys, values, g->slots[SLOT_seq], g->slots[SLOT_slot], g->slots[SLOT_past]};
    return emit(g, OP_cached_attention, in, 6, graph_like(g, q),
                (struct op_attr){.scale = kind->scale,
                                 .heads = kind->heads,
                                 .kv_heads = kind->kv_heads,
                                 .causal = true,
                                 .window = kind->window,
                                 .softcap = kind->softcap,
                                 .capacity = g->capacity});
}

int g_gather(struct graph *g, int x, int index)
{
    const int in[] = {x, index};
    const struct g_tensor ix = g->tensors[index];
    int y = graph_new_tensor(g, DT_F32, ix.rows_kind, ix.rows, g->tensors[x].cols);
    return emit(g, OP_gather, in, 2, y, (struct op_attr){.scale = 1});
}

int g_pick(struct graph *g, int x)
{
    return g_gather(g, x, g->slots[SLOT_picked]);
}

void graph_segment(struct graph *g, bool open)
{
    g->segment = open ? g->segments++ : -1;
}

void graph_chunk_head(struct graph *g)
{
    g->chunked = true;
}

/* Whole blocks of what kernels take at a time. */
static int32_t rows_of_chunk(const struct graph *g)
{
    const size_t row = (size_t)g->tensors[g->logits].cols * sizeof(float);
    const int32_t rows = (int32_t)(CHUNK_BYTES / row);
    return rows < CHUNK_BLOCK ? CHUNK_BLOCK : rows / CHUNK_BLOCK * CHUNK_BLOCK;
}

static void record_loss(struct graph *g, const struct graph_loss *loss)
{
    const int logits = g->logits;
    const int labels[] = {logits, g->slots[SLOT_labels], loss->class_weights};
    const int targets[] = {logits, g->slots[SLOT_targets]};
    const struct g_tensor s = g->tensors[logits];
    g->loss = graph_new_tensor(g, DT_F32, s.rows_kind, s.rows, 1);
    if (loss->against_targets) {
        g->tensors[targets[1]].dtype = DT_F32;
        g->tensors[targets[1]].cols = s.cols;
        emit(g, OP_target_loss, targets, 2, g->loss,
             (struct op_attr){.loss = loss->target});
    } else {
        emit(g, OP_cross_entropy, labels, 3, g->loss,
             (struct op_attr){.smoothing = loss->label_smoothing});
    }
}

void graph_finish(struct graph *g, int logits, bool checkpointing,
                  const struct graph_loss *loss)
{
    const bool chunked = g->chunked;
    g->segment = -1;
    g->of_method = true; /* nor is what comes now the architecture's */
    g->logits = logits;
    if (!g->chunk_rows)
        g->chunk_rows = rows_of_chunk(g);
    g->chunked = false;
    graph_sink_gathers(g);
    g->chunked = chunked;
    if (loss)
        record_loss(g, loss);
    g->forward_count = g->node_count;
    if (g->mode == GRAPH_TRAIN)
        graph_backward(g, checkpointing, loss);
    g->chunked = false;
}

bool graph_needs_dx(const struct graph *g, int param)
{
    for (size_t i = 0; i < g->node_count; i++)
        if (g->nodes[i].op == OP_linear_dx &&
            g->tensors[g->nodes[i].in[1]].param == param)
            return true; /* a slice of it has no param of its own: never prepared */
    return false;
}

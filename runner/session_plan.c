/* runner/session_plan.c - the graphs of a session, and what they need. */
#include "lib/mem.h"
#include "runner/features.h"
#include "runner/nn/peft/method.h"
#include "runner/nn/specs.h"
#include "runner/session.h"
#include "runner/train/kept.h"

/* A micro-batch of evaluation, where no row and no training batch is longer: without
 * training, and beside one, whose memory it is not to exceed. Products of a few rows read a
 * weight for little: a training of one row at a time evaluates in a fifth less of processor
 * time with 128 tokens a run (MiniLM, 22 tokens a row); more than that, or rows in the order
 * of their lengths, gained nothing there. */
#define EVAL_TOKENS        512
#define EVAL_TOKENS_BESIDE 256
#define EVAL_ROWS          32

const char *const mem_names[MEM_COUNT] = {
#define X(name, help) #name,
    MEM_CATEGORIES(X)
#undef X
};

static void record_evaluation(struct session *s, struct graph *g, const struct net *net,
                              struct extent budget)
{
    const struct graph_loss loss = goal_loss(&s->goal);
    graph_init(g, &s->net.params, &s->net.states, GRAPH_EVAL, budget);
    graph_finish(g, net_record(net, g), false, &loss);
}

/* What adapters' graphs are laid over: of the base, with the head that it has or a new one,
 * which only its own requests run. */
static void record_base(struct session *s)
{
    struct graph *g = &s->eval_graph;
    graph_init(g, &s->net.params, &s->net.states, GRAPH_EVAL, s->serves);
    g->keeps_inputs = true;
    graph_finish(g, net_record(&s->net, g), false, NULL);
    s->budget = s->serves;
}

/* s->budget: of the micro-batches that there must be. */
static void record_graphs(struct session *s)
{
    const struct trial *t = &s->trial;
    int32_t tokens = s->training ? s->course.max_tokens : EVAL_TOKENS;
    int32_t rows = s->training ? s->course.max_rows : EVAL_ROWS;
    if (s->training) {
        struct graph_loss training = goal_loss(&s->goal);
        graph_init(&s->train_graph, &s->net.params, NULL, GRAPH_TRAIN,
                   extent_of(tokens, rows, goal_most_picks(&s->goal, tokens, rows)));
        s->train_graph.kept = specs_dtype(&s->net);
        training.label_smoothing = (float)t->label_smoothing_factor;
        if (s->class_weights)
            training.class_weights = g_param(&s->train_graph, CLASS_WEIGHTS);
        graph_finish(&s->train_graph, net_record(&s->net, &s->train_graph),
                     t->gradient_checkpointing, &training);
    }
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (s->data[i] && s->data[i]->longest + s->net.change.prompt_rows > tokens)
            tokens = s->data[i]->longest + s->net.change.prompt_rows;
    s->budget = extent_of(tokens, rows, goal_most_picks(&s->goal, tokens, rows));
    tokens = tokens > EVAL_TOKENS_BESIDE ? tokens : EVAL_TOKENS_BESIDE;
    rows = rows > EVAL_ROWS ? rows : EVAL_ROWS;
    record_evaluation(s, &s->eval_graph, &s->net,
                      extent_of(tokens, rows, goal_most_picks(&s->goal, tokens, rows)));
    if (s->training && s->net.method->merge && s->net.quant == QUANT_NONE) {
        struct net plain = s->net;
        plain.method = &method_full;
        record_evaluation(s, &s->merged_graph, &plain, s->budget);
    }
}

void session_record_start(struct net *net, const struct graph *decode,
                          struct graph *start)
{
    graph_init(start, &net->params, &net->states, GRAPH_DECODE,
               extent_of_cached(net->change.virtual_tokens,
                                decode->budget.of[ROWS_SEQUENCES], 0));
    start->capacity = decode->capacity;
    start->chunk_rows = 1; /* it has no logits */
    net_record_start(net, start);
    graph_finish(start, -1, false, NULL);
}

static void record_decoder(struct session *s)
{
    const struct decode_size *d = &s->decode;
    struct graph *decode = &s->decode_graph;
    graph_init(decode, &s->net.params, &s->net.states, GRAPH_DECODE,
               extent_of_cached(d->tokens, d->sequences, d->sequences));
    decode->capacity = d->capacity;
    decode->keeps_inputs = s->serves.of[ROWS_TOKENS] > 0;
    decode->chunk_rows = d->sequences; /* all logits of a run are there behind it */
    graph_finish(decode, net_record(&s->net, decode), false, NULL);
    session_record_start(&s->net, decode, &s->start_graph);
}

/* Turning a weight's panels for dx costs as much as some 60 rows of the product in fp32,
 * less in bf16: of a step of SmolLM2-135M on one core 3 % at 1,024 tokens, 9 % at 256. */
enum { ROWS_TO_TURN = 256 };

static size_t place_weights(struct session *s)
{
    const bool few = s->train_graph.budget.of[ROWS_TOKENS] < ROWS_TO_TURN;
    size_t at = 0;
    for (size_t i = 0; i < s->net.params.count; i++) {
        struct param *p = s->net.params.items[i];
        if (p->trainable)
            continue;
        p->spec.dx_panels = s->training && few && graph_needs_dx(&s->train_graph, (int)i);
        p->spec.stored = specs_stored(&s->net, p);
        p->bytes = param_frozen_bytes(p, s->backend);
        p->offset = at;
        at += p->bytes;
    }
    return at;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The norm of all gradients is the one op outside of the graph that takes scratch. */
static size_t norm_workspace_bytes(const struct session *s)
{
    const size_t n = s->trainable_floats < VECTOR_MAX ? s->trainable_floats : VECTOR_MAX;
    const struct op_args a = {.in[0] = tensor_vector(NULL, DT_F32, n),
                              .out[0] = tensor_vector(NULL, DT_F64, 1)};
    return s->backend->workspace_bytes(s->backend->device, OP_sumsq, &a);
}

static struct extent larger_extent(struct extent a, const struct extent *b)
{
    for (int k = 0; k < ROWS_KINDS; k++)
        a.of[k] = b->of[k] > a.of[k] ? b->of[k] : a.of[k];
    return a;
}

/* Micro-batches that are larger than they must be take no memory of their own. */
static int plan_evaluation(struct session *s, struct err *err)
{
    struct graph *g = &s->eval_graph;
    int rc = graph_plan(g, s->backend, err);
    if (rc || !s->training || g->activation_bytes <= s->planned[MEM_activations])
        return rc;
    graph_release(g);
    record_evaluation(s, g, &s->net, s->budget);
    return graph_plan(g, s->backend, err);
}

/* Graphs that were recorded take turns in the same memory. */
static int plan_graphs(struct session *s, struct err *err)
{
    struct graph *const all[] = {&s->train_graph, &s->merged_graph, &s->eval_graph,
                                 &s->start_graph, &s->decode_graph};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(all) && !rc; i++) {
        if (!all[i]->node_count)
            continue;
        rc = all[i] == &s->eval_graph ? plan_evaluation(s, err)
                                      : graph_plan(all[i], s->backend, err);
        s->budget = larger_extent(s->budget, &all[i]->budget);
        s->planned[MEM_activations] =
            larger(s->planned[MEM_activations], all[i]->activation_bytes);
        s->planned[MEM_workspace] =
            larger(s->planned[MEM_workspace], all[i]->workspace_bytes);
    }
    return rc;
}

int session_plan_memory(struct session *s, struct err *err)
{
    size_t offsets[SLOT_COUNT];
    if (s->serves.of[ROWS_TOKENS] && !s->decoding)
        record_base(s);
    else if (!s->decoding)
        record_graphs(s);
    if (s->decode.sequences)
        record_decoder(s);
    s->optimizer = optimizer_find(s->trial.optim);
    s->groups =
        groups_plan(s->optimizer, &s->net.params, &s->group_count, &s->trainable_floats);
    s->planned[MEM_weights] = place_weights(s);
    const size_t trainable = s->trainable_floats * sizeof(float);
    const struct copies copies =
        s->training ? kept_copies(&s->trial) : (struct copies){false};
    s->planned[MEM_trainable] = trainable * (1u + copies.best + copies.good);
    int rc = plan_graphs(s, err);
    if (rc)
        return rc;
    if (s->training) {
        s->planned[MEM_gradients] = trainable;
        s->planned[MEM_optimizer] =
            optimizer_plan(s->optimizer, s->groups, s->group_count) *
            (copies.moments ? 2 : 1);
        s->planned[MEM_workspace] =
            larger(s->planned[MEM_workspace], mem_round_up(norm_workspace_bytes(s)));
    }
    s->planned[MEM_state] = s->net.states.bytes;
    s->scalars_offset = graph_batch_bytes(&s->budget, goal_targets(&s->goal), offsets);
    s->planned[MEM_batch] = s->scalars_offset + mem_round_up(sizeof(double));
    features_plan(s);
    return 0;
}

size_t session_planned_bytes(const struct session *s)
{
    size_t total = 0;
    for (int c = 0; c < MEM_COUNT; c++)
        total += s->planned[c];
    return total;
}

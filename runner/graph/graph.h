/* runner/graph/graph.h - a static graph: record, differentiate, plan, run.
 *
 * Model code calls builder functions that append ops of kernels/ops.def to a list; the
 * order of the list is the order of execution. Tensors are numbered. Rows are symbolic:
 * of one of the kinds below, up to the budget given at start, or a fixed number. Nothing
 * is computed while recording. What a graph is for is its mode: dropout is recorded in
 * training only, and who records (architectures, methods, tasks) asks the graph.
 *
 * Architectures give the hidden states of all tokens; the task picks the rows that it has
 * labels for (g_pick). graph_finish then lets gathers sink (sink.c): an op that works row
 * by row and whose rows nobody else reads runs on the picked rows alone, so that behind
 * the last attention of a classifier nothing is computed for tokens without a label.
 *
 * graph_backward walks the list from the end and appends each op's backward rule, pruned
 * by what needs a gradient: a frozen weight never has a dW, and nothing below the lowest
 * trainable parameter runs backward. What is cheap to make again from what is kept (a
 * norm, an activation) is made again where its output is read. With checkpointing, the
 * ops of a segment (graph_segment) are appended again before its backward, and only the
 * segment's inputs stay alive. Both are transformations of the list, no code of their own
 * in any op. Gradients of parameters are added to; the caller zeroes them before an update.
 *
 * What is kept between the passes is most of a training step's memory. Where `kept` is
 * DT_BF16 (dtype bfloat16) it is kept in half the bytes: a copy rounded to bf16 is made
 * where a tensor is ready, and made wide again where the backward pass first asks for it.
 * The forward pass reads what it made, unrounded, so that nothing adds up from layer to
 * layer, as it does where the residual stream itself is bf16; the backward pass sees every
 * tensor rounded once. Segments' inputs are kept so too. What has no gradient (statistics
 * of norms and softmax, angles of rotary embeddings) and what lives within a chunk stays
 * fp32. Of the ops `copy` alone knows of it.
 *
 * A language model's logits are as wide as its vocabulary, thousands of times a label. So
 * what stands behind graph_chunk_head - the head, the loss, and their backward pass, which
 * follow on each other - runs on a chunk of the picked rows at a time: forward, loss and
 * gradient of one chunk, then the next (as Liger Kernel's fused linear cross entropy, Hsu
 * et al. 2024), and no tensor of tokens x vocabulary is ever there. Any head will do: tied,
 * prepared, adapted. What lives within a chunk is planned with a chunk's rows; of what
 * goes in and comes out (hidden states, labels, losses, their gradient) each chunk sees its
 * own rows. Gradients of parameters are added chunk after chunk; nothing else depends on
 * the chunks.
 *
 * graph_plan drops nodes that nobody needs, finds each tensor's first and last use, and
 * gives it an offset in one activation arena (greedy by size; in-place ops share memory
 * with a dying input). The same plan serves prediction and training, so the two agree to
 * the byte; it asks the backend whether it takes each node. graph_run resolves views and
 * calls the backend. */
#ifndef RUNNER_GRAPH_GRAPH_H
#define RUNNER_GRAPH_GRAPH_H

#include "kernels/backend.h"
#include "runner/graph/params.h"
#include "runner/graph/state.h"

enum graph_mode {
    GRAPH_TRAIN,  /* with dropout, loss and backward pass */
    GRAPH_EVAL,   /* whole sequences, without them */
    GRAPH_DECODE, /* further tokens of sequences whose past is in state tensors */
};

enum rows_kind {
    ROWS_FIXED,
    ROWS_TOKENS,
    ROWS_SEQUENCES,
    ROWS_PICKED, /* tokens with a label: one per sequence, or those that the loss counts */
    ROWS_CACHED, /* sequences whose past is in state tensors: all in decoding, else none */
    ROWS_KINDS
};

/* Rows of each kind in a micro-batch, or the most that there may be. */
struct extent {
    int32_t of[ROWS_KINDS]; /* of[ROWS_FIXED] is 0 */
};
static inline struct extent extent_of(int32_t tokens, int32_t sequences, int32_t picked)
{
    return (struct extent){{0, tokens, sequences, picked, 0}};
}
/* The same in decoding. */
static inline struct extent extent_of_cached(int32_t tokens, int32_t sequences,
                                             int32_t picked)
{
    return (struct extent){{0, tokens, sequences, picked, sequences}};
}

enum home {
    HOME_ACTIVATION,
    HOME_PARAM,
    HOME_PARAM_GRAD,
    HOME_STATE, /* lives from run to run; see state.h */
    HOME_BATCH,
    HOME_VIEW,
    HOME_HOST, /* of a part (graft.h): its rows of a tensor of the host's */
    HOME_PART  /* of a part: its own, behind what it has in hand */
};

struct g_tensor {
    enum dtype dtype;
    enum rows_kind rows_kind;
    int32_t rows; /* the fixed number, or what is added to those of the kind */
    int32_t cols;
    enum home home;
    int param;      /* HOME_PARAM, HOME_PARAM_GRAD */
    int host;       /* HOME_HOST: the host's tensor */
    int state;      /* HOME_STATE */
    int slot;       /* HOME_BATCH: which buffer of the batch */
    int parent;     /* HOME_VIEW: a column slice of this tensor ... */
    int32_t column; /* ... from here */
    bool needs_grad;
    /* plan */
    int first, last; /* nodes that touch it */
    bool in_chunk;   /* by nothing but nodes of a chunk: it has a chunk's rows */
    size_t offset, bytes;
};

struct g_node {
    enum op op;
    int in[OP_MAX_IN], out[OP_MAX_OUT]; /* tensor numbers, -1: absent */
    unsigned accumulate;
    struct op_attr attr;
    int base; /* which of the architecture's and the task's own nodes, in their order; -1:
                     recorded by a method, or put in since */
    int segment;  /* of graph_segment; -1: none */
    bool chunked; /* runs once per chunk */
};

/* Host buffers of a micro-batch, uploaded before a run: X(name, rows, added to them). */
/* clang-format off */
#define BATCH_SLOTS(X)                                                                   \
    X(ids, ROWS_TOKENS, 0)                                                               \
    X(positions, ROWS_TOKENS, 0)                                                         \
    X(type_ids, ROWS_TOKENS, 0)                                                          \
    X(seq, ROWS_SEQUENCES, 1)  /* first token of each, then the number of tokens */      \
    X(slot, ROWS_CACHED, 0)    /* where in the cache each sequence is */                 \
    X(past, ROWS_CACHED, 0)    /* keys of each that are there before this run */         \
    X(picked, ROWS_PICKED, 0)  /* tokens that the task has labels for, in order */       \
    X(labels, ROWS_PICKED, 0)                                                            \
    X(targets, ROWS_PICKED, 0) /* F32, as wide as the logits, or of no width */
/* clang-format on */
enum batch_slot {
#define X(name, kind, extra) SLOT_##name,
    BATCH_SLOTS(X)
#undef X
        SLOT_COUNT
};

struct graph {
    struct params *params;
    struct states *states; /* NULL: none */
    enum graph_mode mode;
    struct extent budget;
    struct g_tensor *tensors;
    size_t tensor_count, tensor_cap;
    struct g_node *nodes;
    size_t node_count, node_cap;
    int segment, segments; /* current (-1: none), how many so far */
    int bases;             /* nodes so far that are no method's */
    bool of_method;        /* what is appended is a method's */
    bool keeps_inputs;     /* no op works in place; set before graph_plan */
    bool chunked;          /* what is appended runs once per chunk */
    enum dtype kept;       /* what the backward pass reads; set before graph_finish */
    int32_t chunk_rows;    /* most picked rows of a chunk; graph_finish sets it where 0 */
    uint32_t sites;        /* dropout streams handed out */
    int slots[SLOT_COUNT]; /* tensor of each batch buffer */
    int *param_tensor;     /* of each parameter and form (2 i, 2 i + 1), -1: not used */
    size_t param_cap;
    int logits, loss;     /* -1 where there are none */
    int prompt;           /* the method's virtual tokens, -1: none */
    int32_t capacity;     /* of the cache, in keys of a sequence; set before recording */
    size_t forward_count; /* nodes of the forward pass */
    /* plan */
    size_t chunk_begin, chunk_end; /* the nodes that are run once per chunk */
    size_t activation_bytes, workspace_bytes;
};

/* states: NULL where the graph has none. */
void graph_init(struct graph *g, struct params *params, struct states *states,
                enum graph_mode mode, struct extent budget);
void graph_release(struct graph *g);

/* --- recording. Each returns the number of its output. --- */
/* By name; the parameter must exist. g_param: as linear layers read a weight (prepared
 * where it is frozen) and everything else; g_table: as embeddings read it (the plain form
 * where it has one). A tied parameter is read by both, and its gradients add into one. */
int g_param(struct graph *g, const char *name);
int g_table(struct graph *g, const char *name);
/* A tensor of graph.states, by number; what is stored there is read by later runs. */
int g_state(struct graph *g, int state);
void g_store(struct graph *g, int state, int x); /* state = x */
int g_slice(struct graph *g, int t, int32_t column, int32_t cols);
int g_rows(struct graph *g, int t, int32_t rows); /* the first rows of fixed ones */
/* position, type, prompt (rows that negative ids name): -1 for none */
int g_embed(struct graph *g, int word, int position, int type, int prompt);
int g_layernorm(struct graph *g, int x, int gamma, int beta, float eps);
/* by gamma + offset; a head of gamma's columns at a time */
int g_rmsnorm(struct graph *g, int x, int gamma, float eps, float offset);
/* bias: -1 for none */
int g_linear(struct graph *g, int x, int weight, int bias, float scale);
/* y += scale * x W^T */
void g_linear_onto(struct graph *g, int y, int x, int weight, float scale);
int g_act(struct graph *g, int x, enum act act);
int g_dropout(struct graph *g, int x, float p);   /* p == 0, or no training: x itself */
int g_scale(struct graph *g, int x, float scale); /* scale == 1: x itself */
int g_add(struct graph *g, int a, int b);
/* x * scale + bias per column; bias: -1 for none */
int g_colscale(struct graph *g, int x, int scale, int bias);
/* f(gate) * up */
int g_gated_act(struct graph *g, int gate, int up, enum act act);
/* Rotary embeddings: what all tokens' positions rotate by, times `factor`, from a row of
 * inverse frequencies, or the row of several that goes with a sequence's length (see
 * ops.def); and the rotation of each head in x's columns. */
int g_rope_table(struct graph *g, int frequencies, int32_t length, float factor);
int g_rope(struct graph *g, int x, int table, int heads);
/* 1 / |W + scale B A| by rows of W, a constant to the gradient (1, out); w2: |W|^2 by
 * rows. */
int g_dora_norm(struct graph *g, int w2, int weight, int a, int b, float scale);
struct attention_kind {
    int heads, kv_heads; /* of queries; of keys and values, 0: as many */
    bool causal;
    float scale, p; /* of scores; dropout of probabilities, in training */
    int window;     /* keys that a query sees, 0: all; see ops.def */
    float softcap;  /* of scores, 0: none */
};
/* prefix_k, prefix_v: fixed rows, or -1. */
int g_attention(struct graph *g, int q, int k, int v, int prefix_k, int prefix_v,
                const struct attention_kind *kind);
/* In decoding: new tokens' keys or values, or what fixed rows of a prefix have in their
 * place, into a cache of `kv_heads` (a state of rows slots * kv_heads * g.capacity); and
 * attention over it, causal. */
void g_cache_store(struct graph *g, int cache, int x);
int g_cached_attention(struct graph *g, int q, int keys, int values,
                       const struct attention_kind *kind);
int g_gather(struct graph *g, int x, int index);
int g_pick(struct graph *g, int x); /* the rows with labels */

/* Opens a checkpointing segment; the last one is closed by segment -1. */
void graph_segment(struct graph *g, bool open);

/* What is recorded from here on works row by row on picked rows, and runs in chunks. */
void graph_chunk_head(struct graph *g);

/* The loss per row: cross entropy over labels (label smoothing as transformers'
 * LabelSmoother; class_weights: a tensor of 1 x classes, or -1), or one against
 * targets. */
struct graph_loss {
    bool against_targets;
    enum target_loss target;
    float label_smoothing;
    int class_weights;
};

/* Marks the logits and lets gathers sink; adds the loss (NULL: none) and, in training,
 * the backward pass. */
void graph_finish(struct graph *g, int logits, bool checkpointing,
                  const struct graph_loss *loss);
/* True where some linear_dx reads this parameter, so that its weight must be prepared for
 * it. */
bool graph_needs_dx(const struct graph *g, int param);

/* --- planning and running --- */
/* Fails where the backend declines a node or a format. */
int graph_plan(struct graph *g, const struct backend *backend, struct err *err);
/* Of one run over such a micro-batch. */
double graph_flops(const struct graph *g, const struct extent *e);
/* Rows of a slot in such a micro-batch. */
int32_t graph_slot_rows(enum batch_slot slot, const struct extent *e);
/* Bytes of the batch buffers for a budget; offsets of slots are in order, 64-byte
 * aligned. targets: width of that slot. */
size_t graph_batch_bytes(const struct extent *budget, int32_t targets,
                         size_t offsets[SLOT_COUNT]);

/* Sees each op after it ran, for profiles and for finding what is not finite. */
struct graph_watch {
    void (*ran)(struct graph_watch *w, enum op op, const struct op_args *args,
                double seconds);
    const struct g_node *node; /* the one that ran; NULL: an op outside of a graph */
};
/* Sees the logits of each chunk, those of the picked rows from `begin` on, before the next
 * takes their place. */
struct graph_reader {
    void (*chunk)(struct graph_reader *r, const struct tensor *logits, int32_t begin);
};
/* A run at the cut of a graph (cut.h). With `there` the nodes that it leaves out are not
 * run and `move` puts tensor `k` of those at the cut in place; else all are run, and it
 * takes the tensor out, once it is whole. */
struct graph_cut;
struct graph_reuse {
    const struct graph_cut *cut;
    bool there;
    void (*move)(struct graph_reuse *r, size_t k, const struct tensor *t);
};
struct graph_part;
struct graph_memory {
    void *activations, *workspace, *batch, *state;
    size_t batch_offsets[SLOT_COUNT];
    struct graph_watch *watch;     /* usually NULL: then nothing is timed */
    struct graph_reader *reader;   /* usually NULL */
    struct graph_reuse *reuse;     /* usually NULL */
    const struct graph_part *part; /* of a graft; else NULL */
    /* Where nets share a graph: trainable parameters, each at its offset (NULL: where the
     * net says), and states that lie apart. */
    char *params, *apart;
};
/* Calls one op, watched where somebody watches. */
void graph_call(const struct backend *backend, const struct graph_memory *m, enum op op,
                struct op_args *args);
/* Runs the nodes on a micro-batch (within the budget). */
void graph_run(const struct graph *g, const struct backend *backend,
               const struct graph_memory *m, const struct extent *e,
               const struct op_step *step);
/* The same micro-batch with no more picked rows than a chunk has. */
struct extent graph_chunk_extent(const struct graph *g, const struct extent *e);
/* View of a tensor for such a micro-batch. Chunked logits are there after a run where all
 * picked rows were one chunk, else they are for a reader. */
struct tensor graph_tensor(const struct graph *g, const struct graph_memory *m, int t,
                           const struct extent *e);

/* Inside graph/ only. */
int graph_new_tensor(struct graph *g, enum dtype dtype, enum rows_kind kind, int32_t rows,
                     int32_t cols);
int graph_like(struct graph *g, int t);
struct g_node *graph_append(struct graph *g, enum op op);
int graph_root(const struct graph *g, int t); /* what a view is a view of */
/* The chunk of picked rows [begin, begin + e->of[ROWS_PICKED]) that chunked nodes are at;
 * begin is 0 for others. m NULL: no memory yet. */
void graph_node_args(const struct graph *g, const struct graph_memory *m,
                     const struct g_node *n, const struct extent *e, int32_t begin,
                     struct op_args *a);
int32_t graph_rows(const struct g_tensor *t, const struct extent *e);
/* Bit k: the op works row by row, and input k is read so. */
unsigned graph_row_inputs(enum op op);
/* Memory from node `first` to node `last`. */
struct graph_block {
    int tensor, first, last;
    size_t bytes, offset;
};
/* Largest first, each at the lowest offset where nobody alive at the same time lies; sets
 * offsets, puts them in another order. Returns the arena's size. */
size_t graph_place(struct graph_block *blocks, size_t count);
int *graph_ints(size_t count, int value); /* so many, all the same; the caller's */
void graph_sink_gathers(struct graph *g);
void graph_backward(struct graph *g, bool checkpointing, const struct graph_loss *loss);

#endif

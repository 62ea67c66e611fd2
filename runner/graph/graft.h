/* runner/graph/graft.h - models of one base with different adapters, side by side in one
 * batch.
 *
 * The host is a graph of the base alone; a graft is the graph of the same base with an
 * adapter of any method, laid over it. The rows of a batch lie in the host's tensors,
 * those of each adapter (a part of the batch) one after the other. Wherever a graft does
 * what the host does, with the same weights, one call of the op serves the rows of all
 * parts; what is its own, a low-rank update, a scaled tensor, attention to virtual keys,
 * a head of so many labels, is run on its rows alone. As a row's bits do not depend on
 * its neighbours (kernels/ops.def), a row gets here what it gets where its model runs by
 * itself.
 *
 * No method is known here. Nodes that architecture and task recorded are numbered in
 * their order (g_node.base), so those of a graft and of the host belong together by
 * number; what a method records, and gathers that sank, has none. Walking a graft's nodes
 * in their order:
 * - one with a counterpart is shared if it has the same attributes, the same weights in
 *   memory, and inputs that lie where the host's lie;
 * - a tensor lies in the host's memory, in its own rows, if it is what the counterpart
 *   makes, or what a node reads whose counterpart reads that; if nothing is there any
 *   more that is still to be read; and as long as the host's tensor lives;
 * - everything else is in memory of the part's own, so many bytes a row.
 * Whether a tensor finds a place in the host's memory decides how much is shared, never
 * what comes out.
 *
 * Nodes of a graft have a time: a node of the host behind which they run. With a
 * counterpart it is that; else the last one before the counterpart of the next that has
 * one. So what an op of the host reads is still there for the graft's own version of it:
 * the host must be planned with `keeps_inputs`.
 *
 * States (state.h) are the same where they lie at the same place in the host's arena: each
 * sequence has rows of its own there, so that a graft's version of what writes to the cache
 * of keys, run behind the host's, leaves there what its rows are to find.
 *
 * Forward passes only. Of chunked nodes (graph_chunk_head) all rows must be one chunk. */
#ifndef RUNNER_GRAPH_GRAFT_H
#define RUNNER_GRAPH_GRAFT_H

#include "runner/graph/graph.h"

struct graft {
    const struct graph *host; /* borrowed, as is g */
    struct graph *g;
    bool *shared;  /* per node of the host: it does this one's work as well */
    int *own;      /* the graft's own nodes, in their order, ... */
    size_t *begin; /* ... from begin[h] to begin[h + 1] those behind node h of the host */
    /* A part's own memory: per row of a kind; of ROWS_FIXED in all. */
    size_t bytes[ROWS_KINDS];
    size_t workspace_bytes; /* of its own nodes */
    /* Nodes of the host, all of them of tokens, before the first that it does not share or
     * behind which it has one of its own. */
    size_t fork;
};

/* Both recorded and finished, their parameters in memory; the host planned. Plans `g`,
 * which belongs to the graft from then on and can no longer run by itself. */
int graft_init(struct graft *f, const struct graph *host, struct graph *g,
               const struct backend *backend, struct err *err);
void graft_release(struct graft *f);
/* Rows of a batch that one graft gets. */
struct graph_part {
    const struct graft *graft;
    struct extent begin, size;
    char *params, *apart;     /* its own parameters, and states that lie apart */
    char *host;               /* the host's activations */
    char *memory[ROWS_KINDS]; /* its own, bytes[kind] for each row, 64-byte aligned */
    char *seq, *picked; /* its slots of these names, which count from its first row */
};

/* Sequences that are the same tokens at the same positions, and the host's first nodes,
 * which all parts share: run over each such sequence once, they give what they give over
 * all (graft_run_once, with these sequences in the batch's slots). graft_run copies that to
 * the rows of all and begins behind it. In the host's memory only. */
struct graft_once {
    struct extent all;     /* each once, in the order in which they are first met */
    size_t nodes;          /* at most the least `fork` of the parts */
    const int32_t *source; /* of each sequence of the batch: which of these it is */
    const int32_t *seq, *once_seq; /* first tokens there and here, then how many */
};
void graft_run_once(const struct graph *host, const struct backend *backend,
                    const struct graph_memory *m, const struct graft_once *once);

struct graft_batch {
    const struct backend *backend;
    const struct graph *host;
    const struct graph_memory *memory; /* of the host */
    struct extent all;
    const struct graft_once *once; /* NULL: nothing was run yet */
    struct graph_part *parts; /* in the order of their rows, which are all there are */
    size_t count;
    /* Parts are run by so many threads at the same time, each with workspace of its own
     * for the largest graft; 1: one after the other (a device). */
    void **workspaces;
    int threads;
    /* Behind a part's last node, by any thread: its logits. */
    void (*done)(struct graft_batch *b, size_t part, const struct tensor *logits);
    void *ctx; /* of `done` */
};
void graft_run(struct graft_batch *b);

#endif

/* runner/graph/cut.h - the part of a graph that gives a row the same numbers at every run.
 *
 * Where nothing below a layer trains, and no dropout is recorded there, what that layer
 * gives for a row of the data is the same in every epoch and every evaluation: a row's bits
 * do not depend on its neighbours (kernels/ops.def), nor on the backend's mode. So it may
 * be computed once and kept; later runs start there, with the same bits.
 *
 * The cut is found in the list of nodes and knows nothing of methods. In the order of
 * execution, a node is constant if all that it reads is: batch slots, frozen parameters,
 * and what constant nodes left there. What trains, what has a gradient or not (DoRA's norm
 * has none), states and random numbers are not. A cut after a place in the list leaves out
 * the constant nodes before it, but for those that would be made again for nothing (tables
 * of angles, which read no activation and take no FLOPs) and those that do not go by rows.
 * What they made and others read is kept: the tensors at the cut. Of all places the one
 * with the most FLOPs per byte kept is taken, where it leaves out CUT_LEAST of a run at
 * least: below four layers that are left out one tensor of hidden states, not also the
 * keys of the layer above, which another tensor would be kept for; above the last layer of
 * a classifier the picked rows alone.
 *
 * A run with the kept tensors put in place (struct graph_reuse) goes through the same list
 * in the same memory: each tensor at the cut appears where its last node stood, so one
 * plan serves both kinds of run. */
#ifndef RUNNER_GRAPH_CUT_H
#define RUNNER_GRAPH_CUT_H

#include "runner/graph/graph.h"

/* A tensor at the cut, whole behind this node, which is left out. */
struct cut_tensor {
    int tensor;
    size_t node;
};

struct graph_cut {
    bool *skip;              /* per node: left out; NULL: there is no cut */
    bool *makes;             /* per node: has a part in what is kept */
    struct cut_tensor *kept; /* in the order of their nodes */
    size_t count;
};

/* Of a planned graph; `mean`: the rows of a usual run. Without a cut that is worth it
 * count is 0. */
void graph_cut_find(const struct graph *g, const struct extent *mean,
                    struct graph_cut *out);
void graph_cut_release(struct graph_cut *c);
/* Runs what makes the tensors at the cut, and nothing else, on such a micro-batch; r->move
 * takes them out. */
void graph_cut_run(const struct graph *g, struct graph_reuse *r,
                   const struct backend *backend, const struct graph_memory *m,
                   const struct extent *e);
/* What a run over such a micro-batch saves. */
double graph_cut_flops(const struct graph *g, const struct graph_cut *c,
                       const struct extent *e);

/* cut_text.c: into `out` all that the tensors at the cut follow from, but for the rows of
 * the data: the nodes that make them, in their order, their tensors numbered anew. Graphs
 * with something else above the same layers say the same. What a parameter's values are
 * `param` adds. */
struct buf;
void graph_cut_tell(const struct graph *g, const struct graph_cut *c,
                    void (*param)(void *ctx, const struct param *p, struct buf *out),
                    void *ctx, struct buf *out);

#endif

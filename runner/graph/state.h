/* runner/graph/state.h - tensors that live from run to run: the key-value cache of a
 * decoder, say.
 *
 * Several graphs may share them (one that reads a prompt, one that decodes), so they are
 * no part of a graph: whoever records adds them by name, and asking again for a name
 * gives the same one. Each has its place in one arena, a memory category of its own; it
 * is zero at the start, and nobody clears it between runs. A state is a constant to the
 * gradient. Where graphs of several nets share an arena (runner/serve), what is not common
 * to them lies apart. */
#ifndef RUNNER_GRAPH_STATE_H
#define RUNNER_GRAPH_STATE_H

#include "kernels/tensor.h"
#include <stdbool.h>

struct state {
    char *name;
    enum dtype dtype;
    int32_t rows, cols;
    size_t offset; /* in the arena, 64-byte aligned */
    bool apart;    /* not in the arena: at its offset in graph_memory.apart */
};

struct states {
    struct state *items;
    size_t count, cap;
    size_t bytes; /* of the arena */
};

/* The number of the state of that name, which is added where there is none. */
int states_add(struct states *s, const char *name, enum dtype dtype, int32_t rows,
               int32_t cols);
struct state *states_find(const struct states *s, const char *name); /* NULL: none */
size_t states_bytes(const struct state *s); /* of one, rounded up */
void states_release(struct states *s);

#endif

/* runner/memory.h - the categories that memory is planned, taken and reported by. */
#ifndef RUNNER_MEMORY_H
#define RUNNER_MEMORY_H

#define MEM_CATEGORIES(X)                                                                \
    X(weights, "frozen weights, prepared for the backend")                               \
    X(trainable, "trainable parameters")                                                 \
    X(gradients, "their gradients")                                                      \
    X(optimizer, "moments")                                                              \
    X(activations, "tensors of the graph, forward and backward")                         \
    X(state, "tensors that live from run to run (the key-value cache)")                  \
    X(workspace, "scratch of the hungriest op")                                          \
    X(batch, "ids, positions, boundaries and labels of one micro-batch")                 \
    X(features, "what frozen layers gave for each row, computed once")
enum mem_category {
#define X(name, help) MEM_##name,
    MEM_CATEGORIES(X)
#undef X
        MEM_COUNT
};
extern const char *const mem_names[MEM_COUNT];

#endif

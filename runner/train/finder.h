/* runner/train/finder.h - names what is not finite first: a trainable parameter, or the
 * op that made the first tensor with a NaN or an infinity in it. */
#ifndef RUNNER_TRAIN_FINDER_H
#define RUNNER_TRAIN_FINDER_H

#include "runner/session.h"

struct finder {
    struct graph_watch watch; /* first; set it as memory.watch for a run of train_graph */
    const struct session *session;
    const char *last; /* the last parameter that an op before had to do with */
    bool found;
    char what[320]; /* "output 0 of linear, forward, with 'bert.pooler.dense.weight'" */
};
/* Looks at the parameters at once. */
void finder_init(struct finder *f, const struct session *s);

#endif

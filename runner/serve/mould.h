/* runner/serve/mould.h - what adapters that were made with the same settings have in common:
 * their net, its graph, and the graft of that on the base's.
 *
 * A fleet of a thousand adapters that were made alike has one mould, and each of them takes
 * the numbers that it trained alone; opening one more reads them, and neither declares a net
 * nor lays a graph again. Where an own parameter lies goes by the guest, at p->offset of its
 * memory, and so do states that its method keeps on a base that writes (graph_memory.params
 * and .apart); the net's list does not say.
 *
 * Which parameters are own (the others are the base's) is found out by the first folder that
 * is poured: what trained, what the method added, and what the folder gives values for. A
 * folder of the same settings that gives other ones needs a mould of its own. */
#ifndef RUNNER_SERVE_MOULD_H
#define RUNNER_SERVE_MOULD_H

#include "runner/graph/graft.h"
#include "runner/serve/pooling.h"
#include "runner/session.h"

struct serve_base;

struct mould {
    enum pooling pool; /* its guests give vectors of hidden states, not logits */
    char *key;         /* the settings; NULL: it belongs to one guest alone */
    int guests;
    json_t *resolved;
    struct trial trial;
    struct goal goal;
    struct net net;
    struct graph graph; /* there once a folder was poured */
    struct graft graft;
    struct graph start;         /* what comes before a sequence; of a base that writes */
    struct mould_param *params; /* of the net's, in their order */
    size_t bytes;               /* of own parameters */
    size_t state_bytes;         /* of states that lie apart */
};

/* Numbers that a row of it gets. */
static inline int32_t mould_width(const struct mould *m)
{
    return m->pool ? m->net.shape.hidden : m->goal.num_labels;
}

/* The one for these settings (a trial as users write it, with num_labels; NULL: the base
 * alone), `dir` being the folder that will be poured first where it is a new one. `alone`:
 * not one that others have. `pool`: what is made of hidden states, which are its output then.
 * mould_leave when its guest goes. */
int mould_join(struct mould **out, struct serve_base *b, const json_t *settings,
               const char *dir, bool alone, enum pooling pool, struct err *err);
void mould_leave(struct mould *m, struct serve_base *b);
/* Memory for own parameters, filled from the folder (NULL: there is none), in *memory (NULL
 * where there are no such). 1: the folder gives values for others than those of before. */
int mould_pour(struct mould *m, struct serve_base *b, const char *dir, void **memory,
               struct err *err);

#endif

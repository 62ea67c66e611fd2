/* runner/serve/base.h - one base in memory, many adapters on it.
 *
 * The base is opened once: its weights (out of the cache where trials share them, see
 * runner/cache), its tokenizer, and the graph that adapters' graphs are laid over
 * (runner/graph/graft.h). A guest is an adapter folder, of any method and any number of
 * labels, as peft, the adapters library or this program wrote it. It has memory for what
 * it trained alone; everything else is the base's, or its mould's (mould.h). What would change the base's weights
 * for everybody (a whole model, a start that is taken out of them) is refused, and so is
 * a folder that does not fit this base, or whose run says that it was trained with other
 * settings than the base was opened with, unless those were said (serve_options).
 *
 * Guests come and go between batches (batch.h) without touching one another; a guest's
 * numbers are bit by bit those of `peftlab eval` with its folder. Not thread-safe: one
 * thread opens, closes and runs. */
#ifndef RUNNER_SERVE_BASE_H
#define RUNNER_SERVE_BASE_H

#include "runner/serve/mould.h"

/* Keys of a trial that all guests have in common with the base: what its weights are in
 * memory and what products compute in. Ended by NULL. */
extern const char *const serve_settings[];

struct serve_base {
    struct session session;
    bool writes;        /* a language model, for writer.h; else for batch.h */
    struct graph *host; /* the session's that guests are laid over */
    json_t *trial;      /* resolved; owned */
    json_t *settings;   /* those that were said; owned */
    char *head;         /* path of the layer that gives the logits, "classifier" */
    void **workspaces;  /* of threads, for guests' own nodes; owned */
    int threads;
    size_t workspace_bytes; /* of each */
    uint64_t opened;        /* guests so far */
    struct mould **moulds;  /* of its guests; owned */
    size_t mould_count, mould_cap;
    void *batch; /* what a batch needs for its guests' own tensors; owned */
    size_t batch_bytes;
};

struct serve_options {
    struct extent most; /* rows of the largest batch: tokens, sequences, picked */
    /* Of a language model in place of that; without sequences it is opened as a classifier
     * like any other model. */
    struct decode_size decode;
    const json_t *settings; /* some of serve_settings; NULL: as trials have them */
};
int serve_base_open(struct serve_base *b, const char *model,
                    const struct serve_options *o, struct err *err);
void serve_base_close(struct serve_base *b); /* guests first */
/* Memory of at least so many bytes until the next call, which guests' own nodes use; and
 * workspace for them in each thread. NULL, or an error: there is not enough. */
void *serve_base_batch(struct serve_base *b, size_t bytes, struct err *err);
int serve_base_workspace(struct serve_base *b, size_t bytes, struct err *err);

struct guest {
    enum pooling pool; /* it gives vectors of texts; POOL_NONE: logits */
    char *name;
    uint64_t number;       /* of all that were opened, from 1 on */
    struct labels labels;  /* count 0: it does not say what they are called */
    struct mould *mould;   /* of it and all that were made alike */
    void *memory, *states; /* of its own parameters, and what its method keeps */
    size_t bytes;          /* of both */
};
/* dir NULL: the base alone, of one that writes, or for vectors. */
int guest_open(struct guest *guest, struct serve_base *b, const char *dir,
               const char *name, struct err *err);
/* The same, for vectors of texts, by what the base's folder says of them. */
int guest_open_pooled(struct guest *guest, struct serve_base *b, const char *dir,
                      const char *name, struct err *err);
void guest_close(struct guest *guest, struct serve_base *b);
/* Puts what its method has in front of every sequence into a slot of the cache. */
int guest_start(struct guest *guest, struct serve_base *b, int32_t slot, struct err *err);

#endif

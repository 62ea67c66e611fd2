/* runner/train/checkpoint.h - states of a training on disk, to go on from.
 *
 * RUN/checkpoints/00000120/ is the state after update 120: `state.bin`, the pieces of
 * memory that training changes one behind the other, and `manifest.json`: what trial it
 * belongs to, the pieces with their sizes, the SHA-256 of state.bin, how much of
 * RUN/trace.jsonl came before it, the evaluations, energy and time so far. Random numbers
 * need no state: they are functions of (seed, update, place).
 *
 * A checkpoint is written into a folder of another name, brought to disk, then renamed:
 * it is whole or not there. One that was damaged later (size, hash, trace) is passed over
 * with a word on stderr. A run folder with checkpoints of another trial is refused:
 * another key or seed, another model, init_adapter or data (by their contents), other
 * memory layout. Another backend or CPU variant is fine, but then the numbers go on by
 * rounding only, and that is said. */
#ifndef RUNNER_TRAIN_CHECKPOINT_H
#define RUNNER_TRAIN_CHECKPOINT_H

#include "runner/session.h"

/* Memory that training changes. */
struct piece {
    char name[64];
    void *data;
    size_t bytes;
    bool on_device; /* of the session's backend, else plain memory */
};
struct pieces {
    struct piece *items;
    size_t count, cap;
};
void pieces_add(struct pieces *p, const char *name, void *data, size_t bytes,
                bool on_device);
void pieces_release(struct pieces *p);

struct checkpoint {
    int64_t update;        /* that many were done */
    int64_t trace_bytes;   /* of RUN/trace.jsonl */
    json_t *evaluations;   /* list of {"step", metrics}; owned */
    double energy_j;       /* measured up to here; NaN: unknown */
    double total_s;        /* that the runs up to here took, loading included */
    int64_t reused_tokens; /* of the updates up to here (runner/features.h) */
    char *run_dir;         /* where it was found; owned */
};

/* Writes one and removes all but the newest `keep`. run_dir is not looked at in *c. */
int checkpoint_save(const struct session *s, const struct pieces *p,
                    const struct checkpoint *c, const char *run_dir, int64_t keep,
                    struct err *err);
/* Puts the newest sound one's state into the pieces: 1 and *c, or 0 where there is none.
 * foreign_is_error: a checkpoint of another trial is ERR_CONFIG, else as if not there. */
int checkpoint_resume(const struct session *s, const struct pieces *p,
                      const char *run_dir, bool foreign_is_error, struct checkpoint *c,
                      struct err *err);
void checkpoint_release(struct checkpoint *c);
/* A run that is finished, or that starts anew, needs none. */
int checkpoint_remove_all(const char *run_dir, struct err *err);

#endif

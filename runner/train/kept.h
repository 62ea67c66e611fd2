/* runner/train/kept.h - what training changes, and copies of it: the best so far in memory,
 * checkpoints on disk.
 *
 * It is a list of pieces: the trainable parameters (one arena on the device), the method's
 * own state (host memory, "method/NAME"), the optimiser's moments. With load_best_model a
 * second one of parameters and state, "best/NAME", lies behind it; moments have none,
 * because nobody trains on from the best. A trial that acts on loss spikes has "good/NAME"
 * in the same way, with the moments where it goes back to there. Checkpoints hold all
 * pieces, copies too, in the order of the list, which is the same for equal trials. */
#ifndef RUNNER_TRAIN_KEPT_H
#define RUNNER_TRAIN_KEPT_H

#include "runner/train/checkpoint.h"

struct kept {
    struct session *s; /* borrowed */
    struct pieces pieces;
};

/* Which copies a trial keeps beside what trains; session_open plans the memory that
 * kept_init gives out. */
struct copies {
    bool best, good, moments; /* moments: of the good point */
};
struct copies kept_copies(const struct trial *t);

/* The session has its memory. spikes: goes into checkpoints where a trial acts on them. */
struct spike_state;
void kept_init(struct kept *k, struct session *s, struct spike_state *spikes);
void kept_release(struct kept *k);
/* Copies every piece "best/X" ("good/X") from X, or (back) to it. */
void kept_copy(const struct kept *k, const char *prefix, bool back);
/* Writes a checkpoint and removes all but the newest save_total_limit. */
int kept_save(const struct kept *k, const struct checkpoint *c, const char *run_dir,
              struct err *err);
/* Goes on from the newest sound checkpoint of run_dir or an older folder (NULL: none are
 * looked at): 1, or 0 where there is none, and then run_dir holds none. */
int kept_find(const struct kept *k, const char *run_dir, const char *const *older,
              struct checkpoint *c, struct err *err);

#endif

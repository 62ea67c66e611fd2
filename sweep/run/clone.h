/* sweep/run/clone.h - a trial of a sweep again with other keys, while the sweep runs or
 * later.
 *
 * The clone is a trial of the same sweep that the file does not name; its parent is
 * recorded, and a running controller picks it up. Words: `key=value` (a parameter, or a
 * key of the trainer), `+key=value` (a further parameter), `~key` (takes one away),
 * `seed=N`. What the file computes from a changed parameter stays as the parent has it.
 *
 * A warm clone starts from the parent's adapter (init_adapter): only keys of the data and
 * the training, dropout and scales may differ, since any other changes what the adapter's
 * tensors are. */
#ifndef SWEEP_RUN_CLONE_H
#define SWEEP_RUN_CLONE_H

#include "sweep/sweep.h"

/* The file that a sweep was run from last, out of the store, with `word` (NULL: none) as an
 * override. */
int sweep_file_of(struct store *s, int64_t sweep, const char *word,
                  const struct opt_table *keys, struct sweep_file **out, struct err *err);
/* *id: the new trial. ERR_CONFIG when the sweep has it already. */
int sweep_clone(struct store *s, const struct sweep_hooks *hooks, int64_t parent,
                const char *const *words, size_t count, bool warm, int64_t *id,
                struct err *err);

#endif

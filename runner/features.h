/* runner/features.h - what frozen layers give for the rows of a split, computed once.
 *
 * Where a graph has a cut (runner/graph/cut.h) that leaves out a tenth of its work or more,
 * the tensors at the cut are kept for each row the first time, and put in place from then
 * on: in further epochs, at each evaluation, in other trials. Every number stays what it
 * was, to the bit; in training only where no dropout lies below the cut.
 *
 * Where the backend computes on the host and there is a cache, trials that compute the same
 * for the same rows share them (features/between_trials.h): what one of them made the others
 * map, also after a kill, also while it still trains. Those that start together share out
 * the rows before the first run. A split that the trial goes through once is kept then too,
 * for the others; without a cache it is not. A pass over the split must be worth a file.
 *
 * They are a memory category of their own, planned before anything runs, and counted in
 * full by every trial whether they are mapped or not, as shared weights are. The trial's
 * `cache_features` says whether: `auto` where they take no more than FEATURES_SMALL, or
 * than the activations where those are more, splits that it goes through more than once
 * first; `on` whatever they take; `off` never. Of a split all rows are kept or none: batches
 * are drawn anew in each epoch, and one whose rows are not all there runs whole (and keeps
 * them), as after a resume, where the trial's own start empty.
 *
 * Whoever measures a single request, or writes text, computes everything. FLOPs count what
 * was done; tokens and rows of a training count as they always do, and beside them stands
 * how many did not go through the layers below the cut (train/reused_tokens). */
#ifndef RUNNER_FEATURES_H
#define RUNNER_FEATURES_H

#include "lib/hash.h"
#include "runner/graph/graph.h"
#include <stdbool.h>
#include <stdint.h>

#define FEATURES_SMALL ((size_t)256 << 20) /* bytes */

struct session;

/* Decides by the planned graphs, and plans MEM_features. */
void features_plan(struct session *s);
/* Once parameters have their values, and before MEM_features is taken: maps what trials
 * share. Where there is no place for it the trial keeps what it needs again itself. */
void features_open(struct session *s);
/* Does without, where there is no room for them and the trial does not insist. True where
 * there were some. */
bool features_give_up(struct session *s);
void features_release(struct session *s);

/* Around one run of the split's graph over rows [begin, end) through `order` (NULL: as they
 * are); nothing where the split has none. The batch is loaded after features_begin. */
void features_begin(struct session *s, int split, const uint32_t *order, int64_t begin,
                    int64_t end);
/* Tokens of the run that did not go through the layers below the cut, now or when this trial
 * computed them in advance. */
int32_t features_end(struct session *s, int split);
/* From now on the split's rows are computed again. */
void features_forget(struct session *s, int split);

/* FLOPs that a micro-batch of the training saves where its rows are there. */
double features_flops(const struct session *s, const struct extent *e);
/* FLOPs below the cuts, of one pass over each split (`train`: over the training rows), that
 * trials with the same `id` do once between them, by what is known before anything is
 * loaded; 0: it shares none. */
double features_shared(const struct session *s, double train, char id[SHA256_HEX]);

#endif

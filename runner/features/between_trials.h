/* runner/features/between_trials.h - what frozen layers give for rows of data, kept by all
 * trials that would compute the same (features.h).
 *
 * It is an entry of the cache (runner/cache/cache.h): for every row of a split the tensors
 * at the cut, and behind all of them a mark per row, the sum of its bytes, 0 until they are
 * there. At the end stands the first row that nobody took on to compute in advance. Nothing
 * is locked: whoever needs a row that is not whole computes it, writes it
 * and then its mark. Two that do so at the same time write the same bytes; a row that was
 * torn, by a kill or on the disk, has another sum and is computed again.
 *
 * The entry's key says all that the bits follow from, so trials share by what they compute,
 * not by what they are called: `head` with any learning rate, LoRA and DoRA on the same
 * upper layers, whatever the seed and the order of the data. It holds
 * - the program, the mathematical functions that it is linked with, the processor and the
 *   vectors that it computes with;
 * - the nodes below the cut with their attributes and shapes (graph_cut_tell);
 * - of each parameter there how it lies in memory, and a sum of its bytes: of the base, its
 *   quantisation, what an adapter gave, what PiSSA took out, all alike;
 * - of each row tokens, types, positions and what the task picks. */
#ifndef RUNNER_FEATURES_BETWEEN_TRIALS_H
#define RUNNER_FEATURES_BETWEEN_TRIALS_H

#include "runner/cache/cache.h"
#include "runner/graph/cut.h"

struct session;

/* The backend's tensors lie in memory that files can be mapped to. */
bool features_lie_on_host(const struct session *s);
/* Once all parameters have their values; `sums`, one per parameter, has those of their
 * bytes, or 0 where they are not known yet. False: the rows are the trial's own. */
bool features_take_common(struct session *s, int split, const struct graph *g,
                          const struct graph_cut *cut, size_t bytes, uint64_t *sums,
                          struct cache_entry *out);
/* Into `out` what stands for the key before anything has values: trials of one base folder
 * that give the same will share, as far as can be told. */
void features_tell_plan(const struct session *s, int split, const struct graph *g,
                        const struct graph_cut *cut, struct buf *out);

#endif

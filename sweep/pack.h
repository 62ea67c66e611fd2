/* sweep/pack.h - what it takes to put trials into one process (launch/launch_pack.c), and
 * whether that gains time.
 *
 * On the CPU a trial in a pack computes as fast as one in a process of its own, so that time
 * is gained only where more trials can compute at the same time: where memory is too small
 * for as many processes as there are threads, but not for as many trials in one. Then auto
 * takes as many as there are threads, or fit; more of them would wait for turns. */
#ifndef SWEEP_PACK_H
#define SWEEP_PACK_H

#include "sweep/sweep.h"

#define PROCESS_BYTES ((int64_t)48 << 20) /* program, libraries, tokenizer, rows */

/* Of trials in one process. */
struct pack_bytes_of {
    int64_t bases; /* each once */
    int64_t turns; /* as many as threads, as large as the largest trial's */
    int64_t own;   /* what trains, tokenizers and rows of all */
    int64_t total; /* and the process */
};
struct pack_bytes_of sweep_pack_bytes(const struct sweep_trial *const *trials,
                                      size_t count, int threads);

/* Of a trial in a process of its own; 0: not known. */
int64_t sweep_alone_bytes(const struct sweep_trial *t);

/* Whether trials of the sweep can be packed, where that is wanted. */
int sweep_pack_check(const struct sweep_file *f, int wanted, struct err *err);
/* Trials in a process: `wanted`, or by gain where that is SWEEP_PACK_AUTO. */
int sweep_pack_choose(const struct sweep_plan *p, int wanted, int threads,
                      int64_t memory_bytes);
/* What was wanted, what is done, and what it takes. Nothing where no pack was asked for. */
void sweep_pack_words(const struct sweep_plan *p, int wanted, int pack, int threads,
                      FILE *f);

#endif

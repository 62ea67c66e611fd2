/* tracker/worker/by_hand.h - how a training gets into the store that somebody started by
 * hand (`peftlab train`), beside those that a sweep hands out.
 *
 * Its trial is like those of a sweep, but of no sweep: (experiment, configuration, seed) is
 * one trial. Training it again is its next attempt, whatever became of the one before; as
 * everywhere the newest that ended by itself counts. The run folder is the user's own, and
 * gc never takes it. Where the experiment has the same configuration from another folder,
 * whose relative paths are other files, the experiment is called by the whole path of the
 * folder instead.
 *
 * Nothing is opened or made before the training has its first number (or fails for another
 * reason than its input): what is wrong with keys, files and folders is a message and no
 * trial. Bookkeeping neither fails nor stops a training: what cannot be written is said
 * once on stderr, also that another process trains the same just now. */
#ifndef TRACKER_WORKER_BY_HAND_H
#define TRACKER_WORKER_BY_HAND_H

#include "tracker/worker/sink.h"

/* Borrowed until by_hand_end. */
struct by_hand_trial {
    const char *store;              /* its file */
    const char *experiment;         /* its name */
    const char *base_dir, *run_dir; /* absolute paths */
    const char *key;                /* of the configuration without the seed */
    uint64_t seed;
    json_t *config, *params; /* resolved; and what the user wrote of it */
};

struct by_hand;
struct by_hand *by_hand_new(const struct by_hand_trial *t);
/* Part of it; to be closed before by_hand_end. */
struct sink *by_hand_sink(struct by_hand *b);
/* The training ended with `why`, which is empty where it is complete. Frees; gives the
 * trial's number, 0 where nothing is recorded. */
int64_t by_hand_end(struct by_hand *b, const struct err *why);

#endif

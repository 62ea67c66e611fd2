/* tracker/store/batch.h - writes of several askers in one transaction.
 *
 * Each job is done within a savepoint of its own: one that fails is undone and takes
 * nothing of the others with it. All others are in the file once store_batch returns, or
 * none of them, and then each has the error of the commit: so nobody need be told of a
 * success that is not kept. */
#ifndef TRACKER_STORE_BATCH_H
#define TRACKER_STORE_BATCH_H

#include "tracker/store/store.h"
#include <stddef.h>

struct store_job {
    int (*work)(struct store *s, void *ctx, struct err *err); /* negative: undone */
    void *ctx;
    int rc; /* out, with the error where negative */
    struct err err;
};

void store_batch(struct store *s, struct store_job *jobs, size_t count);

#endif

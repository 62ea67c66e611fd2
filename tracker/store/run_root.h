/* tracker/store/run_root.h - whose run folders a folder holds.
 *
 * Runs lie in ROOT/trial-N/attempt-K, where N counts within a store: two stores with one
 * ROOT would write into each other's folders. So ROOT has a mark, ROOT/.store, with the
 * id and the file of the store that it belongs to, and only that store makes folders in
 * it or removes some (gc). A copy of the file has the same id; it is told by the file
 * that is named, while that one is still there.
 *
 * The default is "peftlab-runs" beside the store, or "peftlab-runs-ID" where that is
 * another store's. A ROOT without a mark (of an earlier version) is taken by the first
 * store that has runs of its own in it. */
#ifndef TRACKER_STORE_RUN_ROOT_H
#define TRACKER_STORE_RUN_ROOT_H

#include "lib/err.h"
#include "tracker/store/store.h"
#include <stdbool.h>

/* The folder for runs of this store, marked; `given` NULL: the default. Newly allocated
 * in *root. ERR_CONFIG where the given one is another store's. */
int store_run_root(struct store *s, const char *given, char **root, struct err *err);
/* Whether this store made the run folder ROOT/trial-N/attempt-K. */
bool store_owns_run_folder(struct store *s, const char *run_dir);

#endif

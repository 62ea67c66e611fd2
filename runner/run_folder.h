/* runner/run_folder.h - whether a folder may take what a trial makes.
 *
 * A run folder holds one training: trace.jsonl, adapter/, result.json. result.json, its
 * last file, says whose it is: the resolved trial and the hashes of model and data. The
 * same training may be made there again (it gives the same numbers); another one may not,
 * unless the user says so. An interrupted training of another trial is found by its
 * checkpoint (runner/train/checkpoint.h). Errors are ERR_CONFIG. */
#ifndef RUNNER_RUN_FOLDER_H
#define RUNNER_RUN_FOLDER_H

#include "runner/session.h"
#include <jansson.h>
#include <stdbool.h>

/* For a training of `resolved`, opened in `s`. */
int run_folder_check(const char *dir, const json_t *resolved, const struct session *s,
                     struct err *err);
/* For results of an evaluation: a training's must not be replaced by them. */
int run_folder_check_evaluation(const char *dir, struct err *err);
/* For a folder that is made as a whole (fs_make_folder): nothing may be there; with
 * `overwrite` files that such a folder has by these names, and no others: nobody's own
 * files go with them. */
typedef bool folder_file_fn(const char *name);
int run_folder_check_replaced(const char *dir, folder_file_fn *known, bool overwrite,
                              struct err *err);

/* The adapter's folder in a run's folder, or the folder itself where it is an adapter's.
 * The caller's; NULL: there is none. */
char *run_folder_adapter(const char *dir);
/* The same of each folder in `dir`, in the order of their names, which it is called by;
 * ERR_NOINPUT: there is none. */
typedef int run_folder_take(void *ctx, const char *name, const char *adapter,
                            struct err *err);
int run_folder_adapters(const char *dir, run_folder_take *take, void *ctx,
                        struct err *err);

#endif

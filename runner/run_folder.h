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
/* For a model folder: nothing may be there. */
int run_folder_check_empty(const char *dir, struct err *err);

#endif

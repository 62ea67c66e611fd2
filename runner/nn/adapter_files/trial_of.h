/* runner/nn/adapter_files/trial_of.h - the trial that an adapter folder is of.
 *
 * A folder of peft's or of the adapters library says by which method and with which options
 * it was made, but not on which data: enough to open a net for it. The tree is what a user
 * would write (model, task, method and the options that the method reads); trial_resolve_use
 * resolves it. What a folder says and nobody here honours is found when it is loaded, since
 * adapter_load compares the whole configuration. */
#ifndef RUNNER_NN_ADAPTER_FILES_TRIAL_OF_H
#define RUNNER_NN_ADAPTER_FILES_TRIAL_OF_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>

bool adapter_is_folder(const char *dir); /* it holds adapter_config.json */
/* `model`: the base, NULL: the one that the folder names. New reference in *given. */
int adapter_trial(const char *dir, const char *model, json_t **given, struct err *err);

#endif

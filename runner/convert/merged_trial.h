/* runner/convert/merged_trial.h - what a model with an adapter merged in, or as it is, is
 * opened by. */
#ifndef RUNNER_CONVERT_MERGED_TRIAL_H
#define RUNNER_CONVERT_MERGED_TRIAL_H

#include "runner/convert/convert.h"
#include <jansson.h>

/* The resolved trial of an adapter and its base; of a model one of a method that adds
 * nothing, and so merges to the model itself. New reference. */
int merged_trial(const struct convert *c, json_t **resolved, struct err *err);
/* The adapter's folder; NULL: there is none. */
const char *merged_adapter(const struct convert *c);

#endif

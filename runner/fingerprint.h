/* runner/fingerprint.h - hashes of what decides a trial's numbers beside its configuration.
 *
 * {"model", "train_data", "eval_data", "test_data", "general_data", "init_adapter"}: SHA-256 of the files
 * of data, of a model's config.json, tokenizer and weights (of large files the header and
 * samples, hf_model_fingerprint), of an adapter folder's files. A run's environment keeps them as
 * "sha256", so that a changed file can be told from the one that a trial was made with. */
#ifndef RUNNER_FINGERPRINT_H
#define RUNNER_FINGERPRINT_H

#include "lib/err.h"
#include <jansson.h>

/* What is not there has no key. New reference in *out. */
int fingerprint_trial(const json_t *resolved, const char *base_dir, json_t **out,
                      struct err *err);
struct session;
/* The same of what an open session has read. New reference. */
json_t *fingerprint_session(const struct session *s);
/* Of the names and contents of the files in a folder. */
int fingerprint_folder(const char *dir, char hex[65], struct err *err);

#endif

/* runner/hub/known.h - models that are known by name: their config.json is built in.
 *
 * A configuration is enough to plan by (hf_model_open_shape), not to train. A new model is
 * a file in runner/hub/configs and a row of known.def; whether the trainer's planner or
 * only the formula of report/ can use it follows from its model_type (runner/nn/arch). */
#ifndef RUNNER_HUB_KNOWN_H
#define RUNNER_HUB_KNOWN_H

#include "lib/err.h"
#include <jansson.h>
#include <stddef.h>

struct known_model {
    const char *name, *aliases; /* "bert-base|bert"; NULL: none */
    const char *hub_id;         /* that its config.json is of */
    const char *config;
    const size_t *config_size;
};

extern const struct known_model known_models[];
extern const size_t known_model_count;

/* By name, alias or hub id; upper case, punctuation and a final "-hf" are not minded:
 * "BERT-base", "meta-llama/Llama-2-7b-hf". NULL: not known. */
const struct known_model *known_model_find(const char *name);
/* Its config.json; a new reference. */
json_t *known_model_config(const struct known_model *m, struct err *err);
/* ERR_NOINPUT: names the nearest and what there is. */
int known_model_missing(const char *name, struct err *err);

#endif

/* runner/hub/text_part.h - the language model inside a model of texts and pictures.
 *
 * Such a folder's config.json has the language model's own keys in `text_config`, and may
 * leave out what the class has as defaults (google/gemma-3-4b-it names six keys). Here
 * they become one configuration: defaults, then the outer keys, then the inner ones,
 * under the outer model_type, by which the architecture finds its tensors. */
#ifndef RUNNER_HUB_TEXT_PART_H
#define RUNNER_HUB_TEXT_PART_H

#include <jansson.h>

/* A new reference where `config` is of such a class, else NULL. */
json_t *text_part_config(const json_t *config);

#endif

/* runner/hub/model_text.h - what a model says of its text beside the tokenizer: special
 * tokens by their names, and the chat template.
 *
 * As transformers reads a folder: tokenizer_config.json, and for tokens that it does not
 * name special_tokens_map.json. A GGUF file has the same as tokenizer.ggml.*_token_id and
 * tokenizer.chat_template. */
#ifndef RUNNER_HUB_MODEL_TEXT_H
#define RUNNER_HUB_MODEL_TEXT_H

#include "lib/err.h"
#include <jansson.h>

struct model_text {
    json_t *config; /* tokenizer_config.json; an empty object where there is none. Whole
                       numbers stand in it as real ones: "no limit" is 1e30 */
    json_t *tokens; /* {"eos_token": "</s>", ...} */
};

/* `model`: what hf_model_find gave; NULL: it says nothing. Release it also after an error. */
int model_text_read(const char *model, struct model_text *out, struct err *err);
void model_text_release(struct model_text *t);
/* Adds the special tokens that an object names: keys *_token, and extra_special_tokens. A
 * name that is there already stays. */
void model_text_add_tokens(json_t *tokens, const json_t *config);

#endif

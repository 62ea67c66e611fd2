/* runner/hub/gguf/front.h - what tokenizer.ggml.pre stands for: the expression and what else
 * comes before byte-level BPE, as parts of a tokenizer.json. llama.cpp has the list in
 * llama-vocab.cpp; what is not here is refused by name, in both directions. */
#ifndef RUNNER_HUB_GGUF_FRONT_H
#define RUNNER_HUB_GGUF_FRONT_H

#include <jansson.h>
#include <stdbool.h>

struct gguf_front {
    const char *pre, *pre_tokenizer;
    bool nfc, ignore_merges, bos; /* bos: put where the file does not say */
};

const struct gguf_front *gguf_front_find(const char *pre); /* NULL: not known */
/* The word for a tokenizer.json of byte-level BPE; NULL: it has none here. */
const char *gguf_pre_of(const json_t *tokenizer);
const char *gguf_pre_names(void); /* "gpt-2, smollm", for messages */

#endif

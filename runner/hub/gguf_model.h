/* runner/hub/gguf_model.h - a GGUF file as a Hugging Face model: config.json,
 * tokenizer.json and the tensors by their names there.
 *
 * llama.cpp's converter (convert_hf_to_gguf.py) gives tensors short names, writes the
 * configuration as keys "ARCHITECTURE.*", and, for the architectures where rotary
 * embeddings turn neighbouring pairs there and halves here, reorders the rows of q and k
 * in each head. All that is undone; a row of `architectures` says how. Keys and tensors
 * that are not known are refused by name, because the numbers would be others. Values stay
 * as they are in the file until somebody reads a tensor (st_read_f32). */
#ifndef RUNNER_HUB_GGUF_MODEL_H
#define RUNNER_HUB_GGUF_MODEL_H

#include "runner/hub/gguf.h"
#include "runner/hub/safetensors.h"

/* tokenizer.ggml.token_type */
enum gguf_token {
    GGUF_TOKEN_NORMAL = 1,
    GGUF_TOKEN_UNKNOWN,
    GGUF_TOKEN_CONTROL,
    GGUF_TOKEN_USER_DEFINED,
    GGUF_TOKEN_UNUSED,
    GGUF_TOKEN_BYTE
};

int gguf_model_config(const struct gguf *g, json_t **out, struct err *err);
/* Takes the map of g over, which can only be closed then. */
int gguf_model_weights(struct gguf *g, const char *path, struct st **out,
                       struct err *err);
/* What tokenizer.json would be, out of tokenizer.ggml.*; NULL where the file says that it has
 * none ("no_vocab"). */
int gguf_model_tokenizer(const struct gguf *g, json_t **out, struct err *err);
/* Puts into an object what tokenizer_config.json would say: special tokens by name,
 * chat_template (a text, or a list of named ones). */
int gguf_model_text(const struct gguf *g, json_t *out, struct err *err);

#endif

/* runner/convert/gguf_parts.h - the pieces of a whole model's GGUF file, as llama.cpp's
 * convert_hf_to_gguf.py writes them. */
#ifndef RUNNER_CONVERT_GGUF_PARTS_H
#define RUNNER_CONVERT_GGUF_PARTS_H

#include "runner/hub/gguf_family.h"
#include "runner/hub/gguf/write.h"
#include <jansson.h>

/* gguf_keys.c: config.json as keys "ARCHITECTURE.*"; what llama.cpp would compute otherwise
 * or not at all is refused by name. Rotary embeddings that it has no key for (Llama 3)
 * become a tensor of divisors: *divisors, *count of them, the caller's; NULL: none. */
int gguf_keys_put(struct gguf_writer *w, const json_t *config,
                  const struct gguf_family *f, float **divisors, int32_t *count,
                  struct err *err);

/* gguf_vocab.c: the tokenizer, special tokens and chat template of a model's folder as keys
 * "tokenizer.*". A tokenizer that the file cannot tell, so that llama.cpp would make other
 * tokens, is refused. Without tokenizer.json the file says that it has none. */
int gguf_vocab_put(struct gguf_writer *w, const char *dir, const json_t *config,
                   struct err *err);

#endif

/* runner/convert/gguf_parts.h - the pieces of a whole model's GGUF file, as llama.cpp's
 * convert_hf_to_gguf.py writes them. */
#ifndef RUNNER_CONVERT_GGUF_PARTS_H
#define RUNNER_CONVERT_GGUF_PARTS_H

#include "runner/hub/gguf_family.h"
#include "runner/hub/gguf/write.h"
#include <jansson.h>

/* What frequencies of rotary embeddings are divided by, where there is no key for them. */
struct divisors {
    char *name;    /* rope_freqs.weight and the like; owned */
    float *values; /* owned; NULL: there are none */
    int32_t count;
};
enum { DIVISORS_MAX = 2 };

/* gguf_keys.c: config.json as keys "ARCHITECTURE.*"; what llama.cpp would compute otherwise
 * or not at all is refused by name (gguf_limits.c). Fills `divisors`, which the
 * caller frees, also after an error. */
int gguf_keys_put(struct gguf_writer *w, const json_t *config,
                  const struct gguf_family *f, struct divisors divisors[DIVISORS_MAX],
                  struct err *err);
int gguf_limits_check(const json_t *config, const struct gguf_family *f, struct err *err);
/* Of layers that attend to everything, where there are tables by type of layer. */
const json_t *gguf_rope_keys(const json_t *config);

/* gguf_vocab.c: the tokenizer, special tokens and chat template of a model's folder as keys
 * "tokenizer.*". A tokenizer that the file cannot tell, so that llama.cpp would make other
 * tokens, is refused. Without tokenizer.json the file says that it has none. */
int gguf_vocab_put(struct gguf_writer *w, const char *dir, const json_t *config,
                   struct err *err);

#endif

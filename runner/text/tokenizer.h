/* runner/text/tokenizer.h - tokenizer.json as Hugging Face's tokenizers reads it.
 *
 * A pipeline of rows: added tokens (matched first, leftmost and longest), normaliser,
 * pre-tokeniser, model, post-processor, decoder; each kind is a row in a table, so that
 * further ones are added beside WordPiece. `truncation` and `padding` of the file are
 * ignored, as transformers does. Offsets count code points of the original text. A part
 * that is not known is an error naming it, never a guess. */
#ifndef RUNNER_TEXT_TOKENIZER_H
#define RUNNER_TEXT_TOKENIZER_H

#include "lib/buf.h"
#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct tokenizer;

struct encoding {
    int32_t *ids, *type_ids;
    int32_t (*offsets)[2];
    size_t n, cap;
    size_t cut; /* tokens that max_length took away */
};

/* `path`: a tokenizer.json or a folder that holds one (then tokenizer_config.json changes
 * it, see settings.c). */
int tokenizer_load(const char *path, struct tokenizer **out, struct err *err);
int tokenizer_parse(const char *json, size_t len, const char *name,
                    struct tokenizer **out, struct err *err);
/* `settings`: the text of tokenizer_config.json; NULL: there is none. */
int tokenizer_parse_with(const char *json, size_t len, const char *settings,
                         size_t settings_len, const char *name, struct tokenizer **out,
                         struct err *err);
/* Of a tree that is as tokenizer.json. */
int tokenizer_of_tree(json_t *root, const char *name, struct tokenizer **out,
                      struct err *err);
void tokenizer_free(struct tokenizer *t);
int32_t
tokenizer_max_length(const struct tokenizer *t); /* model_max_length, or INT32_MAX */
/* NULL when out of range */
const char *tokenizer_token(const struct tokenizer *t, int32_t id);
/* One that was added to the model's vocabulary, as special tokens are. */
bool tokenizer_is_added(const struct tokenizer *t, int32_t id);
/* pair may be NULL; max_length 0: no truncation, else longest_first on the right (or left,
 * by truncation_side). Fills
 * `out` (reused; encoding_release). */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t text_len,
                     const char *pair, size_t pair_len, int32_t max_length,
                     bool add_special, struct encoding *out, struct err *err);
int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n,
                     bool skip_special, struct buf *out, struct err *err);
void encoding_release(struct encoding *e);

#endif

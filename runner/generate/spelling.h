/* runner/generate/spelling.h - the text of tokens that come one by one.
 *
 * What may be handed on is what further tokens do not change: a character of which bytes
 * are still to come is held back, and so is the beginning of a stop string until it is
 * one or is not. With the last token all is handed on, bytes that never became a character as
 * U+FFFD.
 *
 * The texts of tokens do not simply add up (bytes of one character, blanks that a word's
 * first token leaves out), but those of a few neighbours do: each new token is decoded
 * behind those that were handed on last, so that a text of n tokens costs n short decodes.
 * Special tokens have no text. */
#ifndef RUNNER_GENERATE_SPELLING_H
#define RUNNER_GENERATE_SPELLING_H

#include "runner/text/tokenizer.h"

struct spelling {
    const struct tokenizer *tokenizer; /* borrowed */
    const char *const *stops;          /* stop strings, none empty; borrowed */
    size_t n_stops;
    struct buf text; /* of all tokens so far, up to the stop string that ended it */
    bool stopped;    /* one was found; what comes behind it is not taken */
    /* Tokens of which the text may still change, behind those that are in `text` wholly: their
     * text is `known`. */
    int32_t *ids;
    size_t n, cap, whole;
    struct buf known, now;
};

void spelling_init(struct spelling *p, const struct tokenizer *tokenizer,
                   const char *const *stops, size_t n_stops);
void spelling_release(struct spelling *p);
/* looks_for_stops: false where an end is not wanted yet. */
void spelling_add(struct spelling *p, int32_t id, bool looks_for_stops);
void spelling_end(struct spelling *p); /* there is no further token */
/* Bytes of `text` that stay as they are. After spelling_end all of them. */
size_t spelling_ready(const struct spelling *p);

#endif

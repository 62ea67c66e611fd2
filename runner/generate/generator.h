/* runner/generate/generator.h - texts from a language model, token by token.
 *
 * Works on a session that decodes (session.h): its decode graph reads new tokens of
 * several sequences at a time, whatever there is of each - a piece of a prompt, or the
 * token that was chosen last - writes their keys and values into the sequence's slot of
 * the cache and gives the logits behind each sequence's last one. So reading a prompt and
 * going on with it are the same thing, and pieces of long prompts bound the memory. There
 * is no padding: a sequence begins at position 0 of its slot, behind what the method puts
 * in front (virtual keys or tokens, computed once: net_record_start).
 *
 * A run takes every text that is on its way along; where one ends, the next request takes
 * its slot. Since a row's bits do not depend on its neighbours, a text is the same
 * whatever was generated beside it, and however its prompt was cut: a batch of 8 is 8
 * single runs.
 *
 * A slot remembers which tokens it holds (slots.h): a request that begins with the same ones
 * reads only what is new (the next turn of a chat, a system prompt that rows share). */
#ifndef RUNNER_GENERATE_GENERATOR_H
#define RUNNER_GENERATE_GENERATOR_H

#include "runner/generate/slots.h"

struct generator {
    struct session *session; /* allocated; borrowed */
    struct sampler sampler;
    const int32_t *stops; /* end tokens; borrowed */
    size_t n_stops;
    struct slots slots;
    bool started;  /* what the method puts in front is there */
    float *logits; /* of one run */
};

/* stops: none where texts are not to end by themselves. */
void generator_init(struct generator *g, struct session *session,
                    const struct sampling *how, const int32_t *stops, size_t n_stops);
void generator_release(struct generator *g);

/* Called with each new token (the last of `text`); false: that is enough of this text. */
typedef bool (*generator_heard)(void *ctx, const struct generation *text);
/* All of them, in any order at the same time. `heard` may be NULL. ERR_NAN where a logit
 * is no number. */
int generator_run(struct generator *g, struct generation *texts, size_t count,
                  generator_heard heard, void *ctx, struct err *err);

/* Tokens that a text of so many takes in the cache. */
int32_t generator_length(const struct session *s, int32_t prompt, int32_t most);
/* The longest text, prompt and new tokens, that the model has positions for. */
int32_t generator_room(const struct session *s);

#endif

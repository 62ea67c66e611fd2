/* cli/serve/write/wish.h - what a request wants written: the fields of a body, checked.
 *
 * A field is one of four (fields.c has them all, in tables):
 *   taken    its type and range are checked, its default filled in
 *   ignored  it changes nothing here that the answer would show (user, metadata, ...)
 *   fixed    it would change the answer and is not done here: accepted with the value that
 *            changes nothing, refused else, by its name
 *   unknown  refused by its name, as OpenAI does, with what may have been meant */
#ifndef CLI_SERVE_WRITE_WISH_H
#define CLI_SERVE_WRITE_WISH_H

#include "lib/err.h"
#include "runner/generate/sampler.h"
#include <jansson.h>
#include <stdbool.h>

enum { WISH_STOPS_MOST = 16, WISH_CHOICES_MOST = 128 };

struct wish {
    bool chat;
    json_t *values; /* checked, by name; owned */
    int32_t n;      /* texts for each prompt */
    int32_t most;   /* new tokens; -1: not said */
    int32_t least;
    int32_t top; /* alternatives to tell of each token; -1: no probabilities at all */
    bool echo, stream, ignores_end;
    bool usage, usage_always; /* of a stream: behind it, with each piece */
    struct sampling how;
    const char *stops[WISH_STOPS_MOST]; /* out of `values` */
    size_t n_stops;
    const json_t *ends; /* further end tokens: ids; NULL: none */
};

/* The field that is to blame is *param, NULL: none is. */
int wish_read(struct wish *w, const json_t *body, bool chat, const char **param,
              struct err *err);
void wish_release(struct wish *w);

/* --- fields.c --- */
/* A new object of the taken fields, checked and filled. NULL where one cannot be. */
json_t *fields_check(const json_t *body, bool chat, const char **param, struct err *err);

#endif

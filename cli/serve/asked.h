/* cli/serve/asked.h - questions about texts (inside cli/serve): what a body asks becomes rows
 * of the engine, one for each text and adapter, and what they got the answer.
 *
 * The kinds of questions have in common what a text may be (a string, a pair, token ids, or
 * a list of these), whom it is for ("model", one or several), how long it can wait, and what
 * is refused; a kind says under which key the texts are, what else it reads, and how it
 * answers. Of classifiers and encoders; what writes is asked elsewhere. */
#ifndef CLI_SERVE_ASKED_H
#define CLI_SERVE_ASKED_H

#include "cli/serve/serving.h"

struct asked;

struct ask_kind {
    const char *key; /* of the texts */
    bool vectors;    /* rows get vectors (runner/serve/pooling.h), else logits */
    int (*read)(struct asked *a, const json_t *body, struct err *err);
    json_t *(*answer)(const struct asked *a);
};

struct asked {
    struct serving *serving;
    struct server_call *call;
    const struct ask_kind *kind;
    struct engine_request *request; /* for each text its adapters, one after the other */
    json_t *models; /* of the request: one name, or several for fan-out; owned */
    size_t inputs;
    bool one; /* the input was no list */
    int64_t id, tokens;
    /* what kinds read */
    bool raw;         /* scores are logits */
    bool with_logits; /* beside them */
    bool as_bytes;    /* vectors in base64 */
    bool as_they_are; /* vectors are not made as long as one */
};

/* Reads, puts, and answers, now or later. */
void ask(struct serving *s, struct server_call *call, const struct ask_kind *kind);

#endif

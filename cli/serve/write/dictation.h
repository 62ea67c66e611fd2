/* cli/serve/write/dictation.h - a request to write on its way (inside cli/serve/write).
 *
 * It has a text for each prompt and each of its n choices; each is a request of the writer
 * (runner/serve/write/writer.h). The connection's thread reads the body and puts them; from then on
 * all is done in the writer's thread: tokens become text (runner/generate/spelling.h), text
 * becomes events of a stream, or the answer once the last text is there.
 *
 * A stream begins with its first token, so that what cannot be written has an HTTP status. It
 * has an event for each token, with the text that the token made certain (nothing, or more
 * than its own), the last one with why it ends. A client that is gone ends its texts; one
 * that closed its sending side only looks the same, and is told that its text is not whole. */
#ifndef CLI_SERVE_WRITE_DICTATION_H
#define CLI_SERVE_WRITE_DICTATION_H

#include "cli/serve/serving.h"
#include "cli/serve/write/prompts.h"
#include "runner/generate/spelling.h"
#include "runner/serve/write/writer.h"

/* A token of which the probabilities are told. */
struct told_token {
    struct writer_token token;
    size_t offset; /* characters of the text before it */
};

struct text {
    struct dictation *dictation;
    struct writer_request request;
    struct spelling spelling;
    int index;
    size_t given; /* bytes of its text that are in the stream */
    bool echoed;  /* the prompt is */
    bool began;   /* the stream has its first event */
    bool ended;   /* by a stop string or one of the request's end tokens */
    bool unheard; /* its client left before it was whole */
    struct told_token *tokens;
    size_t n_tokens, cap, told;
};

struct dictation {
    struct serving *serving;
    struct server_call *call;
    struct wish wish;
    struct prompts prompts;
    struct text *texts;
    size_t count;
    atomic_size_t left; /* texts that are not done, and one while they are put */
    char *model, id[48];
    int64_t created; /* Unix time */
    bool streams;    /* its stream has begun */
    atomic_bool
        failed;     /* a text could not be written: the others are not wanted any more */
    double limit_s; /* to the first token of each text; 0: none */
    double retry_s; /* where it was refused for now */
};

/* --- answer.c: what is told; new references --- */
json_t *answer_whole(const struct dictation *d);
/* What is new of a text: up to `until` bytes, and tokens that were not told; reason: NULL, or
 * why it ends. */
json_t *answer_event(struct dictation *d, struct text *t, size_t until,
                     const char *reason);
/* Behind all texts of a stream. */
json_t *answer_usage_event(const struct dictation *d);
const char *answer_reason(const struct text *t); /* "stop", "length" */
/* A chat's first event, which says who speaks. */
json_t *answer_role_event(const struct dictation *d, const struct text *t);

#endif

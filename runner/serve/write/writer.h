/* runner/serve/write/writer.h - texts from many adapters on one language model, in one batch.
 *
 * A base that writes (base.h: serve_options.decode) has room for so many sequences at
 * a time, each a slot of the cache. Requests wait, the earliest deadline first, else first
 * come, first served (waiting.h); one that gets a slot is read in pieces and then goes on token by token, beside all others that are on
 * their way, whatever their adapters: each step takes the next token of every text that is
 * being written, then as much of the prompts as still fits, so that long prompts do not hold
 * up those who listen. Texts join and leave between steps.
 *
 * A text is, token by token, the one that `peftlab generate` writes with that adapter alone:
 * bits do not depend on the company, on how a prompt was cut, nor on when it joined.
 *
 * A slot remembers its tokens and whose they are. The next request to the same adapter that
 * begins with them reads what is new only: the next turn of a chat, a system prompt.
 *
 * Memory for the cache is taken once, when the base is opened (struct writer_counts tells
 * how much). An adapter that has texts on their way is not closed.
 *
 * writer_put is for any thread; `heard` and `done` are called in the writer's thread, which
 * writes nothing meanwhile. */
#ifndef RUNNER_SERVE_WRITE_WRITER_H
#define RUNNER_SERVE_WRITE_WRITER_H

#include "runner/generate/sampler.h"
#include "runner/serve/shelf.h"
#include <stdatomic.h>

enum { WRITER_TOP = 20 }; /* most alternatives that are told */

struct writer_choice {
    int32_t id;
    float logprob; /* by the model, before temperature, penalties and the like */
};

struct writer_token {
    int32_t id;
    bool ends;     /* an end token: it is no part of the text */
    float logprob; /* this and the next: where they were asked for */
    int n_top;
    struct writer_choice top[WRITER_TOP]; /* the likeliest first */
};

enum writer_end {
    WRITER_STOP,   /* an end token, the last of ids */
    WRITER_LENGTH, /* `most`, or there is no more room */
    WRITER_TOLD,   /* `heard` had enough, or nobody wants it any more */
};

struct writer_request {
    /* What is asked. */
    struct shelf_entry *adapter; /* of shelf_want, for one row; given back before `done`;
                                    NULL: the base alone */
    const int32_t *prompt;       /* the caller's until it is done */
    int32_t n_prompt;            /* 1 at least, less than writer_room */
    int32_t most;     /* new tokens; what there is no room for is left out; 0: all
                                    that there is room for */
    int32_t least;    /* before that no end token is chosen */
    bool ignores_end; /* end tokens are tokens like others */
    struct sampling how;
    uint64_t
        stream;     /* see sampler.h: texts of one seed that are to differ differ in it */
    int top;        /* how many alternatives to tell; -1: no logprob either */
    double limit_s; /* to its first token; 0: none */
    /* Each token as it comes, ids holds those so far; false: that is enough. May be NULL. */
    bool (*heard)(struct writer_request *r, const struct writer_token *t);
    void (*done)(struct writer_request *r);
    void *ctx;
    atomic_bool unwanted; /* set by any thread: it ends before the next step */

    /* What came of it, when it is done. */
    int rc; /* why it was not written, 0 where it was */
    struct err err;
    enum writer_end end;
    int32_t *ids; /* an end token too; the request's, writer_request_release */
    int32_t n;
    int32_t reused; /* tokens of the prompt that were in the cache */
    bool cold;      /* the adapter was loaded for it */
    bool late;      /* its limit passed while it waited (rc is -ERR_BUSY) */
    /* Monotonic clock: put, taken from the queue, first token, last token. */
    double put_s, begin_s, first_s, end_s;
    /* the writer's */
    struct writer_request *after;
    double rank_s;
    bool at_once; /* a slot was free for it */
};
void writer_request_release(struct writer_request *r); /* what came of it */

struct writer_options {
    double
        most_wait_s; /* refuse what would wait for longer, by the rate of late; 0: no limit */
    size_t most_waiting; /* requests */
    double
        share; /* part of the slots that one adapter has while others wait; 0: no cap */
    const int32_t *stops; /* end tokens; borrowed (runner/generate/prompter.h) */
    size_t n_stops;
};

struct writer_counts {
    int64_t steps, rows; /* rows: texts in a step, summed over steps */
    int64_t adapters;    /* different ones in a step, the same; the base counts as one */
    int64_t texts, failed, refused, late;
    int64_t prompt_tokens, reused_tokens, new_tokens;
    double run_s;            /* of all steps */
    size_t waiting, writing; /* requests, now */
    size_t cache_bytes;
};

struct writer;
/* base: opened to write. */
int writer_start(struct writer **out, struct shelf *shelf,
                 const struct writer_options *options, struct err *err);
/* Takes the request over; `done` will be called. ERR_BUSY: refused, *retry_s is when it may
 * be asked again; ERR_CONFIG: a prompt that cannot be. Then it is still the caller's. */
int writer_put(struct writer *w, struct writer_request *r, double *retry_s,
               struct err *err);
void writer_count(struct writer *w, struct writer_counts *out);
/* Writes what waits, then ends; requests are refused from here on. */
void writer_stop(struct writer *w);
/* Once it is stopped, and nobody asks any more; before the base is closed. */
void writer_free(struct writer *w);

/* Tokens of a prompt and its answer that a sequence has room for, without virtual ones. */
int32_t writer_room(const struct serve_base *b);

#endif

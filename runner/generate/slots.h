/* runner/generate/slots.h - the places of a cache, and what each is to read next.
 *
 * A text that is being written has a slot: its prompt is read into it in pieces, then token
 * by token what was chosen. A slot remembers which tokens it holds, and whose (`owner`: keys
 * of one adapter are nothing to another), also when its text has ended; whoever comes next
 * and begins with them reads only what is new.
 *
 * What other slots hold of a prompt's beginning is copied from there (slots_share.c).
 *
 * Slots may be of different nets, adapters on one base (runner/serve/write/writer.h), or all of
 * one (generator.h). Which tokens are read in a run is decided here, what the run is made of
 * by those who ask. */
#ifndef RUNNER_GENERATE_SLOTS_H
#define RUNNER_GENERATE_SLOTS_H

#include "runner/generate/sampler.h"
#include "runner/session.h"

/* One text. */
struct generation {
    const int32_t *prompt; /* borrowed */
    int32_t n_prompt;      /* 1 at least */
    int32_t most;          /* new tokens */
    uint64_t stream;       /* see sampler.h: the number of its row */
    int32_t *ids;          /* what came of it, an end token too; owned */
    int32_t n;
    bool stopped;   /* by an end token */
    int32_t reused; /* tokens of the prompt that were in the cache */
    double begin_s; /* taken on, by the monotonic clock */
    double first_s; /* its first token was there */
    double end_s;   /* its last one */
};
void generation_release(struct generation *g);

struct slot {
    struct generation *text; /* NULL: free */
    const struct net *net;   /* that writes it */
    uint64_t owner;          /* whose keys are there; 0: none are */
    int32_t *held;           /* real tokens whose keys are there */
    int32_t n_held;
    int32_t read;   /* tokens that were read, virtual ones among them */
    int32_t take;   /* of these, in the run at hand */
    bool waits;     /* what it begins with is just being read elsewhere */
    uint64_t since; /* its place among all occupations: prompts are read in that order */
};

struct slots {
    struct decode_size size;
    struct slot *items;
    uint64_t occupied; /* times */
};
void slots_init(struct slots *s, const struct decode_size *size);
void slots_release(struct slots *s);

/* A free one, NULL: there is none. The one that holds most of the prompt's beginning; of
 * equal ones that whose text began first. */
struct slot *slots_free(const struct slots *s, uint64_t owner, const int32_t *prompt,
                        int32_t n_prompt);
void slots_occupy(struct slots *s, struct slot *slot, const struct net *net,
                  uint64_t owner, struct generation *text);
/* Before that: copies what a prompt begins with from a slot that holds it. */
void slots_share(struct slots *s, struct session *session);
/* What each reads in the next run: single tokens first, so that nobody waits for prompts,
 * then pieces of prompts as far as they fit, in the order in which they came. */
void slots_divide(struct slots *s);

/* Tokens that it has not read; 0: it is free. */
int32_t slot_unread(const struct slot *slot);
/* Puts the tokens that it takes into the batch, from token `at` on, as sequence n of it, and
 * counts them as read; the token behind them. */
int32_t slot_put(const struct slots *s, struct slot *slot, int32_t n, int32_t at,
                 int32_t *const batch[SLOT_COUNT]);
/* The next token of its text by the logits behind its last one. ERR_NAN where one is no
 * number. */
int slot_choose(struct slot *slot, struct sampler *sampler, const float *logits,
                const int32_t *stops, size_t n_stops, struct err *err);
/* Puts in front of a slot's sequence what the method has there, by the graph of
 * session_record_start. `m`: memory that the graph may use, with the session's batch and
 * states. */
void slots_start(struct session *session, const struct graph *start,
                 const struct graph_memory *m, int32_t slot);

/* The longest text, prompt and new tokens, that the model has positions for. */
int32_t net_room(const struct net *net);
/* Where virtual keys are (virtual tokens are read as tokens, keys are there from the
 * start), how many of them. */
static inline int32_t net_prefix_keys(const struct net *net)
{
    return net->change.virtual_tokens - net->change.prompt_rows;
}

#endif

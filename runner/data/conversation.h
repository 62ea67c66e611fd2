/* runner/data/conversation.h - conversations as tokens (inside runner/data); see
 * language.h. */
#ifndef RUNNER_DATA_CONVERSATION_H
#define RUNNER_DATA_CONVERSATION_H

#include "runner/chat/template.h"
#include "runner/data/row.h"

/* The template, once a row needs it, and what rendering reuses. */
struct conversation {
    struct chat_template *chat;
    struct jinja_output text, part; /* of all messages; of some */
    bool marks;                     /* the text's template has generation marks */
};
void conversation_free(struct conversation *c);

/* Messages, or the words that a row says instead; NULL: the key holds none. New
 * reference. */
json_t *conversation_messages(const json_t *row, const char *key);

/* The ids of messages into r->encoding. prompt: the text ends where the assistant's answer
 * begins. */
int conversation_encode(struct reader *r, const json_t *row, json_t *messages,
                        bool prompt, struct err *err);
/* Of what conversation_encode gave last, not of a prompt: learned[i] becomes whether the
 * assistant says token i. */
int conversation_mark(struct reader *r, const json_t *row, json_t *messages,
                      bool *learned, struct err *err);

#endif

/* runner/generate/prompter.h - what a text begins with, and what ends it.
 *
 * A row is one of
 *   {"text": "..."}        tokenised with the special tokens that the tokenizer adds
 *   {"messages": [...]}    the chat template's text, ending where the answer begins unless
 *                          the row says otherwise (add_generation_prompt,
 *                          continue_final_message); its other keys are the template's
 *   {"input_ids": [...]}   as they are
 * End tokens are eos_token_id of generation_config.json (as transformers takes it) and of
 * config.json, eos_token of tokenizer_config.json, which ends what a training's rows teach
 * (runner/data/language.h), and the token that the chat template puts behind what the assistant says:
 * many a model ends its turn with another token than its texts. */
#ifndef RUNNER_GENERATE_PROMPTER_H
#define RUNNER_GENERATE_PROMPTER_H

#include "runner/chat/template.h"
#include "runner/session.h"

struct prompter {
    const struct session *session; /* opened; borrowed */
    struct chat_template *chat;    /* NULL: there is none, `no_chat` says why */
    struct err no_chat;
    struct tm now; /* what a template's strftime_now tells */
    int32_t *stops;
    size_t n_stops;
    struct encoding encoding;   /* of the row at hand */
    struct jinja_output output; /* the same */
};

/* file: a chat template instead of that of the trial, or of the model; or NULL. To be released also after an
 * error. */
int prompter_open(struct prompter *p, const struct session *session, const char *file,
                  struct err *err);
void prompter_release(struct prompter *p);

/* The ids of a row; *ids is the caller's. At least one, and no more than the model has
 * positions for with one that comes new. */
int prompter_row(struct prompter *p, const json_t *row, int32_t **ids, int32_t *n,
                 struct err *err);
/* The sampling settings of generation_config.json, which are not used: for people,
 * "temperature 0.6, top_p 0.9"; the caller's, NULL where there are none. */
char *prompter_unused_settings(const struct prompter *p);

#endif

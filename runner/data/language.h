/* runner/data/language.h - rows of a language model: which tokens there are, and which of
 * them are learned.
 *
 *   {"input_ids", "labels"}     as they are; label -100: not learned
 *   {"text"}                    every token. The end token's text is appended where the
 *                               text does not end with it
 *   {"prompt", "completion"}    two texts; the end token likewise. Learned are the tokens
 *                               behind the longest common beginning of the prompt's ids
 *                               and of the whole text's; with completion_only_loss false
 *                               all of them
 *   {"messages"}                a conversation, whose text the chat template makes
 *                               ("conversations" with "from" and "value" is the same).
 *                               Prompt and completion may be lists of messages as well.
 *                               "tools" and "chat_template_kwargs" go to the template
 *
 * That is TRL 1.16's SFTTrainer: a template's text gets no special tokens from the
 * tokenizer, other texts do; rows are cut to max_length at their end, and one that keeps
 * no label is left out.
 *
 * With assistant_only_loss only what the assistant says is learned. Where the template
 * has generation marks, those are its words: from the token that holds the first character
 * of a mark to the one that holds the last; where a tokenizer drops a character, from the
 * next token or to the one before (transformers goes to the end of the text then, or
 * loses the span: that is not copied). Where it has none, a turn is what a text up to and
 * with it has more than the one up to it with the generation prompt (TRL has no such
 * method: it knows some templates' marked variants by heart and refuses the others). */
#ifndef RUNNER_DATA_LANGUAGE_H
#define RUNNER_DATA_LANGUAGE_H

#include "runner/hub/hf_model.h"
#include "runner/options.h"
#include <time.h>

/* What a trial and its model say of such rows. */
struct language {
    const char *model;      /* of the chat template; NULL: there is none */
    char *template_file;    /* instead of the model's own; NULL: that */
    char *eos;              /* text that ends what is learned; NULL: none is known */
    struct tm now;          /* what a template is told */
    bool dated;             /* the trial says it, so that it is the same tomorrow */
    bool assistant_only;    /* assistant_only_loss */
    int8_t completion_only; /* completion_only_loss; -1: not given */
    int32_t ids_length;     /* rows of ids are cut to it; 0: never */
};

/* The end token is tokenizer_config.json's eos_token, as in TRL, else the first of
 * config.json's eos_token_id. Borrows from `m`. Release it also after an error. */
int language_open(struct language *l, const struct trial *t, const char *base_dir,
                  const struct hf_model *m, const struct tokenizer *tokenizer,
                  struct err *err);
void language_release(struct language *l);
/* For other tasks: keys of the trial that only language models read are refused. */
int language_unread(const struct trial *t, struct err *err);
/* "2026-03-05" as the midnight of that day. */
int language_parse_day(const char *text, struct tm *out, struct err *err);

#endif

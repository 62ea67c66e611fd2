/* runner/chat/template.h - a model's chat template: messages to the text that the model
 * was trained on.
 *
 * As transformers' apply_chat_template (5.24): the template is chat_template.jinja in the
 * model's folder, else chat_template of tokenizer_config.json (a text, or a list of named
 * ones, of which "tool_use" is taken for rows with tools and "default" otherwise), that of
 * a GGUF file, or a file of the caller's. Its variables are the special tokens by their names
 * (tokenizer_config.json, then special_tokens_map.json) and the keys of the row; tools and
 * documents are null and add_generation_prompt false unless given.
 *
 * Before it runs, keys of messages whose value is null are dropped, and reasoning_content,
 * thinking and reasoning are filled into each other. With "continue_final_message" (true,
 * or the name of a key) the text ends where the last message's content ends, so that a
 * model goes on with it.
 *
 * A text that was rendered holds the special tokens already: encode it without them. */
#ifndef RUNNER_CHAT_TEMPLATE_H
#define RUNNER_CHAT_TEMPLATE_H

#include "runner/chat/jinja.h"

struct chat_template;

/* `model`: its folder or its GGUF file; `file`: a template instead of the model's own, or
 * NULL. Without a model there are no special tokens but those of the rows. */
int chat_template_open(const char *model, const char *file, struct chat_template **out,
                       struct err *err);
/* From text; `tokens`: an object of special tokens by name, or NULL. */
int chat_template_parse(const char *text, size_t len, const json_t *tokens,
                        struct chat_template **out, struct err *err);
void chat_template_free(struct chat_template *t);
/* `row`: {"messages": [...], ...}; spans are the bodies of {% generation %}. */
int chat_template_render(const struct chat_template *t, const json_t *row,
                         const struct tm *now, struct jinja_output *out, struct err *err);
/* True where the template that this row gets has generation marks. */
bool chat_template_has_spans(const struct chat_template *t, const json_t *row);

/* True where its text has the name anywhere. */
bool chat_template_mentions(const struct chat_template *t, const char *name);

#endif

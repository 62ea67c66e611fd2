/* runner/generate/answers.h - what a language model answers to the rows of a split, held
 * against what the rows say.
 *
 * A row's reference is its last run of labelled tokens, the prompt is all that comes
 * before it: the completion behind a prompt, or the assistant's last turn. Rows without a
 * prompt (plain text) are left out. Answers are greedy, of max_new_tokens at most. */
#ifndef RUNNER_GENERATE_ANSWERS_H
#define RUNNER_GENERATE_ANSWERS_H

#include "runner/evaluate.h"

/* Where the reference of a row begins and ends; false: it has none, or no prompt. */
bool answers_reference(const struct example *e, int32_t *begin, int32_t *end);

/* The room for them, once rows are there: session.decode. */
int answers_plan(struct session *s, struct err *err);
/* Of all rows of a split; out->texts is the caller's. */
int answers_generate(struct session *s, int split, struct answers *out, struct err *err);
/* Single answers to rows of the evaluation data, one after the other, each read anew: time
 * to the first token, and mean time of each further one. */
int answers_latency(struct session *s, size_t requests, struct latency *first,
                    struct latency *each, struct err *err);

#endif

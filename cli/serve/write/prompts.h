/* cli/serve/write/prompts.h - what a request's texts begin with. */
#ifndef CLI_SERVE_WRITE_PROMPTS_H
#define CLI_SERVE_WRITE_PROMPTS_H

#include "cli/serve/write/wish.h"
#include "runner/generate/prompter.h"

enum { PROMPTS_MOST = 128, TOKEN_BYTES_MOST = 128 };

struct prompt {
    int32_t *ids;
    int32_t n;
};
struct prompts {
    struct prompt *at;
    size_t count;
};

/* Of "prompt" - a text, ids, or a list of either - or of "messages", by the model's chat
 * template. room: tokens that a prompt and its answer have together. *param: the field that
 * is to blame. */
int prompts_read(struct prompts *p, struct prompter *prompter, const struct wish *w,
                 int32_t room, const char **param, struct err *err);
void prompts_release(struct prompts *p);
/* A row for the prompter of what a body says by "prompt" (a text or ids) or "messages"; a
 * new object, NULL where it says neither. */
json_t *prompts_row(const struct prompter *prompter, const json_t *body,
                    const json_t *prompt, const char **param, struct err *err);
/* A text of so many bytes that it cannot fit, by TOKEN_BYTES_MOST a token, is not turned into
 * tokens: that is done where requests come in, and others would wait. */
int prompts_check_size(const json_t *row, int32_t room, struct err *err);

#endif

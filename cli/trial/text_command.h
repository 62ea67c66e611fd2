/* cli/trial/text_command.h - what `generate` and `chat` have in common: a model or a
 * trial, an adapter, and how the next token is chosen. */
#ifndef CLI_TRIAL_TEXT_COMMAND_H
#define CLI_TRIAL_TEXT_COMMAND_H

#include "cli/command.h"
#include "runner/generate/prompter.h"
#include "runner/generate/sampler.h"

/* Rows of their option tables. */
/* clang-format off */
#define TEXT_OPTIONS \
    {.key = "adapter", .type = OPT_PATH, .group = "input", .metavar = "DIR", \
     .help = "adapter folder of any method (default: the trial's init_adapter, or none)"}, \
    {.key = "template", .type = OPT_PATH, .group = "input", .metavar = "FILE", \
     .help = "a chat template (Jinja) instead of the model's own"}, \
    {.key = "max_new_tokens", .type = OPT_INT, .preset = "256", .min = 1, .max = 1 << 24, \
     .group = "generation", .metavar = "N", .help = "end a text there at the latest"}, \
    {.key = "temperature", .type = OPT_FLOAT, .min = 0, .max = 1000, \
     .group = "generation", .metavar = "X", \
     .help = "divide logits by it and draw (default: 0, the best token)"}, \
    {.key = "top_k", .type = OPT_INT, .preset = "0", .min = 0, .max = 1 << 30, \
     .group = "generation", .metavar = "N", .help = "draw out of the N best; 0: of all"}, \
    {.key = "top_p", .type = OPT_FLOAT, .preset = "1", .min = 0, .max = 1, \
     .group = "generation", .metavar = "X", \
     .help = "draw out of the best that have this probability together"}, \
    {.key = "repetition_penalty", .type = OPT_FLOAT, .preset = "1", .min = 1e-3, \
     .max = 1000, .group = "generation", .metavar = "X", \
     .help = "make tokens that were there less likely (above 1)"}, \
    {.key = "seed", .type = OPT_INT, .preset = "0", .min = 0, .max = 9007199254740991, \
     .group = "generation", .metavar = "N", .help = "of the draws"}
/* clang-format on */

struct text_command {
    json_t *values;
    bool done; /* help was printed; there is nothing to do */
    struct session session;
    struct prompter prompter;
    struct sampling sampling;
    json_t *resolved;
    char *base_dir;
};

/* Reads flags and words - a model's folder, GGUF file or hub id, or a trial file, then
 * key=value - opens the model and its prompts. To be released also after an error. */
int text_command_open(struct text_command *t, const struct command *c, int argc,
                      char **argv, struct err *err);
void text_command_release(struct text_command *t);

#endif

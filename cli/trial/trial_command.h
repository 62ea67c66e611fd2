/* cli/trial/trial_command.h - what `train`, `eval` and `merge` have in common: a trial
 * file, its overrides, and flags. */
#ifndef CLI_TRIAL_TRIAL_COMMAND_H
#define CLI_TRIAL_TRIAL_COMMAND_H

#include "cli/command.h"
#include "runner/options.h"

struct trial_command {
    json_t *values;        /* the flags */
    json_t *given, *trial; /* what file and overrides say; the same, resolved */
    char *base_dir;        /* the trial file's folder */
    bool done;             /* help was printed; there is nothing to do */
};
/* Reads all of it; `resolve`: trial_resolve to train, trial_resolve_use for what needs no
 * training data. To be released also after an error. */
int trial_command_open(struct trial_command *t, const struct command *c,
                       trial_resolve_fn *resolve, int argc, char **argv, struct err *err);
void trial_command_release(struct trial_command *t);

#endif

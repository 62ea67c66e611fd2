/* cli/trial/recorded.h - `train`'s trial as the store has it (tracker/worker/by_hand.h).
 *
 * The store is the one of every command. Without --experiment the experiment is called as
 * the folder that the trial file is in, which for a folder of `init` is also its sweep's.
 * The trial's parameters are what its file and the command line say: with the keys' own
 * names, resolved, without the seed. */
#ifndef CLI_TRIAL_RECORDED_H
#define CLI_TRIAL_RECORDED_H

#include "cli/trial/trial_command.h"
#include "tracker/worker/by_hand.h"

/* Rows of the command's option table. */
/* clang-format off */
#define RECORD_OPTIONS \
    STORE_OPTION, \
    {.key = "experiment", .type = OPT_STRING, .group = "store", .metavar = "NAME", \
     .help = "experiment that the trial is recorded in (default: the folder of TRIAL.yaml)"}, \
    {.key = "no_store", .type = OPT_BOOL, .preset = "false", .group = "store", \
     .help = "record nothing"}
/* clang-format on */

struct recorded {
    struct by_hand_trial trial; /* what it points to is below, or the command's */
    char *shown;                /* the store as the user calls it */
    char *store, *experiment, *base_dir, *run_dir;
    char key[65];
    struct by_hand *run; /* NULL: nothing is recorded */
};

/* In place: the record points into itself. */
void recorded_open(struct recorded *r, const struct trial_command *t, const char *out);
/* Where the numbers of the training go. */
struct sink *recorded_sink(struct recorded *r);
/* Ends it as `why` says; the trial's number, or 0. */
int64_t recorded_end(struct recorded *r, const struct err *why);
void recorded_release(struct recorded *r);

#endif

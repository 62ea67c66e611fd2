/* cli/sweep/sweep_verbs.h - the verbs of `peftlab sweep`; for cmd_sweep.c (the table,
 * plan, run), sweep_control.c (what is done to a sweep that runs) and sweep_seeds.c. */
#ifndef CLI_SWEEP_SWEEP_VERBS_H
#define CLI_SWEEP_SWEEP_VERBS_H

#include "cli/command.h"
#include "sweep/sweep.h"
#include <jansson.h>

extern const struct command_verb sweep_verb_status, sweep_verb_stop, sweep_verb_retire,
    sweep_verb_clone, sweep_verb_seeds;

/* What sweep/ has to ask the trainer; to plan without weights. */
extern const struct sweep_hooks sweep_trainer, sweep_planner;

/* The first word, which names a trial. */
int sweep_trial_id(const char *verb, const char *const *words, size_t count, int64_t *id,
                   struct err *err);
int sweep_open_store(const json_t *values, unsigned flags, struct store **s,
                     struct err *err);

#endif

/* cli/trial/trial_command.c - see trial_command.h. */
#include "cli/trial/trial_command.h"
#include <stdlib.h>

#define MAX_WORDS 256

int trial_command_open(struct trial_command *t, const struct command *c,
                       trial_resolve_fn *resolve, int argc, char **argv, struct err *err)
{
    const char *words[MAX_WORDS];
    size_t count = 0;
    *t = (struct trial_command){0};
    int rc =
        command_parse(c, argc, argv, &t->values, words, MAX_WORDS, &count, &t->done, err);
    if (rc || t->done)
        return rc;
    if (count == 0)
        return err_set(err, ERR_USAGE, "%s: no trial file (usage: peftlab %s)", c->name,
                       c->usage);
    rc = trial_given(words[0], words + 1, count - 1, &t->given, &t->base_dir, err);
    if (!rc && (rc = resolve(t->given, &t->trial, err)) < 0)
        err_context(err, "trial file '%s': ", words[0]);
    return rc;
}

void trial_command_release(struct trial_command *t)
{
    json_decref(t->values);
    json_decref(t->given);
    json_decref(t->trial);
    free(t->base_dir);
    *t = (struct trial_command){0};
}

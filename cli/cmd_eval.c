/* cli/cmd_eval.c - `peftlab eval`: logits and metrics of an adapter, of the start point,
 * or of the base. */
#include "cli/command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/profile.h"
#include "runner/trial.h"
#include <stdlib.h>

#define MAX_WORDS 256

static const struct opt_def options[] = {
    {"out",     NULL, OPT_PATH, NULL,    0, 0, NULL, "output", NULL, OPT_REQUIRED, "DIR",
     "folder for result.json and logits.safetensors"              },
    {"adapter", NULL, OPT_PATH, NULL,    0, 0, NULL, "input",  NULL, 0,            "DIR",
     "adapter folder (default: the trial's init_adapter, or none)"},
    {"profile", NULL, OPT_BOOL, "false", 0, 0, NULL, "output", NULL, 0,            NULL,
     "time each op of the evaluation: calls, ms, GFLOP/s, shares" },
};
static const struct opt_table table = {"eval", options, ARRAY_LEN(options)};

static void print_profile(const char *out)
{
    char *path = xasprintf("%s/result.json", out);
    json_t *r = json_read_file(path, NULL);
    profile_print(r, stdout);
    json_decref(r);
    free(path);
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values, *trial = NULL;
    const char *words[MAX_WORDS];
    char *base_dir = NULL;
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_eval, argc, argv, &values, words, MAX_WORDS, &count,
                           &done, err);
    if (rc || done)
        return rc;
    if (count == 0)
        rc = err_set(err, ERR_USAGE, "eval: no trial file (usage: peftlab %s)",
                     cmd_eval.usage);
    else if (!json_get_str(values, "out", NULL))
        rc = err_set(err, ERR_USAGE, "eval: --out DIR is missing");
    if (!rc)
        rc = trial_read(words[0], words + 1, count - 1, &trial, &base_dir, err);
    const struct trial_run place = {.out_dir = json_get_str(values, "out", NULL),
                                    .profile = json_get_bool(values, "profile", 0)};
    if (!rc)
        rc = trial_evaluate(trial, base_dir, json_get_str(values, "adapter", NULL),
                            &place, err);
    if (!rc && place.profile)
        print_profile(place.out_dir);
    json_decref(trial);
    json_decref(values);
    free(base_dir);
    return rc;
}

const struct command cmd_eval = {
    .name = "eval",
    .usage = "eval TRIAL.yaml [key=value ...] [--adapter DIR] --out DIR",
    .help = "Evaluate an adapter on eval_data.",
    .group = "Trials",
    .options = &table,
    .run = run,
};

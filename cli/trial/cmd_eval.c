/* cli/trial/cmd_eval.c - `peftlab eval`: logits and metrics of an adapter, of the start
 * point, or of the base. */
#include "cli/trial/trial_command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/train/profile.h"
#include "runner/trial.h"
#include <stdlib.h>

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "out", .type = OPT_PATH, .group = "output", .flags = OPT_REQUIRED,
     .metavar = "DIR", .help = "folder for result.json, rows_eval.bin (what each row got) "
             "and logits.safetensors"},
    {.key = "adapter", .type = OPT_PATH, .group = "input", .metavar = "DIR",
     .help = "adapter folder (default: the trial's init_adapter, or none)"},
    {.key = "logits", .type = OPT_BOOL, .preset = "true", .group = "output",
     .help = "write logits.safetensors (--no-logits: not; a language model "
             "then looks at labelled tokens only)"},
    {.key = "profile", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "time each op of the evaluation: calls, ms, GFLOP/s, shares"},
};
/* clang-format on */
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
    struct trial_command t;
    int rc = trial_command_open(&t, &cmd_eval, trial_resolve_use, argc, argv, err);
    if (!rc && !t.done) {
        const struct trial_run place = {.out_dir = json_get_str(t.values, "out", NULL),
                                        .no_logits =
                                            !json_get_bool(t.values, "logits", 1),
                                        .profile = json_get_bool(t.values, "profile", 0)};
        rc = trial_evaluate(t.trial, t.base_dir, json_get_str(t.values, "adapter", NULL),
                            &place, err);
        if (!rc && place.profile)
            print_profile(place.out_dir);
    }
    trial_command_release(&t);
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

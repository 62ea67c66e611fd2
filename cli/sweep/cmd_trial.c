/* cli/sweep/cmd_trial.c - `peftlab trial ID ...`: trains trials of the store. It is what
 * launchers start, and what a person may start by hand; the claim decides who works on
 * a trial. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "cli/sweep/trial_work.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include <stdlib.h>

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION,
    {.key = "run_dir", .type = OPT_PATH, .group = "output", .metavar = "DIR",
     .help = "where run folders go (default: peftlab-runs beside the store)"},
    {.key = "lease_ms", .type = OPT_INT, .preset = "30000", .min = 1000, .max = 3600000,
     .group = "store", .metavar = "MS",
     .help = "a run without a sign of life for so long is given up"},
    {.key = "until_step", .type = OPT_INT, .preset = "0", .max = 1e12, .group = "slices",
     .metavar = "N",
     .help = "park after N updates: save, and let a later run go on; 0: to the end"},
    {.key = "evaluate", .type = OPT_BOOL, .preset = "false", .group = "slices",
     .help = "evaluate before parking"},
    {.key = "listen", .type = OPT_BOOL, .preset = "false", .group = "packs",
     .help = "also train what lines of standard input name ('start ID [N [evaluate]]', "
             "'stop ID'), until that ends; what ended is told as 'ended ID STATUS'"},
};
/* clang-format on */
static const struct opt_table table = {"trial", options, ARRAY_LEN(options)};

static int train_all(const json_t *values, const char *const *words, size_t count,
                     struct err *err)
{
    const bool listen = json_get_bool(values, "listen", 0) == 1;
    struct trial_order o = {.store = json_get_str(values, "store", NULL),
                            .run_dir = json_get_str(values, "run_dir", NULL),
                            .lease_ms = json_get_int(values, "lease_ms", 30000),
                            .until = json_get_int(values, "until_step", 0),
                            .evaluate = json_get_bool(values, "evaluate", 0) == 1};
    int64_t *trials = xcalloc(count + 1, sizeof *trials);
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++)
        rc = view_trial_id(words[i], &trials[i], err);
    if (!rc)
        proc_catch_signals();
    if (!rc && (listen || count > 1)) {
        rc = trial_pack(&o, trials, count, listen, err);
    } else if (!rc) {
        o.trial = trials[0];
        rc = trial_work(&o, err);
    }
    free(trials);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *words[VERB_WORDS_MAX];
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_trial, argc, argv, &values, words, VERB_WORDS_MAX, &count,
                           &done, err);
    if (rc || done)
        return rc;
    rc = count || json_get_bool(values, "listen", 0) == 1
             ? train_all(values, words, count, err)
             : err_set(err, ERR_USAGE, "trial: no number (usage: peftlab %s)",
                       cmd_trial.usage);
    json_decref(values);
    return rc;
}

const struct command cmd_trial = {
    .name = "trial",
    .usage = "trial ID ... [--store FILE] [--until-step N]",
    .help =
        "Train waiting trials of the store; several: at the same time, on one base in "
        "memory.",
    .group = "Trials",
    .options = &table,
    .run = run,
};

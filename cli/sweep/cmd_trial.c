/* cli/sweep/cmd_trial.c - `peftlab trial ID`: trains one trial of the store. It is what
 * launchers start, and what a person may start by hand; the claim decides who works on
 * the trial. */
#include "cli/command.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/trial.h"
#include "sweep/launch/user_command.h"
#include "tracker/claims/budget.h"
#include "tracker/store/run_root.h"
#include <stdio.h>
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
};
/* clang-format on */
static const struct opt_table table = {"trial", options, ARRAY_LEN(options)};

/* Run folders of earlier attempts ("ROOT/trial-7/attempt-2", "attempt-1" beside
 * "attempt-3"), latest first, ended by NULL. */
static char **older_runs(const char *dir, int attempt)
{
    char **list = xcalloc((size_t)attempt + 1, sizeof *list);
    char *parent = fs_dirname(dir);
    size_t n = 0;
    for (int k = attempt - 1; k > 0; k--) {
        char *older = xasprintf("%s/attempt-%d", parent, k);
        if (fs_is_dir(older))
            list[n++] = older;
        else
            free(older);
    }
    free(parent);
    return list;
}

static void free_list(char **list)
{
    for (size_t i = 0; list[i]; i++)
        free(list[i]);
    free(list);
}

/* By the trainer, or by the user's program that the trial's sweep names. */
static int train(struct store *store, const struct trial_row *trial,
                 const struct trial_run *place, struct sink *sink, int *exit_status,
                 struct err *err)
{
    json_t *file = NULL;
    int rc = trial->sweep ? store_sweep_file(store, trial->sweep, &file, err) : 0;
    const struct user_trial user = {.file = file,
                                    .params = trial->params,
                                    .base_dir = trial->base_dir,
                                    .run_dir = place->out_dir,
                                    .trial = trial->id,
                                    .seed = trial->seed};
    if (rc == 0 && user_command_wanted(file))
        rc = user_command_run(&user, sink, exit_status, err);
    else if (rc == 0)
        rc = trial_train(trial->config, trial->base_dir, place, sink, err);
    if (rc < 0 && !*exit_status)
        *exit_status = err_exit_status((enum err_code) - rc);
    json_decref(file);
    return rc;
}

/* Works under a claim and writes the outcome to the store. */
static int work(struct store *store, const struct run_claim *claim, const json_t *values,
                struct err *err)
{
    const int64_t lease_ms = json_get_int(values, "lease_ms", 30000);
    const int64_t until = json_get_int(values, "until_step", 0);
    struct trial_row trial;
    struct err training = ERR_INIT, closing = ERR_INIT;
    int rc = store_get_trial(store, claim->trial, &trial, err);
    if (rc < 0)
        return rc;
    char *dir = store_run_dir(store, claim->run, err);
    if (!dir)
        return trial_row_release(&trial), err_code(err);
    struct sink *sink = sink_local(store, claim->run, lease_ms);
    char **older = older_runs(dir, claim->attempt);
    const struct trial_run place = {.out_dir = dir,
                                    .older = (const char *const *)older,
                                    .until = until,
                                    .evaluate_parked =
                                        json_get_bool(values, "evaluate", 0)};
    int exit_status = 0;
    rc = until ? store_run_until(store, claim->run, until, &training) : 0;
    if (rc == 0)
        rc = train(store, &trial, &place, sink, &exit_status, &training);
    free_list(older);
    int closed = sink_close(sink, &closing);
    char parked[64];
    snprintf(parked, sizeof parked, "parked at update %lld", (long long)until);
    const enum trial_state state = rc >= 0 && closed < 0 ? TRIAL_failed
                                   : rc > 0              ? TRIAL_preempted
                                            : trial_state_after(training.code);
    const char *reason = rc < 0       ? training.msg
                         : closed < 0 ? closing.msg
                         : rc > 0     ? parked
                                      : NULL;
    const int finished =
        store_run_finish(store, claim->run, state, exit_status, reason, err);
    if (finished == 0 && reason && reason != parked)
        err_set(err, rc < 0 ? training.code : closing.code, "trial %lld: %s",
                (long long)claim->trial, reason);
    trial_row_release(&trial);
    free(dir);
    return finished < 0 ? finished : rc < 0 ? rc : closed < 0 ? closed : 0;
}

static int claim_and_work(const char *id, const json_t *values, struct err *err)
{
    struct store *store;
    struct run_claim claim;
    char *end;
    const int64_t lease_ms = json_get_int(values, "lease_ms", 30000);
    const long long trial = strtoll(id, &end, 10);
    if (*end || end == id || trial < 1)
        return err_set(err, ERR_USAGE, "trial: '%s' is no trial number (see peftlab ls)",
                       id);
    char *path = store_default_path(json_get_str(values, "store", NULL));
    int rc = store_open(path, 0, &store, err);
    free(path);
    if (rc < 0)
        return rc;
    char *root = NULL;
    proc_catch_signals();
    rc = store_run_root(store, json_get_str(values, "run_dir", NULL), &root, err);
    if (rc == 0)
        rc = store_claim(store, 0, trial, lease_ms, root, &claim, err);
    if (rc == 0)
        rc = store_claim_refused(store, trial, err);
    else if (rc > 0)
        rc = work(store, &claim, values, err);
    store_close(store);
    free(root);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *id = NULL;
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_trial, argc, argv, &values, &id, 1, &count, &done, err);
    if (rc || done)
        return rc;
    rc = count ? claim_and_work(id, values, err)
               : err_set(err, ERR_USAGE, "trial: no number (usage: peftlab %s)",
                         cmd_trial.usage);
    json_decref(values);
    return rc;
}

const struct command cmd_trial = {
    .name = "trial",
    .usage = "trial ID [--store FILE] [--until-step N]",
    .help = "Train one waiting trial of the store.",
    .group = "Trials",
    .options = &table,
    .run = run,
};

/* cli/sweep/trial_work.c - one trial of the store, from its claim to its end. */
#include "cli/sweep/trial_work.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "runner/trial.h"
#include "sweep/launch/user_command.h"
#include "tracker/claims/budget.h"
#include "tracker/mlflow/mlflow_api.h"
#include "tracker/store/run_root.h"
#include <stdio.h>
#include <stdlib.h>

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
static int train(struct store *store, int64_t run, const struct trial_row *trial,
                 const struct trial_run *place, struct sink *sink, int *exit_status,
                 struct err *err)
{
    json_t *file = NULL;
    char *file_of_store = fs_absolute(store_path(store));
    char mlflow_id[MLFLOW_RUN_ID_BYTES];
    const bool has_id = mlflow_run_id(store, run, mlflow_id, NULL) == 0;
    int rc = trial->sweep ? store_sweep_file(store, trial->sweep, &file, err) : 0;
    const struct user_trial user = {.file = file,
                                    .params = trial->params,
                                    .base_dir = trial->base_dir,
                                    .run_dir = place->out_dir,
                                    .store = file_of_store,
                                    .mlflow_run = has_id ? mlflow_id : NULL,
                                    .trial = trial->id,
                                    .run = run,
                                    .seed = trial->seed};
    if (rc == 0 && user_command_wanted(file) && place->pack)
        rc = err_set(err, ERR_CONFIG,
                     "its sweep runs a program, which is a process of "
                     "its own; start it alone");
    else if (rc == 0 && user_command_wanted(file))
        rc = user_command_run(&user, sink, exit_status, err);
    else if (rc == 0)
        rc = trial_train(trial->config, trial->base_dir, place, sink, err);
    if (rc < 0 && !*exit_status)
        *exit_status = err_exit_status((enum err_code) - rc);
    json_decref(file);
    free(file_of_store);
    return rc;
}

/* Works under a claim and writes the outcome to the store. */
static int work(struct store *store, const struct run_claim *claim,
                const struct trial_order *o, struct err *err)
{
    struct trial_row trial;
    struct err training = ERR_INIT, closing = ERR_INIT;
    int rc = store_get_trial(store, claim->trial, &trial, err);
    if (rc < 0)
        return rc;
    char *dir = store_run_dir(store, claim->run, err);
    if (!dir)
        return trial_row_release(&trial), err_code(err);
    struct sink *sink = sink_local(store, claim->run, o->lease_ms);
    sink->stop = o->stop;
    char **older = older_runs(dir, claim->attempt);
    const struct trial_run place = {.out_dir = dir,
                                    .older = (const char *const *)older,
                                    .pack = o->pack,
                                    .until = o->until,
                                    .evaluate_parked = o->evaluate};
    int exit_status = 0;
    rc = o->until ? store_run_until(store, claim->run, o->until, &training) : 0;
    if (rc == 0)
        rc = train(store, claim->run, &trial, &place, sink, &exit_status, &training);
    free_list(older);
    int closed = sink_close(sink, &closing);
    char parked[64];
    snprintf(parked, sizeof parked, "parked at update %lld", (long long)o->until);
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

int trial_work(const struct trial_order *o, struct err *err)
{
    struct store *store;
    struct run_claim claim;
    char *path = store_default_path(o->store), *root = NULL;
    int rc = store_open(path, 0, &store, err);
    free(path);
    if (rc < 0)
        return rc;
    rc = store_run_root(store, o->run_dir, &root, err);
    if (rc == 0)
        rc = store_claim(store, 0, o->trial, o->lease_ms, root, &claim, err);
    if (rc == 0)
        rc = store_claim_refused(store, o->trial, err);
    else if (rc > 0)
        rc = work(store, &claim, o, err);
    store_close(store);
    free(root);
    return rc;
}

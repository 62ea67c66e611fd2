/* sweep/launch/user_command.h - trials that run a program of the user's.
 *
 * A sweep file with `command` or `program` drives a program instead of the trainer. It is
 * started directly, never through a shell, in the folder of the sweep file:
 *  - W&B's form: items that are a macro stand for one word or for several. `program`
 *    alone means [${env}, ${interpreter}, ${program}, ${args}] where it is a .py file,
 *    else [${program}, ${args}].
 *  - Ours: `{name}` anywhere in an item is the value of a parameter, of `seed`, `trial`,
 *    `run_dir` or `params_file`; `{{` and `}}` are braces. An item that names an absent
 *    parameter is left out, with the flag before it when the item is nothing else.
 * A command with neither gets --name=value for each parameter at its end.
 *
 * Environment: PEFTLAB_TRIAL, PEFTLAB_RUN_DIR, PEFTLAB_PARAMS_JSON (a file, params.json
 * of the run folder), PEFTLAB_SEED; PEFTLAB_STORE and PEFTLAB_RUN, by which `peftlab log` in
 * it finds its run, and MLFLOW_RUN_ID where it logs to this store by MLflow's API
 * (mlflow_run.h). Metrics come from stdout
 * (sweep/launch/metric_lines.h); both outputs are kept in the run folder, stdout.log and
 * stderr.log. The exit status decides: 0 complete, 71 oom, 75 preempted (goes on later),
 * 79 nan, all others failed. */
#ifndef SWEEP_LAUNCH_USER_COMMAND_H
#define SWEEP_LAUNCH_USER_COMMAND_H

#include "sweep/file/sweep_file.h"
#include "tracker/worker/sink.h"

struct user_trial {
    const json_t *file;     /* the sweep file's tree */
    const json_t *params;   /* what the sweep sets */
    const char *base_dir;   /* where it runs */
    const char *run_dir;    /* exists; absolute */
    const char *store;      /* its file; absolute */
    const char *mlflow_run; /* the run's id by MLflow's API; NULL: not known */
    int64_t trial, run;
    uint64_t seed;        /* handed over where the file has seeds */
    bool without_secrets; /* to be read: ${envvar:NAME} stays, {api_key} is redacted */
};

bool user_command_wanted(const json_t *file);
/* Checks `command` and `program` of a file whose parameters are read. */
int user_command_check(const struct sweep_file *f, struct err *err);
/* The words of the command line, a list of texts; NULL with an error. New reference. */
json_t *user_command_words(const struct user_trial *t, struct err *err);
/* What makes two runs those of one program, whatever their parameters: "command", the
 * items as the file has them, "program" ("" where the file has none), and "scripts", the
 * SHA-256 of the files that these name ({"train.py": hash}; none above 64 MiB). */
void user_command_identity(const json_t *file, const char *base_dir, json_t *environment);
/* Runs it to its end and logs to the sink. When the sink says stop, or SIGTERM or SIGINT
 * come, the program gets SIGTERM and after a grace everything that it started is killed.
 * Returns 0, ERR_NOMEM, ERR_BUSY (75, or stopped), ERR_NAN or ERR_FAILED; *exit_status
 * gets the program's own. */
int user_command_run(const struct user_trial *t, struct sink *sink, int *exit_status,
                     struct err *err);

#endif

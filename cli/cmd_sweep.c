/* cli/cmd_sweep.c - `peftlab sweep plan | run | status | stop`.
 *
 * The trainer's side of a sweep (keys, resolution, prediction) is handed to sweep/ here,
 * since the two layers do not know each other. */
#include "cli/command.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/trial.h"
#include "sweep/sweep.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OVERRIDES_MAX 256

static int predict(const json_t *resolved, const char *base_dir,
                   struct sweep_prediction *out, struct err *err)
{
    struct trial_prediction p;
    int rc = trial_predict(resolved, base_dir, &p, err);
    if (rc < 0)
        return rc;
    *out = (struct sweep_prediction){p.total_bytes, p.total_s, p.updates,
                                     p.updates_per_epoch};
    return 0;
}

static const struct sweep_hooks hooks = {&trial_options, trial_resolve, trial_key,
                                         predict};

#define STORE_OPTION                                                                     \
    {                                                                                    \
        .key = "store", .type = OPT_PATH, .metavar = "FILE",                             \
        .help = "the store (default: PEFTLAB_STORE, else ./peftlab.db)"                  \
    }
#define JOBS_OPTION                                                                      \
    {                                                                                    \
        .key = "jobs", .type = OPT_INT, .min = 1, .max = 256,                            \
        .help = "trials at a time (default: executor.parallel, else one per core)"       \
    }
#define JSON_OPTION                                                                      \
    {                                                                                    \
        .key = "json", .type = OPT_BOOL, .preset = "false",                              \
        .help = "print JSON instead of a table"                                          \
    }

static const struct opt_def plan_rows[] = {JSON_OPTION, JOBS_OPTION};
static const struct opt_table plan_options = {"sweep plan", plan_rows,
                                              ARRAY_LEN(plan_rows)};
/* clang-format off */
static const struct opt_def run_rows[] = {
    STORE_OPTION,
    JOBS_OPTION,
    {.key = "experiment", .type = OPT_STRING, .metavar = "NAME",
     .help = "experiment it belongs to (default: the sweep's name)"},
    {.key = "name", .type = OPT_STRING, .metavar = "NAME",
     .help = "name of the sweep (default: the file's)"},
    {.key = "run_dir", .type = OPT_PATH, .metavar = "DIR",
     .help = "folder of run folders (default: peftlab-runs beside the store)"},
    {.key = "interleave", .type = OPT_INT, .min = 1, .max = 1000, .metavar = "N",
     .help = "train every trial in N slices, all trials side by side"},
    {.key = "retry_failed", .type = OPT_BOOL, .preset = "false",
     .help = "try failed, oom, nan and timed-out trials again"},
};
static const struct opt_table run_options = {"sweep run", run_rows, ARRAY_LEN(run_rows)};
static const struct opt_def status_rows[] = {STORE_OPTION, JSON_OPTION};
static const struct opt_table status_options = {"sweep status", status_rows,
                                                ARRAY_LEN(status_rows)};
static const struct opt_def stop_rows[] = {
    STORE_OPTION,
    {.key = "now", .type = OPT_BOOL, .preset = "false",
     .help = "running trials are asked to end too"},
};
static const struct opt_table stop_options = {"sweep stop", stop_rows,
                                              ARRAY_LEN(stop_rows)};
/* clang-format on */

/* The sweep file named first among the words, with the others as overrides. */
static int load_file(const char *const *words, size_t count, struct sweep_file **f,
                     struct err *err)
{
    if (count < 1)
        return err_set(err, ERR_USAGE,
                       "a sweep file is missing; see 'peftlab sweep "
                       "--help'");
    return sweep_file_load(words[0], words + 1, count - 1, &trial_options, f, err);
}

static void print_json(json_t *value)
{
    struct buf text = BUF_INIT;
    json_write(&text, value, 1);
    puts(buf_str(&text));
    buf_release(&text);
    json_decref(value);
}

static int plan_command(const json_t *values, const char *const *words, size_t count,
                        struct err *err)
{
    struct sweep_file *f;
    struct sweep_plan plan;
    int threads, rc = load_file(words, count, &f, err);
    if (rc < 0)
        return rc;
    int jobs = sweep_jobs(f, (int)json_get_int(values, "jobs", 0), &threads);
    rc = sweep_plan_make(f, &hooks, true, &plan, err);
    if (rc == 0) {
        if (json_get_bool(values, "json", 0))
            print_json(sweep_plan_json(&plan, jobs));
        else
            sweep_plan_print(&plan, jobs, stdout);
        sweep_plan_release(&plan);
    }
    sweep_file_free(f);
    return rc;
}

static int open_store(const json_t *values, unsigned flags, struct store **s,
                      struct err *err)
{
    char *path = store_default_path(json_get_str(values, "store", NULL));
    char *absolute = fs_absolute(path);
    int rc = store_open(absolute, flags, s, err);
    free(absolute);
    free(path);
    return rc;
}

static char *run_root(const json_t *values, const struct store *s)
{
    const char *given = json_get_str(values, "run_dir", NULL);
    if (given)
        return fs_absolute(given);
    char *dir = fs_dirname(store_path(s)), *root = fs_join(dir, "peftlab-runs");
    free(dir);
    return root;
}

static int run_planned(struct sweep_plan *plan, const json_t *values, struct err *err)
{
    struct store *store;
    int rc = open_store(values, STORE_CREATE, &store, err);
    if (rc < 0)
        return rc;
    char *root = run_root(values, store);
    struct sweep_run_options o = {.experiment = json_get_str(values, "experiment", NULL),
                                  .name = json_get_str(values, "name", NULL),
                                  .run_root = root,
                                  .jobs = (int)json_get_int(values, "jobs", 0),
                                  .interleave = (int)json_get_int(values, "interleave", 0),
                                  .retry_failed =
                                      json_get_bool(values, "retry_failed", 0) == 1,
                                  .out = stdout};
    rc = sweep_run(plan, &hooks, store, &o, err);
    free(root);
    store_close(store);
    return rc;
}

static int run_command(const json_t *values, const char *const *words, size_t count,
                       struct err *err)
{
    struct sweep_file *f;
    struct sweep_plan plan;
    int rc = load_file(words, count, &f, err);
    if (rc < 0)
        return rc;
    rc = sweep_plan_make(f, &hooks, false, &plan, err);
    if (rc == 0) {
        rc = run_planned(&plan, values, err);
        sweep_plan_release(&plan);
    }
    sweep_file_free(f);
    return rc;
}

static int status_command(const json_t *values, const char *const *words, size_t count,
                          struct err *err)
{
    struct store *store;
    int64_t sweep = 0;
    int rc = open_store(values, STORE_READ_ONLY, &store, err);
    if (rc < 0)
        return rc;
    if (count)
        rc = store_find_sweep(store, words[0], &sweep, err);
    if (rc >= 0)
        rc = sweep_status(store, sweep, json_get_bool(values, "json", 0) == 1, stdout,
                          err);
    store_close(store);
    return rc;
}

static int stop_running(struct store *store, int64_t sweep, struct err *err)
{
    size_t i;
    json_t *row, *bind = json_pack("[I]", (json_int_t)sweep);
    json_t *result = store_query(store,
                                 "SELECT id FROM trial_view WHERE sweep = ?1 AND state = "
                                 "'running'",
                                 bind, 100000, err);
    int rc = result ? 0 : -(int)err->code;
    json_decref(bind);
    json_array_foreach(json_object_get(result, "rows"), i, row) if (rc >= 0) rc =
        store_trial_stop(store, json_integer_value(json_array_get(row, 0)), err);
    json_decref(result);
    return rc;
}

static int stop_command(const json_t *values, const char *const *words, size_t count,
                        struct err *err)
{
    struct store *store;
    int64_t sweep = 0;
    if (!count)
        return err_set(err, ERR_USAGE, "which sweep? 'peftlab sweep status' lists them");
    int rc = open_store(values, 0, &store, err);
    if (rc < 0)
        return rc;
    rc = store_find_sweep(store, words[0], &sweep, err);
    if (rc >= 0)
        rc = store_sweep_stop(store, sweep, true, err);
    if (rc >= 0 && json_get_bool(values, "now", 0) == 1)
        rc = stop_running(store, sweep, err);
    if (rc >= 0)
        printf("sweep %lld starts no further trials; 'sweep run' of its file goes on\n",
               (long long)sweep);
    store_close(store);
    return rc < 0 ? rc : 0;
}

/* A verb of `peftlab sweep`: how it reads its words, and what it does. */
struct verb {
    struct command command;
    size_t max_words;
    int (*run)(const json_t *values, const char *const *words, size_t count,
               struct err *err);
};

static const struct verb verbs[] = {
    {{"plan", "sweep plan FILE [--json] [--jobs N] [key=value ...]",
      "Lists the trials of a sweep file with memory and time. Nothing is run or written.",
      NULL, &plan_options, NULL},
     OVERRIDES_MAX, plan_command  },
    {{"run", "sweep run FILE [--store FILE] [--jobs N] [key=value ...]",
      "Runs what is not finished; the same command again goes on.", NULL, &run_options,
      NULL},
     OVERRIDES_MAX, run_command   },
    {{"status", "sweep status [SWEEP]", "Shows the sweeps of a store, or one.", NULL,
      &status_options, NULL},
     1,             status_command},
    {{"stop", "sweep stop SWEEP [--now]", "No further trials of a sweep are started.",
      NULL, &stop_options, NULL},
     1,             stop_command  },
};

static int run_verb(const struct verb *v, int argc, char **argv, struct err *err)
{
    const char *words[OVERRIDES_MAX];
    size_t count = 0;
    bool done = false;
    json_t *values = NULL;
    int rc = command_parse(&v->command, argc, argv, &values, words, v->max_words, &count,
                           &done, err);
    if (rc == 0 && !done)
        rc = v->run(values, words, count, err);
    json_decref(values);
    return rc;
}

static int sweep_command(int argc, char **argv, struct err *err)
{
    const char *names[ARRAY_LEN(verbs)];
    bool help = argc > 0 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"));
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        names[i] = verbs[i].command.name;
        if (argc > 0 && !strcmp(argv[0], names[i]))
            return run_verb(&verbs[i], argc - 1, argv + 1, err);
        if (help)
            printf("peftlab %s\n    %s\n", verbs[i].command.usage, verbs[i].command.help);
    }
    if (help)
        return 0;
    const char *near = argc > 0 ? str_nearest(argv[0], names, ARRAY_LEN(verbs)) : NULL;
    return err_set(err, ERR_USAGE,
                   "sweep needs one of plan, run, status, stop%s%s%s; see 'peftlab sweep "
                   "--help'",
                   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

const struct command cmd_sweep = {"sweep",
                                  "sweep plan|run|status|stop ...",
                                  "plan and run many trials from one file",
                                  "experiments",
                                  NULL,
                                  sweep_command};

/* cli/sweep/cmd_sweep.c - `peftlab sweep`: its verbs, and plan, run and resume; the
 * others are in sweep_control.c.
 *
 * The trainer's side of a sweep (keys, resolution, prediction) is handed to sweep/ here,
 * since the two layers do not know each other. */
#include "cli/sweep/sweep_verbs.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/fingerprint.h"
#include "runner/trial.h"
#include "sweep/pack.h"
#include "sweep/run/clone.h"
#include "tracker/store/run_root.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLANNED_MAJOR 8 /* compute capability of a GPU that is only planned for */

/* The backend that a sweep is planned for; NULL: the one that trains here. */
static const struct backend *planned_on;

static int predict_with(enum assume assume, const json_t *resolved, const char *base_dir,
                        struct sweep_prediction *out, struct err *err)
{
    struct trial_prediction p;
    int rc = trial_predict(resolved, base_dir, assume, planned_on, &p, err);
    if (rc < 0)
        return rc;
    *out = (struct sweep_prediction){
        .peak_bytes = p.total_bytes,
        .common = {.base_bytes = p.base_bytes, .turn_bytes = p.turn_bytes},
        .seconds = p.total_s,
        .updates = p.updates,
        .updates_per_epoch = p.updates_per_epoch,
        .shared_s = p.shared_s};
    memcpy(out->common.base, p.base, sizeof p.base);
    memcpy(out->shared, p.shared, sizeof out->shared);
    if (!p.rows_known) {
        out->seconds = NAN;
        out->updates = out->updates_per_epoch = 0;
    }
    return 0;
}

static int predict(const json_t *resolved, const char *base_dir,
                   struct sweep_prediction *out, struct err *err)
{
    return predict_with(ASSUME_NOTHING, resolved, base_dir, out, err);
}

/* A sweep that is only looked at needs no weights, and of a base without them no rows. */
static int predict_missing(const json_t *resolved, const char *base_dir,
                           struct sweep_prediction *out, struct err *err)
{
    return predict_with(ASSUME_MISSING, resolved, base_dir, out, err);
}

const struct sweep_hooks sweep_trainer = {&trial_options, trial_resolve, trial_key,
                                          predict, fingerprint_trial};
const struct sweep_hooks sweep_planner = {&trial_options, trial_resolve, trial_key,
                                          predict_missing, NULL};

#define JOBS_OPTION                                                                      \
    {                                                                                    \
        .key = "jobs", .type = OPT_INT, .min = 1, .max = 256,                            \
        .help = "trials at a time (default: executor.parallel, else one per core)"       \
    }
#define PACK_OPTION                                                                      \
    {                                                                                    \
        .key = "pack", .type = OPT_STRING, .metavar = "N|auto",                          \
        .help = "N trials in each process, on one base in memory; --jobs then counts "   \
                "processes (default: one); auto: as many as gain time"                   \
    }
static const struct opt_def plan_rows[] = {JSON_OPTION, JOBS_OPTION, PACK_OPTION};
static const struct opt_table plan_options = {"sweep plan", plan_rows,
                                              ARRAY_LEN(plan_rows)};
/* clang-format off */
#define HOW_TO_RUN \
    {.key = "until", .type = OPT_STRING, .metavar = "X|decided", \
     .help = "stop when the expected regret is below X, or when it is decided; the " \
             "file's own `until` says more"}, \
    {.key = "run_dir", .type = OPT_PATH, .metavar = "DIR", \
     .help = "folder of run folders (default: peftlab-runs beside the store)"}, \
    {.key = "interleave", .type = OPT_INT, .min = 1, .max = 1000, .metavar = "N", \
     .help = "train every trial in N slices, all trials side by side"}, \
    {.key = "retry_failed", .type = OPT_BOOL, .preset = "false", \
     .help = "try failed, oom, nan and timed-out trials again"}

static const struct opt_def run_rows[] = {
    STORE_OPTION,
    JOBS_OPTION,
    PACK_OPTION,
    {.key = "experiment", .type = OPT_STRING, .metavar = "NAME",
     .help = "experiment it belongs to (default: the sweep's name)"},
    {.key = "name", .type = OPT_STRING, .metavar = "NAME",
     .help = "name of the sweep (default: the file's)"},
    HOW_TO_RUN,
};
static const struct opt_table run_options = {"sweep run", run_rows, ARRAY_LEN(run_rows)};
static const struct opt_def resume_rows[] = {STORE_OPTION, JOBS_OPTION, PACK_OPTION,
                                             HOW_TO_RUN};
static const struct opt_table resume_options = {"sweep resume", resume_rows,
                                                ARRAY_LEN(resume_rows)};
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

/* `--until` as an override; NULL: it was not given. Caller frees. */
static int until_word(const json_t *values, char **word, struct err *err)
{
    const char *until = json_get_str(values, "until", NULL);
    char *end = NULL;
    const double regret = until ? strtod(until, &end) : NAN;
    *word = NULL;
    if (str_eq(until, "decided"))
        *word = xstrdup("until.decided=true");
    else if (until && !*end && regret > 0)
        *word = xasprintf("until.regret=%s", until);
    return !until || *word ? 0
                           : err_set(err, ERR_USAGE,
                                     "--until '%s' is no expected regret above 0 (such "
                                     "as 0.0025) and not 'decided'",
                                     until);
}

#define PACK_MOST 64

/* Trials in a process; 0: not said. */
static int pack_of(const json_t *values, int *pack, struct err *err)
{
    const char *word = json_get_str(values, "pack", NULL);
    char *end = NULL;
    const long n = word ? strtol(word, &end, 10) : 0;
    const bool in_range = word && end != word && !*end && n >= 1 && n <= PACK_MOST;
    *pack = str_eq(word, "auto") ? SWEEP_PACK_AUTO : in_range ? (int)n : 0;
    return !word || *pack ? 0
                          : err_set(err, ERR_USAGE,
                                    "--pack '%s' is no number of 1 to %d and not 'auto'",
                                    word, PACK_MOST);
}

/* The file, with `--until` as one word more. */
static int load_until(const json_t *values, const char *const *words, size_t count,
                      struct sweep_file **f, struct err *err)
{
    char *word;
    int rc = until_word(values, &word, err);
    const char **all = xcalloc(count + 1, sizeof *all);
    memcpy(all, words, count * sizeof *all);
    all[count] = word;
    if (!rc)
        rc = load_file(all, count + (count && word), f, err);
    free(all);
    free(word);
    return rc;
}

/* Trials, which are processes of their own, go by the environment. */
static int use_backend(const struct sweep_file *f, struct err *err)
{
    struct err why = ERR_INIT;
    if (!f->backend || f->drives_command)
        return 0;
    if (backend_get(f->backend, &why))
        return setenv("PEFTLAB_BACKEND", f->backend, 1);
    return err_set(err, why.code,
                   "sweep '%s': executor.backend is '%s', but %s - run it where there is "
                   "one, or take executor.backend=cpu ('sweep plan' says how long that "
                   "takes here)",
                   f->name, f->backend, why.msg);
}

/* A GPU that is not here is planned for all the same. */
static int plan_backend(const struct sweep_file *f, struct err *err)
{
    if (f->backend && !f->drives_command && !backend_get(f->backend, NULL) &&
        str_eq(f->backend, "cuda"))
        planned_on = backend_planned_cuda(PLANNED_MAJOR);
    else if (f->backend && !f->drives_command)
        planned_on = backend_get(f->backend, err);
    return f->backend && !f->drives_command && !planned_on ? err_code(err) : 0;
}

/* In a pack as many compute at a time as its process has threads. */
static void print_plan(const struct sweep_plan *plan, const json_t *values, int wanted)
{
    const int flag = (int)json_get_int(values, "jobs", 0);
    int all, threads;
    sweep_jobs(plan->file, 1, &all);
    const int pack = sweep_pack_choose(plan, wanted, all, sweep_memory_bytes(plan->file));
    int jobs = sweep_jobs(plan->file, flag ? flag : pack > 1, &threads);
    if (pack > 1)
        jobs *= pack < threads ? pack : threads;
    if (json_get_bool(values, "json", 0)) {
        command_print_json(sweep_plan_json(plan, jobs));
        return;
    }
    sweep_plan_print(plan, jobs, stdout);
    sweep_pack_words(plan, wanted, pack, threads, stdout);
}

static int plan_command(const json_t *values, const char *const *words, size_t count,
                        struct err *err)
{
    struct sweep_file *f;
    struct sweep_plan plan;
    int wanted, rc = pack_of(values, &wanted, err);
    if (!rc)
        rc = load_file(words, count, &f, err);
    if (rc < 0)
        return rc;
    rc = sweep_pack_check(f, wanted, err);
    if (!rc)
        rc = plan_backend(f, err);
    if (!rc)
        rc = sweep_plan_make(f, &sweep_planner, true, &plan, err);
    if (rc == 0) {
        print_plan(&plan, values, wanted);
        sweep_plan_release(&plan);
    }
    sweep_file_free(f);
    return rc;
}

int sweep_open_store(const json_t *values, unsigned flags, struct store **s,
                     struct err *err)
{
    char *path = store_default_path(json_get_str(values, "store", NULL));
    char *absolute = fs_absolute(path);
    int rc = store_open(absolute, flags, s, err);
    free(absolute);
    free(path);
    return rc;
}

static int run_in(struct store *store, struct sweep_plan *plan, const json_t *values,
                  int pack, struct err *err)
{
    char *root = NULL;
    int rc = store_run_root(store, json_get_str(values, "run_dir", NULL), &root, err);
    if (rc < 0)
        return rc;
    struct sweep_run_options o = {
        .experiment = json_get_str(values, "experiment", NULL),
        .name = json_get_str(values, "name", NULL),
        .run_root = root,
        .jobs = (int)json_get_int(values, "jobs", 0),
        .pack = pack,
        .interleave = (int)json_get_int(values, "interleave", 0),
        .retry_failed = json_get_bool(values, "retry_failed", 0) == 1,
        .out = stdout};
    rc = sweep_run(plan, &sweep_trainer, store, &o, err);
    free(root);
    return rc;
}

static int run_planned(struct sweep_plan *plan, const json_t *values, int pack,
                       struct err *err)
{
    struct store *store;
    int rc = sweep_open_store(values, STORE_CREATE, &store, err);
    if (rc < 0)
        return rc;
    rc = run_in(store, plan, values, pack, err);
    store_close(store);
    return rc;
}

static int run_command(const json_t *values, const char *const *words, size_t count,
                       struct err *err)
{
    struct sweep_file *f;
    struct sweep_plan plan;
    int pack, rc = pack_of(values, &pack, err);
    if (!rc)
        rc = load_until(values, words, count, &f, err);
    if (rc < 0)
        return rc;
    rc = use_backend(f, err);
    if (!rc)
        rc = sweep_plan_make(f, &sweep_trainer, false, &plan, err);
    if (rc == 0) {
        rc = run_planned(&plan, values, pack, err);
        sweep_plan_release(&plan);
    }
    sweep_file_free(f);
    return rc;
}

/* The file that the store has of a sweep, under the names that it has there. */
static int resume_in(struct store *store, int64_t sweep, const json_t *values,
                     struct err *err)
{
    struct sweep_file *f;
    struct sweep_plan plan;
    json_t *bind = json_pack("[I]", (json_int_t)sweep);
    json_t *result =
        store_query(store, "SELECT name, experiment_name FROM sweep_view WHERE id = ?1",
                    bind, 1, err);
    const json_t *row = json_array_get(json_object_get(result, "rows"), 0);
    json_t *named = json_copy((json_t *)values);
    char *word = NULL;
    int pack, rc = result ? until_word(values, &word, err) : err_code(err);
    if (!rc)
        rc = pack_of(values, &pack, err);
    if (!rc)
        rc = sweep_file_of(store, sweep, word, &trial_options, &f, err);
    free(word);
    if (rc == 0) {
        json_object_set(named, "name", json_array_get(row, 0));
        json_object_set(named, "experiment", json_array_get(row, 1));
        rc = use_backend(f, err);
        if (!rc)
            rc = sweep_plan_make(f, &sweep_trainer, false, &plan, err);
        if (rc == 0) {
            rc = run_in(store, &plan, named, pack, err);
            sweep_plan_release(&plan);
        }
        sweep_file_free(f);
    }
    json_decref(named);
    json_decref(bind);
    json_decref(result);
    return rc;
}

static int resume_command(const json_t *values, const char *const *words, size_t count,
                          struct err *err)
{
    struct store *store;
    int64_t sweep;
    if (!count)
        return err_set(err, ERR_USAGE, "which sweep? 'peftlab sweep status' lists them");
    int rc = sweep_open_store(values, 0, &store, err);
    if (rc < 0)
        return rc;
    rc = store_find_sweep(store, words[0], &sweep, err);
    if (rc >= 0)
        rc = resume_in(store, sweep, values, err);
    store_close(store);
    return rc;
}

static const struct command_verb plan_verb = {
    .command = {.name = "plan",
                .usage =
                    "sweep plan FILE [--json] [--jobs N] [--pack N|auto] [key=value ...]",
                .help = "Lists the trials of a sweep file with memory and time. Nothing "
                        "is run or written.",
                .options = &plan_options},
    .max_words = VERB_WORDS_MAX,
    .run = plan_command,
};
static const struct command_verb run_verb = {
    .command =
        {.name = "run",
         .usage =
             "sweep run FILE [--store FILE] [--jobs N] [--pack N|auto] [key=value ...]",
         .help = "Runs what is not finished; the same command again goes on.",
         .options = &run_options},
    .max_words = VERB_WORDS_MAX,
    .run = run_command,
};
static const struct command_verb resume_verb = {
    .command = {.name = "resume",
                .usage =
                    "sweep resume SWEEP [--jobs N] [--pack N|auto] [--until X|decided]",
                .help = "Goes on with a sweep of the store, as 'run' with the file that "
                        "it was run from.",
                .options = &resume_options},
    .max_words = 1,
    .run = resume_command,
};

static const struct command_verb *const verbs[] = {
    &plan_verb,   &run_verb,          &sweep_verb_status, &sweep_verb_stop,
    &resume_verb, &sweep_verb_retire, &sweep_verb_clone,  &sweep_verb_seeds};

static const struct command *verb_at(size_t i)
{
    return i < ARRAY_LEN(verbs) ? &verbs[i]->command : NULL;
}

static int sweep_command(int argc, char **argv, struct err *err)
{
    return command_run_verb("sweep", verbs, ARRAY_LEN(verbs), argc, argv, err);
}

const struct command cmd_sweep = {
    .name = "sweep",
    .usage = "sweep plan|run|status|stop|resume|retire|clone|seeds ...",
    .help = "Plan and run many trials from one file.",
    .group = "Trials",
    .run = sweep_command,
    .verb = verb_at,
};

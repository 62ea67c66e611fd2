/* cli/sweep/sweep_control.c - `peftlab sweep status | stop | retire | clone`: looking at
 * a sweep and taking part in it, from any terminal. They change the store; controllers
 * and trials see it there. */
#include "cli/store/store_view.h"
#include "cli/sweep/sweep_verbs.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "report/sections/next/next_step.h"
#include "sweep/run/clone.h"
#include "sweep/status/watch.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- status ---- */

/* clang-format off */
static const struct opt_def status_rows[] = {
    STORE_OPTION,
    JSON_OPTION,
    {.key = "watch", .type = OPT_BOOL, .preset = "false",
     .help = "show it again and again until nothing waits or runs"},
    {.key = "interval", .type = OPT_FLOAT, .preset = "1", .min = 0.1, .max = 86400,
     .metavar = "S", .help = "seconds between two looks"},
};
static const struct opt_table status_options = {"sweep status", status_rows,
                                                ARRAY_LEN(status_rows)};
static const struct opt_def stop_rows[] = {
    STORE_OPTION,
    {.key = "now", .type = OPT_BOOL, .preset = "false",
     .help = "running trials are asked to end too"},
};
static const struct opt_table stop_options = {"sweep stop", stop_rows,
                                              ARRAY_LEN(stop_rows)};
static const struct opt_def retire_rows[] = {STORE_OPTION};
static const struct opt_table retire_options = {"sweep retire", retire_rows,
                                                ARRAY_LEN(retire_rows)};
static const struct opt_def clone_rows[] = {
    STORE_OPTION,
    {.key = "warm", .type = OPT_BOOL, .preset = "false",
     .help = "start from the weights of the trial"},
};
static const struct opt_table clone_options = {"sweep clone", clone_rows,
                                               ARRAY_LEN(clone_rows)};
/* clang-format on */

static int newest_sweep(struct store *store, int64_t *sweep, struct err *err)
{
    json_t *result = store_query(store, "SELECT max(id) FROM sweep_view", NULL, 1, err);
    const json_t *cell =
        json_array_get(json_array_get(json_object_get(result, "rows"), 0), 0);
    *sweep = json_integer_value(cell);
    json_decref(result);
    return !result ? err_code(err)
           : *sweep
               ? 0
               : err_set(err, ERR_NOINPUT,
                         "store '%s' has no sweep; 'peftlab sweep run FILE' adds one",
                         store_path(store));
}

/* What its report says to do next, once it is finished. A large one takes its report's
 * time, so that it is asked there. */
static void tell_next(struct store *store, int64_t sweep)
{
    enum { MAX_TRIALS = 500 };
    json_t *bind = json_pack("[I]", (json_int_t)sweep),
           *result =
               store_query(store,
                           "SELECT count(*), total(state IN ('waiting', 'running')) "
                           "FROM trial_view WHERE sweep = ?1",
                           bind, 1, NULL),
           *row = json_array_get(json_object_get(result, "rows"), 0);
    const json_int_t trials = json_integer_value(json_array_get(row, 0));
    const bool open = json_number_value(json_array_get(row, 1)) > 0;
    json_t *next = open || trials > MAX_TRIALS ? NULL : next_step_of(store, sweep);
    if (next)
        text_print(stdout, "next: %s (%s)\n", json_get_str(next, "command", ""),
                   json_get_str(next, "why", ""));
    else if (!open && trials > MAX_TRIALS)
        text_print(stdout, "next: peftlab report --sweep %lld\n", (long long)sweep);
    json_decref(next);
    json_decref(result);
    json_decref(bind);
}

static int status_command(const json_t *values, const char *const *words, size_t count,
                          struct err *err)
{
    struct store *store;
    int64_t sweep = 0;
    const bool watch = json_get_bool(values, "watch", 0) == 1;
    int rc = sweep_open_store(values, STORE_READ_ONLY, &store, err);
    if (rc < 0)
        return rc;
    if (count)
        rc = store_find_sweep(store, words[0], &sweep, err);
    else if (watch)
        rc = newest_sweep(store, &sweep, err);
    if (rc >= 0 && watch)
        rc = sweep_watch(store, sweep, json_get_num(values, "interval", 1),
                         json_get_bool(values, "json", 0) == 1, stdout, err);
    else if (rc >= 0)
        rc = sweep_status(store, sweep, json_get_bool(values, "json", 0) == 1, stdout,
                          err);
    if (rc >= 0 && sweep && !watch && !json_get_bool(values, "json", 0))
        tell_next(store, sweep);
    store_close(store);
    return rc;
}

/* ---- stop ---- */

/* Numbers of what runs. New reference. */
static json_t *running_trials(struct store *store, int64_t sweep, struct err *err)
{
    json_t *bind = json_pack("[I]", (json_int_t)sweep), *ids = json_array(), *row;
    json_t *result = store_query(store,
                                 "SELECT id FROM trial_view WHERE sweep = ?1 AND state = "
                                 "'running' ORDER BY id",
                                 bind, 100000, err);
    size_t i;
    json_array_foreach(json_object_get(result, "rows"), i, row)
    {
        json_array_append(ids, json_array_get(row, 0));
    }
    json_decref(bind);
    if (!result)
        json_decref(ids);
    json_decref(result);
    return result ? ids : NULL;
}

/* "trial 4", "trials 4, 5, 6 and 12 more" */
static void put_trials(const json_t *ids, struct buf *out)
{
    enum { SHOWN = 8 };
    const size_t n = json_array_size(ids), shown = n > SHOWN ? SHOWN : n;
    buf_str_add(out, n == 1 ? "trial " : "trials ");
    for (size_t i = 0; i < shown; i++)
        buf_printf(out, "%s%lld", i ? ", " : "",
                   (long long)json_integer_value(json_array_get(ids, i)));
    if (n > shown)
        buf_printf(out, " and %zu more", n - shown);
}

/* What is still to end, and how to go on. */
static void tell_stopped(int64_t sweep, const json_t *ids, bool now)
{
    const long long id = sweep;
    struct buf trials = BUF_INIT;
    put_trials(ids, &trials);
    text_print(stdout, "sweep %lld starts no further trials", id);
    if (!json_array_size(ids))
        text_print(stdout, "; nothing of it runs");
    else if (now)
        text_print(stdout, "; %s will save and end at the next update", buf_str(&trials));
    else
        text_print(stdout,
                   "; %s will run to the end\n'peftlab sweep stop %lld --now' has them "
                   "save and end at the next update",
                   buf_str(&trials), id);
    text_print(stdout, "\n'peftlab sweep resume %lld' goes on\n", id);
    buf_release(&trials);
}

static int stop_command(const json_t *values, const char *const *words, size_t count,
                        struct err *err)
{
    struct store *store;
    int64_t sweep = 0;
    if (!count)
        return err_set(err, ERR_USAGE, "which sweep? 'peftlab sweep status' lists them");
    int rc = sweep_open_store(values, 0, &store, err);
    if (rc < 0)
        return rc;
    rc = store_find_sweep(store, words[0], &sweep, err);
    if (rc >= 0)
        rc = store_sweep_stop(store, sweep, true, err);
    json_t *ids = rc < 0 ? NULL : running_trials(store, sweep, err), *trial;
    const bool now = json_get_bool(values, "now", 0) == 1;
    size_t i;
    if (rc >= 0 && !ids)
        rc = err_code(err);
    json_array_foreach(ids, i, trial)
    {
        if (now && rc >= 0)
            rc = store_trial_stop(store, json_integer_value(trial), err);
    }
    if (rc >= 0)
        tell_stopped(sweep, ids, now);
    json_decref(ids);
    store_close(store);
    return rc < 0 ? rc : 0;
}

/* ---- retire and clone ---- */

int sweep_trial_id(const char *verb, const char *const *words, size_t count, int64_t *id,
                   struct err *err)
{
    return count ? view_trial_id(words[0], id, err)
                 : err_set(err, ERR_USAGE,
                           "sweep %s: which trial? 'peftlab ls' lists them", verb);
}

static int retire_command(const json_t *values, const char *const *words, size_t count,
                          struct err *err)
{
    struct store *store;
    struct trial_row trial;
    int64_t id;
    int rc = sweep_trial_id("retire", words, count, &id, err);
    if (rc == 0)
        rc = sweep_open_store(values, 0, &store, err);
    if (rc < 0)
        return rc;
    rc = store_get_trial(store, id, &trial, err);
    if (rc == 0) {
        rc =
            trial_state_is_final(trial.state)
                ? err_set(err, ERR_CONFIG, "trial %lld is %s already", (long long)id,
                          trial_state_name(trial.state))
                : store_trial_end(store, id, TRIAL_cancelled, "retired by the user", err);
        if (rc == 0)
            text_print(
                stdout,
                trial.state == TRIAL_running
                    ? "trial %lld ends at its next update, keeps its numbers and is "
                      "not run again\n"
                    : "trial %lld keeps its numbers and is not run again\n",
                (long long)id);
        trial_row_release(&trial);
    }
    store_close(store);
    return rc;
}

static int clone_command(const json_t *values, const char *const *words, size_t count,
                         struct err *err)
{
    struct store *store;
    int64_t parent, id = 0;
    const bool warm = json_get_bool(values, "warm", 0) == 1;
    int rc = sweep_trial_id("clone", words, count, &parent, err);
    if (rc == 0 && count < 2 && !warm)
        rc = err_set(err, ERR_USAGE,
                     "sweep clone: nothing to change; say key=value, or --warm");
    if (rc == 0)
        rc = sweep_open_store(values, 0, &store, err);
    if (rc < 0)
        return rc;
    rc = sweep_clone(store, &sweep_trainer, parent, words + 1, count - 1, warm, &id, err);
    if (rc == 0)
        text_print(
            stdout,
            "trial %lld is a clone of %lld%s and waits; a sweep that runs takes it up, "
            "'peftlab sweep resume' runs it otherwise\n",
            (long long)id, (long long)parent, warm ? ", warm," : "");
    store_close(store);
    return rc;
}

const struct command_verb sweep_verb_status = {
    .command =
        {.name = "status",
         .usage = "sweep status [SWEEP] [--watch]",
         .help =
             "Shows the sweeps of a store, or one; --watch without a name the newest.",
         .options = &status_options},
    .max_words = 1,
    .run = status_command,
};
const struct command_verb sweep_verb_stop = {
    .command = {.name = "stop",
                .usage = "sweep stop SWEEP [--now]",
                .help = "No further trials of a sweep are started.",
                .options = &stop_options},
    .max_words = 1,
    .run = stop_command,
};
const struct command_verb sweep_verb_retire = {
    .command = {.name = "retire",
                .usage = "sweep retire TRIAL",
                .help =
                    "Ends a trial for good, also while it runs; it keeps its numbers.",
                .options = &retire_options},
    .max_words = 1,
    .run = retire_command,
};
const struct command_verb sweep_verb_clone = {
    .command = {.name = "clone",
                .usage = "sweep clone TRIAL [--warm] key=value ...",
                .help = "Adds a trial like another with other keys to its sweep, also "
                        "while it runs.",
                .options = &clone_options},
    .max_words = VERB_WORDS_MAX,
    .run = clone_command,
};

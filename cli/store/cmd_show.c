/* cli/store/cmd_show.c - `peftlab show ID`: everything that the store knows about a
 * trial. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION, JSON_OPTION,
    {.key = "series", .type = OPT_STRING, .group = "what", .metavar = "METRIC",
     .help = "print the values of this metric by step"},
    {.key = "points", .type = OPT_INT, .preset = "200", .min = 2, .max = 1e6,
     .group = "what", .metavar = "N",
     .help = "of a longer series about N points: its ends, and of every part the lowest "
             "and highest"},
};
/* clang-format on */
static const struct opt_table table = {"show", options, ARRAY_LEN(options)};

enum { SHOWN_EVENTS = 20 };

static int show_series(struct store *s, int64_t id, const json_t *values, struct err *err)
{
    const char *key = json_get_str(values, "series", "");
    json_t *rows = view_series(s, id, key, json_get_int(values, "points", 200), err);
    if (!rows)
        return err_code(err);
    if (json_get_bool(values, "json", 0))
        return view_print_json(json_pack("{s:I, s:s, s:o}", "trial", (json_int_t)id,
                                         "key", key, "points", rows));
    json_t *columns = json_pack("[s, s]", "step", "value");
    view_print_table(rows, columns, false);
    json_decref(columns);
    json_decref(rows);
    return 0;
}

/* ---- text ---- */

/* Nested objects as dotted names. */
static void print_tree(const json_t *tree, const char *prefix)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)tree, key, v)
    {
        char *name = xasprintf("%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(v) && json_object_size(v) > 0) {
            print_tree(v, name);
        } else {
            json_t *row = json_object(); /* the name may hold anything, % too */
            json_object_set(row, name, v);
            view_field(row, name);
            json_decref(row);
        }
        free(name);
    }
}

static void print_section(const char *title, const json_t *tree)
{
    if (json_object_size(tree) == 0)
        return;
    text_print(stdout, "\n%s\n", title);
    print_tree(tree, "");
}

static void print_table(const json_t *trial, const char *name, const char *title,
                        json_t *columns)
{
    const json_t *rows = json_object_get(trial, name);
    if (json_array_size(rows) > 0) {
        text_print(stdout, "\n%s\n", title);
        view_print_table(rows, columns, false);
    }
    json_decref(columns);
}

static void print_list(const json_t *trial, const char *name, json_t *columns)
{
    print_table(trial, name, name, columns);
}

static void print_events(const json_t *trial)
{
    json_t *rows = json_object_get(trial, "events"), *last = json_array();
    size_t n = json_array_size(rows), from = n > SHOWN_EVENTS ? n - SHOWN_EVENTS : 0;
    for (size_t i = from; i < n; i++)
        json_array_append(last, json_array_get(rows, i));
    json_t *shown = json_pack("{s:o}", "events", last);
    print_list(shown, "events", json_pack("[s,s,s,s]", "at_ms", "run", "kind", "text"));
    if (from > 0)
        text_print(stdout, "(%zu earlier ones; --json prints all)\n", from);
    json_decref(shown);
}

static void print_trial(const json_t *trial)
{
    static const char *const head[] = {
        "experiment_name", "sweep",       "sweep_name",  "number",   "state",
        "method",          "reason",      "seed",        "attempts", "created_ms",
        "started_ms",      "ended_ms",    "duration_ms", "key",      "base_dir",
        "predicted_bytes", "predicted_s", "parent",      "note"};
    const json_t *runs = json_object_get(trial, "runs");
    const json_t *last = json_array_get(runs, json_array_size(runs) - 1);
    text_print(stdout, "trial %lld\n", (long long)json_get_int(trial, "id", 0));
    for (size_t i = 0; i < ARRAY_LEN(head); i++)
        view_field(trial, head[i]);
    print_section(json_is_null(json_object_get(trial, "sweep"))
                      ? "parameters"
                      : "parameters that the sweep sets",
                  json_object_get(trial, "params"));
    print_table(trial, "logged", "parameters that its program logged",
                json_pack("[s,s,s]", "run", "key", "value"));
    print_list(trial, "tags", json_pack("[s,s]", "key", "value"));
    print_table(trial, "inputs", "data that it read",
                json_pack("[s,s,s,s]", "run", "name", "context", "digest"));
    print_section("metrics", json_object_get(trial, "metrics"));
    print_list(trial, "runs",
               json_pack("[s,s,s,s,s,s,s,s]", "id", "attempt", "state", "exit_code",
                         "started_ms", "duration_ms", "run_dir", "reason"));
    print_list(trial, "series",
               json_pack("[s,s,s,s,s,s]", "key", "points", "first_step", "last_step",
                         "min", "max"));
    print_list(trial, "artifacts",
               json_pack("[s,s,s,s]", "run", "name", "bytes", "path"));
    print_events(trial);
    print_section("configuration", json_object_get(trial, "config"));
    if (last)
        print_section("environment of the last run",
                      json_object_get(last, "environment"));
}

static int show_trial(struct store *s, int64_t id, bool as_json, struct err *err)
{
    json_t *trial = view_trial(s, id, err);
    if (!trial)
        return err_code(err);
    if (as_json)
        return view_print_json(trial);
    print_trial(trial);
    json_decref(trial);
    return 0;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *word = NULL;
    size_t count = 0;
    bool done = false;
    int64_t id = 0;
    struct store *s = NULL;
    int rc = command_parse(&cmd_show, argc, argv, &values, &word, 1, &count, &done, err);
    if (rc || done)
        return rc;
    if (count == 0)
        rc = err_set(err, ERR_USAGE, "show: which trial? (usage: peftlab %s)",
                     cmd_show.usage);
    if (!rc)
        rc = view_trial_id(word, &id, err);
    if (!rc)
        rc = view_open(values, &s, err);
    if (!rc && json_get_str(values, "series", NULL))
        rc = show_series(s, id, values, err);
    else if (!rc)
        rc = show_trial(s, id, json_get_bool(values, "json", 0), err);
    json_decref(values);
    store_close(s);
    return rc;
}

const struct command cmd_show = {
    .name = "show",
    .usage = "show ID [--series METRIC [--points N]]",
    .help = "Show everything about a trial: configuration, runs, numbers, files.",
    .group = "Store",
    .options = &table,
    .run = run,
};

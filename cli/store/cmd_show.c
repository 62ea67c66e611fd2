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

enum { MAX_ROWS = 100000, SHOWN_EVENTS = 20 };

/* What belongs to a trial; ?1 is its number. */
static const struct {
    const char *name, *sql;
} parts[] = {
    {"runs", "SELECT * FROM run_view WHERE trial = ?1 ORDER BY attempt"},
    {"series",
     "SELECT key, count(*) AS points, min(step) AS first_step, max(step) AS "
     "last_step, min(value) AS min, max(value) AS max FROM series_view WHERE trial = ?1 "
     "GROUP BY key ORDER BY key"},
    {"artifacts", "SELECT run, name, path, bytes, sha256, at_ms FROM artifact_view WHERE "
                  "trial = ?1 ORDER BY run, name"},
    {"tags", "SELECT key, value FROM tag_view WHERE trial = ?1 ORDER BY key"},
    {"events",
     "SELECT run, at_ms, kind, text FROM event_view WHERE trial = ?1 ORDER BY id"},
};

static json_t *read_trial(struct store *s, int64_t id, struct err *err)
{
    json_t *rows = view_rows(s, "SELECT * FROM trial_view WHERE id = ?1",
                             json_pack("[I]", (json_int_t)id), 1, err);
    if (!rows)
        return NULL;
    if (json_array_size(rows) == 0)
        err_set(err, ERR_NOINPUT, "store '%s' has no trial %lld; 'peftlab ls' lists them",
                store_path(s), (long long)id);
    bool ok = json_array_size(rows) > 0 && view_add_metrics(s, rows, err) == 0;
    json_t *trial = ok ? json_incref(json_array_get(rows, 0)) : NULL;
    json_decref(rows);
    for (size_t i = 0; trial && i < ARRAY_LEN(parts); i++) {
        json_t *part =
            view_rows(s, parts[i].sql, json_pack("[I]", (json_int_t)id), MAX_ROWS, err);
        if (part) {
            json_object_set_new(trial, parts[i].name, part);
        } else {
            json_decref(trial);
            trial = NULL;
        }
    }
    return trial;
}

/* ---- one series ---- */

/* A long series is cut into points / 2 parts of equal steps; of each the lowest and the
 * highest value are kept (and whatever is no number), so that spikes stay. ?3 is the
 * number of parts. */
static const char series_sql[] =
    "WITH s AS (SELECT step, value, kind FROM series_view WHERE trial = ?1 AND key = "
    "?2), "
    "span AS (SELECT min(step) AS first, max(step) AS last, count(*) AS n FROM s), "
    "ranked AS (SELECT step, value, kind, "
    "row_number() OVER (PARTITION BY (step - first) * ?3 / (last - first + 1) ORDER BY "
    "value, step) AS low, "
    "row_number() OVER (PARTITION BY (step - first) * ?3 / (last - first + 1) ORDER BY "
    "value DESC, step) AS high, first, last, n FROM s, span) "
    "SELECT step, value, kind FROM ranked WHERE n <= 2 * ?3 OR low = 1 OR high = 1 OR "
    "step IN (first, last) OR kind IN ('nan', 'inf', '-inf') ORDER BY step LIMIT 4 * ?3 "
    "+ 2";

static int show_series(struct store *s, int64_t id, const json_t *values, struct err *err)
{
    const char *key = json_get_str(values, "series", "");
    int64_t points = json_get_int(values, "points", 200);
    json_t *rows = view_rows(
        s, series_sql,
        json_pack("[I, s, I]", (json_int_t)id, key, (json_int_t)((points + 1) / 2)),
        MAX_ROWS, err);
    if (!rows)
        return err_code(err);
    if (json_array_size(rows) == 0) {
        char *clean = str_clean(key, strlen(key));
        int rc =
            err_set(err, ERR_NOINPUT,
                    "trial %lld has no series '%.200s'; 'peftlab show %lld' lists them",
                    (long long)id, clean, (long long)id);
        free(clean);
        json_decref(rows);
        return rc;
    }
    if (json_get_bool(values, "json", 0))
        return view_print_json(json_pack("{s:I, s:s, s:o}", "trial", (json_int_t)id,
                                         "key", key, "points", rows));
    json_t *columns = json_pack("[s, s]", "step", "value");
    view_print_table(rows, columns);
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

static void print_list(const json_t *trial, const char *name, json_t *columns)
{
    const json_t *rows = json_object_get(trial, name);
    if (json_array_size(rows) > 0) {
        text_print(stdout, "\n%s\n", name);
        view_print_table(rows, columns);
    }
    json_decref(columns);
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
        printf("(%zu earlier ones; --json prints all)\n", from);
    json_decref(shown);
}

static void print_trial(const json_t *trial)
{
    static const char *const head[] = {
        "experiment_name", "sweep",       "sweep_name", "number",     "state",
        "reason",          "seed",        "attempts",   "created_ms", "started_ms",
        "ended_ms",        "duration_ms", "key",        "base_dir",   "predicted_bytes",
        "predicted_s",     "parent",      "note"};
    const json_t *runs = json_object_get(trial, "runs");
    const json_t *last = json_array_get(runs, json_array_size(runs) - 1);
    printf("trial %lld\n", (long long)json_get_int(trial, "id", 0));
    for (size_t i = 0; i < ARRAY_LEN(head); i++)
        view_field(trial, head[i]);
    print_section("parameters that the sweep sets", json_object_get(trial, "params"));
    print_list(trial, "tags", json_pack("[s,s]", "key", "value"));
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
    json_t *trial = read_trial(s, id, err);
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

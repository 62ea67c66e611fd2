/* cli/store/cmd_ls.c - `peftlab ls`: trials (or sweeps, or experiments) as a table. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "tracker/view/objective.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATES                                                                           \
    "waiting|running|complete|pruned|failed|oom|nan|timeout|preempted|stale|cancelled|"  \
    "spared"

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION, JSON_OPTION,
    {.key = "experiment", .type = OPT_STRING, .group = "which", .metavar = "NAME",
     .help = "only this experiment's"},
    {.key = "sweep", .type = OPT_STRING, .group = "which", .metavar = "ID|NAME",
     .help = "only this sweep's"},
    {.key = "state", .type = OPT_CHOICE, .choices = STATES, .group = "which",
     .metavar = "STATE", .help = "only trials in this state"},
    {.key = "tag", .type = OPT_STRING, .group = "which", .metavar = "KEY[=VALUE]",
     .help = "only trials with this tag"},
    {.key = "limit", .type = OPT_INT, .preset = "100", .min = 1, .max = 1e6,
     .group = "which", .metavar = "N", .help = "rows at most, the newest"},
    {.key = "before", .type = OPT_INT, .max = 9e15, .group = "which", .metavar = "ID",
     .help = "only trials with smaller numbers: the next page"},
    {.key = "sort", .type = OPT_STRING, .group = "output", .metavar = "METRIC",
     .help = "best first by a metric, or by a column or parameter; KEY:asc, KEY:desc"},
    {.key = "columns", .type = OPT_STRING, .group = "output", .metavar = "A,B,...",
     .help = "columns, parameters and metrics to show"},
    {.key = "sweeps", .type = OPT_BOOL, .preset = "false", .group = "what",
     .help = "list sweeps instead of trials"},
    {.key = "experiments", .type = OPT_BOOL, .preset = "false", .group = "what",
     .help = "list experiments instead of trials"},
};
/* clang-format on */
static const struct opt_table table = {"ls", options, ARRAY_LEN(options)};

/* "keep owner=ana" */
static void tags_as_text(json_t *rows)
{
    json_t *row, *value;
    const char *key;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        struct buf text = BUF_INIT;
        json_object_foreach(json_object_get(row, "tags"), key, value)
        {
            const char *v = json_string_value(value);
            buf_printf(&text, "%s%s%s%s", text.len ? " " : "", key, v && *v ? "=" : "",
                       v ? v : "");
        }
        if (text.len)
            json_object_set_new(row, "tags", json_string(buf_str(&text)));
        buf_release(&text);
    }
}

/* ---- what is listed ---- */

static int list_trials(struct store *s, const json_t *values, struct err *err)
{
    int64_t total = 0;
    const char *list = json_get_str(values, "columns", NULL);
    const struct view_query q = {.experiment = json_get_str(values, "experiment", NULL),
                                 .sweep = json_get_str(values, "sweep", NULL),
                                 .state = json_get_str(values, "state", NULL),
                                 .tag = json_get_str(values, "tag", NULL),
                                 .sort = json_get_str(values, "sort", NULL),
                                 .before = json_get_int(values, "before", 0),
                                 .limit = json_get_int(values, "limit", 100)};
    json_t *rows = view_trials(s, &q, &total, err);
    if (!rows)
        return err_code(err);
    if (json_get_bool(values, "json", 0))
        return view_print_json(
            json_pack("{s:o, s:I}", "trials", rows, "total", (json_int_t)total));
    tags_as_text(rows);
    json_t *objectives = view_rows_objectives(s, rows, err),
           *columns = !objectives ? NULL
                      : list      ? view_chosen_columns(rows, list, err)
                                  : view_default_columns(rows, objectives, q.sort);
    json_decref(objectives);
    size_t shown = json_array_size(rows);
    if (columns && shown == 0)
        text_print(stderr, "no trials\n");
    else if (columns)
        view_print_table(rows, columns, !list);
    if (columns && (int64_t)shown < total)
        text_print(stderr,
                   "%zu of %lld trials; --limit N shows more, --before ID earlier ones\n",
                   shown, (long long)total);
    int rc = columns ? 0 : err_code(err);
    json_decref(columns);
    json_decref(rows);
    return rc;
}

static int list_groups(struct store *s, const json_t *values, bool sweeps,
                       struct err *err)
{
    json_t *rows = view_groups(s, sweeps ? VIEW_SWEEPS : VIEW_EXPERIMENTS,
                               json_get_str(values, "experiment", NULL),
                               json_get_int(values, "limit", 100), err);
    if (!rows)
        return err_code(err);
    if (json_get_bool(values, "json", 0))
        return view_print_json(
            json_pack("{s:o}", sweeps ? "sweeps" : "experiments", rows));
    json_t *columns = sweeps ? json_pack("[s,s,s,s,s,s,s,s,s]", "id", "name",
                                         "experiment_name", "trials", "complete",
                                         "running", "waiting", "failed", "stopped")
                             : json_pack("[s,s,s,s]", "id", "name", "sweeps", "trials");
    view_print_table(rows, columns, true);
    json_decref(columns);
    json_decref(rows);
    return 0;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    int rc = command_parse(&cmd_ls, argc, argv, &values, NULL, 0, &count, &done, err);
    if (rc || done)
        return rc;
    bool sweeps = json_get_bool(values, "sweeps", 0),
         experiments = json_get_bool(values, "experiments", 0);
    rc = view_open(values, &s, err);
    if (!rc)
        rc = sweeps || experiments ? list_groups(s, values, sweeps, err)
                                   : list_trials(s, values, err);
    json_decref(values);
    store_close(s);
    return rc;
}

const struct command cmd_ls = {
    .name = "ls",
    .usage = "ls [--experiment NAME] [--sweep ID|NAME] [--state S] [--tag KEY[=VALUE]] "
             "[--sort METRIC] "
             "[--columns A,B] [--limit N] | --sweeps | --experiments",
    .help = "List trials, sweeps or experiments.",
    .group = "Store",
    .options = &table,
    .run = run,
};

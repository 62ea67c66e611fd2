/* cli/cmd_ls.c - `peftlab ls`: trials (or sweeps, or experiments) as a table.
 *
 * Of parameters only those are shown that vary over the rows, of metrics the main ones
 * that somebody has. */
#include "cli/command.h"
#include "cli/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATES                                                                           \
    "waiting|running|complete|pruned|failed|oom|nan|timeout|preempted|stale|cancelled"

static const struct opt_def options[] = {
    VIEW_OPTIONS,
    {"experiment",  NULL, OPT_STRING, NULL,    0, 0,   NULL,   "which",  NULL, 0, "NAME",
      "only this experiment's"                             },
    {"sweep",       NULL, OPT_STRING, NULL,    0, 0,   NULL,   "which",  NULL, 0, "ID|NAME",
      "only this sweep's"                                  },
    {"state",       NULL, OPT_CHOICE, NULL,    0, 0,   STATES, "which",  NULL, 0, "STATE",
      "only trials in this state"                          },
    {"limit",       NULL, OPT_INT,    "100",   1, 1e6, NULL,   "which",  NULL, 0, "N",
      "rows at most, the newest"                           },
    {"sort",        NULL, OPT_STRING, NULL,    0, 0,   NULL,   "output", NULL, 0, "METRIC",
      "best first by a metric, or by a column or parameter"},
    {"columns",     NULL, OPT_STRING, NULL,    0, 0,   NULL,   "output", NULL, 0, "A,B,...",
      "columns, parameters and metrics to show"            },
    {"sweeps",      NULL, OPT_BOOL,   "false", 0, 0,   NULL,   "what",   NULL, 0, NULL,
      "list sweeps instead of trials"                      },
    {"experiments", NULL, OPT_BOOL,   "false", 0, 0,   NULL,   "what",   NULL, 0, NULL,
      "list experiments instead of trials"                 },
};
static const struct opt_table table = {"ls", options, ARRAY_LEN(options)};

#define FIELDS                                                                           \
    "id, sweep, sweep_name, experiment_name, number, state, seed, attempts, params, "    \
    "duration_ms, started_ms, ended_ms, reason, predicted_bytes, predicted_s, key"
static const char fields[] = "|id|sweep|sweep_name|experiment_name|number|state|seed|"
                             "attempts|duration_ms|started_ms|ended_ms|reason|"
                             "predicted_bytes|predicted_s|key|";

/* ?1 experiment, ?2 sweep, ?3 state, ?4 sort key; NULL: not asked for. */
#define WHICH                                                                            \
    " FROM trial_view AS t WHERE (?1 IS NULL OR experiment_name = ?1) AND (?2 IS NULL "  \
    "OR sweep = ?2) AND (?3 IS NULL OR state = ?3) AND (?4 IS NULL OR 1) "
static const char count_sql[] = "SELECT count(*) AS n" WHICH;
static const char newest_sql[] =
    "SELECT * FROM (SELECT " FIELDS WHICH "ORDER BY id DESC LIMIT ?5) ORDER BY id";
#define BY_METRIC "(SELECT value FROM summary_view WHERE trial = t.id AND key = ?4)"
#define BY_PARAM  "(SELECT value FROM param_view WHERE trial = t.id AND key = ?4)"

/* ---- which rows ---- */

static json_t *or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static int check_experiment(struct store *s, const char *name, struct err *err)
{
    int64_t id;
    return name ? view_find_experiment(s, name, &id, err) : 0;
}

static bool is_field(const char *name)
{
    char *framed = xasprintf("|%s|", name);
    bool known = !strchr(name, '|') && strstr(fields, framed);
    free(framed);
    return known;
}

/* SQL that orders by a field (the name comes from the list above), a metric or a
 * parameter (bound as ?4). NULL with an error when there is no such thing. */
static char *order_sql(struct store *s, const char *sort, struct err *err)
{
    static const char any[] =
        "SELECT EXISTS (SELECT 1 FROM summary_view WHERE key = ?1) AS metric, "
        "EXISTS (SELECT 1 FROM param_view WHERE key = ?1) AS param";
    if (is_field(sort))
        return xasprintf("SELECT " FIELDS WHICH "ORDER BY %s NULLS LAST, id LIMIT ?5",
                         sort);
    json_t *rows = view_rows(s, any, json_pack("[s]", sort), 1, err);
    if (!rows)
        return NULL;
    const json_t *row = json_array_get(rows, 0);
    bool metric = json_get_int(row, "metric", 0), param = json_get_int(row, "param", 0);
    json_decref(rows);
    if (metric)
        return xasprintf("SELECT " FIELDS WHICH "ORDER BY " BY_METRIC
                         " %s NULLS LAST, id LIMIT ?5",
                         view_lower_is_better(sort) ? "ASC" : "DESC");
    if (param)
        return xstrdup("SELECT " FIELDS WHICH "ORDER BY " BY_PARAM
                       " NULLS LAST, id LIMIT ?5");
    char *clean = str_clean(sort, strlen(sort));
    err_set(err, ERR_USAGE,
            "cannot sort by '%.200s': no trial has such a column, metric or parameter",
            clean);
    free(clean);
    return NULL;
}

static json_t *read_trials(struct store *s, const json_t *values, int64_t *total,
                           struct err *err)
{
    const char *sweep = json_get_str(values, "sweep", NULL),
               *sort = json_get_str(values, "sort", NULL);
    int64_t sweep_id = 0;
    if (check_experiment(s, json_get_str(values, "experiment", NULL), err) < 0 ||
        (sweep && store_find_sweep(s, sweep, &sweep_id, err) < 0))
        return NULL;
    char *sql = sort ? order_sql(s, sort, err) : xstrdup(newest_sql);
    if (!sql)
        return NULL;
    int64_t limit = json_get_int(values, "limit", 100);
    json_t *bind =
        json_pack("[o, o, o, o]", or_null(json_get_str(values, "experiment", NULL)),
                  sweep ? json_integer(sweep_id) : json_null(),
                  or_null(json_get_str(values, "state", NULL)), or_null(sort));
    json_t *count = view_rows(s, count_sql, json_incref(bind), 1, err), *rows = NULL;
    json_array_append_new(bind, json_integer(limit));
    if (count)
        rows = view_rows(s, sql, json_incref(bind), (size_t)limit, err);
    *total = json_get_int(json_array_get(count, 0), "n", 0);
    json_decref(count);
    json_decref(bind);
    free(sql);
    if (rows && view_add_metrics(s, rows, err) < 0) {
        json_decref(rows);
        rows = NULL;
    }
    return rows;
}

/* ---- which columns ---- */

static bool present(const json_t *rows, const char *column)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *v = view_value(json_array_get(rows, i), column);
        if (v && !json_is_null(v))
            return true;
    }
    return false;
}

static bool varies(const json_t *rows, const char *column)
{
    const json_t *first = view_value(json_array_get(rows, 0), column);
    for (size_t i = 1; i < json_array_size(rows); i++) {
        const json_t *v = view_value(json_array_get(rows, i), column);
        if (!v != !first || (v && !json_equal(v, first)))
            return true;
    }
    return false;
}

static void add(json_t *columns, const char *name)
{
    for (size_t i = 0; i < json_array_size(columns); i++)
        if (str_eq(json_string_value(json_array_get(columns, i)), name))
            return;
    json_array_append_new(columns, json_string(name));
}

static json_t *default_columns(const json_t *rows, const char *sort)
{
    json_t *columns = json_array();
    add(columns, "id");
    add(columns, "sweep");
    add(columns, "number");
    add(columns, "state");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *key;
        json_t *v, *params = json_object_get(json_array_get(rows, i), "params");
        json_object_foreach(params, key, v)
        {
            if (json_array_size(rows) == 1 || varies(rows, key))
                add(columns, key);
        }
    }
    if (varies(rows, "seed"))
        add(columns, "seed");
    for (const char *const *m = view_main_metrics; *m; m++)
        if (present(rows, *m))
            add(columns, *m);
    if (sort)
        add(columns, sort);
    add(columns, "duration_ms");
    return columns;
}

static json_t *chosen_columns(const json_t *rows, const char *list, struct err *err)
{
    json_t *columns = json_array();
    char *copy = xstrdup(list), *save = NULL;
    for (char *name = strtok_r(copy, ",", &save); name;
         name = strtok_r(NULL, ",", &save)) {
        name += strspn(name, " ");
        if (json_array_size(rows) > 0 && !is_field(name) && !present(rows, name)) {
            char *clean = str_clean(name, strlen(name));
            err_set(err, ERR_USAGE,
                    "none of these trials has a column, parameter or metric '%.200s'",
                    clean);
            free(clean);
            json_decref(columns);
            columns = NULL;
            break;
        }
        add(columns, name);
    }
    free(copy);
    return columns;
}

/* ---- what is listed ---- */

static int list_trials(struct store *s, const json_t *values, struct err *err)
{
    int64_t total = 0;
    const char *list = json_get_str(values, "columns", NULL);
    json_t *rows = read_trials(s, values, &total, err);
    if (!rows)
        return -(int)err->code;
    if (json_get_bool(values, "json", 0))
        return view_print_json(
            json_pack("{s:o, s:I}", "trials", rows, "total", (json_int_t)total));
    json_t *columns = list ? chosen_columns(rows, list, err)
                           : default_columns(rows, json_get_str(values, "sort", NULL));
    size_t shown = json_array_size(rows);
    if (columns && shown == 0)
        fputs("no trials\n", stderr);
    else if (columns)
        view_print_table(rows, columns);
    if (columns && (int64_t)shown < total)
        fprintf(stderr, "%zu of %lld trials; --limit N shows more\n", shown,
                (long long)total);
    int rc = columns ? 0 : -(int)err->code;
    json_decref(columns);
    json_decref(rows);
    return rc;
}

static int list_groups(struct store *s, const json_t *values, bool sweeps,
                       struct err *err)
{
    const char *experiment = json_get_str(values, "experiment", NULL);
    int rc = check_experiment(s, experiment, err);
    if (rc < 0)
        return rc;
    json_t *rows = view_rows(
        s,
        sweeps ? "SELECT * FROM sweep_view WHERE ?1 IS NULL OR experiment_name = ?1 "
                 "ORDER BY id LIMIT ?2"
               : "SELECT * FROM experiment_view WHERE ?1 IS NULL OR name = ?1 "
                 "ORDER BY id LIMIT ?2",
        json_pack("[o, o]", or_null(experiment),
                  json_integer(json_get_int(values, "limit", 100))),
        1000000, err);
    if (!rows)
        return -(int)err->code;
    if (json_get_bool(values, "json", 0))
        return view_print_json(
            json_pack("{s:o}", sweeps ? "sweeps" : "experiments", rows));
    json_t *columns = sweeps ? json_pack("[s,s,s,s,s,s,s,s,s]", "id", "name",
                                         "experiment_name", "trials", "complete",
                                         "running", "waiting", "failed", "stopped")
                             : json_pack("[s,s,s,s]", "id", "name", "sweeps", "trials");
    view_print_table(rows, columns);
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
    .usage = "ls [--experiment NAME] [--sweep ID|NAME] [--state S] [--sort METRIC] "
             "[--columns A,B] [--limit N] | --sweeps | --experiments",
    .help = "List trials, sweeps or experiments.",
    .group = "Store",
    .options = &table,
    .run = run,
};

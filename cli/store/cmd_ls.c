/* cli/store/cmd_ls.c - `peftlab ls`: trials (or sweeps, or experiments) as a table.
 *
 * Of parameters only those are shown that vary over the rows, of metrics the main ones
 * that somebody has. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATES                                                                           \
    "waiting|running|complete|pruned|failed|oom|nan|timeout|preempted|stale|cancelled"

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
     .help = "best first by a metric, or by a column or parameter"},
    {.key = "columns", .type = OPT_STRING, .group = "output", .metavar = "A,B,...",
     .help = "columns, parameters and metrics to show"},
    {.key = "sweeps", .type = OPT_BOOL, .preset = "false", .group = "what",
     .help = "list sweeps instead of trials"},
    {.key = "experiments", .type = OPT_BOOL, .preset = "false", .group = "what",
     .help = "list experiments instead of trials"},
};
/* clang-format on */
static const struct opt_table table = {"ls", options, ARRAY_LEN(options)};

#define FIELDS                                                                           \
    "id, sweep, sweep_name, experiment_name, number, state, seed, attempts, params, "    \
    "duration_ms, started_ms, ended_ms, reason, predicted_bytes, predicted_s, key, "     \
    "parent, note"
static const char fields[] = "|id|sweep|sweep_name|experiment_name|number|state|seed|"
                             "attempts|duration_ms|started_ms|ended_ms|reason|"
                             "predicted_bytes|predicted_s|key|parent|note|tags|";

#define BY_METRIC "(SELECT value FROM summary_view WHERE trial = t.id AND key = ?1)"
#define BY_PARAM  "(SELECT value FROM param_view WHERE trial = t.id AND key = ?1)"

/* Conditions that were asked for, and nothing else, so that SQLite can use its indices.
 * ?1 is the key to sort by. */
struct which {
    struct buf where;
    json_t *bind;
};

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

/* The expression to order by; NULL with an error when there is no such thing. The name of
 * a field comes from the list above, metrics and parameters are bound. */
static char *order_of(struct store *s, const char *sort, struct err *err)
{
    static const char any[] =
        "SELECT EXISTS (SELECT 1 FROM summary_view WHERE key = ?1) AS metric, "
        "EXISTS (SELECT 1 FROM param_view WHERE key = ?1) AS param";
    if (is_field(sort) && !str_eq(sort, "tags"))
        return xstrdup(sort);
    json_t *rows = view_rows(s, any, json_pack("[s]", sort), 1, err);
    if (!rows)
        return NULL;
    const json_t *row = json_array_get(rows, 0);
    bool metric = json_get_int(row, "metric", 0), param = json_get_int(row, "param", 0);
    json_decref(rows);
    if (metric)
        return xasprintf(BY_METRIC " %s", view_lower_is_better(sort) ? "ASC" : "DESC");
    if (param)
        return xstrdup(BY_PARAM);
    char *clean = str_clean(sort, strlen(sort));
    err_set(err, ERR_USAGE,
            "cannot sort by '%.200s': no trial has such a column, metric or parameter",
            clean);
    free(clean);
    return NULL;
}

static void restrict_to(struct which *w, const char *condition, json_t *value)
{
    buf_printf(&w->where, " AND %s", condition);
    json_array_append_new(w->bind, value);
    buf_printf(&w->where, "?%zu", json_array_size(w->bind));
}

static void restrict_to_tag(struct which *w, const char *tag)
{
    const char *equals = strchr(tag, '=');
    char *key = xstrndup(tag, equals ? (size_t)(equals - tag) : strlen(tag));
    restrict_to(w, "id IN (SELECT trial FROM tag_view WHERE key = ", json_string(key));
    if (equals)
        restrict_to(w, "value = ", json_string(equals + 1));
    buf_char(&w->where, ')');
    free(key);
}

static int find_which(struct store *s, const json_t *values, struct which *w,
                      struct err *err)
{
    const char *sweep = json_get_str(values, "sweep", NULL),
               *experiment = json_get_str(values, "experiment", NULL),
               *state = json_get_str(values, "state", NULL),
               *tag = json_get_str(values, "tag", NULL);
    int64_t before = json_get_int(values, "before", 0), id = 0;
    int rc = 0;
    if (experiment && (rc = view_find_experiment(s, experiment, &id, err)) == 0)
        restrict_to(w, "experiment = ", json_integer(id));
    if (rc == 0 && sweep && (rc = store_find_sweep(s, sweep, &id, err)) == 0)
        restrict_to(w, "sweep = ", json_integer(id));
    if (state)
        restrict_to(w, "state = ", json_string(state));
    if (tag)
        restrict_to_tag(w, tag);
    if (before > 0)
        restrict_to(w, "id < ", json_integer(before));
    return rc;
}

/* Tags of the rows as objects; text where a table is printed. */
static int add_tags(struct store *s, json_t *rows, struct err *err)
{
    json_t *ids = json_array(), *row, *by_id = json_object(), *found;
    struct buf text = BUF_INIT;
    char id[32];
    size_t i;
    json_array_foreach(rows, i, row)
    {
        json_array_append(ids, json_object_get(row, "id"));
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(row, "id", 0));
        json_object_set(by_id, id, row);
    }
    json_write(&text, ids, 0);
    found =
        view_rows(s,
                  "SELECT trial, key, value FROM tag_view WHERE trial IN (SELECT value "
                  "FROM json_each(?1)) ORDER BY trial, key",
                  json_pack("[s]", buf_str(&text)), 1000000, err);
    json_array_foreach(found, i, row)
    {
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(row, "trial", 0));
        json_t *trial = json_object_get(by_id, id),
               *tags = json_object_get(trial, "tags");
        if (!tags)
            json_object_set_new(trial, "tags", tags = json_object());
        json_object_set(tags, json_get_str(row, "key", ""),
                        json_object_get(row, "value"));
    }
    int rc = found ? 0 : err_code(err);
    json_decref(found);
    json_decref(ids);
    json_decref(by_id);
    buf_release(&text);
    return rc;
}

static json_t *read_rows(struct store *s, const struct which *w, const char *sort,
                         int64_t limit, struct err *err)
{
    char *order = sort ? order_of(s, sort, err) : NULL;
    if (sort && !order)
        return NULL;
    char *sql =
        sort ? xasprintf("SELECT " FIELDS " FROM trial_view AS t WHERE ?1 IS ?1%s "
                         "ORDER BY %s NULLS LAST, id LIMIT %lld",
                         buf_str(&w->where), order, (long long)limit)
             : xasprintf("SELECT * FROM (SELECT " FIELDS " FROM trial_view AS t "
                         "WHERE ?1 IS ?1%s ORDER BY id DESC LIMIT %lld) ORDER BY id",
                         buf_str(&w->where), (long long)limit);
    json_t *rows = view_rows(s, sql, json_incref(w->bind), (size_t)limit, err);
    free(order);
    free(sql);
    if (rows && (view_add_metrics(s, rows, err) < 0 || add_tags(s, rows, err) < 0)) {
        json_decref(rows);
        rows = NULL;
    }
    return rows;
}

static json_t *read_trials(struct store *s, const json_t *values, int64_t *total,
                           struct err *err)
{
    const char *sort = json_get_str(values, "sort", NULL);
    struct which w = {.where = BUF_INIT,
                      .bind = json_pack("[o]", sort ? json_string(sort) : json_null())};
    json_t *rows = NULL;
    if (find_which(s, values, &w, err) == 0) {
        char *sql = xasprintf("SELECT count(*) AS n FROM trial_view WHERE ?1 IS ?1%s",
                              buf_str(&w.where));
        json_t *count = view_rows(s, sql, json_incref(w.bind), 1, err);
        if (count)
            rows = read_rows(s, &w, sort, json_get_int(values, "limit", 100), err);
        *total = json_get_int(json_array_get(count, 0), "n", 0);
        json_decref(count);
        free(sql);
    }
    json_decref(w.bind);
    buf_release(&w.where);
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
    if (present(rows, "tags"))
        add(columns, "tags");
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
    json_t *rows = read_trials(s, values, &total, err);
    if (!rows)
        return err_code(err);
    if (json_get_bool(values, "json", 0))
        return view_print_json(
            json_pack("{s:o, s:I}", "trials", rows, "total", (json_int_t)total));
    tags_as_text(rows);
    json_t *columns = list ? chosen_columns(rows, list, err)
                           : default_columns(rows, json_get_str(values, "sort", NULL));
    size_t shown = json_array_size(rows);
    if (columns && shown == 0)
        fputs("no trials\n", stderr);
    else if (columns)
        view_print_table(rows, columns);
    if (columns && (int64_t)shown < total)
        fprintf(stderr,
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
        return err_code(err);
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
    .usage = "ls [--experiment NAME] [--sweep ID|NAME] [--state S] [--tag KEY[=VALUE]] "
             "[--sort METRIC] "
             "[--columns A,B] [--limit N] | --sweeps | --experiments",
    .help = "List trials, sweeps or experiments.",
    .group = "Store",
    .options = &table,
    .run = run,
};

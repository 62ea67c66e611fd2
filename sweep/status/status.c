/* sweep/status/status.c - what the store says about sweeps. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/status/status_parts.h"
#include "tracker/claims/attend.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX              100000
#define STATUS_SCHEMA_VERSION 1

json_t *status_rows(struct store *store, const char *sql, int64_t sweep, const char *text,
                    struct err *err)
{
    json_t *bind = json_pack("[I, s*]", (json_int_t)sweep, text);
    json_t *result = store_query(store, sql, bind, ROWS_MAX, err);
    json_t *rows = result ? json_incref(json_object_get(result, "rows")) : NULL;
    json_decref(bind);
    json_decref(result);
    return rows;
}

static json_t *rows_of(struct store *store, const char *sql, int64_t sweep,
                       struct err *err)
{
    return status_rows(store, sql, sweep, NULL, err);
}

/* How predictions do, by what is complete and by what is done of the running trials; and
 * what they say of what has not begun. */
struct pace {
    double spent_s, predicted_s; /* of what is done */
    double waiting_s;            /* predicted; NaN: not of all */
};

static struct pace pace_of(struct store *store, int64_t sweep, struct err *err)
{
    json_t *rows = rows_of(
        store,
        "SELECT sum(duration_ms) FILTER (WHERE state = 'complete') / 1000.0, "
        "sum(predicted_s) FILTER (WHERE state = 'complete'), "
        "sum(predicted_s) FILTER (WHERE state IN ('waiting', 'preempted')), "
        "count(*) FILTER (WHERE predicted_s IS NULL) FROM trial_view WHERE sweep = ?1",
        sweep, err);
    const json_t *row = json_array_get(rows, 0);
    const bool unknown = !row || json_number_value(json_array_get(row, 3)) > 0;
    const struct pace pace = {
        .spent_s = json_number_value(json_array_get(row, 0)),
        .predicted_s = json_number_value(json_array_get(row, 1)),
        .waiting_s = unknown ? NAN : json_number_value(json_array_get(row, 2))};
    json_decref(rows);
    return pace;
}

static double scale_of(const struct pace *pace)
{
    return pace->predicted_s > 0 && pace->spent_s > 0 ? pace->spent_s / pace->predicted_s
                                                      : 1;
}

/* Seconds until the end, with as many at a time as run now; what is late has none left.
 * -1: unknown. */
static double time_left(const struct pace *pace, const json_t *running)
{
    const size_t count = json_array_size(running);
    double left = pace->waiting_s * scale_of(pace);
    for (size_t i = 0; i < count; i++)
        left += json_get_num(json_array_get(running, i), "seconds_left", 0);
    return count && left > 0 ? left / (double)count : -1;
}

static json_t *counts_of(struct store *store, int64_t sweep, struct err *err)
{
    size_t i;
    json_t *row, *counts = json_object();
    json_t *rows = rows_of(store,
                           "SELECT state, count(*) FROM trial_view WHERE sweep = ?1 "
                           "GROUP BY state ORDER BY count(*) DESC",
                           sweep, err);
    json_array_foreach(rows, i, row) json_object_set(
        counts, json_string_value(json_array_get(row, 0)), json_array_get(row, 1));
    json_decref(rows);
    return counts;
}

/* The params of trials of a sweep, read once: what tells the running ones apart. Of a big
 * sweep those that run and some hundred others say what varies; they are picked by a hash
 * of their numbers, since every k-th one may be in step with an axis of the grid. */
static json_t *params_of(struct store *store, int64_t sweep, int64_t trials,
                         struct err *err)
{
    enum { SAMPLE = 500 };
    size_t i;
    json_t *row, *list = json_array();
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT DISTINCT params FROM trial_view WHERE sweep = ?1 AND (state = "
             "'running' OR (id * 2654435761 / 65536) %% %lld = 0)",
             trials > 2 * SAMPLE ? (long long)trials / SAMPLE : 1ll);
    json_t *rows = rows_of(store, sql, sweep, err);
    json_array_foreach(rows, i, row)
    {
        const char *text = json_string_value(json_array_get(row, 0));
        json_t *params = text ? json_parse(text, strlen(text), "params", NULL) : NULL;
        json_array_append_new(list, params ? params : json_object());
    }
    json_decref(rows);
    return list;
}

static json_t *running_row(const json_t *row, const struct sweep_labels *labels)
{
    const char *text = json_string_value(json_array_get(row, 2));
    json_t *params = text ? json_parse(text, strlen(text), "params", NULL) : NULL;
    double started = json_number_value(json_array_get(row, 3));
    double seconds = ((double)clock_wall_ms() - started) / 1000;
    struct buf label = BUF_INIT;
    sweep_label(labels, params, (uint64_t)json_integer_value(json_array_get(row, 1)),
                &label);
    json_t *result =
        json_pack("{s:O, s:O, s:s, s:o, s:f, s:O}", "trial", json_array_get(row, 0),
                  "seed", json_array_get(row, 1), "label", buf_str(&label), "params",
                  params ? params : json_object(), "running_s", seconds > 0 ? seconds : 0,
                  "attempt", json_array_get(row, 4));
    buf_release(&label);
    return result;
}

/* What is left of a running trial: by the share that is done, else by its prediction. */
static void add_seconds_left(json_t *running, double predicted_s, double share,
                             struct pace *pace)
{
    const double spent = json_get_num(running, "running_s", 0);
    double left = predicted_s - spent;
    if (share > 0) {
        left = spent * (1 - share) / share;
        pace->spent_s += spent;
        pace->predicted_s += predicted_s * share;
    }
    json_object_set_new(running, "seconds_left",
                        left > 0 ? json_real(left)
                                 : json_null()); /* late, or its updates are done */
}

static json_t *running_of(struct store *store, int64_t sweep, const json_t *metric,
                          const struct sweep_labels *labels, struct pace *pace,
                          struct err *err)
{
    size_t i;
    json_t *row, *list = json_array();
    json_t *rows =
        rows_of(store,
                "SELECT id, seed, params, started_ms, attempts, predicted_s FROM "
                "trial_view WHERE sweep = ?1 AND state = 'running' ORDER BY number",
                sweep, err);
    const double scale = scale_of(pace);
    json_array_foreach(rows, i, row)
    {
        json_t *running = running_row(row, labels);
        const double share = status_add_progress(store, running, metric);
        add_seconds_left(running, json_number_value(json_array_get(row, 5)) * scale,
                         share, pace);
        json_array_append_new(list, running);
    }
    json_decref(rows);
    return list;
}

json_t *status_sweep(struct store *store, int64_t sweep, struct err *err)
{
    json_t *rows = rows_of(store,
                           "SELECT name, trials, stopped FROM sweep_view "
                           "WHERE id = ?1",
                           sweep, err);
    const json_t *row = json_array_get(rows, 0);
    if (!row) {
        json_decref(rows);
        err_set(err, ERR_NOINPUT, "no sweep %lld", (long long)sweep);
        return NULL;
    }
    json_t *metric = status_metric(store, sweep, err);
    json_t *all =
        params_of(store, sweep, json_integer_value(json_array_get(row, 1)), err);
    const size_t count = json_array_size(all);
    json_t **params = xcalloc(count + 1, sizeof(json_t *));
    for (size_t i = 0; i < count; i++)
        params[i] = json_array_get(all, i);
    struct sweep_labels labels;
    sweep_labels_init(&labels, NULL, params, count, true);
    struct pace pace = pace_of(store, sweep, err);
    const bool stopped = json_integer_value(json_array_get(row, 2)) != 0;
    json_t *running = running_of(store, sweep, metric, &labels, &pace, err);
    const double left = time_left(&pace, running);
    json_t *result =
        json_pack("{s:i, s:I, s:O, s:O, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:O}",
                  "schema_version", STATUS_SCHEMA_VERSION, "sweep", (json_int_t)sweep,
                  "name", json_array_get(row, 0), "trials", json_array_get(row, 1),
                  "stopped", stopped, "controller", store_is_attended(store, sweep),
                  "states", counts_of(store, sweep, err), "running", running,
                  "seconds_left", left >= 0 ? json_real(left) : json_null(), "why",
                  status_why(store, sweep, stopped, err), "budget",
                  status_budget(store, sweep, err), "best",
                  status_best(store, sweep, metric, &labels, err), "metric", metric);
    sweep_labels_release(&labels);
    free(params);
    json_decref(all);
    json_decref(metric);
    json_decref(rows);
    return result;
}

static void put_number(char *out, size_t size, const json_t *v)
{
    out[0] = '\0';
    if (json_is_number(v))
        snprintf(out, size, "%.4g", json_number_value(v));
}

/* "120 of 400" */
static void put_step(char *out, size_t size, const json_t *item)
{
    const long long step = json_get_int(item, "step", 0),
                    all = json_get_int(item, "steps", 0);
    if (all)
        snprintf(out, size, "%lld of %lld", step, all);
    else
        snprintf(out, size, "%lld", step);
}

static void add_running(struct text_table *table, const json_t *item)
{
    char id[24], attempt[24], seconds[32], left[32] = "", step[48], rate[24], value[24];
    struct buf curve = BUF_INIT;
    snprintf(id, sizeof id, "%lld", (long long)json_get_int(item, "trial", 0));
    snprintf(attempt, sizeof attempt, "%lld",
             (long long)json_get_int(item, "attempt", 0));
    str_duration(seconds, sizeof seconds, json_get_num(item, "running_s", 0));
    if (json_is_number(json_object_get(item, "seconds_left")))
        str_duration(left, sizeof left, json_get_num(item, "seconds_left", 0));
    put_step(step, sizeof step, item);
    put_number(rate, sizeof rate, json_object_get(item, "steps_per_s"));
    put_number(value, sizeof value, json_object_get(item, "value"));
    status_sparkline(json_object_get(item, "curve"), &curve);
    text_table_row(table, (const char *[]){id, json_get_str(item, "label", ""), left,
                                           step, json_get_str(item, "key", ""), value,
                                           buf_str(&curve), seconds, rate, attempt});
    buf_release(&curve);
}

/* What matters most first: a narrow terminal leaves out the end. */
static void print_running(const json_t *running, size_t width, FILE *f)
{
    static const char *const headings[] = {"trial",   "what",   "left",  "step",
                                           "metric",  "value",  "curve", "since",
                                           "steps/s", "attempt"};
    struct text_table *table =
        text_table_new(headings, "rlrrlrlrrr", ARRAY_LEN(headings));
    size_t i;
    json_t *item;
    json_array_foreach(running, i, item)
    {
        add_running(table, item);
    }
    text_table_print_within(table, width, f);
    text_table_free(table);
}

static void print_best(const json_t *s, FILE *f)
{
    const json_t *best = json_object_get(s, "best");
    if (!json_is_object(best))
        return;
    text_print(f, "best so far: %s: %s %.4g", json_get_str(best, "label", ""),
               json_get_str(json_object_get(s, "metric"), "name", ""),
               json_get_num(best, "mean", 0));
    const long long n = (long long)json_get_int(best, "n", 0),
                    rows = (long long)json_get_int(best, "rows", 0);
    if (json_is_real(json_object_get(best, "low")))
        text_print(f, " (95 %% at any look: %.4g to %.4g, %lld %s%s)\n",
                   json_get_num(best, "low", 0), json_get_num(best, "high", 0),
                   rows ? rows : n, rows ? "row" : "seed",
                   rows     ? "s, one run"
                   : n == 1 ? ""
                            : "s");
    else
        text_print(f, " (%lld run%s: no interval yet)\n", n, n == 1 ? "" : "s");
}

static void print_budget(const json_t *s, FILE *f)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(s, "budget"), i, row) text_print(
        f, "%s%.4g of %.4g %s", i ? ", " : "budget: ", json_get_num(row, "used", 0),
        json_get_num(row, "max", 0), json_get_str(row, "unit", ""));
    if (i)
        fputs("\n", f);
}

/* Where something is left to do and nobody does it. */
static void print_controller(const json_t *s, FILE *f)
{
    const json_t *states = json_object_get(s, "states");
    const char *const open = "waiting|preempted|running|stale";
    const char *state;
    json_t *count;
    bool any = false;
    json_object_foreach((json_t *)states, state, count)
    {
        any |= str_in_list(state, open, '|');
    }
    if (any && !json_get_bool(s, "controller", 0))
        text_print(f, "no 'sweep run' is at it; 'peftlab sweep resume %s' goes on\n",
                   json_get_str(s, "name", ""));
}

void status_print(const json_t *s, FILE *f, size_t width)
{
    const char *state, *separator = "";
    json_t *count;
    char text[32];
    text_print(f, "sweep %lld '%s'%s: %lld trials (",
               (long long)json_get_int(s, "sweep", 0), json_get_str(s, "name", ""),
               json_get_bool(s, "stopped", 0) ? ", stopped" : "",
               (long long)json_get_int(s, "trials", 0));
    json_object_foreach(json_object_get(s, "states"), state, count)
    {
        text_print(f, "%s%lld %s", separator, (long long)json_integer_value(count),
                   state);
        separator = ", ";
    }
    fputs(")\n", f);
    if (json_is_real(json_object_get(s, "seconds_left")))
        text_print(f, "about %s left\n",
                   str_duration(text, sizeof text, json_get_num(s, "seconds_left", 0)));
    if (json_is_string(json_object_get(s, "why")))
        text_print(f, "no further trials: %s\n", json_get_str(s, "why", ""));
    print_controller(s, f);
    print_budget(s, f);
    print_best(s, f);
    if (json_array_size(json_object_get(s, "running")))
        print_running(json_object_get(s, "running"), width, f);
}

static json_t *all_sweeps(struct store *store, struct err *err)
{
    json_t *result = store_query(
        store,
        "SELECT id, name, experiment_name, trials, complete, running, waiting, failed, "
        "stopped FROM sweep_view ORDER BY id",
        NULL, ROWS_MAX, err);
    return result;
}

static void print_sweeps(const json_t *result, FILE *f)
{
    static const char *const headings[] = {"sweep",    "name",    "experiment", "trials",
                                           "complete", "running", "waiting",    "failed"};
    struct text_table *table = text_table_new(headings, "rllrrrrr", ARRAY_LEN(headings));
    size_t i, k;
    json_t *row, *item;
    json_array_foreach(json_object_get(result, "rows"), i, row)
    {
        char numbers[ARRAY_LEN(headings)][24];
        const char *cells[ARRAY_LEN(headings)];
        json_array_foreach(row, k, item)
        {
            if (k >= ARRAY_LEN(headings))
                break;
            snprintf(numbers[k], sizeof numbers[k], "%lld",
                     (long long)json_integer_value(item));
            cells[k] = json_is_string(item) ? json_string_value(item) : numbers[k];
        }
        text_table_row(table, cells);
    }
    text_table_print(table, f);
    text_table_free(table);
}

int sweep_status(struct store *store, int64_t sweep, bool as_json, FILE *f,
                 struct err *err)
{
    json_t *result = sweep ? status_sweep(store, sweep, err) : all_sweeps(store, err);
    if (!result)
        return err_code(err);
    if (as_json) {
        struct buf text = BUF_INIT;
        json_write(&text, result, 1);
        text_print(f, "%s\n", buf_str(&text));
        buf_release(&text);
    } else if (sweep) {
        status_print(result, f, text_columns(f));
    } else {
        print_sweeps(result, f);
    }
    json_decref(result);
    return 0;
}

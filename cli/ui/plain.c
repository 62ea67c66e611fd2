/* cli/ui/plain.c - see plain.h. */
#include "cli/ui/plain.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/live/live.h"
#include "tracker/view/view.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_ROWS = 1000, MOST_COLUMNS = 12 };

static void put_link(struct html *h, const char *what, int64_t id, const char *text)
{
    char href[64];
    snprintf(href, sizeof href, "<a href=\"/plain?%s=%lld\">", what, (long long)id);
    html_raw(h, href);
    html_text(h, text);
    html_raw(h, "</a>");
}

static void link_cell(struct html *h, const char *what, int64_t id, const char *text)
{
    html_raw(h, "<th scope=\"row\">");
    put_link(h, what, id, text);
    html_raw(h, "</th>");
}

static void put_time(struct html *h, int64_t ms)
{
    char text[32] = "";
    const time_t s = (time_t)(ms / 1000);
    struct tm tm;
    if (ms && gmtime_r(&s, &tm))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &tm);
    html_cell(h, "%s", text);
}

static void put_counts(struct html *h, const json_t *counts)
{
    struct buf text = BUF_INIT;
    const char *state;
    json_t *n;
    json_object_foreach((json_t *)counts, state, n)
    {
        buf_printf(&text, "%s%lld %s", text.len ? ", " : "",
                   (long long)json_integer_value(n), state);
    }
    html_cell(h, "%s", buf_str(&text));
    buf_release(&text);
}

/* ---- all ---- */

static void write_sweeps(struct html *h, const json_t *sweeps, int64_t experiment)
{
    json_t *row;
    size_t i;
    html_table_open(h, "", "Sweeps", "Sweep|Trials|Last word");
    json_array_foreach((json_t *)sweeps, i, row)
    {
        if (experiment && json_get_int(row, "experiment", 0) != experiment)
            continue;
        html_row(h);
        link_cell(h, "sweep", json_get_int(row, "id", 0), json_get_str(row, "name", ""));
        put_counts(h, json_object_get(row, "counts"));
        put_time(h, json_get_int(row, "last_ms", 0));
    }
    html_table_close(h);
}

static int write_all(struct store *s, struct html *h, struct err *err)
{
    json_t *all = live_overview(s, err), *row;
    size_t i;
    if (!all)
        return err_code(err);
    html_table_open(h, "", "Experiments", "Experiment|>Sweeps|>Trials|Last word");
    json_array_foreach(json_object_get(all, "experiments"), i, row)
    {
        html_row(h);
        link_cell(h, "experiment", json_get_int(row, "id", 0),
                  json_get_str(row, "name", ""));
        html_number(h, "%lld", (long long)json_get_int(row, "sweeps", 0));
        html_number(h, "%lld", (long long)json_get_int(row, "trials", 0));
        put_time(h, json_get_int(row, "last_ms", 0));
    }
    html_table_close(h);
    write_sweeps(h, json_object_get(all, "sweeps"), 0);
    json_decref(all);
    return 0;
}

/* ---- trials ---- */

static void put_value(struct html *h, const json_t *v)
{
    struct buf text = BUF_INIT;
    if (json_is_real(v)) {
        html_number(h, "%.5g", json_real_value(v));
        return;
    }
    if (v && !json_is_string(v))
        json_write(&text, v, 0);
    if (json_is_number(v))
        html_number(h, "%s", buf_str(&text));
    else
        html_cell(h, "%s", json_is_string(v) ? json_string_value(v) : buf_str(&text));
    buf_release(&text);
}

/* What varies, then what trials are judged by. */
static json_t *columns_of(const json_t *answer)
{
    json_t *out = json_array(), *c;
    size_t i;
    json_array_extend(out, json_object_get(answer, "varying"));
    json_array_foreach(json_object_get(answer, "columns"), i, c)
    {
        if (json_is_true(json_object_get(c, "main")) &&
            json_array_size(out) < MOST_COLUMNS)
            json_array_append(out, json_object_get(c, "name"));
    }
    while (json_array_size(out) > MOST_COLUMNS)
        json_array_remove(out, MOST_COLUMNS);
    return out;
}

static void write_rows(struct html *h, const json_t *answer, const json_t *columns)
{
    struct buf heads = BUF_INIT;
    json_t *row, *name;
    size_t i, k;
    buf_str_add(&heads, "Trial|State");
    json_array_foreach((json_t *)columns, k, name)
    {
        char *clean = xstrdup(json_string_value(name));
        for (char *c = clean; *c; c++)
            *c = *c == '|' || *c == '>' ? ' ' : *c;
        buf_printf(&heads, "|%s", clean);
        free(clean);
    }
    html_table_open(h, "", "Trials", buf_str(&heads));
    json_array_foreach(json_object_get(answer, "rows"), i, row)
    {
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(row, "id", 0));
        html_row(h);
        link_cell(h, "trial", json_get_int(row, "id", 0), id);
        html_cell(h, "%s", json_get_str(row, "state", ""));
        json_array_foreach((json_t *)columns, k, name)
        {
            const char *column = json_string_value(name);
            const json_t *v = json_object_get(json_object_get(row, "values"), column);
            put_value(h, v || !str_eq(column, "seed") ? v : json_object_get(row, "seed"));
        }
    }
    html_table_close(h);
    buf_release(&heads);
}

static int write_trials(struct store *s, const struct plain_query *q, struct html *h,
                        struct err *err)
{
    const struct live_query asked = {.sweep = q->sweep,
                                     .experiment = q->sweep ? 0 : q->experiment,
                                     .limit = MOST_ROWS};
    struct buf text = BUF_INIT;
    const int rc = live_trials(s, &asked, &text, err);
    json_t *answer = rc < 0 ? NULL : json_parse(buf_str(&text), text.len, "trials", err);
    buf_release(&text);
    if (!answer)
        return rc < 0 ? rc : err_code(err);
    const json_int_t total = json_integer_value(json_object_get(answer, "total"));
    json_t *columns = columns_of(answer);
    html_el(h, "p", "", "%lld trials%s", (long long)total,
            total > MOST_ROWS ? ", of which these are the first" : "");
    write_rows(h, answer, columns);
    json_decref(columns);
    json_decref(answer);
    return 0;
}

static int write_experiment(struct store *s, const struct plain_query *q, struct html *h,
                            struct err *err)
{
    json_t *all = live_overview(s, err);
    if (!all)
        return err_code(err);
    write_sweeps(h, json_object_get(all, "sweeps"), q->experiment);
    json_decref(all);
    return write_trials(s, q, h, err);
}

/* ---- a trial ---- */

static void write_object(struct html *h, const char *caption, const json_t *object)
{
    const char *key;
    json_t *v;
    if (!json_object_size(object))
        return;
    html_table_open(h, "", caption, "Name|Value");
    json_object_foreach((json_t *)object, key, v)
    {
        html_row(h);
        html_head_cell(h, "%s", key);
        put_value(h, v);
    }
    html_table_close(h);
}

static int write_trial(struct store *s, int64_t id, struct html *h, struct err *err)
{
    json_t *t = view_trial(s, id, err);
    if (!t)
        return err_code(err);
    const int64_t sweep = json_get_int(t, "sweep", 0);
    html_el(h, "h1", "", "Trial %lld: %s", (long long)id, json_get_str(t, "state", ""));
    if (json_get_str(t, "reason", NULL))
        html_el(h, "p", "", "%s", json_get_str(t, "reason", ""));
    if (sweep) {
        html_open(h, "p", "");
        put_link(h, "sweep", sweep, json_get_str(t, "sweep_name", ""));
        html_close(h, "p");
    }
    write_object(h, "Numbers", json_object_get(t, "metrics"));
    write_object(h, "Configuration", json_object_get(t, "config"));
    json_decref(t);
    return 0;
}

int plain_write(struct store *s, const struct plain_query *q, struct html *out,
                struct err *err)
{
    const bool part = q->trial || q->sweep || q->experiment;
    if (part) {
        html_open(out, "p", "");
        html_raw(out, "<a href=\"/plain\">All experiments</a>");
        html_close(out, "p");
    }
    if (q->trial)
        return write_trial(s, q->trial, out, err);
    if (q->sweep) {
        html_el(out, "h1", "", "Sweep %lld", (long long)q->sweep);
        return write_trials(s, q, out, err);
    }
    if (q->experiment) {
        html_el(out, "h1", "", "Experiment %lld", (long long)q->experiment);
        return write_experiment(s, q, out, err);
    }
    html_el(out, "h1", "", "Experiments and sweeps");
    return write_all(s, out, err);
}

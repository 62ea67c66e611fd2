/* sweep/status/status_live.c - how far the running trials are, what of the budget is used. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/status/status_parts.h"
#include "tracker/claims/budget.h"
#include "tracker/worker/sink.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CURVE_POINTS 24
#define CURVE_ROWS   20000 /* of a curve that are looked at */

json_t *status_metric(struct store *store, int64_t sweep, struct err *err)
{
    json_t *file = NULL;
    if (store_sweep_file(store, sweep, &file, err) < 0)
        return json_null();
    const json_t *m = json_object_get(file, "metric");
    if (!m)
        m = json_array_get(json_object_get(file, "objectives"), 0);
    const char *name = json_get_str(m, "name", NULL);
    json_t *result = name ? json_pack("{s:s, s:s}", "name", name, "goal",
                                      json_get_str(m, "goal", "minimize"))
                          : json_null();
    json_decref(file);
    return result;
}

json_t *status_budget(struct store *store, int64_t sweep, struct err *err)
{
    struct store_budget b;
    struct store_use use;
    json_t *list = json_array();
    if (store_sweep_limits(store, sweep, &b, err) < 0 || !store_budget_is_set(&b) ||
        store_sweep_use(store, sweep, &b, &use, err) < 0)
        return list;
    const struct {
        const char *limit, *unit;
        double used, max;
    } rows[] = {
        {"max_trials", "trials", use.trials, b.max_trials},
        {"max_failures", "failures", use.failures, b.max_failures},
        {"max_wall", "s", use.wall_s, b.max_wall_s},
        {"max_hours", "core hours", use.core_hours, b.max_hours},
        {"max_gpu_hours", "GPU hours", use.gpu_hours, b.max_gpu_hours},
        {"max_usd", "USD", use.usd, b.max_usd},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].max > 0)
            json_array_append_new(
                list, json_pack("{s:s, s:f, s:f, s:s}", "limit", rows[i].limit, "used",
                                rows[i].used, "max", rows[i].max, "unit", rows[i].unit));
    return list;
}

json_t *status_why(struct store *store, int64_t sweep, bool stopped, struct err *err)
{
    char why[BUDGET_WHY_MAX] = "";
    bool waits;
    if (stopped)
        return json_string("asked to by 'sweep stop'");
    json_t *rows = status_rows(store,
                               "SELECT id FROM trial_view WHERE sweep = ?1 AND state IN "
                               "('waiting', 'preempted') ORDER BY attempts, number LIMIT "
                               "1",
                               sweep, NULL, err);
    const json_t *id = json_array_get(json_array_get(rows, 0), 0);
    if (id)
        store_budget_allows(store, sweep, json_integer_value(id), why, &waits, err);
    json_decref(rows);
    return *why ? json_string(why) : json_null();
}

/* ---- progress ---- */

static json_t *thin_curve(const json_t *rows)
{
    const size_t n = json_array_size(rows), m = n < CURVE_POINTS ? n : CURVE_POINTS;
    json_t *curve = json_array();
    for (size_t i = 0; i < m; i++) {
        const size_t at = m == 1 ? 0 : i * (n - 1) / (m - 1);
        json_array_append(curve, json_array_get(json_array_get(rows, at), 1));
    }
    return curve;
}

/* Whether the trial has values of this key. */
static bool add_curve(struct store *store, json_t *running, const char *key)
{
    json_t *rows = status_rows(store,
                               "SELECT step, value FROM series_view WHERE trial = ?1 AND "
                               "key = ?2 ORDER BY step",
                               json_get_int(running, "trial", 0), key, NULL);
    const size_t n = json_array_size(rows);
    if (n) {
        const json_t *last = json_array_get(rows, n - 1);
        json_object_set_new(running, "key", json_string(key));
        json_object_set(running, "value", json_array_get(last, 1));
        json_object_set_new(running, "curve", thin_curve(rows));
    }
    json_decref(rows);
    return n > 0;
}

/* Of the newest run of a running trial: what its trainer set out to do. 0: not known. */
static int64_t planned_updates(struct store *store, const json_t *running, int64_t *first)
{
    long long from = 1, to = 0;
    json_t *rows = status_rows(
        store,
        "SELECT e.text FROM event_view AS e JOIN trial_view AS t ON t.run = e.run WHERE "
        "t.id = ?1 AND e.kind = 'planned' ORDER BY e.id DESC LIMIT 1",
        json_get_int(running, "trial", 0), NULL, NULL);
    const char *text = json_string_value(json_array_get(json_array_get(rows, 0), 0));
    if (text && sscanf(text, PLANNED_UPDATES, &from, &to) != 2)
        from = 1, to = 0;
    json_decref(rows);
    *first = from;
    return to;
}

static json_t *number_or_null(double x)
{
    return isfinite(x) && x >= 0 ? json_real(x) : json_null();
}

double status_add_progress(struct store *store, json_t *running, const json_t *metric)
{
    static const char *const otherwise[] = {"train/loss", "loss"};
    const double seconds = json_get_num(running, "running_s", 0);
    const char *name = json_get_str(metric, "name", NULL);
    int64_t first;
    const int64_t last = planned_updates(store, running, &first);
    json_t *rows =
        status_rows(store, "SELECT max(step) FROM series_view WHERE trial = ?1",
                    json_get_int(running, "trial", 0), NULL, NULL);
    const json_t *step = json_array_get(json_array_get(rows, 0), 0);
    const double done = (double)(json_integer_value(step) - first + 1),
                 all = (double)(last - first + 1);
    json_object_set_new(running, "step",
                        json_is_integer(step) ? json_incref((json_t *)step)
                                              : json_null());
    json_object_set_new(running, "steps", last ? json_integer(last) : json_null());
    json_object_set_new(
        running, "steps_per_s",
        number_or_null(json_is_integer(step) && seconds > 0 ? done / seconds : NAN));
    bool told = name && add_curve(store, running, name);
    for (size_t i = 0; i < ARRAY_LEN(otherwise) && !told; i++)
        told = add_curve(store, running, otherwise[i]);
    json_decref(rows);
    return last && done > 0 ? fmin(done / all, 1) : 0;
}

/* 0 to 7: the eighth blocks, or what ASCII has of the kind. */
static void put_height(struct buf *out, int height)
{
    if (text_has_unicode())
        buf_printf(out, "\xe2\x96%c", (char)(0x81 + height));
    else
        buf_char(out, "_.,-=+*#"[height]);
}

void status_sparkline(const json_t *curve, struct buf *out)
{
    double low = INFINITY, high = -INFINITY;
    size_t i;
    json_t *v;
    json_array_foreach(curve, i, v)
    {
        if (!json_is_number(v))
            continue;
        low = fmin(low, json_number_value(v));
        high = fmax(high, json_number_value(v));
    }
    json_array_foreach(curve, i, v)
    {
        const double share =
            high > low ? (json_number_value(v) - low) / (high - low) : 0.5;
        if (json_is_number(v))
            put_height(out, (int)(share * 7.999));
        else
            buf_char(out, ' ');
    }
}

/* tracker/exchange/push_values.c - curves and results of a trial, to MLflow; see push.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/exchange/push_parts.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct point {
    int64_t step, at_ms;
    double value;
};
struct curve {
    char *name, *there;          /* here; what it is called there */
    struct point *points, *more; /* more: further values of steps */
    size_t count, cap, more_count, more_cap;
};
struct curves {
    struct curve *items;
    size_t count, cap;
    struct strmap *by_name;
    json_t *batch;
};

static struct curve *curve_of(struct curves *c, const char *name)
{
    int64_t at = 0;
    if (strmap_get(c->by_name, name, strlen(name), &at))
        return &c->items[at];
    strmap_put(c->by_name, name, strlen(name), (int64_t)c->count);
    c->items = xgrow(c->items, &c->cap, c->count + 1, sizeof *c->items);
    c->items[c->count] = (struct curve){.name = xstrdup(name)};
    return &c->items[c->count++];
}

static void release(struct curves *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->items[i].name);
        free(c->items[i].there);
        free(c->items[i].points);
        free(c->items[i].more);
    }
    free(c->items);
    strmap_free(c->by_name);
    json_decref(c->batch);
}

/* ---- gathering ---- */

struct span {
    int64_t from_ms, to_ms, last_step;
};

/* When the attempt ran, and how far. */
static struct span span_of(const json_t *run)
{
    struct span s = {json_get_int(run, "started_ms", 1),
                     json_get_int(run, "ended_ms", clock_wall_ms()), 0};
    const char *key;
    json_t *points;
    json_object_foreach(json_object_get(run, "series"), key, points)
    {
        const json_t *last = json_array_get(points, json_array_size(points) - 1);
        const int64_t step = json_integer_value(json_array_get(last, 0));
        s.last_step = step > s.last_step ? step : s.last_step;
    }
    s.from_ms = s.from_ms > 0 ? s.from_ms : 1;
    s.to_ms = s.to_ms > s.from_ms ? s.to_ms : s.from_ms;
    return s;
}

static int64_t time_of(const struct span *s, int64_t step)
{
    const double part = s->last_step > 0 ? (double)step / (double)s->last_step : 1;
    return s->from_ms + (int64_t)((double)(s->to_ms - s->from_ms) * part);
}

/* What an earlier attempt has from this one's first step on, this one did again. */
static void take_series(struct curve *c, const json_t *points, const struct span *span)
{
    json_t *point;
    size_t i;
    const int64_t first =
        json_integer_value(json_array_get(json_array_get(points, 0), 0));
    while (c->count > 0 && c->points[c->count - 1].step >= first)
        c->count--;
    json_array_foreach((json_t *)points, i, point)
    {
        struct point p = {.step = json_integer_value(json_array_get(point, 0)),
                          .at_ms = json_integer_value(json_array_get(point, 2))};
        if (p.at_ms <= 0)
            p.at_ms = time_of(span, p.step);
        json_as_number(json_array_get(point, 1), &p.value);
        c->points = xgrow(c->points, &c->cap, c->count + 1, sizeof *c->points);
        c->points[c->count++] = p;
    }
}

static void take_more(struct curve *c, const json_t *points)
{
    json_t *point;
    size_t i;
    json_array_foreach((json_t *)points, i, point)
    {
        struct point p = {.step = json_integer_value(json_array_get(point, 0)),
                          .at_ms = json_integer_value(json_array_get(point, 2))};
        p.at_ms = p.at_ms > 0 ? p.at_ms : 1;
        json_as_number(json_array_get(point, 1), &p.value);
        c->more = xgrow(c->more, &c->more_cap, c->more_count + 1, sizeof p);
        c->more[c->more_count++] = p;
    }
}

static void take_summary(struct curves *c, const json_t *summary, const struct span *span)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)summary, key, v)
    {
        struct curve *own = curve_of(c, key);
        struct point p = {0, span->to_ms, NAN};
        json_as_number(v, &p.value);
        if (own->count > 0) {
            const double last = own->points[own->count - 1].value;
            if (last == p.value || (isnan(last) && isnan(p.value)))
                continue;
            char *name = xasprintf("result/%s", key);
            own = curve_of(c, name);
            free(name);
        }
        own->points = xgrow(own->points, &own->cap, own->count + 1, sizeof p);
        own->points[own->count++] = p;
    }
}

static void gather(struct curves *c, const json_t *trial)
{
    const int64_t counts = json_get_int(trial, "summary_attempt", 0);
    const char *key;
    json_t *run, *points;
    size_t i;
    json_array_foreach(json_object_get(trial, "runs"), i, run)
    {
        const struct span span = span_of(run);
        json_object_foreach(json_object_get(run, "series"), key, points)
        {
            if (json_array_size(points) > 0)
                take_series(curve_of(c, key), points, &span);
        }
        json_object_foreach(json_object_get(run, "more"), key, points)
            take_more(curve_of(c, key), points);
    }
    json_array_foreach(json_object_get(trial, "runs"), i, run)
    {
        const struct span span = span_of(run);
        if (json_get_int(run, "attempt", 0) == counts)
            take_summary(c, json_object_get(run, "summary"), &span);
    }
}

static void name_curves(struct curves *c)
{
    struct strmap *taken = strmap_new();
    for (int changed = 0; changed <= 1; changed++)
        for (size_t i = 0; i < c->count; i++)
            if (push_name_stays(c->items[i].name) != (bool)changed)
                c->items[i].there = push_name(c->items[i].name, taken);
    strmap_free(taken);
}

/* ---- what is there already ---- */

/* "step value" of a point; MLflow keeps infinity as the largest double. */
static void put_point(struct buf *out, int64_t step, double value)
{
    if (isinf(value))
        value = value > 0 ? DBL_MAX : -DBL_MAX;
    buf_clear(out);
    buf_printf(out, "%lld ", (long long)step);
    if (isnan(value))
        buf_str_add(out, "NaN");
    else
        json_put_double(out, value == 0 ? 0 : value);
}

static int history_page(struct push *p, const struct push_run *r, const char *name,
                        struct strmap *has, char **token, struct err *err)
{
    json_t *fields = json_pack("{s:s, s:s, s:i, s:s*}", "run_id", r->run_id, "metric_key",
                               name, "max_results", 25000, "page_token", *token),
           *answer = NULL, *m;
    struct buf text = BUF_INIT;
    size_t i;
    int rc = push_get(p, "metrics/get-history", fields, &answer, err);
    json_array_foreach(json_object_get(answer, "metrics"), i, m)
    {
        const json_t *step = json_object_get(m, "step");
        const int64_t n = json_is_string(step)
                              ? strtoll(json_string_value(step), NULL, 10)
                              : json_integer_value(step);
        put_point(&text, n, json_get_num(m, "value", NAN));
        strmap_put(has, buf_str(&text), text.len, 1);
    }
    const char *next = json_get_str(answer, "next_page_token", "");
    free(*token);
    *token = *next ? xstrdup(next) : NULL;
    buf_release(&text);
    json_decref(answer);
    json_decref(fields);
    return rc;
}

/* The points of a curve that a run there has; NULL in *has: none. */
static int history(struct push *p, const struct push_run *r, const char *name,
                   struct strmap **has, struct err *err)
{
    char *token = NULL;
    int rc = 0;
    *has = NULL;
    if (!r->was_there || !json_object_get(json_object_get(r->there, "metrics"), name))
        return 0;
    *has = strmap_new();
    do
        rc = history_page(p, r, name, *has, &token, err);
    while (rc == 0 && token);
    free(token);
    return rc;
}

/* ---- sending ---- */

static int flush(struct push *p, struct curves *c, const struct push_run *r,
                 struct err *err)
{
    const size_t count = json_array_size(c->batch);
    if (count == 0)
        return 0;
    json_t *fields = json_pack("{s:s, s:O}", "run_id", r->run_id, "metrics", c->batch);
    const int rc = push_post(p, "runs/log-batch", fields, NULL, err);
    json_decref(fields);
    json_array_clear(c->batch);
    p->total->values += rc == 0 ? count : 0;
    return rc;
}

static int send_points(struct push *p, struct curves *c, const struct push_run *r,
                       const char *name, const struct point *points, size_t count,
                       const struct strmap *has, struct err *err)
{
    struct buf text = BUF_INIT;
    int64_t found;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        put_point(&text, points[i].step, points[i].value);
        if (has && strmap_get(has, buf_str(&text), text.len, &found))
            continue;
        json_array_append_new(c->batch,
                              json_pack("{s:s, s:o, s:I, s:I}", "key", name, "value",
                                        json_number_or_word(points[i].value), "timestamp",
                                        (json_int_t)points[i].at_ms, "step",
                                        (json_int_t)points[i].step));
        if (json_array_size(c->batch) >= PUSH_BATCH_METRICS)
            rc = flush(p, c, r, err);
    }
    buf_release(&text);
    return rc;
}

static int send_curve(struct push *p, struct curves *c, const struct curve *curve,
                      const struct push_run *r, struct err *err)
{
    struct strmap *has = NULL;
    int rc = history(p, r, curve->there, &has, err);
    if (rc == 0)
        rc = send_points(p, c, r, curve->there, curve->more, curve->more_count, has, err);
    if (rc == 0)
        rc = send_points(p, c, r, curve->there, curve->points, curve->count, has, err);
    strmap_free(has);
    return rc;
}

int push_values(struct push *p, struct push_run *r, const json_t *trial, struct err *err)
{
    struct curves c = {.by_name = strmap_new(), .batch = json_array()};
    int rc = 0;
    gather(&c, trial);
    name_curves(&c);
    for (size_t i = 0; i < c.count && rc == 0; i++)
        rc = send_curve(p, &c, &c.items[i], r, err);
    if (rc == 0)
        rc = flush(p, &c, r, err);
    release(&c);
    return rc;
}

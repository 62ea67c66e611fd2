/* tracker/live/curves.c - series of many runs, made small enough to draw; see live.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/live/table_parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_ID, RUN_OF, ENDS, POINTS, POINT_FROM, NEXT_KEY, KEY_NAMES };
static const char *const sql[] = {
    [KEY_ID] = "SELECT id FROM metric_key WHERE name = ?1",
    [RUN_OF] = "SELECT run FROM trial_view WHERE id = ?1",
    [ENDS] = "SELECT (SELECT min(step) FROM metric WHERE run = ?1 AND key = ?2 AND step "
             ">= ?3), (SELECT max(step) FROM metric WHERE run = ?1 AND key = ?2 AND step "
             "<= ?4)",
    [POINTS] =
        "SELECT step, value, kind FROM metric WHERE run = ?1 AND key = ?2 AND step "
        ">= ?3 AND step <= ?4 ORDER BY step",
    [POINT_FROM] = "SELECT step, value, kind FROM metric WHERE run = ?1 AND key = ?2 AND "
                   "step >= ?3 AND step <= ?4 ORDER BY step LIMIT 1",
    [NEXT_KEY] = "SELECT min(key) FROM metric WHERE run = ?1 AND key > ?2",
    [KEY_NAMES] = "SELECT id, name FROM metric_key",
};

struct point {
    int64_t step;
    double value;
};

/* Of a part of the steps: its lowest and highest, its ends where they are no numbers. */
struct part {
    struct point low, high, odd;
    bool any, any_odd;
};

struct thinned {
    int64_t first, last; /* steps */
    size_t n;
    struct point *all; /* while they are few enough */
    size_t most;
    struct part *parts;
    size_t part_count;
    struct point begin, end; /* the ends */
};

static json_t *point_json(struct point p)
{
    json_t *pair = json_array();
    json_array_append_new(pair, json_integer(p.step));
    json_array_append_new(pair, json_number_or_word(table_rounded(p.value)));
    return pair;
}

/* Steps come from clients: over a window of 2^53 and more the share is rounded to 1. */
static struct part *part_of(const struct thinned *t, int64_t step)
{
    const double share = (double)(step - t->first) / ((double)(t->last - t->first) + 1);
    const size_t i = (size_t)(share * (double)t->part_count);
    return &t->parts[i < t->part_count ? i : t->part_count - 1];
}

static void take_point(struct thinned *t, struct point p)
{
    if (!t->n)
        t->begin = p;
    t->end = p;
    if (t->n < t->most)
        t->all[t->n] = p;
    t->n++;
    struct part *part = part_of(t, p.step);
    if (!isfinite(p.value)) {
        if (!part->any_odd)
            part->odd = p;
        part->any_odd = true;
        return;
    }
    if (!part->any || p.value < part->low.value)
        part->low = p;
    if (!part->any || p.value > part->high.value)
        part->high = p;
    part->any = true;
}

static int by_step(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return (x->step > y->step) - (x->step < y->step);
}

/* What a part keeps, in the order of steps, each point once. */
static void put_part(const struct part *part, const struct thinned *t, json_t *out,
                     int64_t *last)
{
    struct point kept[5];
    size_t n = 0;
    if (part->any) {
        kept[n++] = part->low;
        kept[n++] = part->high;
    }
    if (part->any_odd)
        kept[n++] = part->odd;
    if (part == t->parts)
        kept[n++] = t->begin;
    if (part == t->parts + t->part_count - 1)
        kept[n++] = t->end;
    qsort(kept, n, sizeof *kept, by_step);
    for (size_t i = 0; i < n; i++) {
        if (kept[i].step == *last)
            continue;
        json_array_append_new(out, point_json(kept[i]));
        *last = kept[i].step;
    }
}

static json_t *thinned_json(const struct thinned *t)
{
    json_t *out = json_array();
    int64_t last = -1;
    for (size_t i = 0; i < t->n && t->n <= t->most; i++)
        json_array_append_new(out, point_json(t->all[i]));
    for (size_t i = 0; i < t->part_count && t->n > t->most; i++)
        put_part(&t->parts[i], t, out, &last);
    return out;
}

/* 1: the run has points in the window. */
static int find_ends(struct store *s, int64_t run, int64_t key,
                     const struct live_window *w, struct thinned *t, struct err *err)
{
    sqlite3_stmt *stmt;
    int rc = store_statement(s, sql[ENDS],
                             ARGS(A_INT(run), A_INT(key), A_INT(w->from), A_INT(w->to)),
                             &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    const bool any = rc > 0 && sqlite3_column_type(stmt, 0) != SQLITE_NULL &&
                     sqlite3_column_type(stmt, 1) != SQLITE_NULL;
    t->first = any ? sqlite3_column_int64(stmt, 0) : 0;
    t->last = any ? sqlite3_column_int64(stmt, 1) : -1;
    store_done(stmt);
    return rc < 0 ? rc : any && t->first <= t->last;
}

static int read_series(struct store *s, int64_t run, int64_t key,
                       const struct live_window *w, struct thinned *t, struct err *err)
{
    sqlite3_stmt *stmt;
    memset(t->parts, 0, t->part_count * sizeof *t->parts);
    t->n = 0;
    int rc = find_ends(s, run, key, w, t, err);
    if (rc <= 0)
        return rc;
    rc = store_statement(s, sql[POINTS],
                         ARGS(A_INT(run), A_INT(key), A_INT(t->first), A_INT(t->last)),
                         &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0)
        take_point(
            t, (struct point){sqlite3_column_int64(stmt, 0), store_value(stmt, 1, 2)});
    store_done(stmt);
    return rc;
}

/* Where the part behind a step begins, not behind the last step of all. */
static int64_t next_part(const struct thinned *t, int64_t step, double part)
{
    const double behind = floor((double)(step - t->first) / part) + 1,
                 from = ceil(behind * part);
    const int64_t next =
        from < (double)(t->last - t->first) ? t->first + (int64_t)from : t->last;
    return next > step ? next : step + 1;
}

/* The first point of each part, and the last of all. */
static int sample_series(struct store *s, int64_t run, int64_t key,
                         const struct live_window *w, struct thinned *t, struct err *err)
{
    t->n = 0;
    int rc = find_ends(s, run, key, w, t, err);
    const double part = ((double)(t->last - t->first) + 1) / (double)t->most;
    int64_t next = t->first;
    while (rc > 0 && t->n < t->most) {
        sqlite3_stmt *stmt;
        rc = store_statement(s, sql[POINT_FROM],
                             ARGS(A_INT(run), A_INT(key), A_INT(next), A_INT(t->last)),
                             &stmt, err);
        if (rc < 0)
            return rc;
        rc = store_step(s, stmt, err);
        if (rc > 0) {
            const int64_t step = sqlite3_column_int64(stmt, 0);
            t->all[t->n++] = (struct point){step, store_value(stmt, 1, 2)};
            if (step < t->last)
                next = next_part(t, step, part);
            else
                rc = 0;
        }
        store_done(stmt);
    }
    return rc < 0 ? rc : 0;
}

static int run_of(struct store *s, int64_t trial, int64_t *run, struct err *err)
{
    *run = 0;
    return store_int(s, sql[RUN_OF], ARGS(A_INT(trial)), run, err);
}

json_t *live_curves(struct store *s, const int64_t *trials, size_t count, const char *key,
                    const struct live_window *w, struct err *err)
{
    int64_t id = 0, run;
    json_t *out = json_array();
    struct thinned t = {.most = (size_t)w->points + w->quick, /* and the last */
                        .part_count = (size_t)(w->points + 1) / 2};
    t.all = xcalloc(t.most, sizeof *t.all);
    t.parts = xcalloc(t.part_count, sizeof *t.parts);
    int rc = store_int(s, sql[KEY_ID], ARGS(A_TEXT(key)), &id, err);
    for (size_t i = 0; i < count && rc >= 0 && id; i++) {
        rc = run_of(s, trials[i], &run, err);
        t.n = 0;
        if (rc > 0 && run)
            rc = w->quick ? sample_series(s, run, id, w, &t, err)
                          : read_series(s, run, id, w, &t, err);
        if (rc >= 0 && t.n)
            json_array_append_new(out, json_pack("{s:I, s:o, s:I}", "trial",
                                                 (json_int_t)trials[i], "points",
                                                 thinned_json(&t), "n",
                                                 (json_int_t)(w->quick ? 0 : t.n)));
    }
    free(t.all);
    free(t.parts);
    if (rc >= 0)
        return out;
    json_decref(out);
    return NULL;
}

/* ---- which series there are ---- */

struct counted {
    int64_t *trials; /* by the metric's number */
    size_t count;
};

static int count_keys(struct store *s, int64_t run, struct counted *c, struct err *err)
{
    int64_t key = 0;
    int rc;
    do {
        int64_t next = 0;
        rc = store_int(s, sql[NEXT_KEY], ARGS(A_INT(run), A_INT(key)), &next, err);
        key = next;
        if (key > 0 && (size_t)key < c->count)
            c->trials[key]++;
    } while (rc > 0 && key > 0);
    return rc;
}

json_t *live_keys(struct store *s, const int64_t *trials, size_t count, struct err *err)
{
    json_t *out = json_array();
    struct counted c = {NULL, 0};
    int64_t most = 0, run;
    sqlite3_stmt *stmt = NULL;
    int rc = store_int(s, "SELECT max(id) FROM metric_key", NULL, &most, err);
    c.count = (size_t)most + 1;
    c.trials = xcalloc(c.count, sizeof *c.trials);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        rc = run_of(s, trials[i], &run, err);
        if (rc > 0 && run)
            rc = count_keys(s, run, &c, err);
    }
    if (rc >= 0)
        rc = store_statement(s, sql[KEY_NAMES], NULL, &stmt, err);
    while (rc >= 0 && (rc = store_step(s, stmt, err)) > 0) {
        const size_t id = (size_t)sqlite3_column_int64(stmt, 0);
        if (id < c.count && c.trials[id])
            json_array_append_new(out,
                                  json_pack("{s:s, s:I}", "key",
                                            (const char *)sqlite3_column_text(stmt, 1),
                                            "trials", (json_int_t)c.trials[id]));
    }
    if (stmt)
        store_done(stmt);
    free(c.trials);
    if (rc >= 0)
        return out;
    json_decref(out);
    return NULL;
}

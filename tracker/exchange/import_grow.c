/* tracker/exchange/import_grow.c - a known run that came again and goes on.
 *
 * First everything is compared and nothing changed; the first point that really differs is
 * the error. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/exchange/exchange.h"
#include "tracker/exchange/import_parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATE, POINTS, REMOVE, SET };
static const char *const sql[] = {
    [STATE] = "SELECT state, reason FROM run WHERE id = ?1",
    [POINTS] = "SELECT name, step, value, kind FROM metric JOIN metric_key ON "
               "metric_key.id = metric.key WHERE run = ?1 ORDER BY name, step",
    [REMOVE] =
        "DELETE FROM metric WHERE run = ?1 AND step = ?3 AND key = (SELECT id FROM "
        "metric_key WHERE name = ?2)",
    [SET] = "UPDATE run SET state = ?2, reason = ?3, exit_code = ?4, ended_ms = "
            "max(ifnull(?5, 0), started_ms), environment_json = ifnull(?6, "
            "environment_json) WHERE id = ?1",
};

/* Known points, one series after the other. */
struct walk {
    const json_t *run;
    char *name;
    const json_t *points; /* of that name in what came; NULL: none */
    size_t at;            /* the next of them */
    size_t matched, replaced;
    json_t *gone; /* [[name, step], ...] */
};

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool had_before(const json_t *run, const char *name, int64_t step, double value)
{
    static const char *const parts[] = {"before", "more"};
    json_t *point;
    size_t k;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        json_array_foreach(json_object_get(json_object_get(run, parts[i]), name), k,
                           point)
        {
            double x = NAN;
            if (json_integer_value(json_array_get(point, 0)) == step &&
                json_as_number(json_array_get(point, 1), &x) && same(x, value))
                return true;
        }
    }
    return false;
}

static int64_t step_at(const struct walk *w)
{
    return json_integer_value(json_array_get(json_array_get(w->points, w->at), 0));
}

static int lacks(const struct walk *w, int64_t step, struct err *err)
{
    char *clean = str_clean(w->name, strlen(w->name));
    const int rc =
        err_set(err, ERR_CONFIG,
                "this trial is known with a value of %.200s at step %lld, which is not "
                "there any more (an older copy of what was imported?); import it under "
                "another --experiment",
                clean, (long long)step);
    free(clean);
    return rc;
}

static int compare_point(struct walk *w, int64_t step, double have, struct err *err)
{
    const size_t count = json_array_size(w->points);
    double value = NAN;
    while (w->at < count && step_at(w) < step)
        w->at++;
    const bool there = w->at < count && step_at(w) == step;
    if (there) {
        const json_t *point = json_array_get(w->points, w->at++);
        int rc = import_value(json_array_get(point, 1), w->name, &value, err);
        if (rc < 0)
            return rc;
        if (same(have, value)) {
            w->matched++;
            return 0;
        }
    }
    if (had_before(w->run, w->name, step, have)) {
        w->replaced++;
        w->matched += there;
        if (!there)
            json_array_append_new(w->gone,
                                  json_pack("[s, I]", w->name, (json_int_t)step));
        return 0;
    }
    if (!there)
        return lacks(w, step, err);
    char *place = xasprintf("%s at step %lld", w->name, (long long)step);
    const int rc = import_differs(place, have, value, err);
    free(place);
    return rc;
}

static int compare(struct store *s, int64_t run, struct walk *w, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[POINTS], ARGS(A_INT(run)), &stmt, err);
    while (rc >= 0 && (rc = store_step(s, stmt, err)) > 0) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        if (!str_eq(name, w->name)) {
            free(w->name);
            w->name = xstrdup(name);
            w->points = json_object_get(json_object_get(w->run, "series"), name);
            w->at = 0;
        }
        if (w->points)
            rc = compare_point(w, sqlite3_column_int64(stmt, 1), store_value(stmt, 2, 3),
                               err);
        if (rc < 0)
            break;
    }
    if (stmt)
        store_done(stmt);
    return rc < 0 ? rc : 0;
}

static size_t count_points(const json_t *run)
{
    const char *key;
    json_t *points;
    size_t count = 0;
    json_object_foreach(json_object_get(run, "series"), key, points) count +=
        json_array_size(points);
    return count;
}

/* It had not said how it ended, and now says something else. */
static int said_more(struct store *s, int64_t run, const json_t *o, bool *open,
                     bool *more, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[STATE], ARGS(A_INT(run)), &stmt, err);
    if (rc == 0)
        rc = store_step(s, stmt, err);
    if (rc > 0) {
        const char *state = (const char *)sqlite3_column_text(stmt, 0),
                   *reason = (const char *)sqlite3_column_text(stmt, 1);
        *open = str_eq(state, "stale") || str_eq(reason, EXCHANGE_UNSAID);
        *more = *open && !str_in_list(import_text(o, "state"), "running|stale", '|') &&
                !(str_eq(import_text(o, "state"), state) &&
                  str_eq(import_text(o, "reason"), reason));
    }
    if (stmt)
        store_done(stmt);
    return rc < 0 ? rc : 0;
}

static int remove_gone(struct store *s, int64_t run, const json_t *gone, struct err *err)
{
    json_t *point;
    size_t i;
    int rc = 0;
    json_array_foreach((json_t *)gone, i, point)
    {
        if (rc >= 0)
            rc = store_exec(s, sql[REMOVE],
                            ARGS(A_INT(run),
                                 A_TEXT(json_string_value(json_array_get(point, 0))),
                                 A_INT(json_integer_value(json_array_get(point, 1)))),
                            err);
    }
    return rc < 0 ? rc : 0;
}

static int set_run(struct store *s, int64_t run, const json_t *o, struct err *err)
{
    const bool running = str_eq(import_text(o, "state"), "running");
    struct buf environment = BUF_INIT;
    const char *environment_text = import_json(o, "environment", &environment);
    char *reason =
        store_repair_text(running ? IMPORT_WAS_RUNNING : import_text(o, "reason"));
    const int rc =
        store_exec(s, sql[SET],
                   ARGS(A_INT(run), A_TEXT(running ? "stale" : import_text(o, "state")),
                        A_TEXT(reason), import_count(o, "exit_code"),
                        import_count(o, "ended_ms"), A_TEXT(environment_text)),
                   err);
    buf_release(&environment);
    free(reason);
    return rc < 0 ? rc : 0;
}

int import_grow(struct store *s, int64_t run, const json_t *o, bool *grew,
                struct err *err)
{
    struct walk w = {.run = o, .gone = json_array()};
    bool more = false, open = false;
    int rc = compare(s, run, &w, err);
    if (rc == 0)
        rc = said_more(s, run, o, &open, &more, err);
    *grew = more || w.replaced > 0 || count_points(o) > w.matched;
    /* results may differ of what went on, not of what had no curve */
    if (rc == 0 && (!*grew || (w.matched == 0 && !open)))
        rc = import_summaries(s, run, o, true, err);
    if (rc == 0 && *grew)
        rc = remove_gone(s, run, w.gone, err);
    if (rc == 0 && *grew)
        rc = set_run(s, run, o, err);
    if (rc == 0 && *grew)
        rc = import_contents(s, run, o, true, err);
    free(w.name);
    json_decref(w.gone);
    return rc;
}

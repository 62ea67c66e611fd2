/* tracker/view/one_trial.c - everything about a trial, one of its series, and what differs
 * between a few; see view.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/view/objective.h"
#include "tracker/view/view.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 100000 };

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
    {"logged",
     "SELECT run, key, value FROM run_param_view WHERE trial = ?1 ORDER BY run, "
     "key"},
    {"inputs", "SELECT run, name, context, digest, source_type, source FROM input_view "
               "WHERE trial = ?1 ORDER BY run, name, digest"},
    {"events",
     "SELECT run, at_ms, kind, text FROM event_view WHERE trial = ?1 ORDER BY id"},
};

/* The trial's own row with its metrics, in a list of one. */
static json_t *head_of(struct store *s, int64_t id, struct err *err)
{
    json_t *rows = view_rows(s, "SELECT *, " VIEW_METHOD " FROM trial_view WHERE id = ?1",
                             json_pack("[I]", (json_int_t)id), 1, err);
    if (rows && json_array_size(rows) == 0)
        err_set(err, ERR_NOINPUT, "store '%s' has no trial %lld; 'peftlab ls' lists them",
                store_path(s), (long long)id);
    if (rows && json_array_size(rows) == 1)
        return rows;
    json_decref(rows);
    return NULL;
}

json_t *view_trial(struct store *s, int64_t id, struct err *err)
{
    json_t *rows = head_of(s, id, err);
    bool ok = rows && view_add_metrics(s, rows, err) == 0;
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

json_t *view_series(struct store *s, int64_t id, const char *key, int64_t points,
                    struct err *err)
{
    json_t *rows = view_rows(
        s, series_sql,
        json_pack("[I, s, I]", (json_int_t)id, key, (json_int_t)((points + 1) / 2)),
        MAX_ROWS, err);
    if (!rows || json_array_size(rows) > 0)
        return rows;
    char *clean = str_clean(key, strlen(key));
    err_set(err, ERR_NOINPUT,
            "trial %lld has no series '%.200s'; 'peftlab show %lld' lists them",
            (long long)id, clean, (long long)id);
    free(clean);
    json_decref(rows);
    return NULL;
}

/* ---- comparison ---- */

/* Nested configuration as {"a.b": value}. */
static void flatten(const json_t *tree, const char *prefix, json_t *out)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)tree, key, v)
    {
        char *name = xasprintf("%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(v) && json_object_size(v) > 0)
            flatten(v, name, out);
        else
            json_object_set(out, name, v);
        free(name);
    }
}

/* {name: [value of each trial]} from one object per trial; only what differs, or all. */
static json_t *side_by_side(const json_t *objects, bool only_differing)
{
    json_t *out = json_object(), *value, *object;
    size_t n = json_array_size(objects), i;
    const char *key;
    json_array_foreach(objects, i, object)
    {
        json_object_foreach(object, key, value)
        {
            if (json_object_get(out, key))
                continue;
            json_t *list = json_array();
            bool differs = false, known = false;
            for (size_t j = 0; j < n; j++) {
                json_t *v = json_object_get(json_array_get(objects, j), key);
                differs |= !v || !json_equal(v, value);
                known |= v && !json_is_null(v);
                json_array_append_new(list, v ? json_incref(v) : json_null());
            }
            if (known && (differs || !only_differing))
                json_object_set(out, key, list);
            json_decref(list);
        }
    }
    return out;
}

static json_t *differences(const json_t *trials)
{
    static const char *const heads[] = {"state",      "method",      "seed",
                                        "sweep_name", "duration_ms", "predicted_bytes"};
    json_t *ids = json_array(), *configs = json_array(), *metrics = json_array(),
           *facts = json_array(), *trial;
    size_t i;
    json_array_foreach(trials, i, trial)
    {
        json_t *flat = json_object(), *fact = json_object();
        flatten(json_object_get(trial, "config"), "", flat);
        for (size_t h = 0; h < ARRAY_LEN(heads); h++)
            json_object_set(fact, heads[h], json_object_get(trial, heads[h]));
        if (!json_object_get(flat, "seed"))
            json_object_set(flat, "seed", json_object_get(trial, "seed"));
        json_object_del(fact, json_object_get(flat, "seed") ? "seed" : "");
        json_array_append(ids, json_object_get(trial, "id"));
        json_array_append_new(configs, flat);
        json_array_append_new(facts, fact);
        json_array_append(metrics, json_object_get(trial, "metrics"));
    }
    json_t *out = json_pack(
        "{s:o, s:o, s:o, s:o}", "trials", ids, "facts", side_by_side(facts, false),
        "differs", side_by_side(configs, true), "metrics", side_by_side(metrics, false));
    json_decref(configs);
    json_decref(metrics);
    json_decref(facts);
    return out;
}

json_t *view_comparison(struct store *s, const int64_t *ids, size_t count,
                        struct err *err)
{
    json_t *trials = json_array(), *out = NULL;
    size_t found = 0;
    for (; found < count; found++) {
        json_t *rows = head_of(s, ids[found], err);
        if (!rows)
            break;
        json_array_extend(trials, rows);
        json_decref(rows);
    }
    if (found == count && view_add_metrics(s, trials, err) == 0)
        out = differences(trials);
    json_t *objectives = out ? view_rows_objectives(s, trials, err) : NULL;
    if (objectives) {
        json_object_set_new(out, "judged_by", objectives);
    } else {
        json_decref(out);
        out = NULL;
    }
    json_decref(trials);
    return out;
}

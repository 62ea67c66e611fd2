/* cli/ui/api/api_lists.c - /api/overview, trials, curves, keys: parameters for tracker/live. */
#include "cli/ui/api/api.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/live/live.h"
#include "tracker/view/view.h"
#include <stdlib.h>

json_t *api_overview(struct store *s, const json_t *args, struct err *err)
{
    (void)args;
    json_t *out = live_overview(s, err);
    if (out) {
        json_object_set_new(out, "store", json_string(store_path(s)));
        json_object_set_new(out, "version", json_string(PEFTLAB_VERSION));
    }
    return out;
}

static int read_query(const json_t *args, struct live_query *q, struct err *err)
{
    enum { MOST_ROWS = 1000000, USUAL_ROWS = 100000 };
    const char *summary = json_get_str(args, "summary", "last");
    const int which = live_summary_from_name(summary);
    int rc = api_number(args, "experiment", 0, INT64_MAX, 0, &q->experiment, err);
    if (rc == 0)
        rc = api_number(args, "sweep", 0, INT64_MAX, 0, &q->sweep, err);
    if (rc == 0)
        rc = api_number(args, "limit", 0, MOST_ROWS, USUAL_ROWS, &q->limit, err);
    if (rc == 0)
        rc = api_number(args, "offset", 0, INT64_MAX, 0, &q->offset, err);
    if (rc == 0 && which < 0)
        rc = err_set(err, ERR_USAGE, "summary: '%.60s' is not last, min, max or best",
                     summary);
    q->summary = which < 0 ? LIVE_LAST : (enum live_summary)which;
    q->words = json_get_str(args, "q", NULL);
    q->sort = json_get_str(args, "sort", NULL);
    if (q->sort && !*q->sort)
        q->sort = NULL;
    return rc;
}

static json_t *ids_json(const int64_t *ids, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

int api_trials(struct store *s, const json_t *args, struct buf *out, struct err *err)
{
    struct live_query q = {0};
    int64_t *ids = NULL;
    size_t count = 0;
    json_t *asked = NULL, *keys = api_names(args, "keys");
    int rc = read_query(args, &q, err);
    if (rc == 0)
        rc = api_ids(args, "ids", &ids, &count, err);
    if (rc == 0) {
        asked = json_object_get(args, "ids") ? ids_json(ids, count) : NULL;
        q.ids = asked;
        q.keys = keys;
        rc = live_trials(s, &q, out, err);
    }
    json_decref(asked);
    json_decref(keys);
    free(ids);
    return rc;
}

json_t *api_curves(struct store *s, const json_t *args, struct err *err)
{
    enum { MOST_POINTS = 2000000 }; /* of an answer */
    const char *key = json_get_str(args, "key", NULL);
    struct live_window w = {0};
    int64_t *ids = NULL, after, quick = 0;
    size_t count = 0;
    int rc = key ? 0 : err_set(err, ERR_USAGE, "key: which metric?");
    if (rc == 0)
        rc = api_number(args, "points", 2, 100000, 500, &w.points, err);
    if (rc == 0)
        rc = api_number(args, "from", 0, INT64_MAX, 0, &w.from, err);
    if (rc == 0)
        rc = api_number(args, "to", 0, INT64_MAX, LIVE_ALL_STEPS, &w.to, err);
    if (rc == 0)
        rc = api_number(args, "after", -1, INT64_MAX - 1, -1, &after, err);
    if (rc == 0)
        rc = api_ids(args, "trials", &ids, &count, err);
    if (rc == 0 && (int64_t)count * w.points > MOST_POINTS)
        rc =
            err_set(err, ERR_USAGE,
                    "curves: %zu trials of %lld points are more than %d points - ask for "
                    "fewer at a time, or for less points=",
                    count, (long long)w.points, MOST_POINTS);
    if (rc == 0)
        rc = api_number(args, "quick", 0, 1, 0, &quick, err);
    w.quick = quick;
    if (rc == 0 && after >= w.from)
        w.from = after + 1;
    json_t *series = rc == 0 ? live_curves(s, ids, count, key, &w, err) : NULL;
    free(ids);
    return series ? json_pack("{s:s, s:b, s:o}", "key", key, "sampled", w.quick, "series",
                              series)
                  : NULL;
}

/* All trials of a sweep or an experiment. */
static int trials_of(struct store *s, const json_t *args, int64_t **ids, size_t *count,
                     struct err *err)
{
    int64_t sweep, experiment;
    int rc = api_number(args, "sweep", 0, INT64_MAX, 0, &sweep, err);
    if (rc == 0)
        rc = api_number(args, "experiment", 0, INT64_MAX, 0, &experiment, err);
    if (rc < 0)
        return rc;
    json_t *rows = view_rows(s,
                             sweep ? "SELECT id FROM trial_view WHERE sweep = ?1"
                                   : "SELECT id FROM trial_view WHERE experiment = ?1",
                             json_pack("[I]", (json_int_t)(sweep ? sweep : experiment)),
                             API_MOST_IDS, err);
    if (!rows)
        return err_code(err);
    *count = json_array_size(rows);
    *ids = xcalloc(*count + 1, sizeof **ids);
    for (size_t i = 0; i < *count; i++)
        (*ids)[i] = json_get_int(json_array_get(rows, i), "id", 0);
    json_decref(rows);
    return 0;
}

json_t *api_keys(struct store *s, const json_t *args, struct err *err)
{
    int64_t *ids = NULL;
    size_t count = 0;
    const bool named = json_object_get(args, "trials") != NULL;
    const int rc = named ? api_ids(args, "trials", &ids, &count, err)
                         : trials_of(s, args, &ids, &count, err);
    json_t *keys = rc == 0 ? live_keys(s, ids, count, err) : NULL;
    free(ids);
    return keys ? json_pack("{s:o}", "keys", keys) : NULL;
}

/* tracker/live/overview.c - experiments and sweeps with what their trials do; see live.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "tracker/live/live.h"
#include "tracker/view/view.h"
#include <stdio.h>

enum { MOST = 100000 };

/* One pass over the trials: counts and the newest word of each sweep. */
static json_t *count_states(struct store *s, struct err *err)
{
    return view_rows(s,
                     "SELECT t.experiment, t.sweep, t.state, count(*) AS n, "
                     "max(max(t.created_ms, ifnull(r.heartbeat_ms, 0), "
                     "ifnull(r.ended_ms, 0))) AS last_ms FROM trial_view AS t LEFT JOIN "
                     "run_view AS r ON r.id = t.run GROUP BY t.experiment, t.sweep, "
                     "t.state",
                     NULL, MOST, err);
}

/* {id as text: row} */
static json_t *by_id(json_t *rows)
{
    json_t *out = json_object(), *row;
    char id[24];
    size_t i;
    json_array_foreach(rows, i, row)
    {
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(row, "id", 0));
        json_object_set(out, id, row);
    }
    return out;
}

static json_t *find(const json_t *index, int64_t number)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)number);
    return json_object_get(index, id);
}

static void raise_to(json_t *row, const char *key, int64_t value)
{
    if (row && json_get_int(row, key, 0) < value)
        json_object_set_new(row, key, json_integer(value));
}

static void spread(json_t *counts, json_t *experiments, json_t *sweeps)
{
    json_t *e = by_id(experiments), *w = by_id(sweeps), *c;
    size_t i;
    json_array_foreach(sweeps, i, c)
    {
        json_object_set_new(c, "counts", json_object());
    }
    json_array_foreach(counts, i, c)
    {
        json_t *sweep = find(w, json_get_int(c, "sweep", 0));
        const int64_t last = json_get_int(c, "last_ms", 0);
        raise_to(find(e, json_get_int(c, "experiment", 0)), "last_ms", last);
        raise_to(sweep, "last_ms", last);
        if (sweep)
            json_object_set(json_object_get(sweep, "counts"),
                            json_get_str(c, "state", ""), json_object_get(c, "n"));
    }
    json_decref(e);
    json_decref(w);
}

json_t *live_overview(struct store *s, struct err *err)
{
    json_t *experiments = view_rows(s,
                                    "SELECT id, name, trials, sweeps, created_ms AS "
                                    "last_ms FROM experiment_view ORDER BY id",
                                    NULL, MOST, err),
           *sweeps = view_rows(s,
                               "SELECT id, experiment, name, stopped, created_ms, "
                               "created_ms AS last_ms, note FROM sweep_view ORDER BY id",
                               NULL, MOST, err),
           *counts = experiments && sweeps ? count_states(s, err) : NULL, *sweep;
    size_t i;
    if (!counts) {
        json_decref(experiments);
        json_decref(sweeps);
        return NULL;
    }
    json_array_foreach(sweeps, i, sweep)
    {
        json_object_set_new(sweep, "stopped",
                            json_boolean(json_get_int(sweep, "stopped", 0)));
    }
    spread(counts, experiments, sweeps);
    json_decref(counts);
    return json_pack("{s:o, s:o}", "experiments", experiments, "sweeps", sweeps);
}

/* cli/ui/api/api_sweep.c - /api/sweep/ID: what `sweep status` says, and what a page has room
 * for besides: what waits, what ended early and why, the rungs, the file. */
#include "cli/ui/api/api.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "sweep/status/status_parts.h"
#include "tracker/claims/budget.h"
#include "tracker/view/view.h"

enum { MOST_LISTED = 1000 };

/* ?1 is the sweep. */
static const struct {
    const char *name, *sql;
} lists[] = {
    {"waits", "SELECT id, state, attempts, predicted_s FROM trial_view WHERE sweep = ?1 "
              "AND state IN ('waiting', 'preempted', 'stale') ORDER BY attempts, number"},
    {"early", "SELECT id, state, reason, ended_ms FROM trial_view WHERE sweep = ?1 AND "
              "state IN ('pruned', 'failed', 'oom', 'nan', 'timeout', 'cancelled', "
              "'spared') ORDER BY ended_ms DESC, id DESC"},
    {"rungs",
     "SELECT r.until_step AS step, count(DISTINCT r.trial) AS sent, count(DISTINCT "
     "r.trial) FILTER (WHERE r.ended_ms IS NOT NULL AND (r.state = 'complete' OR "
     "r.exit_code = 0)) AS arrived, count(DISTINCT r.trial) FILTER (WHERE EXISTS (SELECT "
     "1 FROM run_view AS later WHERE later.trial = r.trial AND later.attempt > "
     "r.attempt)) AS went_on FROM run_view AS r WHERE r.trial IN (SELECT id FROM "
     "trial_view WHERE sweep = ?1) AND r.until_step IS NOT NULL GROUP BY r.until_step "
     "ORDER BY r.until_step"},
};

static int add_lists(struct store *s, int64_t sweep, json_t *out, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        json_t *rows = view_rows(s, lists[i].sql, json_pack("[I]", (json_int_t)sweep),
                                 MOST_LISTED, err);
        if (!rows)
            return err_code(err);
        json_object_set_new(out, lists[i].name, rows);
    }
    return 0;
}

static int add_facts(struct store *s, int64_t sweep, json_t *out, struct err *err)
{
    json_t *file = NULL;
    json_t *rows = view_rows(s,
                             "SELECT experiment, experiment_name, created_ms, note, "
                             "base_dir FROM sweep_view WHERE id = ?1",
                             json_pack("[I]", (json_int_t)sweep), 1, err);
    if (!rows)
        return err_code(err);
    json_object_update(out, json_array_get(rows, 0));
    json_decref(rows);
    const int rc = store_sweep_file(s, sweep, &file, err);
    if (rc == 0)
        json_object_set_new(out, "file", secret_json(file));
    json_decref(file);
    return rc;
}

/* So far, as budgets reckon it, without what is reserved. */
static int add_used(struct store *s, int64_t sweep, json_t *out, struct err *err)
{
    struct store_budget b;
    struct store_use u;
    const int rc = store_sweep_use(s, sweep, &b, &u, err);
    const bool priced = b.gpus > 0 ? b.usd_per_gpu_hour > 0 : b.usd_per_core_hour > 0;
    if (rc == 0)
        json_object_set_new(
            out, "used",
            json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:s}", "trials", u.trials,
                      "failures", u.failures, "wall_s", u.wall_s, "core_hours",
                      u.core_hours - u.reserved_core_hours, "gpu_hours",
                      u.gpu_hours - u.reserved_gpu_hours, "usd", u.usd - u.reserved_usd,
                      "price", priced ? "of the sweep's file" : "assumed"));
    return rc;
}

json_t *api_sweep(struct store *s, const json_t *args, struct err *err)
{
    const int64_t sweep = json_get_int(args, "id", 0);
    json_t *out = status_sweep(s, sweep, err);
    if (out && add_facts(s, sweep, out, err) == 0 && add_used(s, sweep, out, err) == 0 &&
        add_lists(s, sweep, out, err) == 0)
        return out;
    json_decref(out);
    return NULL;
}

/* cli/ui/api/api_trial.c - /api/trial/ID, its logs, /api/compare. */
#include "cli/ui/api/api.h"
#include "cli/ui/api/trial_log.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net/url.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "tracker/claims/budget.h"
#include "tracker/live/live.h"
#include "tracker/mlflow/mlflow_ids.h"
#include "tracker/view/view.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_open(const json_t *trial)
{
    const int state = trial_state_from_name(json_get_str(trial, "state", ""));
    return state >= 0 && !trial_state_is_final((enum trial_state)state);
}

/* "mem/weights_bytes" as {"weights": n}. */
static json_t *memory_of(const json_t *metrics)
{
    static const char prefix[] = "mem/", suffix[] = "_bytes";
    json_t *out = json_object(), *v;
    const char *key;
    json_object_foreach((json_t *)metrics, key, v)
    {
        if (!str_has_prefix(key, prefix) || !str_has_suffix(key, suffix))
            continue;
        const char *name = key + sizeof prefix - 1;
        char *category = xstrndup(name, strlen(name) - (sizeof suffix - 1));
        json_object_set(out, category, v);
        free(category);
    }
    return out;
}

static double run_hours(const json_t *run)
{
    const int64_t begin = json_get_int(run, "started_ms", 0),
                  end = json_get_int(run, "ended_ms", clock_wall_ms());
    return end > begin ? (double)(end - begin) / 3.6e6 : 0;
}

/* So far, of all its runs, as budgets reckon it (budget.h). A run that came from elsewhere
 * has no cores of ours and costs what it cost there. */
static json_t *cost_of(struct store *s, const json_t *trial, struct err *err)
{
    const int64_t sweep = json_get_int(trial, "sweep", 0);
    struct store_budget b = {0};
    double core_hours = 0, hours = 0;
    json_t *run;
    size_t i;
    if (sweep && store_sweep_limits(s, sweep, &b, err) < 0)
        return NULL;
    json_array_foreach(json_object_get(trial, "runs"), i, run)
    {
        hours += run_hours(run);
        core_hours += run_hours(run) * (double)json_get_int(run, "cores", 1);
    }
    const bool gpus = b.gpus > 0 && b.usd_per_gpu_hour > 0;
    const double price = gpus                      ? b.usd_per_gpu_hour
                         : b.usd_per_core_hour > 0 ? b.usd_per_core_hour
                                                   : BUDGET_USD_PER_CORE_HOUR,
                 units = gpus ? hours * b.gpus : core_hours;
    return json_pack("{s:f, s:f, s:f, s:s, s:s}", "usd", units * price, "hours", units,
                     "usd_per_hour", price, "of", gpus ? "GPU hours" : "core hours",
                     "price",
                     gpus || b.usd_per_core_hour > 0 ? "of the sweep's file" : "assumed");
}

static const char *run_dir_of(const json_t *trial)
{
    const json_t *runs = json_object_get(trial, "runs");
    const size_t n = json_array_size(runs);
    return n ? json_get_str(json_array_get(runs, n - 1), "run_dir", NULL) : NULL;
}

/* Where a file can be fetched: MLflow's address of it (artifact_routes.c). A folder has
 * none. */
static int add_href(struct store *s, const json_t *trial, json_t *artifact,
                    struct err *err)
{
    char run[MLFLOW_RUN_ID_BYTES], experiment[MLFLOW_EXPERIMENT_ID_BYTES];
    struct stat st;
    if (stat(json_get_str(artifact, "path", ""), &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    const int rc = mlflow_run_id(s, json_get_int(artifact, "run", 0), run, err);
    if (rc < 0)
        return rc;
    mlflow_experiment_id(json_get_int(trial, "experiment", 0),
                         json_get_str(trial, "experiment_name", ""), experiment);
    char *name = url_escape(json_get_str(artifact, "name", ""), true);
    json_object_set_new(
        artifact, "href",
        json_sprintf("/api/2.0/mlflow-artifacts/artifacts/%s/%s/artifacts/%s", experiment,
                     run, name));
    free(name);
    return 0;
}

static int add_hrefs(struct store *s, const json_t *trial, struct err *err)
{
    json_t *artifact;
    size_t i;
    int rc = 0;
    json_array_foreach(json_object_get(trial, "artifacts"), i, artifact)
    {
        if (rc == 0)
            rc = add_href(s, trial, artifact, err);
    }
    return rc;
}

/* As the table calls it. */
static int add_name(struct store *s, json_t *trial, struct err *err)
{
    const int64_t id = json_get_int(trial, "id", 0);
    json_t *names = live_names(s, json_get_int(trial, "sweep", 0),
                               json_get_int(trial, "experiment", 0), &id, 1, err);
    if (!names)
        return err_code(err);
    json_object_set(trial, "name", json_array_get(names, 0));
    json_decref(names);
    return 0;
}

/* Whose run it is: for the addresses that MLflow's clients print. */
json_t *api_run(struct store *s, const json_t *args, struct err *err)
{
    const int64_t id = json_get_int(args, "id", 0);
    json_t *rows = view_rows(s, "SELECT trial FROM run_view WHERE id = ?1",
                             json_pack("[I]", (json_int_t)id), 1, err),
           *run = json_incref(json_array_get(rows, 0));
    if (rows && !run)
        err_set(err, ERR_NOINPUT, "the store has no run %lld", (long long)id);
    json_decref(rows);
    return run;
}

json_t *api_trial(struct store *s, const json_t *args, struct err *err)
{
    json_t *trial = view_trial(s, json_get_int(args, "id", 0), err),
           *cost = trial ? cost_of(s, trial, err) : NULL;
    if (!cost || add_name(s, trial, err) < 0 || add_hrefs(s, trial, err) < 0) {
        json_decref(cost);
        json_decref(trial);
        return NULL;
    }
    const json_t *runs = json_object_get(trial, "runs");
    const size_t n = json_array_size(runs);
    json_object_set_new(trial, "memory", memory_of(json_object_get(trial, "metrics")));
    json_object_set_new(trial, "cost", cost);
    json_object_set_new(trial, "logs", trial_logs(run_dir_of(trial)));
    json_object_set(trial, "environment",
                    n ? json_object_get(json_array_get(runs, n - 1), "environment")
                      : NULL);
    json_object_set_new(trial, "open", json_boolean(is_open(trial)));
    return trial;
}

json_t *api_log(struct store *s, const json_t *args, struct err *err)
{
    int64_t from, bytes;
    const char *name = json_get_str(args, "name", "output");
    int rc = api_number(args, "from", INT64_MIN / 2, INT64_MAX, 0, &from, err);
    if (rc == 0)
        rc = api_number(args, "bytes", 1, 1 << 20, 1 << 16, &bytes, err);
    if (rc < 0)
        return NULL;
    json_t *rows = view_rows(
        s,
        "SELECT t.state, r.run_dir FROM trial_view AS t LEFT JOIN run_view AS r ON "
        "r.id = t.run WHERE t.id = ?1",
        json_pack("[I]", (json_int_t)json_get_int(args, "id", 0)), 1, err);
    const json_t *row = json_array_get(rows, 0);
    json_t *out = rows ? trial_log_read(json_get_str(row, "run_dir", NULL), name, from,
                                        bytes, is_open(row), err)
                       : NULL;
    json_decref(rows);
    return out;
}

/* "[1,2]" */
static json_t *ids_text(const int64_t *ids, size_t count)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%c%lld", i ? ',' : '[', (long long)ids[i]);
    buf_str_add(&text, "]");
    json_t *out = json_string(buf_str(&text));
    buf_release(&text);
    return out;
}

/* Names tell apart within one sweep, or within one experiment. */
static int add_names(struct store *s, const int64_t *ids, size_t count, json_t *out,
                     struct err *err)
{
    json_t *rows = view_rows(s,
                             "SELECT min(ifnull(sweep, 0)) AS sweep, max(ifnull(sweep, "
                             "0)) AS other, min(experiment) AS experiment, "
                             "max(experiment) AS another FROM trial_view WHERE id IN "
                             "(SELECT value FROM json_each(?1))",
                             json_pack("[o]", ids_text(ids, count)), 1, err);
    const json_t *row = json_array_get(rows, 0);
    const int64_t sweep = json_get_int(row, "sweep", 0),
                  experiment = json_get_int(row, "experiment", 0);
    const bool one = sweep == json_get_int(row, "other", 0) &&
                     experiment == json_get_int(row, "another", 0);
    json_decref(rows);
    json_t *names =
        rows && one ? live_names(s, sweep, experiment, ids, count, err) : NULL;
    if (!rows || (one && !names))
        return err_code(err);
    json_object_set_new(out, "names", names ? names : json_array());
    return 0;
}

json_t *api_compare(struct store *s, const json_t *args, struct err *err)
{
    enum { MOST = 200 };
    int64_t *ids;
    size_t count;
    json_t *out = NULL;
    int rc = api_ids(args, "trials", &ids, &count, err);
    if (rc == 0 && (!count || count > MOST))
        rc = err_set(err, ERR_USAGE, "trials: one to %d can be compared", MOST);
    if (rc == 0)
        out = view_comparison(s, ids, count, err);
    if (out && add_names(s, ids, count, out, err) < 0) {
        json_decref(out);
        out = NULL;
    }
    free(ids);
    return out;
}

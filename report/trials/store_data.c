/* report/trials/store_data.c - see store_data.h: reading the store. */
#include "report/trials/store_data.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/trials/scope.h"
#include "tracker/view/objective.h"
#include "tracker/view/view.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TRIALS = 100000 };

/* ---- trials ---- */

static void read_trial(const struct rows *r, size_t i, struct report_trial *t)
{
    int state = trial_state_from_name(rows_text(r, i, "state"));
    *t = (struct report_trial){
        .id = rows_int(r, i, "id"),
        .seed = rows_int(r, i, "seed"),
        .started_ms = rows_int(r, i, "started_ms"),
        .ended_ms = rows_int(r, i, "ended_ms"),
        .attempts = (int)rows_int(r, i, "attempts"),
        .state = state < 0 ? TRIAL_failed : (enum trial_state)state,
        .params = rows_object(r, i, "params"),
        .config = rows_object(r, i, "config"),
        .metrics = json_object(),
        .key = xstrdup(rows_text(r, i, "key")),
        .reason = xstrdup(rows_text(r, i, "reason")),
        .sweep = xstrdup(rows_text(r, i, "sweep_name")),
        .experiment = xstrdup(rows_text(r, i, "experiment_name")),
        .spent_s = (double)rows_int(r, i, "duration_ms") / 1000,
    };
    if (!t->params)
        t->params = json_object();
    if (!t->config)
        t->config = json_object();
    if (json_object_size(t->params) == 0)
        json_object_update(t->params, t->config);
}

/* "sweep reviews", "sweeps a and b", "experiment x": as far as trials name them. */
static char *title_of(const struct rows *r, const struct scope_ids *ids)
{
    bool sweeps = json_array_size(ids->sweeps) > 0,
         both = sweeps && json_array_size(ids->experiments) > 0;
    const char *column = sweeps && !both ? "sweep_name" : "experiment_name";
    size_t n = 0;
    struct buf names = BUF_INIT;
    json_t *seen = json_object(), *none;
    const char *name;
    for (size_t i = 0; i < json_array_size(r->list); i++)
        json_object_set_new(seen, rows_text(r, i, column), json_null());
    json_object_foreach(seen, name, none)
    {
        n++;
        buf_printf(&names, "%s%s",
                   n == 1                        ? ""
                   : n == json_object_size(seen) ? " and "
                                                 : ", ",
                   name);
    }
    char *title = xasprintf("%s%s %s", sweeps && !both ? "sweep" : "experiment",
                            n > 1 ? "s" : "", buf_str(&names));
    json_decref(seen);
    buf_release(&names);
    return title;
}

/* What find_default chose, as it can be asked for again: a sweep by its number. */
static json_t *default_scope(const struct rows *r, const struct scope_ids *ids)
{
    char number[32];
    snprintf(number, sizeof number, "%lld",
             (long long)json_integer_value(json_array_get(ids->sweeps, 0)));
    return json_array_size(ids->sweeps)
               ? json_pack("{s:[s], s:[]}", "sweeps", number, "experiments")
               : json_pack("{s:[], s:[s]}", "sweeps", "experiments",
                           rows_text(r, 0, "experiment_name"));
}

static json_t *named_scope(const struct report_scope *scope)
{
    size_t n = json_array_size(scope->sweeps) + json_array_size(scope->experiments);
    return n == 0
               ? NULL
               : json_pack("{s:o, s:o}", "sweeps",
                           scope->sweeps ? json_deep_copy(scope->sweeps) : json_array(),
                           "experiments",
                           scope->experiments ? json_deep_copy(scope->experiments)
                                              : json_array());
}

/* Of trials by hand, which are all compared by what some of their files say. */
static void fill_params(struct report_data *d)
{
    json_t **params = xcalloc(d->count + 1, sizeof(json_t *));
    const json_t **configs = xcalloc(d->count + 1, sizeof(json_t *));
    for (size_t i = 0; i < d->count; i++) {
        params[i] = d->trials[i].params;
        configs[i] = *d->trials[i].sweep ? NULL : d->trials[i].config;
    }
    view_fill_params(params, configs, d->count);
    free(params);
    free(configs);
}

static int load_trials(struct store *s, const struct scope_ids *ids,
                       struct report_data *d, struct buf *hashed, struct err *err)
{
    struct rows r;
    int rc =
        rows_fetch(s,
                   "SELECT id, state, seed, key, attempts, params, config, started_ms, "
                   "ended_ms, duration_ms, reason, sweep_name, experiment_name "
                   "FROM trial_view WHERE " IS_NAMED " ORDER BY id",
                   scope_bind(ids), &r, hashed, err);
    if (rc)
        return rc;
    d->count = json_array_size(r.list);
    if (d->count == 0 || d->count > MAX_TRIALS)
        rc = err_set(err, ERR_NOINPUT,
                     d->count ? "more than 100000 trials; name a sweep with --sweep"
                              : "there are no trials to report on; 'peftlab sweep run "
                                "FILE' or 'peftlab import' adds some");
    d->trials = xcalloc(d->count + 1, sizeof *d->trials);
    for (size_t i = 0; i < d->count; i++)
        read_trial(&r, i, &d->trials[i]);
    fill_params(d);
    d->title = title_of(&r, ids);
    d->scope = d->scope ? d->scope : default_scope(&r, ids);
    d->scope_count = json_array_size(ids->sweeps) + json_array_size(ids->experiments);
    json_decref(r.result);
    return rc;
}

static struct report_trial *find_trial(struct report_data *d, int64_t id)
{
    size_t low = 0, high = d->count; /* rows come by id */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (d->trials[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < d->count && d->trials[low].id == id ? &d->trials[low] : NULL;
}

static int load_summaries(struct store *s, json_t *bind, struct report_data *d,
                          struct buf *hashed, struct err *err)
{
    struct rows r;
    int rc = rows_fetch(
        s,
        "SELECT trial, key, value, kind FROM summary_view WHERE trial IN " IN_SCOPE
        " ORDER BY trial, key",
        bind, &r, hashed, err);
    if (rc)
        return rc;
    json_t *row;
    size_t i;
    json_array_foreach(r.list, i, row)
    {
        struct report_trial *t = find_trial(d, rows_int(&r, i, "trial"));
        bool nan = str_eq(rows_text(&r, i, "kind"), "nan");
        if (t)
            json_object_set_new(t->metrics, rows_text(&r, i, "key"),
                                nan ? json_string("NaN")
                                    : json_incref(rows_cell(&r, i, "value")));
    }
    json_decref(r.result);
    return 0;
}

/* What the budget pays is what the report counts; whose trials hold GPUs. */
static int load_prices(struct store *s, json_t *bind, struct report_data *d,
                       struct err *err)
{
    struct rows r;
    int rc =
        rows_fetch(s,
                   "SELECT trial_view.id, sweep_view.id AS sweep, ifnull((budget ->> "
                   "'gpus') * (budget ->> "
                   "'usd_per_gpu_hour'), 0) AS gpu, ifnull(budget ->> "
                   "'usd_per_core_hour', 0) AS core FROM trial_view JOIN sweep_view ON "
                   "sweep_view.id = trial_view.sweep WHERE trial_view.id IN " IN_SCOPE
                   " ORDER BY sweep_view.id",
                   bind, &r, NULL, err);
    int64_t sweep = 0;
    double gpus = 0;
    for (size_t i = 0; !rc && i < json_array_size(r.list); i++) {
        struct report_trial *t = find_trial(d, rows_int(&r, i, "id"));
        json_t *file = NULL;
        if (!t)
            continue;
        if (rows_int(&r, i, "sweep") != sweep) {
            sweep = rows_int(&r, i, "sweep");
            rc = store_sweep_file(s, sweep, &file, err);
            gpus = json_get_num(json_object_get(file, "executor"), "gpus", 0);
            json_decref(file);
        }
        t->gpus = gpus;
        t->usd_per_hour = json_number_value(rows_cell(&r, i, "gpu"));
        t->usd_per_core_hour = json_number_value(rows_cell(&r, i, "core"));
    }
    json_decref(r.result);
    return rc;
}

/* No part of the hash: what is known of a method is not what was measured. */
static int load_methods(struct store *s, json_t *bind, struct report_data *d,
                        struct err *err)
{
    struct rows r;
    int rc = rows_fetch(s,
                        "SELECT id, method_facts FROM trial_view WHERE id IN " IN_SCOPE
                        " AND method_facts IS NOT NULL",
                        bind, &r, NULL, err);
    for (size_t i = 0; !rc && i < json_array_size(r.list); i++) {
        struct report_trial *t = find_trial(d, rows_int(&r, i, "id"));
        json_t *facts = rows_object(&r, i, "method_facts");
        struct method_facts read;
        if (t && method_facts_read(facts, &read)) {
            t->method = xmalloc(sizeof read);
            *t->method = read;
        }
        json_decref(facts);
    }
    if (!rc)
        json_decref(r.result);
    return rc;
}

/* All attempts count as money spent; the newest environment describes the trial. */
static int load_runs(struct store *s, json_t *bind, struct report_data *d,
                     struct buf *hashed, struct err *err)
{
    struct rows r;
    int rc = rows_fetch(
        s,
        "SELECT trial, attempt, duration_ms, environment, started_ms, ended_ms "
        "FROM run_view WHERE trial IN " IN_SCOPE " ORDER BY trial, attempt",
        bind, &r, hashed, err);
    if (rc)
        return rc;
    json_t *row;
    size_t i;
    for (size_t k = 0; k < d->count; k++)
        d->trials[k].spent_s = 0;
    json_array_foreach(r.list, i, row)
    {
        struct report_trial *t = find_trial(d, rows_int(&r, i, "trial"));
        if (!t)
            continue;
        int64_t start = rows_int(&r, i, "started_ms"), end = rows_int(&r, i, "ended_ms");
        json_t *environment = rows_object(&r, i, "environment");
        t->spent_s += (double)rows_int(&r, i, "duration_ms") / 1000;
        if (environment) {
            json_decref(t->environment);
            t->environment = environment;
        }
        if (start && (!d->first_ms || start < d->first_ms))
            d->first_ms = start;
        if (end > d->last_ms || start > d->last_ms)
            d->last_ms = end > start ? end : start;
    }
    json_decref(r.result);
    return 0;
}

/* Part of the hash where there are any: pages of stores without them keep theirs. */
static int load_row_files(struct store *s, json_t *bind, struct report_data *d,
                          struct buf *hashed, struct err *err)
{
    struct rows r;
    int rc = rows_fetch(s,
                        "SELECT trial, name, sha256 FROM artifact_view WHERE stored = 1 "
                        "AND name GLOB 'rows/*' AND sha256 IS NOT NULL AND trial "
                        "IN " IN_SCOPE " ORDER BY trial, run, name",
                        bind, &r, NULL, err);
    if (rc)
        return rc;
    d->row_files = json_incref(r.list);
    if (json_array_size(r.list))
        json_canonical(hashed, r.list);
    json_decref(r.result);
    return 0;
}

/* What the sweeps of these trials say that they are judged by. */
static int load_objectives(struct store *s, json_t *bind, struct report_data *d,
                           struct err *err)
{
    struct rows r;
    int rc = rows_fetch(s,
                        "SELECT id, name FROM sweep_view WHERE id IN (SELECT sweep FROM "
                        "trial_view WHERE " IS_NAMED ") ORDER BY id",
                        bind, &r, NULL, err);
    if (rc)
        return rc;
    d->objectives = json_array();
    for (size_t i = 0; !rc && i < json_array_size(r.list); i++) {
        json_t *own = view_objectives(s, rows_int(&r, i, "id"), err);
        rc = own ? 0 : err_code(err);
        if (json_array_size(own))
            json_array_append_new(d->objectives,
                                  json_pack("{s:s, s:O}", "sweep",
                                            rows_text(&r, i, "name"), "objectives", own));
        json_decref(own);
    }
    json_decref(r.result);
    return rc;
}

int report_data_load(struct store *s, const struct report_scope *scope,
                     struct report_data *out, struct err *err)
{
    *out = (struct report_data){.scope = named_scope(scope)};
    struct buf hashed = BUF_INIT;
    struct scope_ids ids = {json_array(), json_array()};
    int rc = scope_find(s, scope, &ids, err);
    if (!rc)
        rc = load_trials(s, &ids, out, &hashed, err);
    if (!rc)
        rc = load_summaries(s, scope_bind(&ids), out, &hashed, err);
    if (!rc)
        rc = load_runs(s, scope_bind(&ids), out, &hashed, err);
    if (!rc)
        rc = load_row_files(s, scope_bind(&ids), out, &hashed, err);
    if (!rc)
        rc = load_methods(s, scope_bind(&ids), out, err);
    if (!rc)
        rc = load_prices(s, scope_bind(&ids), out, err);
    if (!rc)
        rc = load_objectives(s, scope_bind(&ids), out, err);
    json_decref(ids.sweeps);
    json_decref(ids.experiments);
    if (!rc) {
        sha256_hex(buf_str(&hashed), hashed.len, out->rows_sha256);
        report_data_group(out, scope->group_by);
    } else {
        report_data_release(out);
    }
    buf_release(&hashed);
    return rc;
}

static void labels_release(struct report_labels *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i].id);
        free(l->items[i].label);
        json_decref(l->items[i].facts);
    }
    free(l->items);
}

void report_data_release(struct report_data *d)
{
    for (size_t i = 0; i < d->count; i++) {
        struct report_trial *t = &d->trials[i];
        json_decref(t->params);
        json_decref(t->config);
        json_decref(t->metrics);
        json_decref(t->environment);
        free(t->method);
        free(t->key);
        free(t->reason);
        free(t->sweep);
        free(t->experiment);
    }
    free(d->trials);
    free(d->title);
    json_decref(d->scope);
    json_decref(d->objectives);
    json_decref(d->row_files);
    labels_release(&d->columns);
    labels_release(&d->groups);
    labels_release(&d->variants);
    labels_release(&d->machines);
    *d = (struct report_data){0};
}

/* ---- series ---- */

json_t *report_series(struct store *s, const json_t *trial_ids, const char *key,
                      struct err *err)
{
    struct rows r;
    struct buf ids = BUF_INIT;
    json_write(&ids, trial_ids, 0);
    int rc =
        rows_fetch(s,
                   "SELECT trial, step, value FROM series_view WHERE trial IN (SELECT "
                   "value FROM json_each(?1)) AND key = ?2 ORDER BY trial, step",
                   json_pack("[s, s]", buf_str(&ids), key), &r, NULL, err);
    buf_release(&ids);
    if (rc)
        return NULL;
    json_t *list = json_incref(r.list);
    json_decref(r.result);
    return list;
}

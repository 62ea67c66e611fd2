/* tracker/worker/hand_log.c - see hand_log.h. */
#include "tracker/worker/hand_log.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/mlflow/mlflow_api.h"
#include "tracker/store/labels.h"
#include "tracker/store/store_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIND, SET_ORIGIN, SET_PARAMS, OPEN_RUN, SET_RUN, RENEW, RUNS };
static const char *const sql[] = {
    [FIND] =
        "SELECT id, state, seed, ifnull(last_run, 0), params_json, deleted_ms IS NOT "
        "NULL, json_type(config_json, '$.seed') IS NOT NULL FROM trial WHERE experiment "
        "= ?1 AND ifnull(sweep, 0) = 0 AND key = ?2",
    [SET_ORIGIN] = "UPDATE trial SET origin = ?2 WHERE id = ?1",
    [SET_PARAMS] = "UPDATE trial SET params_json = ?2, config_json = ?3, seed = ?4 WHERE "
                   "id = ?1",
    [OPEN_RUN] = "INSERT INTO run (trial, attempt, state, started_ms, heartbeat_ms, "
                 "lease_until_ms, owner_host, owner_scope, owner_pid, owner_start_ticks, "
                 "environment_json) VALUES (?1, 1, 'running', ?2, ?2, ?3, ?4, '', 0, 0, "
                 "?5) RETURNING id",
    [SET_RUN] = "UPDATE trial SET last_run = ?2, attempts = 1 WHERE id = ?1",
    [RENEW] = "UPDATE run SET state = 'running', ended_ms = NULL, reason = NULL, "
              "heartbeat_ms = ?2, lease_until_ms = ?3 WHERE id = ?1",
    [RUNS] = "UPDATE trial SET state = 'running', summary_run = NULL WHERE id = ?1",
};

/* The trial at hand. */
struct hand {
    struct store *store;
    const struct hand_log *what;
    int64_t experiment, trial, run, seed;
    bool seeded; /* somebody said the seed */
    enum trial_state state;
    json_t *params;
    char *key;
};

static int find(struct hand *h, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool deleted = false;
    int rc = store_statement(h->store, sql[FIND],
                             ARGS(A_INT(h->experiment), A_TEXT(h->key)), &stmt, err);
    if (rc == 0)
        rc = store_step(h->store, stmt, err);
    if (rc > 0) {
        const char *params = (const char *)sqlite3_column_text(stmt, 4);
        h->trial = sqlite3_column_int64(stmt, 0);
        h->state = (enum trial_state)trial_state_from_name(
            (const char *)sqlite3_column_text(stmt, 1));
        h->seed = sqlite3_column_int64(stmt, 2);
        h->run = sqlite3_column_int64(stmt, 3);
        deleted = sqlite3_column_int(stmt, 5);
        h->seeded = sqlite3_column_int(stmt, 6);
        h->params = json_parse(params, strlen(params), h->store->path, err);
        rc = h->params ? 1 : err_code(err);
    }
    if (stmt)
        store_done(stmt);
    if (rc > 0 && deleted)
        rc = err_set(err, ERR_CONFIG,
                     "'%.200s' of the experiment '%.200s' was deleted; take another name",
                     h->what->name, h->what->experiment);
    return rc;
}

static int known_otherwise(const struct hand *h, const char *key, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "the parameter '%.100s' of '%.200s' is known with another value; "
                   "parameters are written once",
                   key, h->what->name);
}

/* A parameter that is there keeps its value. The seed is no parameter, but what trials of one
 * configuration differ by. */
static int add_param(struct hand *h, const char *key, json_t *v, struct err *err)
{
    const json_t *known = json_object_get(h->params, key);
    if (str_eq(key, "seed") && json_is_integer(v) && json_integer_value(v) >= 0) {
        if (h->seeded && h->seed != json_integer_value(v))
            return known_otherwise(h, key, err);
        h->seed = json_integer_value(v);
        h->seeded = true;
        return 0;
    }
    if (known && !json_equal(known, v))
        return known_otherwise(h, key, err);
    json_object_set(h->params, key, v);
    return 0;
}

static json_t *config_of(const struct hand *h)
{
    json_t *config = json_copy(h->params);
    if (h->seeded)
        json_object_set_new(config, "seed", json_integer(h->seed));
    return config;
}

static int add_params(struct hand *h, struct err *err)
{
    const char *key;
    json_t *v, *clean = secret_json(h->what->params);
    int rc = 0;
    if (!h->params)
        h->params = json_object();
    json_object_foreach(clean, key, v)
    {
        if (rc == 0)
            rc = store_check_name("the parameter", key, err);
        if (rc == 0)
            rc = add_param(h, key, v, err);
    }
    json_decref(clean);
    return rc;
}

static int write_params(struct hand *h, struct err *err)
{
    struct buf params = BUF_INIT, config = BUF_INIT;
    json_t *tree = config_of(h);
    json_write(&params, h->params, 0);
    json_configuration(&config, tree);
    const int rc = store_exec(h->store, sql[SET_PARAMS],
                              ARGS(A_INT(h->trial), A_TEXT(buf_str(&params)),
                                   A_TEXT(buf_str(&config)), A_INT(h->seed)),
                              err);
    json_decref(tree);
    buf_release(&params);
    buf_release(&config);
    return rc < 0 ? rc : 0;
}

/* ---- a new one ---- */

static int open_run(struct hand *h, struct err *err)
{
    struct buf text = BUF_INIT;
    json_t *environment = proc_environment();
    const int64_t now = clock_wall_ms();
    json_write(&text, environment, 0);
    int rc = store_int(h->store, sql[OPEN_RUN],
                       ARGS(A_INT(h->trial), A_INT(now), A_INT(now + HAND_LEASE_MS),
                            A_TEXT(proc_host()), A_TEXT(buf_str(&text))),
                       &h->run, err);
    if (rc >= 0)
        rc =
            store_exec(h->store, sql[SET_RUN], ARGS(A_INT(h->trial), A_INT(h->run)), err);
    if (rc >= 0)
        rc = store_exec(h->store, sql[RUNS], ARGS(A_INT(h->trial)), err);
    json_decref(environment);
    buf_release(&text);
    return rc < 0 ? rc : 0;
}

static int make(struct hand *h, struct err *err)
{
    json_t *config = config_of(h);
    struct trial_row row = {.experiment = h->experiment,
                            .key = h->key,
                            .seed = (uint64_t)h->seed,
                            .config = config,
                            .params = h->params,
                            .predicted_bytes = -1,
                            .predicted_s = NAN,
                            .state = TRIAL_waiting};
    int rc = store_add_trials(h->store, &row, 1, NULL, err);
    h->trial = row.id;
    json_decref(config);
    if (rc == 0)
        rc = store_exec(h->store, sql[SET_ORIGIN],
                        ARGS(A_INT(h->trial), A_TEXT(HAND_ORIGIN)), err);
    if (rc >= 0)
        rc = store_tag(h->store, h->trial, "name", h->what->name, err);
    return rc < 0 ? rc : open_run(h, err);
}

/* ---- one that is there ---- */

static int go_on(struct hand *h, struct err *err)
{
    const int64_t now = clock_wall_ms();
    if (h->state != TRIAL_running && h->state != TRIAL_stale)
        return err_set(err, ERR_CONFIG,
                       "'%.200s' of the experiment '%.200s' has ended as %s and takes "
                       "nothing more; another --name begins another run",
                       h->what->name, h->what->experiment, trial_state_name(h->state));
    int rc = store_exec(h->store, sql[RENEW],
                        ARGS(A_INT(h->run), A_INT(now), A_INT(now + HAND_LEASE_MS)), err);
    if (rc >= 0 && h->state == TRIAL_stale)
        rc = store_exec(h->store, sql[RUNS], ARGS(A_INT(h->trial)), err);
    return rc < 0 ? rc : 0;
}

/* ---- what it says ---- */

static int write_points(struct hand *h, struct err *err)
{
    const int64_t now = clock_wall_ms();
    int rc = 0;
    for (size_t i = 0; i < h->what->count && rc == 0; i++)
        rc = store_put_metric_at(h->store, h->run, &h->what->points[i], now, err);
    return rc;
}

static int write_tags(struct hand *h, struct err *err)
{
    const char *key;
    json_t *v;
    int rc = 0;
    json_object_foreach((json_t *)h->what->tags, key, v)
    {
        if (rc == 0)
            rc = store_tag(h->store, h->trial, key, json_string_value(v), err);
    }
    return rc;
}

static int write_all(struct hand *h, struct err *err)
{
    int rc = store_experiment(h->store, h->what->experiment, &h->experiment, err);
    if (rc == 0)
        rc = find(h, err);
    const bool known = rc > 0;
    if (rc >= 0)
        rc = add_params(h, err);
    if (rc == 0)
        rc = known ? go_on(h, err) : make(h, err);
    if (rc == 0 && known && json_object_size(h->what->params) > 0)
        rc = write_params(h, err);
    if (rc == 0)
        rc = write_tags(h, err);
    if (rc == 0)
        rc = write_points(h, err);
    if (rc == 0 && h->what->end != TRIAL_running)
        rc = store_run_finish(h->store, h->run, h->what->end,
                              h->what->end == TRIAL_complete ? 0 : 1, NULL, err);
    return rc;
}

int store_log_by_hand(struct store *s, const struct hand_log *what, int64_t *trial,
                      struct err *err)
{
    struct hand h = {.store = s, .what = what};
    int reaped = 0, rc = store_check_name("the run", what->name, err);
    if (rc == 0)
        rc = mlflow_reap(s, &reaped, err);
    if (rc == 0)
        rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    h.key = xasprintf("%s:%s", HAND_ORIGIN, what->name);
    rc = store_end(s, write_all(&h, err), err);
    *trial = h.trial;
    json_decref(h.params);
    free(h.key);
    return rc < 0 ? rc : 0;
}

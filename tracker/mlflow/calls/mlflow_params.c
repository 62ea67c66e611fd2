/* tracker/mlflow/calls/mlflow_params.c - parameters of a run: written once, the same again is
 * nothing, another value is refused.
 *
 * A client's own run keeps them in its trial: config_json all, params_json those without the
 * seed, so that `report` finds the seeds of one configuration. What a program logs into a run of ours
 * is in run_param: what the sweep set stays as it is. */
#include "tracker/mlflow/flat_params.h"
#include "tracker/mlflow/mlflow_inner.h"
#include <math.h>
#include <stdio.h>

enum { CONFIG, PARAMS, SET, FIND_OWN, ADD_OWN };
static const char *const sql[] = {
    [CONFIG] = "SELECT config_json FROM trial WHERE id = ?1",
    [PARAMS] = "SELECT params_json FROM trial WHERE id = ?1",
    [SET] =
        "UPDATE trial SET config_json = ?2, params_json = ?3, seed = ?4 WHERE id = ?1",
    [FIND_OWN] = "SELECT value FROM run_param WHERE run = ?1 AND key = ?2",
    [ADD_OWN] = "INSERT INTO run_param (run, key, value) VALUES (?1, ?2, ?3)",
};

/* First column of the first row, copied; NULL: none, or failed. */
static char *read_text(struct store *s, const char *text, const struct arg *args,
                       struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    char *out = NULL;
    if (store_statement(s, text, args, &stmt, err) < 0)
        return NULL;
    if (store_step(s, stmt, err) > 0)
        out = store_column_text(stmt, 0);
    store_done(stmt);
    return out;
}

/* ---- what is known ---- */

struct known {
    json_t *config; /* of a client's run: {key: text} */
    char *params;   /* of a run of ours: JSON text */
    json_t *added;  /* {key: text} */
};

static int known_read(struct store *s, const struct mlflow_run *r, struct known *k,
                      struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    char *text =
        read_text(s, r->foreign ? sql[CONFIG] : sql[PARAMS], ARGS(A_INT(r->trial)), &err);
    *k = (struct known){.added = json_object()};
    if (text && r->foreign)
        k->config = json_parse(text, strlen(text), "config", &err);
    if (r->foreign)
        free(text);
    else
        k->params = text;
    return k->config || k->params ? 0 : mlflow_fail_store(e, &err);
}

static void known_release(struct known *k)
{
    json_decref(k->config);
    json_decref(k->added);
    free(k->params);
}

/* The value that a key has; NULL: none. The caller's. */
static char *known_value(struct store *s, const struct mlflow_run *r,
                         const struct known *k, const char *key, struct err *err)
{
    struct buf value = BUF_INIT;
    if (k->config) {
        const char *text = json_string_value(json_object_get(k->config, key));
        return text ? xstrdup(text) : NULL;
    }
    if (flat_params_find(k->params, key, &value)) {
        char *text = xstrdup(buf_str(&value));
        buf_release(&value);
        return text;
    }
    buf_release(&value);
    return read_text(s, sql[FIND_OWN], ARGS(A_INT(r->run), A_TEXT(key)), err);
}

/* ---- what is new ---- */

static int refuse_change(const struct mlflow_run *r, const char *key, const char *old,
                         const char *value, bool single, struct mlflow_error *e)
{
    if (single)
        return mlflow_fail(
            e, MLFLOW_INVALID_PARAMETER_VALUE,
            "Changing param values is not allowed. Param with key='%.300s' "
            "was already logged with value='%.300s' for run ID='%s'. "
            "Attempted logging new value '%.300s'.",
            key, old, r->id, value);
    return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                       "Changing param values is not allowed. Params were already "
                       "logged='[{'key': '%.300s', 'old_value': '%.300s', 'new_value': "
                       "'%.300s'}]' for run ID='%s'.",
                       key, old, value, r->id);
}

static int add_one(struct store *s, const struct mlflow_run *r, struct known *k,
                   const json_t *param, size_t i, bool single, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    const char *key = mlflow_text(param, "key");
    char where[32];
    snprintf(where, sizeof where, single ? "key" : "params[%zu].key", i);
    if (mlflow_check_name(where, "Param key", key, e) < 0)
        return -1;
    if (json_object_get(k->added, key))
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "Duplicate parameter keys have been submitted: ['%.300s']. "
                           "Please ensure the request contains only one param value per "
                           "param key.",
                           key);
    char *value = mlflow_kept_text(key, mlflow_text(param, "value"), MLFLOW_MAX_PARAM),
         *old = known_value(s, r, k, key, &err);
    int rc = err.code ? mlflow_fail_store(e, &err) : 0;
    if (rc == 0 && old && strcmp(old, value) != 0)
        rc = refuse_change(r, key, old, value, single, e);
    json_object_set_new(k->added, key, old ? json_null() : json_string(value));
    free(value);
    free(old);
    return rc;
}

/* ---- into the store ---- */

/* A whole number from 0 on, as text. */
static bool is_seed(const json_t *v, int64_t *seed)
{
    const char *text = json_string_value(v);
    double x = NAN;
    if (!text || !str_number(text, &x) || !(x >= 0 && x <= 9007199254740991.0) ||
        x != floor(x))
        return false;
    *seed = (int64_t)x;
    return true;
}

static int64_t take_seed(json_t *params)
{
    static const char *const names[] = {"seed", "random_seed", "data_seed"};
    int64_t seed = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (is_seed(json_object_get(params, names[i]), &seed)) {
            json_object_del(params, names[i]);
            break;
        }
    return seed;
}

static int write_config(struct store *s, const struct mlflow_run *r, json_t *config,
                        struct err *err)
{
    struct buf all = BUF_INIT, varied = BUF_INIT;
    json_t *params = json_copy(config);
    const int64_t seed = take_seed(params);
    json_configuration(&all, config);
    json_write(&varied, params, 0);
    const int rc = store_exec(s, sql[SET],
                              ARGS(A_INT(r->trial), A_TEXT(buf_str(&all)),
                                   A_TEXT(buf_str(&varied)), A_INT(seed)),
                              err);
    buf_release(&all);
    buf_release(&varied);
    json_decref(params);
    return rc;
}

static int write_added(struct store *s, const struct mlflow_run *r, struct known *k,
                       struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    const char *key;
    json_t *v;
    size_t count = 0;
    int rc = 0;
    json_object_foreach(k->added, key, v)
    {
        if (!json_is_string(v))
            continue;
        count++;
        if (k->config)
            json_object_set(k->config, key, v);
        else if (rc >= 0)
            rc = store_exec(
                s, sql[ADD_OWN],
                ARGS(A_INT(r->run), A_TEXT(key), A_TEXT(json_string_value(v))), &err);
    }
    if (k->config && count > 0)
        rc = write_config(s, r, k->config, &err);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

int mlflow_put_params(struct store *s, const struct mlflow_run *r, const json_t *params,
                      bool single, struct mlflow_error *e)
{
    struct known k;
    const json_t *param;
    size_t i;
    if (json_array_size(params) == 0)
        return 0;
    if (mlflow_check_pairs("params", params, e) < 0)
        return -1;
    int rc = known_read(s, r, &k, e);
    json_array_foreach((json_t *)params, i, param)
    {
        if (rc == 0)
            rc = add_one(s, r, &k, param, i, single, e);
    }
    if (rc == 0)
        rc = write_added(s, r, &k, e);
    known_release(&k);
    return rc;
}

CALL(log_param)
{
    (void)answer;
    struct mlflow_run r;
    if (mlflow_find_active_run(s, fields, &r, e) < 0 || mlflow_touch(s, &r, e) < 0)
        return -1;
    json_t *list = json_pack("[{s:O, s:s}]", "key", json_object_get(fields, "key"),
                             "value", mlflow_text(fields, "value"));
    const int rc = mlflow_put_params(s, &r, list, true, e);
    json_decref(list);
    return rc;
}

/* tracker/store/trials.c - trials: adding, reading, putting back. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/store/store_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ADD,
    FIND,
    GET,
    RETRY,
    SPARE,
    UNSPARE,
    ASK_STOP,
    IS_TAKEN,
    REVIVE,
};
static const char *const sql[] = {
    [ADD] = "INSERT INTO trial (experiment, sweep, number, key, seed, base_dir, "
            "config_json, params_json, predicted_bytes, predicted_s, state, created_ms, "
            "parent, warm) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) "
            "ON CONFLICT DO NOTHING",
    [FIND] =
        "SELECT id, state, attempts, deleted_ms FROM trial WHERE experiment = ?1 AND "
        "ifnull(sweep, 0) = ?2 AND key = ?3 AND seed = ?4",
    [GET] = "SELECT id, ifnull(sweep, 0), experiment, number, key, seed, base_dir, "
            "config_json, params_json, ifnull(predicted_bytes, -1), predicted_s, "
            "attempts, state, ifnull(parent, 0), warm FROM trial WHERE id = ?1",
    [RETRY] = "UPDATE trial SET state = 'waiting', lost = 0, stop_asked = 0 WHERE "
              "sweep = ?1 AND state IN ('failed', 'oom', 'nan', 'timeout', 'stale')",
    [SPARE] = "UPDATE trial SET state = 'spared', stop_reason = ?2 WHERE sweep = ?1 AND "
              "state = 'waiting' AND last_run IS NULL",
    [UNSPARE] = "UPDATE trial SET state = 'waiting', stop_reason = NULL WHERE sweep = ?1 "
                "AND state = 'spared'",
    [ASK_STOP] = "UPDATE trial SET stop_asked = 1 WHERE id = ?1 AND state = 'running'",
    [IS_TAKEN] = "SELECT count(*) FROM trial WHERE sweep = ?1 AND number >= ?2 AND "
                 "parent IS NULL",
    [REVIVE] = "UPDATE trial SET deleted_ms = NULL WHERE id = ?1",
};

static const char *const state_names[TRIAL_STATE_COUNT] = {
#define X(name) #name,
    TRIAL_STATES(X)
#undef X
};

const char *trial_state_name(enum trial_state s)
{
    return (unsigned)s < TRIAL_STATE_COUNT ? state_names[s] : "unknown";
}

int trial_state_from_name(const char *name)
{
    for (int i = 0; name && i < TRIAL_STATE_COUNT; i++)
        if (!strcmp(state_names[i], name))
            return i;
    return -1;
}

bool trial_state_is_final(enum trial_state s)
{
    return s != TRIAL_waiting && s != TRIAL_running && s != TRIAL_preempted &&
           s != TRIAL_stale;
}

enum trial_state trial_state_after(enum err_code code)
{
    static const struct {
        enum err_code code;
        enum trial_state state;
    } ends[] = {{ERR_OK, TRIAL_complete},
                {ERR_NAN, TRIAL_nan},
                {ERR_NOMEM, TRIAL_oom},
                {ERR_BUSY, TRIAL_preempted}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (ends[i].code == code)
            return ends[i].state;
    return TRIAL_failed;
}

void trial_row_release(struct trial_row *t)
{
    free((char *)t->key);
    free((char *)t->base_dir);
    json_decref(t->config);
    json_decref(t->params);
    *t = (struct trial_row){0};
}

static int check_row(const struct trial_row *t, struct err *err)
{
    if (!t->experiment || !t->config || !t->key)
        return err_set(err, ERR_BUG, "a trial without %s was added; this is a bug",
                       !t->experiment ? "experiment"
                       : !t->config   ? "configuration"
                                      : "key");
    if (t->seed > INT64_MAX)
        return err_set(err, ERR_CONFIG, "seed must be below 2^63, got %llu",
                       (unsigned long long)t->seed);
    if (t->state == TRIAL_running)
        return err_set(err, ERR_BUG, "a trial cannot be added as running; this is a bug");
    return store_check_name("the trial (its key)", t->key, err);
}

static int add_row(struct store *s, const struct trial_row *t, int64_t now,
                   struct err *err)
{
    struct buf config = BUF_INIT, params = BUF_INIT;
    json_configuration(&config, t->config);
    if (t->params)
        json_write(&params, t->params, 0);
    else
        buf_str_add(&params, "{}");
    int rc =
        store_exec(s, sql[ADD],
                   ARGS(A_INT(t->experiment), A_ID(t->sweep), A_INT(t->number),
                        A_TEXT(t->key), A_INT((int64_t)t->seed),
                        A_TEXT(t->base_dir ? t->base_dir : "."), A_TEXT(buf_str(&config)),
                        A_TEXT(buf_str(&params)), A_SIZE(t->predicted_bytes),
                        A_REAL(t->predicted_s), A_TEXT(trial_state_name(t->state)),
                        A_INT(now), A_ID(t->parent), A_INT(t->warm)),
                   err);
    buf_release(&config);
    buf_release(&params);
    return rc;
}

/* Whoever adds a trial that was deleted wants it back. */
static int find_row(struct store *s, struct trial_row *t, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool deleted = false;
    int rc = store_statement(s, sql[FIND],
                             ARGS(A_INT(t->experiment), A_INT(t->sweep), A_TEXT(t->key),
                                  A_INT((int64_t)t->seed)),
                             &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    if (rc > 0) {
        int state = trial_state_from_name((const char *)sqlite3_column_text(stmt, 1));
        t->id = sqlite3_column_int64(stmt, 0);
        t->state = (enum trial_state)state; /* CHECK allows only known names */
        t->attempts = sqlite3_column_int(stmt, 2);
        deleted = sqlite3_column_type(stmt, 3) != SQLITE_NULL;
    } else if (rc == 0) {
        rc = err_set(err, ERR_BUG, "store '%s': trial just added is not there", s->path);
    }
    store_done(stmt);
    return deleted ? store_exec(s, sql[REVIVE], ARGS(A_INT(t->id)), err) : rc;
}

/* `next`: only while the first row's number is above all of its sweep. */
static int add_rows(struct store *s, struct trial_row *rows, size_t count, bool next,
                    size_t *added, struct err *err)
{
    size_t new_rows = 0;
    int64_t now = clock_wall_ms(), taken = 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = check_row(&rows[i], err);
    if (rc == 0)
        rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    if (next && count)
        rc = store_int(s, sql[IS_TAKEN], ARGS(A_INT(rows->sweep), A_INT(rows->number)),
                       &taken, err);
    for (size_t i = 0; i < count && rc >= 0 && !taken; i++) {
        rc = add_row(s, &rows[i], now, err);
        new_rows += rc > 0;
        if (rc >= 0)
            rc = find_row(s, &rows[i], err);
    }
    rc = store_end(s, rc, err);
    if (rc < 0)
        return rc;
    if (added)
        *added = new_rows;
    return taken != 0;
}

int store_add_trials(struct store *s, struct trial_row *rows, size_t count, size_t *added,
                     struct err *err)
{
    return add_rows(s, rows, count, false, added, err);
}

int store_add_next(struct store *s, struct trial_row *rows, size_t count, size_t *added,
                   struct err *err)
{
    return add_rows(s, rows, count, true, added, err);
}

static json_t *column_json(struct store *s, sqlite3_stmt *stmt, int column,
                           struct err *err)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    if (!text)
        return json_null();
    return json_parse(text, strlen(text), s->path, err);
}

int store_get_trial(struct store *s, int64_t id, struct trial_row *out, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[GET], ARGS(A_INT(id)), &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    if (rc > 0) {
        *out = (struct trial_row){
            .id = sqlite3_column_int64(stmt, 0),
            .sweep = sqlite3_column_int64(stmt, 1),
            .experiment = sqlite3_column_int64(stmt, 2),
            .number = sqlite3_column_int64(stmt, 3),
            .key = store_column_text(stmt, 4),
            .seed = (uint64_t)sqlite3_column_int64(stmt, 5),
            .base_dir = store_column_text(stmt, 6),
            .config = column_json(s, stmt, 7, err),
            .params = column_json(s, stmt, 8, err),
            .predicted_bytes = sqlite3_column_int64(stmt, 9),
            .predicted_s = sqlite3_column_type(stmt, 10) == SQLITE_NULL
                               ? NAN
                               : sqlite3_column_double(stmt, 10),
            .attempts = sqlite3_column_int(stmt, 11),
            .state = (enum trial_state)trial_state_from_name(
                (const char *)sqlite3_column_text(stmt, 12)),
            .parent = sqlite3_column_int64(stmt, 13),
            .warm = sqlite3_column_int(stmt, 14) != 0,
        };
        rc = 0;
        if (!out->config || !out->params) {
            trial_row_release(out);
            rc = err_context(err, "trial %lld: ", (long long)id);
        }
    } else if (rc == 0) {
        rc = err_set(err, ERR_NOINPUT,
                     "store '%s' has no trial %lld; 'peftlab ls' lists them", s->path,
                     (long long)id);
    }
    store_done(stmt);
    return rc;
}

/* One UPDATE in a transaction of its own; the number of rows changed. */
static int update(struct store *s, const char *text, const struct arg *args,
                  struct err *err)
{
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    return store_end(s, store_exec(s, text, args, err), err);
}

int store_retry(struct store *s, int64_t sweep, int *count, struct err *err)
{
    int rc = update(s, sql[RETRY], ARGS(A_INT(sweep)), err);
    if (rc < 0)
        return rc;
    if (count)
        *count = rc;
    return 0;
}

int store_spare(struct store *s, int64_t sweep, const char *reason, struct err *err)
{
    char *why = store_repair_text(reason);
    int rc = update(s, sql[SPARE], ARGS(A_INT(sweep), A_TEXT(why)), err);
    free(why);
    return rc;
}

int store_unspare(struct store *s, int64_t sweep, struct err *err)
{
    return update(s, sql[UNSPARE], ARGS(A_INT(sweep)), err);
}

int store_trial_stop(struct store *s, int64_t trial, struct err *err)
{
    return update(s, sql[ASK_STOP], ARGS(A_INT(trial)), err);
}

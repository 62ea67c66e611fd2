/* tracker/store/catalog.c - experiments and sweeps. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <stdlib.h>
#include <string.h>

enum {
    EXPERIMENT_FIND,
    EXPERIMENT_ADD,
    EXPERIMENT_REVIVE,
    SWEEP_FIND,
    SWEEP_ADD,
    SWEEP_BY_ID,
    SWEEP_BY_NAME,
    SWEEP_NAMES,
    SWEEP_STOP,
    SWEEP_STOPPED,
    SWEEP_FILE,
};
static const char *const sql[] = {
    [EXPERIMENT_FIND] = "SELECT id FROM experiment WHERE name = ?1 AND deleted_ms IS "
                        "NULL",
    [EXPERIMENT_ADD] = "INSERT INTO experiment (name, created_ms) VALUES (?1, ?2) "
                       "ON CONFLICT (name) DO UPDATE SET name = name RETURNING id",
    [EXPERIMENT_REVIVE] =
        "UPDATE experiment SET deleted_ms = NULL, updated_ms = ?2 WHERE id = ?1 AND "
        "deleted_ms IS NOT NULL",
    [SWEEP_FIND] = "SELECT id FROM sweep WHERE experiment = ?1 AND name = ?2",
    [SWEEP_ADD] = "INSERT INTO sweep (experiment, name, file_json, base_dir, created_ms) "
                  "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (experiment, name) "
                  "DO UPDATE SET file_json = excluded.file_json, "
                  "base_dir = excluded.base_dir RETURNING id",
    [SWEEP_BY_ID] = "SELECT id FROM sweep WHERE id = ?1",
    [SWEEP_BY_NAME] = "SELECT id, (SELECT count(*) FROM sweep WHERE name = ?1) "
                      "FROM sweep WHERE name = ?1 ORDER BY id DESC LIMIT 1",
    [SWEEP_NAMES] = "SELECT name FROM sweep ORDER BY id DESC LIMIT 1000",
    [SWEEP_STOP] = "UPDATE sweep SET stopped = ?2 WHERE id = ?1",
    [SWEEP_STOPPED] = "SELECT stopped FROM sweep WHERE id = ?1",
    [SWEEP_FILE] = "SELECT file_json FROM sweep WHERE id = ?1",
};

/* One that was deleted is wanted again; its trials stay deleted. */
int store_experiment(struct store *s, const char *name, int64_t *id, struct err *err)
{
    int rc = store_check_name("the experiment", name, err);
    if (rc < 0)
        return rc;
    rc = store_int(s, sql[EXPERIMENT_FIND], ARGS(A_TEXT(name)), id, err);
    if (rc != 0) /* there already, or failed */
        return rc < 0 ? rc : 0;
    rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    rc = store_int(s, sql[EXPERIMENT_ADD], ARGS(A_TEXT(name), A_INT(clock_wall_ms())), id,
                   err);
    if (rc >= 0)
        rc = store_exec(s, sql[EXPERIMENT_REVIVE],
                        ARGS(A_INT(*id), A_INT(clock_wall_ms())), err);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

int store_sweep(struct store *s, int64_t experiment, const char *name, const json_t *file,
                const char *base_dir, int64_t *id, struct err *err)
{
    int rc = store_check_name("the sweep", name, err);
    if (rc < 0)
        return rc;
    rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    struct buf text = BUF_INIT;
    json_write(&text, file, 0);
    rc = store_int(s, sql[SWEEP_ADD],
                   ARGS(A_INT(experiment), A_TEXT(name), A_TEXT(buf_str(&text)),
                        A_TEXT(base_dir ? base_dir : "."), A_INT(clock_wall_ms())),
                   id, err);
    buf_release(&text);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

static int unknown_sweep(struct store *s, const char *name, struct err *err)
{
    char **names = NULL;
    size_t count = 0, cap = 0;
    sqlite3_stmt *stmt = NULL;
    if (store_statement(s, sql[SWEEP_NAMES], NULL, &stmt, NULL) == 0) {
        while (store_step(s, stmt, NULL) > 0) {
            names = xgrow(names, &cap, count + 1, sizeof *names);
            names[count++] = store_column_text(stmt, 0);
        }
        store_done(stmt);
    }
    const char *near = str_nearest(name, (const char *const *)names, count);
    char *clean = str_clean(name, strlen(name));
    char *hint = near ? str_clean(near, strlen(near)) : NULL;
    int rc =
        err_set(err, ERR_NOINPUT, "store '%s' has no sweep '%.200s'%s%.200s%s", s->path,
                clean, hint ? " (did you mean '" : "",
                hint ? hint : "; 'peftlab ls --sweeps' lists them", hint ? "'?)" : "");
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    free(clean);
    free(hint);
    return rc;
}

/* A name wins over a number: a sweep called "3" is found by "3". Of sweeps with the same
 * name in several experiments the newest is meant. */
int store_find_sweep(struct store *s, const char *name_or_id, int64_t *id,
                     struct err *err)
{
    int rc = store_int(s, sql[SWEEP_BY_NAME], ARGS(A_TEXT(name_or_id)), id, err);
    if (rc == 0 && *name_or_id && name_or_id[strspn(name_or_id, "0123456789")] == '\0')
        rc = store_int(s, sql[SWEEP_BY_ID], ARGS(A_INT(strtoll(name_or_id, NULL, 10))),
                       id, err);
    if (rc == 0)
        return unknown_sweep(s, name_or_id, err);
    return rc < 0 ? rc : 0;
}

int store_sweep_stop(struct store *s, int64_t sweep, bool stop, struct err *err)
{
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    rc = store_exec(s, sql[SWEEP_STOP], ARGS(A_INT(sweep), A_INT(stop)), err);
    if (rc == 0)
        rc = err_set(err, ERR_NOINPUT, "store '%s' has no sweep %lld", s->path,
                     (long long)sweep);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

int store_sweep_stopped(struct store *s, int64_t sweep, bool *stopped, struct err *err)
{
    int64_t value = 0;
    int rc = store_int(s, sql[SWEEP_STOPPED], ARGS(A_INT(sweep)), &value, err);
    if (rc == 0)
        return err_set(err, ERR_NOINPUT, "store '%s' has no sweep %lld", s->path,
                       (long long)sweep);
    *stopped = value != 0;
    return rc < 0 ? rc : 0;
}

int store_sweep_file(struct store *s, int64_t sweep, json_t **file, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[SWEEP_FILE], ARGS(A_INT(sweep)), &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    if (rc > 0) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        *file = json_parse(text, strlen(text), s->path, err);
        rc = *file ? 0 : err_context(err, "sweep %lld: ", (long long)sweep);
    } else if (rc == 0) {
        rc = err_set(err, ERR_NOINPUT, "store '%s' has no sweep %lld", s->path,
                     (long long)sweep);
    }
    store_done(stmt);
    return rc;
}

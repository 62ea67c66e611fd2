/* tracker/foreign/trackio.c - runs in Trackio's SQLite file, one of which is a project.
 *
 * The project, named as the file is, is the experiment; a run is a trial, named by its
 * identifier, which is its name in files of before 2026 (no column run_id). Values are JSON
 * objects, nested names are joined by "."; NaN and infinities are words. Names in the
 * configuration that begin with "_" are Trackio's own; of them the group is a tag. The file
 * does not say how a run ended: all are complete, but those that somebody is still writing,
 * who has the file open and wrote in the last ten minutes, are left out. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "tracker/foreign/foreign_run.h"
#include "tracker/foreign/found_files.h"
#include "tracker/foreign/tables.h"
#include <stdlib.h>
#include <string.h>

#define TRACKIO_TABLES "metrics|configs"
#define MS(time)       "CAST((julianday(" time ") - 2440587.5) * 86400000 AS INTEGER)"

struct trackio {
    struct foreign *into;
    struct tables tables;
    char *project;
    const char *id; /* the column that tells runs apart */
    size_t runs;
};

bool foreign_is_trackio(const char *path)
{
    return tables_look(path, TRACKIO_TABLES "|project_metadata") ||
           (str_has_suffix(path, ".db") &&
            tables_look(path, TRACKIO_TABLES "|system_metrics"));
}

static int take_values(struct foreign_run *r, const char *prefix, const json_t *tree,
                       int64_t step, struct err *err)
{
    const char *key;
    json_t *v;
    int rc = 0;
    json_object_foreach((json_t *)tree, key, v)
    {
        char *name = *prefix ? xasprintf("%s.%s", prefix, key) : xstrdup(key);
        double x;
        if (json_as_number(v, &x))
            rc = foreign_value(r, name, step, x, err);
        else if (json_is_object(v) && !json_object_get(v, "_type"))
            rc = take_values(r, name, v, step, err);
        else if (!json_is_null(v))
            foreign_left_out(r->into, "texts, media and tables among values", 1);
        free(name);
        if (rc < 0)
            break;
    }
    return rc;
}

static int take_row(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct foreign_run *r = ctx;
    size_t len;
    const char *text = column_text(row, 1, &len);
    const int64_t step = sqlite3_column_int64(row, 0);
    json_t *tree = foreign_json(text, len);
    int rc = 0;
    r->at_ms = sqlite3_column_int64(row, 2);
    if (!json_is_object(tree) || step < 0)
        foreign_left_out(r->into, "rows that are no values", 1);
    else
        rc = take_values(r, "", tree, step, err);
    json_decref(tree);
    return rc;
}

static int take_config(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct foreign_run *r = ctx;
    size_t len;
    const char *text = column_text(row, 0, &len), *key;
    json_t *tree = foreign_json(text, len), *v;
    void *next;
    (void)err;
    foreign_left_out(r->into, "configurations that are no JSON object",
                     !json_is_object(tree));
    const char *group = json_get_str(tree, "_Group", NULL);
    if (group)
        foreign_tag(r, "group", group, strlen(group));
    json_object_foreach_safe(tree, next, key, v)
    {
        if (*key == '_')
            json_object_del(tree, key);
    }
    foreign_flatten(r->params, "", tree);
    json_decref(tree);
    return 0;
}

static int take_alert(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct foreign_run *r = ctx;
    char *text = NULL;
    size_t len;
    const char *said = column_text(row, 1, &len);
    (void)err;
    foreign_text(&text, said, len);
    json_array_append_new(r->events,
                          json_pack("[I, s, s]", (json_int_t)sqlite3_column_int64(row, 0),
                                    "alert", text ? text : ""));
    free(text);
    return 0;
}

/* `sql` has %s where the column goes that tells runs apart. */
static int ask(struct trackio *t, const char *sql, const char *id, tables_row *take,
               struct foreign_run *r, struct err *err)
{
    const char *place = strstr(sql, "%s");
    char *text =
        xasprintf("%.*s%s%s", (int)(place - sql), sql, t->id, place + strlen("%s"));
    const int rc = tables_each(&t->tables, text, id, 0, take, r, err);
    free(text);
    return rc;
}

static int fill_run(struct trackio *t, struct foreign_run *r, const char *id,
                    struct err *err)
{
    int rc = ask(t, "SELECT config FROM configs WHERE %s = ?1 ORDER BY id", id,
                 take_config, r, err);
    if (rc == 0)
        rc = ask(
            t,
            "SELECT step, metrics, " MS("timestamp") " FROM metrics WHERE %s = ?1 ORDER "
                                                     "BY step, id",
            id, take_row, r, err);
    if (rc == 0 && tables_has(&t->tables, "alerts"))
        rc = ask(t,
                 "SELECT " MS("timestamp") ", title || ifnull(': ' || text, '') "
                                           "FROM alerts WHERE %s = ?1 ORDER BY id",
                 id, take_alert, r, err);
    return rc;
}

static int take_run(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct trackio *t = ctx;
    struct foreign_run r;
    size_t len;
    int rc = 0;
    if (++t->runs > FOREIGN_MAX_RUNS)
        return err_set(err, ERR_CONFIG, "it has more than %d runs", FOREIGN_MAX_RUNS);
    const int64_t ended_ms = sqlite3_column_int64(row, 3);
    foreign_run_init(&r, t->into, "trackio");
    if (t->tables.growing && clock_wall_ms() - ended_ms < FOUND_QUIET_MS &&
        foreign_goes_on(&r)) {
        foreign_run_release(&r);
        return 0;
    }
    char *id = xstrdup(column_text(row, 0, NULL));
    const char *name = column_text(row, 1, &len);
    foreign_text(&r.id, id, strlen(id));
    foreign_text(&r.name, name, len);
    foreign_text(&r.experiment, t->project, strlen(t->project));
    foreign_text(&r.folder, t->tables.path, strlen(t->tables.path));
    r.started_ms = sqlite3_column_int64(row, 2);
    r.ended_ms = ended_ms;
    rc = fill_run(t, &r, id, err);
    if (rc == 0)
        rc = foreign_give(&r, err);
    free(id);
    foreign_run_release(&r);
    return rc;
}

/* A count, and what is counted. */
static int take_count(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct trackio *t = ctx;
    const int64_t n = sqlite3_column_int64(row, 0);
    (void)err;
    if (n > 0)
        foreign_left_out(t->into, column_text(row, 1, NULL), (size_t)n);
    return 0;
}

static int read_all(struct trackio *t, struct err *err)
{
    int rc = tables_need(&t->tables, TRACKIO_TABLES, "file of Trackio", err);
    if (rc)
        return rc;
    t->id = tables_has_column(&t->tables, "metrics", "run_id") ? "run_id" : "run_name";
    char *sql = xasprintf("SELECT %s, min(run_name), min(" MS("timestamp") "), max(" MS(
                              "timestamp") ") FROM metrics GROUP BY 1 ORDER BY min(id)",
                          t->id);
    rc = tables_each(&t->tables, sql, NULL, 0, take_run, t, err);
    free(sql);
    sql =
        xasprintf("SELECT count(*), 'runs without a value' FROM configs WHERE %s NOT IN "
                  "(SELECT %s FROM metrics)",
                  t->id, t->id);
    if (rc == 0)
        rc = tables_each(&t->tables, sql, NULL, 0, take_count, t, err);
    free(sql);
    if (rc == 0 && tables_has(&t->tables, "system_metrics"))
        rc = tables_each(&t->tables,
                         "SELECT count(*), 'readings of the machine' FROM system_metrics",
                         NULL, 0, take_count, t, err);
    return rc;
}

int foreign_read_trackio(struct foreign *f, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t n = strlen(name) - (str_has_suffix(name, ".db") ? strlen(".db") : 0);
    struct trackio t = {.into = f, .project = xstrndup(name, n)};
    int rc = tables_open(&t.tables, path, err);
    if (rc == 0) {
        rc = read_all(&t, err);
        tables_close(&t.tables);
    }
    free(t.project);
    return rc < 0 ? err_context(err, "%s: ", path) : 0;
}

/* tracker/foreign/mlflow.c - runs in MLflow's SQLite store (of August 2022 and
 * later).
 *
 * Experiments are experiments, a run is a trial, named by its identifier there; the rest as
 * mlflow_parts.h says. A metric's value at a step is the newest by time; the store writes
 * infinity as the largest double. A run that goes on is one of a file that somebody has
 * open. */
#include "lib/mem.h"
#include "tracker/foreign/mlflow_parts.h"
#include "tracker/foreign/tables.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MLFLOW_TABLES "experiments|runs|params|metrics|tags|alembic_version"

struct mlflow {
    struct foreign *into;
    struct tables tables;
    size_t runs;
};

bool foreign_is_mlflow(const char *path)
{
    return tables_look(path, MLFLOW_TABLES);
}

static int take_param(void *ctx, sqlite3_stmt *row, struct err *err)
{
    size_t len;
    const char *key = column_text(row, 0, NULL), *text = column_text(row, 1, &len);
    (void)err;
    mlflow_param(ctx, key, text, len);
    return 0;
}

static int take_metric(void *ctx, sqlite3_stmt *row, struct err *err)
{
    double value = sqlite3_column_double(row, 2);
    if (sqlite3_column_int(row, 3))
        value = NAN;
    else if (fabs(value) >= DBL_MAX)
        value = value > 0 ? INFINITY : -INFINITY;
    struct foreign_run *r = ctx;
    r->at_ms = sqlite3_column_int64(row, 4);
    return foreign_value(r, column_text(row, 0, NULL), sqlite3_column_int64(row, 1),
                         value, err);
}

static int take_tag(void *ctx, sqlite3_stmt *row, struct err *err)
{
    size_t len;
    const char *key = column_text(row, 0, NULL), *text = column_text(row, 1, &len);
    (void)err;
    mlflow_tag(ctx, key, text, len);
    return 0;
}

static int fill_run(struct mlflow *m, struct foreign_run *r, const char *id,
                    struct err *err)
{
    static const struct {
        const char *sql;
        tables_row *take;
    } parts[] = {
        {"SELECT key, value FROM params WHERE run_uuid = ?1 ORDER BY key", take_param},
        {"SELECT key, step, value, is_nan, timestamp FROM metrics WHERE run_uuid = ?1 "
         "ORDER BY key, step, timestamp, is_nan, value",
         take_metric},
        {"SELECT key, value FROM tags WHERE run_uuid = ?1 ORDER BY key", take_tag},
    };
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts) && rc == 0; i++)
        rc = tables_each(&m->tables, parts[i].sql, id, 0, parts[i].take, r, err);
    return rc;
}

static int take_run(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct mlflow *m = ctx;
    struct foreign_run r;
    size_t len;
    int rc = 0;
    if (++m->runs > FOREIGN_MAX_RUNS)
        return err_set(err, ERR_CONFIG, "it has more than %d runs", FOREIGN_MAX_RUNS);
    if (sqlite3_column_int(row, 5))
        return foreign_left_out(m->into, "deleted runs", 1), 0;
    foreign_run_init(&r, m->into, "mlflow");
    if (mlflow_state(&r, column_text(row, 1, NULL), m->tables.growing)) {
        char *id = xstrdup(column_text(row, 0, NULL));
        const char *experiment = column_text(row, 4, &len);
        foreign_text(&r.id, id, strlen(id));
        foreign_text(&r.experiment, experiment, len);
        foreign_text(&r.folder, m->tables.path, strlen(m->tables.path));
        r.started_ms = sqlite3_column_int64(row, 2);
        r.ended_ms = sqlite3_column_int64(row, 3);
        rc = fill_run(m, &r, id, err);
        if (rc == 0)
            rc = foreign_give(&r, err);
        free(id);
    }
    foreign_run_release(&r);
    return rc;
}

/* What a version is called says nothing of its order. The column that runs.deleted_time is
 * came in July 2022; older stores are refused, newer ones read as long as they have what
 * is asked here. */
static int check_version(struct mlflow *m, struct err *err)
{
    int rc = tables_need(&m->tables, MLFLOW_TABLES, "store of MLflow", err);
    if (rc == 0 && !tables_has_column(&m->tables, "runs", "deleted_time")) {
        char *version =
            tables_text(&m->tables, "SELECT version_num FROM alembic_version", NULL, 0);
        char *clean = NULL;
        foreign_text(&clean, version ? version : "", version ? strlen(version) : 0);
        rc =
            err_set(err, ERR_CONFIG,
                    "version '%.40s' of MLflow's store, from before August 2022; 'mlflow "
                    "db upgrade' renews it",
                    clean);
        free(clean);
        free(version);
    }
    return rc;
}

int foreign_read_mlflow(struct foreign *f, const char *path, struct err *err)
{
    struct mlflow m = {.into = f};
    int rc = tables_open(&m.tables, path, err);
    if (rc == 0) {
        rc = check_version(&m, err);
        if (rc == 0)
            rc = tables_each(
                &m.tables,
                "SELECT run_uuid, status, start_time, end_time, e.name, "
                "runs.lifecycle_stage IS NOT 'active' OR e.lifecycle_stage IS NOT "
                "'active' FROM runs JOIN experiments e USING (experiment_id) "
                "ORDER BY start_time, runs.rowid",
                NULL, 0, take_run, &m, err);
        tables_close(&m.tables);
    }
    return rc < 0 ? err_context(err, "%s: ", path) : 0;
}

/* tracker/exchange/export.c - trials out of a store; see exchange.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/exchange/exchange.h"
#include "tracker/store/store_priv.h"
#include "tracker/store/upkeep.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPERIMENTS,
    SWEEPS,
    TRIALS,
    EXPERIMENT_TAGS,
    TAGS,
    RUNS,
    SUMMARY,
    SERIES,
    MORE,
    EVENTS,
    ARTIFACTS,
    DATASETS,
    PARAMS,
};
/* Columns named as in the objects; those in `json_columns` hold JSON text. ?1 is an
 * experiment, ?2 a sweep, 0: any; below TRIALS ?1 is what they belong to. */
#define VALUE                                                                            \
    "CASE kind WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-Infinity' "        \
    "WHEN 4 THEN -0.0 ELSE value END"
static const char *const sql[] = {
    [EXPERIMENTS] = "SELECT 'experiment' AS type, id, name, created_ms, deleted_ms, "
                    "updated_ms, artifact_location FROM experiment "
                    "WHERE (?1 = 0 OR id = ?1) AND (?2 = 0 OR id = (SELECT experiment "
                    "FROM sweep WHERE id = ?2)) ORDER BY id",
    [SWEEPS] =
        "SELECT 'sweep' AS type, sweep.id, experiment.name AS experiment, "
        "sweep.name, file_json AS file, base_dir, stopped, sweep.created_ms, note, "
        "budget_json AS budget FROM sweep JOIN experiment ON experiment.id = "
        "sweep.experiment WHERE (?1 = 0 OR experiment.id = ?1) AND (?2 = 0 OR "
        "sweep.id = ?2) ORDER BY sweep.id",
    [TRIALS] =
        "SELECT 'trial' AS type, trial.id, experiment.name AS experiment, "
        "sweep.name AS sweep, number, key, seed, state, attempts, lost, "
        "trial.base_dir, config_json AS config, params_json AS params, "
        "predicted_bytes, predicted_s, trial.created_ms, parent, warm, trial.note, "
        "trial.deleted_ms, origin, "
        "(SELECT attempt FROM run WHERE run.id = summary_run) AS summary_attempt "
        "FROM trial JOIN experiment ON experiment.id = trial.experiment "
        "LEFT JOIN sweep ON sweep.id = trial.sweep WHERE (?1 = 0 OR "
        "trial.experiment = ?1) AND (?2 = 0 OR trial.sweep = ?2) AND (?3 = 0 OR "
        "trial.id = ?3) ORDER BY trial.id",
    [EXPERIMENT_TAGS] =
        "SELECT key, value FROM experiment_tag WHERE experiment = ?1 ORDER BY key",
    [TAGS] = "SELECT key, value FROM tag WHERE trial = ?1 ORDER BY key",
    [RUNS] = ("SELECT id, attempt, state, exit_code, reason, run_dir, started_ms, "
              "ended_ms, until_step, cores, owner_host, environment_json AS environment, "
              "method_json AS method_facts "
              "FROM run "
              "WHERE trial = ?1 ORDER BY attempt"),
    [SUMMARY] = ("SELECT name, " VALUE " FROM run_summary JOIN metric_key ON "
                 "metric_key.id = run_summary.key WHERE run = ?1 ORDER BY name"),
    [SERIES] = ("SELECT name, step, " VALUE ", at_ms FROM metric JOIN metric_key ON "
                "metric_key.id = metric.key WHERE run = ?1 ORDER BY name, step"),
    [MORE] =
        ("SELECT name, step, " VALUE ", at_ms FROM metric_more JOIN metric_key ON "
         "metric_key.id = metric_more.key WHERE run = ?1 ORDER BY name, step, at_ms"),
    [EVENTS] = "SELECT at_ms, kind, text FROM event WHERE run = ?1 ORDER BY id",
    [ARTIFACTS] =
        ("SELECT name, path, bytes, sha256, at_ms, stored FROM artifact WHERE run = ?1 "
         "ORDER BY name"),
    [DATASETS] =
        ("SELECT name, digest, source_type, source, schema, profile, context, tags_json "
         "AS tags FROM dataset_input WHERE run = ?1 ORDER BY name, digest"),
    [PARAMS] = "SELECT key, value FROM run_param WHERE run = ?1 ORDER BY key",
};
static const char json_columns[] =
    "file|budget|config|params|environment|method_facts|tags";

static json_t *clean_tree(const char *text)
{
    json_t *tree = json_parse(text, strlen(text), "store", NULL),
           *clean = secret_json(tree);
    json_decref(tree);
    return clean;
}

static json_t *clean_text(const char *text)
{
    char *clean = secret_text(text);
    json_t *out = json_string(clean ? clean : text);
    free(clean);
    return out;
}

static json_t *cell(sqlite3_stmt *row, int i)
{
    const char *text;
    switch (sqlite3_column_type(row, i)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(row, i));
    case SQLITE_FLOAT:
        return json_number_or_word(sqlite3_column_double(row, i));
    case SQLITE_TEXT:
        text = (const char *)sqlite3_column_text(row, i);
        if (str_in_list(sqlite3_column_name(row, i), json_columns, '|'))
            return clean_tree(text);
        return clean_text(text);
    default:
        return NULL;
    }
}

/* What is NULL is left out. */
static json_t *row_object(sqlite3_stmt *row)
{
    json_t *out = json_object();
    for (int i = 0; i < sqlite3_column_count(row); i++) {
        json_t *value = cell(row, i);
        if (value)
            json_object_set_new(out, sqlite3_column_name(row, i), value);
    }
    return out;
}

static json_t *row_list(sqlite3_stmt *row, int from)
{
    json_t *out = json_array();
    for (int i = from; i < sqlite3_column_count(row); i++) {
        json_t *value = cell(row, i);
        json_array_append_new(out, value ? value : json_null());
    }
    return out;
}

/* ---- the parts of a run or trial, each a way of gathering rows ---- */

typedef void gather(json_t *into, sqlite3_stmt *row);

static void as_objects(json_t *into, sqlite3_stmt *row)
{
    json_array_append_new(into, row_object(row));
}

static void as_lists(json_t *into, sqlite3_stmt *row)
{
    json_array_append_new(into, row_list(row, 0));
}

static void as_members(json_t *into, sqlite3_stmt *row)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);
    json_t *value = cell(row, 1);
    if (json_is_string(value) && sqlite3_column_type(row, 1) == SQLITE_TEXT &&
        secret_value(name, json_string_value(value))) {
        json_decref(value);
        value = json_string(SECRET_SHOWN);
    }
    json_object_set_new(into, name, value);
}

static void as_series(json_t *into, sqlite3_stmt *row)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);
    json_t *list = json_object_get(into, name);
    if (!list)
        json_object_set_new(into, name, list = json_array());
    json_t *point = row_list(row, 1);
    if (json_is_null(json_array_get(point, 2))) /* nobody said when */
        json_array_remove(point, 2);
    json_array_append_new(list, point);
}

static const struct part {
    const char *name;
    int sql;
    gather *gather;
    bool list;
} run_parts[] = {{"summary", SUMMARY, as_members, false},
                 {"series", SERIES, as_series, false},
                 {"more", MORE, as_series, false},
                 {"events", EVENTS, as_lists, true},
                 {"artifacts", ARTIFACTS, as_objects, true},
                 {"datasets", DATASETS, as_objects, true},
                 {"params", PARAMS, as_members, false}},
  experiment_parts[] = {{"tags", EXPERIMENT_TAGS, as_members, false}},
  trial_parts[] = {{"tags", TAGS, as_members, false}, {"runs", RUNS, as_objects, true}};

static int add_parts(struct store *s, json_t *object, const struct part *parts,
                     size_t count, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        json_t *into = parts[i].list ? json_array() : json_object();
        sqlite3_stmt *stmt = NULL;
        rc = store_statement(s, sql[parts[i].sql],
                             ARGS(A_INT(json_get_int(object, "id", 0))), &stmt, err);
        while (rc >= 0 && (rc = store_step(s, stmt, err)) > 0)
            parts[i].gather(into, stmt);
        if (stmt)
            store_done(stmt);
        if (json_array_size(into) || json_object_size(into))
            json_object_set(object, parts[i].name, into);
        json_decref(into);
    }
    return rc;
}

/* Of copies those that reports read go along; what else was kept (a diff of somebody's
 * folder) stays at home. */
static void add_content(struct store *s, json_t *artifact)
{
    struct buf content;
    buf_init(&content, EXCHANGE_MAX_CONTENT);
    const char *sha256 = json_get_str(artifact, "sha256", "");
    if (json_get_int(artifact, "stored", 0) &&
        str_has_prefix(json_get_str(artifact, "name", ""), "rows/") &&
        store_kept_content(s, sha256, EXCHANGE_MAX_CONTENT, &content, NULL) == 0) {
        char *text = str_base64_encode(buf_str(&content), content.len);
        json_object_set_new(artifact, "content", json_string(text));
        free(text);
    }
    json_object_del(artifact, "stored");
    buf_release(&content);
}

static int complete_trial(struct store *s, json_t *trial, struct err *err)
{
    json_t *run, *artifact;
    size_t i, k;
    int rc = add_parts(s, trial, trial_parts, ARRAY_LEN(trial_parts), err);
    json_array_foreach(json_object_get(trial, "runs"), i, run)
    {
        if (rc == 0)
            rc = add_parts(s, run, run_parts, ARRAY_LEN(run_parts), err);
        json_array_foreach(json_object_get(run, "artifacts"), k, artifact)
        {
            add_content(s, artifact);
        }
    }
    return rc;
}

static int complete(struct store *s, int kind, json_t *object, struct err *err)
{
    if (kind == EXPERIMENTS)
        return add_parts(s, object, experiment_parts, ARRAY_LEN(experiment_parts), err);
    return kind == TRIALS ? complete_trial(s, object, err) : 0;
}

static int export_all(struct store *s, int64_t experiment, int64_t sweep,
                      exchange_line *line, void *ctx, struct err *err)
{
    json_t *head = json_pack("{s:s, s:i}", "type", "peftlab", "version", 1);
    int rc = line(ctx, head, err);
    json_decref(head);
    for (int kind = EXPERIMENTS; kind <= TRIALS && rc == 0; kind++) {
        sqlite3_stmt *stmt = NULL;
        const struct arg *args = kind == TRIALS
                                     ? ARGS(A_INT(experiment), A_INT(sweep), A_INT(0))
                                     : ARGS(A_INT(experiment), A_INT(sweep));
        rc = store_statement(s, sql[kind], args, &stmt, err);
        while (rc >= 0 && (rc = store_step(s, stmt, err)) > 0) {
            json_t *object = row_object(stmt);
            rc = complete(s, kind, object, err);
            if (rc == 0)
                rc = line(ctx, object, err);
            json_decref(object);
            if (rc < 0)
                break;
        }
        if (stmt)
            store_done(stmt);
    }
    return rc;
}

int store_export(struct store *s, int64_t experiment, int64_t sweep, exchange_line *line,
                 void *ctx, struct err *err)
{
    int rc = store_script(s, "BEGIN", err); /* one moment for all reads */
    if (rc < 0)
        return rc;
    rc = export_all(s, experiment, sweep, line, ctx, err);
    store_script(s, "COMMIT", NULL);
    return rc;
}

static int export_trial(struct store *s, int64_t trial, json_t **out, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[TRIALS], ARGS(A_INT(0), A_INT(0), A_INT(trial)),
                             &stmt, err);
    if (rc == 0)
        rc = store_step(s, stmt, err);
    if (rc > 0)
        *out = row_object(stmt);
    if (stmt)
        store_done(stmt);
    if (rc == 0)
        rc = err_set(err, ERR_NOINPUT, "store '%s' has no trial %lld", s->path,
                     (long long)trial);
    return rc < 0 ? rc : complete_trial(s, *out, err);
}

int store_export_trial(struct store *s, int64_t trial, json_t **out, struct err *err)
{
    *out = NULL;
    int rc = store_script(s, "BEGIN", err);
    if (rc < 0)
        return rc;
    rc = export_trial(s, trial, out, err);
    store_script(s, "COMMIT", NULL);
    if (rc < 0) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

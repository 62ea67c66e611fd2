/* tracker/mlflow/run_text.c - see run_text.h. */
#include "tracker/mlflow/run_text.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/mlflow/flat_params.h"
#include "tracker/mlflow/mlflow_ids.h"
#include "tracker/store/store_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD, NAME, TAGS, PARAMS, SUMMARY, NEXT_METRIC, DATASETS };
static const char *const sql[] = {
    [HEAD] = "SELECT iif(experiment.name = 'Default', 0, experiment.id), " RUN_STATUS_SQL
             ", run.started_ms, run.ended_ms, experiment.artifact_location, "
             "iif(trial.deleted_ms IS NULL, 'active', 'deleted'), " RUN_PARAMS_SQL
             ", trial.id, trial.note, trial.origin = 'mlflow' FROM run JOIN trial ON "
             "trial.id = run.trial JOIN experiment ON experiment.id = trial.experiment "
             "WHERE run.id = ?1",
    [NAME] = "SELECT " RUN_NAME_SQL " FROM run JOIN trial ON trial.id = run.trial WHERE "
             "run.id = ?1",
    [PARAMS] = "SELECT key, value FROM run_param WHERE run = ?1 ORDER BY key",
    [TAGS] = "SELECT key, value FROM tag WHERE trial = ?1 ORDER BY key",
    /* With step and time of the last value of the series. */
    [SUMMARY] =
        ("SELECT s.key, s.value, s.kind, ifnull(m.step, (SELECT max(step) FROM "
         "metric_more WHERE run = s.run AND key = s.key)), ifnull(m.at_ms, (SELECT at_ms "
         "FROM metric_more WHERE run = s.run AND key = s.key ORDER BY step DESC, at_ms "
         "DESC LIMIT 1)), k.name FROM run_summary AS s JOIN metric_key AS k ON k.id = "
         "s.key LEFT JOIN metric AS m ON m.run = s.run AND m.key = s.key AND m.step = "
         "(SELECT max(step) FROM metric WHERE run = s.run AND key = s.key) WHERE s.run = "
         "?1 ORDER BY s.key"),
    /* The keys of a series, which may be long, are found one behind the other. */
    [NEXT_METRIC] =
        "SELECT key, value, kind, step, at_ms, (SELECT name FROM metric_key WHERE id = "
        "metric.key), EXISTS (SELECT 1 FROM run_summary WHERE run = ?1 AND key = "
        "metric.key) FROM metric WHERE run = ?1 AND key = (SELECT min(key) FROM metric "
        "WHERE run = ?1 AND key > ?2) ORDER BY step DESC LIMIT 1",
    [DATASETS] =
        "SELECT name, digest, source_type, source, schema, profile, tags_json FROM "
        "dataset_input WHERE run = ?1 ORDER BY name, digest",
};

/* ---- lists ---- */

/* A list that is left out where nothing is put into it: ', "name": [' comes with its first. */
struct list {
    struct buf *out;
    const char *name;
    bool begun, first; /* first: of the object around */
};

static void list_item(struct list *l)
{
    if (l->begun)
        buf_str_add(l->out, ", ");
    else
        buf_printf(l->out, "%s\"%s\": [", l->first ? "" : ", ", l->name);
    l->begun = true;
}

/* Whether the next list is the first of the object. */
static bool list_end(struct list *l)
{
    if (l->begun)
        buf_char(l->out, ']');
    return l->first && !l->begun;
}

static void put_member(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\": ", name);
    json_put_string(out, text, strlen(text));
}

static void put_pair(struct list *l, const char *key, const char *value)
{
    list_item(l);
    buf_char(l->out, '{');
    put_member(l->out, "key", key);
    buf_str_add(l->out, ", ");
    put_member(l->out, "value", value);
    buf_char(l->out, '}');
}

static const char *text_of(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? text : "";
}

/* ---- metrics ---- */

/* A row of key, value, kind, step, at_ms and name; without a time it is `at_ms`. */
static void put_metric(struct list *l, sqlite3_stmt *row, int64_t at_ms)
{
    if (sqlite3_column_type(row, 4) != SQLITE_NULL)
        at_ms = sqlite3_column_int64(row, 4);
    list_item(l);
    buf_char(l->out, '{');
    put_member(l->out, "key", text_of(row, 5));
    buf_str_add(l->out, ", \"value\": ");
    json_put_double(l->out, store_value(row, 1, 2));
    buf_printf(l->out, ", \"timestamp\": %lld, \"step\": %lld}", (long long)at_ms,
               (long long)sqlite3_column_int64(row, 3));
}

static int put_summary(struct store *s, int64_t run, int64_t at_ms, struct list *out,
                       struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[SUMMARY], ARGS(A_INT(run)), &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0)
        put_metric(out, stmt, at_ms);
    store_done(stmt);
    return rc;
}

/* What has a series and no summary value (yet): of runs of ours. */
static int put_series(struct store *s, int64_t run, int64_t at_ms, struct list *out,
                      struct err *err)
{
    int64_t key = 0;
    int rc;
    do {
        sqlite3_stmt *stmt = NULL;
        rc = store_statement(s, sql[NEXT_METRIC], ARGS(A_INT(run), A_INT(key)), &stmt,
                             err);
        if (rc < 0)
            return rc;
        rc = store_step(s, stmt, err);
        if (rc > 0 && !sqlite3_column_int(stmt, 6))
            put_metric(out, stmt, at_ms);
        key = rc > 0 ? sqlite3_column_int64(stmt, 0) : 0;
        store_done(stmt);
    } while (rc > 0);
    return rc;
}

/* ---- the rest ---- */

static bool put_param(void *list, const char *name, const char *value)
{
    put_pair(list, name, value);
    return true;
}

/* What a program logged into a run of ours stands beside the trial's. */
static int put_params(struct store *s, int64_t run, const char *json, bool ours,
                      struct list *out, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    flat_params_each(json, put_param, out);
    int rc = ours ? store_statement(s, sql[PARAMS], ARGS(A_INT(run)), &stmt, err) : 0;
    if (rc < 0 || !ours)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0)
        put_pair(out, text_of(stmt, 0), text_of(stmt, 1));
    store_done(stmt);
    return rc;
}

/* What the tags say that stands elsewhere as well. */
struct told {
    char *name, *user;
    bool noted;
};

static void told_release(struct told *t)
{
    free(t->name);
    free(t->user);
}

static int put_tags(struct store *s, int64_t trial, struct told *told, struct list *out,
                    struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[TAGS], ARGS(A_INT(trial)), &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        const char *key = text_of(stmt, 0), *value = text_of(stmt, 1);
        if (str_eq(key, "mlflow.runName"))
            told->name = xstrdup(value);
        if (str_eq(key, "mlflow.user"))
            told->user = xstrdup(value);
        told->noted = told->noted || str_eq(key, "mlflow.note.content");
        put_pair(out, key, value);
    }
    store_done(stmt);
    return rc;
}

/* Tags that runs of ours have no row for. */
static int put_made_tags(struct store *s, int64_t run, const char *note,
                         struct told *told, struct list *out, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    if (!told->noted && *note) {
        char *clean = secret_text(note);
        put_pair(out, "mlflow.note.content", clean ? clean : note);
        free(clean);
    }
    if (told->name)
        return 0;
    int rc = store_statement(s, sql[NAME], ARGS(A_INT(run)), &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    told->name = xstrdup(rc > 0 ? text_of(stmt, 0) : "");
    put_pair(out, "mlflow.runName", told->name);
    store_done(stmt);
    return rc < 0 ? rc : 0;
}

static void put_dataset(struct buf *out, sqlite3_stmt *row)
{
    static const char *const members[] = {"name",   "digest", "source_type",
                                          "source", "schema", "profile"};
    const char *tags = text_of(row, 6);
    buf_char(out, '{');
    if (!str_eq(tags, "[]"))
        buf_printf(out, "\"tags\": %s, ", tags);
    buf_str_add(out, "\"dataset\": {");
    for (int i = 0; i < (int)ARRAY_LEN(members); i++) {
        if (sqlite3_column_type(row, i) == SQLITE_NULL)
            continue;
        buf_str_add(out, i ? ", " : "");
        put_member(out, members[i], text_of(row, i));
    }
    buf_str_add(out, "}}");
}

static int put_datasets(struct store *s, int64_t run, struct list *out, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[DATASETS], ARGS(A_INT(run)), &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        list_item(out);
        put_dataset(out->out, stmt);
    }
    store_done(stmt);
    return rc;
}

/* ---- the object ---- */

static int put_info(struct store *s, int64_t run, sqlite3_stmt *head,
                    const struct told *told, struct buf *out, struct err *err)
{
    char id[MLFLOW_RUN_ID_BYTES];
    int rc = mlflow_run_id(s, run, id, err);
    if (rc < 0)
        return rc;
    const char *experiment = text_of(head, 0), *location = text_of(head, 4);
    char *uri = *location
                    ? xasprintf("%s/%s/artifacts", location, id)
                    : xasprintf("mlflow-artifacts:/%s/%s/artifacts", experiment, id);
    const struct {
        const char *name, *text;
    } texts[] = {{"run_id", id},
                 {"run_uuid", id},
                 {"run_name", told->name ? told->name : ""},
                 {"experiment_id", experiment},
                 {"user_id", told->user ? told->user : ""},
                 {"status", text_of(head, 1)},
                 {"artifact_uri", uri},
                 {"lifecycle_stage", text_of(head, 5)}};
    buf_str_add(out, "\"info\": {");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        put_member(out, texts[i].name, texts[i].text);
        buf_str_add(out, ", ");
    }
    if (sqlite3_column_type(head, 3) != SQLITE_NULL)
        buf_printf(out, "\"end_time\": %lld, ", (long long)sqlite3_column_int64(head, 3));
    buf_printf(out, "\"start_time\": %lld}", (long long)sqlite3_column_int64(head, 2));
    free(uri);
    return 0;
}

static int put_data(struct store *s, int64_t run, sqlite3_stmt *head, struct told *told,
                    struct buf *out, struct err *err)
{
    const int end = sqlite3_column_type(head, 3) == SQLITE_NULL ? 2 : 3;
    const int64_t at_ms = sqlite3_column_int64(head, end);
    const bool ours = !sqlite3_column_int(head, 9);
    buf_str_add(out, "\"data\": {");
    struct list list = {.out = out, .name = "metrics", .first = true};
    int rc = put_summary(s, run, at_ms, &list, err);
    if (rc == 0 && ours)
        rc = put_series(s, run, at_ms, &list, err);
    list = (struct list){.out = out, .name = "params", .first = list_end(&list)};
    if (rc == 0)
        rc = put_params(s, run, text_of(head, 6), ours, &list, err);
    list = (struct list){.out = out, .name = "tags", .first = list_end(&list)};
    if (rc == 0)
        rc = put_tags(s, sqlite3_column_int64(head, 7), told, &list, err);
    if (rc == 0)
        rc = put_made_tags(s, run, text_of(head, 8), told, &list, err);
    list_end(&list);
    buf_char(out, '}');
    return rc;
}

static int put_run(struct store *s, int64_t run, sqlite3_stmt *head, struct buf *out,
                   struct err *err)
{
    struct told told = {.name = NULL};
    buf_char(out, '{');
    int rc = put_data(s, run, head, &told, out, err);
    buf_str_add(out, ", ");
    if (rc == 0)
        rc = put_info(s, run, head, &told, out, err);
    buf_str_add(out, ", \"inputs\": {");
    struct list list = {.out = out, .name = "dataset_inputs", .first = true};
    if (rc == 0)
        rc = put_datasets(s, run, &list, err);
    list_end(&list);
    buf_str_add(out, "}, \"outputs\": {}}");
    told_release(&told);
    return rc;
}

int run_text_write(struct store *s, int64_t run, struct buf *out, struct err *err)
{
    sqlite3_stmt *head = NULL;
    int rc = store_statement(s, sql[HEAD], ARGS(A_INT(run)), &head, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, head, err);
    if (rc > 0)
        rc = put_run(s, run, head, out, err);
    else if (rc == 0)
        rc = err_set(err, ERR_NOINPUT, "store '%s' has no run %lld", store_path(s),
                     (long long)run);
    store_done(head);
    return rc;
}

json_t *run_text_tree(struct store *s, int64_t run, struct err *err)
{
    struct buf text = BUF_INIT;
    json_t *tree = run_text_write(s, run, &text, err) < 0
                       ? NULL
                       : json_parse(buf_str(&text), text.len, "run", err);
    buf_release(&text);
    return tree;
}

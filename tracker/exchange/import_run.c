/* tracker/exchange/import_run.c - runs, their values, events and artifacts, into a
 * store. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/exchange/exchange.h"
#include "tracker/exchange/import_parts.h"
#include "tracker/store/upkeep.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUN,
    RUN_ADD,
    VALUE,
    EVENT_ADD,
    EVENT_ADD_NEW,
    ARTIFACT_ADD,
    DATASET_ADD,
    PARAM_ADD,
};
static const char *const sql[] = {
    [RUN] = "SELECT id FROM run WHERE trial = ?1 AND attempt = ?2",
    [RUN_ADD] =
        "INSERT INTO run (id, trial, attempt, state, exit_code, reason, run_dir, "
        "started_ms, ended_ms, heartbeat_ms, lease_until_ms, owner_host, "
        "owner_scope, owner_pid, owner_start_ticks, environment_json, until_step, "
        "cores, method_json) "
        "VALUES (" FREE_ID("run") ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
                                  "ifnull(?9, ?8), ifnull(?9, ?8), ?10, '', 0, 0, ?11, "
                                  "?12, max(ifnull(?13, 1), 1), ?14) RETURNING id",
    [VALUE] = "SELECT CASE kind WHEN 1 THEN 'NaN' WHEN 2 THEN 9e999 WHEN 3 THEN -9e999 "
              "WHEN 4 THEN -0.0 ELSE value END FROM run_summary JOIN metric_key ON "
              "metric_key.id = run_summary.key WHERE run = ?1 AND name = ?2",
    [EVENT_ADD] = "INSERT INTO event (run, at_ms, kind, text) VALUES (?1, ?2, ?3, ?4)",
    [EVENT_ADD_NEW] = "INSERT INTO event (run, at_ms, kind, text) SELECT ?1, ?2, ?3, ?4 "
                      "WHERE NOT EXISTS (SELECT 1 FROM event WHERE run = ?1 AND at_ms = "
                      "?2 AND kind = ?3 AND text = ?4)",
    [ARTIFACT_ADD] = ("INSERT OR REPLACE INTO artifact (run, name, path, bytes, sha256, "
                      "at_ms, stored) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
    [DATASET_ADD] =
        ("INSERT OR IGNORE INTO dataset_input (run, name, digest, source_type, source, "
         "schema, profile, context, tags_json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
         "ifnull(?9, '[]'))"),
    [PARAM_ADD] = "INSERT OR IGNORE INTO run_param (run, key, value) VALUES (?1, ?2, ?3)",
};

static const struct field run_fields[] = {
    {"attempt", COUNT, true},        {"state", TEXT, true},
    {"started_ms", COUNT, true},     {"id", COUNT, false},
    {"ended_ms", COUNT, false},      {"exit_code", NUMBER, false},
    {"reason", TEXT, false},         {"run_dir", TEXT, false},
    {"until_step", COUNT, false},    {"cores", COUNT, false},
    {"owner_host", TEXT, false},     {"environment", OBJECT, false},
    {"method_facts", OBJECT, false}, {"summary", OBJECT, false},
    {"series", OBJECT, false},       {"events", LIST, false},
    {"before", OBJECT, false},       {"artifacts", LIST, false},
    {"more", OBJECT, false},         {"datasets", LIST, false},
    {"params", OBJECT, false}};
static const struct field artifact_fields[] = {
    {"name", TEXT, true},    {"path", TEXT, true},    {"bytes", COUNT, false},
    {"sha256", TEXT, false}, {"at_ms", COUNT, false}, {"content", TEXT, false}};

static const struct field dataset_fields[] = {
    {"name", TEXT, true},     {"digest", TEXT, true},  {"source_type", TEXT, true},
    {"source", TEXT, true},   {"schema", TEXT, false}, {"profile", TEXT, false},
    {"context", TEXT, false}, {"tags", LIST, false}};

int import_differs(const char *key, double have, double value, struct err *err)
{
    struct buf there = BUF_INIT, here = BUF_INIT;
    char *clean = str_clean(key, strlen(key));
    json_put_double(&there, have);
    json_put_double(&here, value);
    int rc =
        err_set(err, ERR_CONFIG,
                "this trial is known with %.200s = %s, here it is %s; import it under "
                "another --experiment or mend the file",
                clean, isnan(have) ? "NaN" : buf_str(&there),
                isnan(value) ? "NaN" : buf_str(&here));
    buf_release(&there);
    buf_release(&here);
    free(clean);
    return rc;
}

/* Adds a summary value, or compares it with the one that is there. */
static int take_summary(struct store *s, int64_t run, const char *key, double value,
                        bool known, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc =
        known ? store_statement(s, sql[VALUE], ARGS(A_INT(run), A_TEXT(key)), &stmt, err)
              : 0;
    if (rc == 0 && known)
        rc = store_step(s, stmt, err);
    if (rc > 0) {
        bool nan = sqlite3_column_type(stmt, 0) == SQLITE_TEXT;
        double have = nan ? NAN : sqlite3_column_double(stmt, 0);
        if (nan != (bool)isnan(value) || (!nan && have != value))
            rc = import_differs(key, have, value, err);
    } else if (rc == 0) {
        rc = store_put_metric(s, run, &(struct metric_point){key, -1, value}, err);
    }
    if (stmt)
        store_done(stmt);
    return rc < 0 ? rc : 0;
}

int import_summaries(struct store *s, int64_t run, const json_t *o, bool known,
                     struct err *err)
{
    const char *key;
    json_t *v;
    int rc = 0;
    json_object_foreach(json_object_get(o, "summary"), key, v)
    {
        double value = NAN;
        if (rc == 0)
            rc = import_value(v, key, &value, err);
        if (rc == 0)
            rc = take_summary(s, run, key, value, known, err);
    }
    return rc;
}

static int add_series(struct store *s, int64_t run, const char *key, const json_t *points,
                      struct err *err)
{
    json_t *point;
    json_int_t before = -1;
    size_t i;
    int rc = json_is_array(points)
                 ? 0
                 : err_set(err, ERR_PARSE, "a series must be a list of [step, value]");
    json_array_foreach((json_t *)points, i, point)
    {
        const json_t *step = json_array_get(point, 0);
        double value = NAN;
        const json_t *at = json_array_get(point, 2);
        if (rc == 0 && (json_array_size(point) < 2 || json_array_size(point) > 3 ||
                        !import_is(step, COUNT) || (at && !import_is(at, COUNT))))
            rc = err_set(err, ERR_PARSE,
                         "a point of a series must be [step, value] or [step, value, "
                         "at_ms], the step a whole number from 0 on");
        if (rc == 0 && json_integer_value(step) <= before)
            rc = err_set(err, ERR_PARSE,
                         "step %lld comes behind step %lld; the steps of a series rise",
                         (long long)json_integer_value(step), (long long)before);
        before = json_integer_value(step);
        if (rc == 0)
            rc = import_value(json_array_get(point, 1), key, &value, err);
        if (rc == 0)
            rc = store_put_metric_at(
                s, run, &(struct metric_point){key, json_integer_value(step), value},
                at ? json_integer_value(at) : -1, err);
    }
    return rc < 0 ? err_context(err, "series '%.100s': ", key) : 0;
}

/* Further values of steps. */
static int add_more(struct store *s, int64_t run, const char *key, const json_t *points,
                    struct err *err)
{
    json_t *point;
    int64_t id = 0;
    size_t i;
    int rc = store_metric_key(s, key, &id, err);
    json_array_foreach((json_t *)points, i, point)
    {
        const json_t *step = json_array_get(point, 0), *at = json_array_get(point, 2);
        double value = NAN;
        if (rc == 0 && (!json_is_integer(step) || !import_is(at, COUNT)))
            rc = err_set(err, ERR_PARSE,
                         "a further value of a step must be [step, value, at_ms]");
        if (rc == 0)
            rc = import_value(json_array_get(point, 1), key, &value, err);
        if (rc == 0)
            rc = store_put_more(s, run, id, json_integer_value(step), value,
                                json_integer_value(at), err);
    }
    return rc < 0 ? err_context(err, "further values of '%.100s': ", key) : 0;
}

static int add_dataset(struct store *s, int64_t run, const json_t *d, struct err *err)
{
    struct buf tags = BUF_INIT;
    int rc = CHECK(d, dataset_fields, "dataset", err);
    const char *tags_text = rc == 0 ? import_json(d, "tags", &tags) : NULL;
    if (rc == 0)
        rc = store_check_name("the dataset", import_text(d, "name"), err);
    if (rc == 0)
        rc = store_check_name("the dataset (its digest)", import_text(d, "digest"), err);
    if (rc == 0)
        rc = store_exec(
            s, sql[DATASET_ADD],
            ARGS(A_INT(run), A_TEXT(import_text(d, "name")),
                 A_TEXT(import_text(d, "digest")), A_TEXT(import_text(d, "source_type")),
                 A_TEXT(import_text(d, "source")), A_TEXT(import_text(d, "schema")),
                 A_TEXT(import_text(d, "profile")), A_TEXT(import_text(d, "context")),
                 A_TEXT(tags_text)),
            err);
    buf_release(&tags);
    return rc < 0 ? rc : 0;
}

/* `known`: the run is, and may have the event. */
static int add_event(struct store *s, int64_t run, const json_t *e, bool known,
                     struct err *err)
{
    const char *kind = json_string_value(json_array_get(e, 1)),
               *said = json_string_value(json_array_get(e, 2));
    const json_t *at = json_array_get(e, 0);
    if (!json_is_integer(at) || !kind || !said)
        return err_set(err, ERR_PARSE, "an event must be [at_ms, kind, text]");
    char *repaired = store_repair_text(said);
    int rc = store_check_name("the event", kind, err);
    if (rc == 0)
        rc = store_exec(s, sql[known ? EVENT_ADD_NEW : EVENT_ADD],
                        ARGS(A_INT(run), A_INT(json_integer_value(at)), A_TEXT(kind),
                             A_TEXT(repaired)),
                        err);
    free(repaired);
    return rc < 0 ? rc : 0;
}

/* Puts what came along among the store's copies; *path stays NULL where nothing did. */
static int keep_content(struct store *s, const json_t *a, char **path, struct err *err)
{
    const char *text = import_text(a, "content");
    const size_t n = text ? strlen(text) : 0;
    char sha256[SHA256_HEX];
    if (!text)
        return 0;
    unsigned char *bytes = xmalloc(n + 1);
    const int64_t size =
        n / 4 * 3 > EXCHANGE_MAX_CONTENT + 3 ? -1 : str_base64_decode(text, n, bytes);
    if (size >= 0)
        sha256_hex(bytes, (size_t)size, sha256);
    int rc =
        size < 0 || !str_eq(sha256, import_text(a, "sha256"))
            ? err_set(err, ERR_PARSE,
                      "'content' of the artifact '%.100s' is not what its sha256 says",
                      import_text(a, "name"))
            : store_keep_content(s, bytes, (size_t)size, sha256, path, err);
    free(bytes);
    return rc;
}

static int add_artifact(struct store *s, int64_t run, const json_t *a, struct err *err)
{
    char *copy = NULL;
    int rc = CHECK(a, artifact_fields, "artifact", err);
    if (rc == 0)
        rc = store_check_name("the artifact", import_text(a, "name"), err);
    if (rc == 0)
        rc = keep_content(s, a, &copy, err);
    if (rc == 0)
        rc = store_exec(s, sql[ARTIFACT_ADD],
                        ARGS(A_INT(run), A_TEXT(import_text(a, "name")),
                             A_TEXT(copy ? copy : import_text(a, "path")),
                             import_count(a, "bytes"), A_TEXT(import_text(a, "sha256")),
                             A_INT(json_get_int(a, "at_ms", 0)), A_INT(copy != NULL)),
                        err);
    free(copy);
    return rc < 0 ? rc : 0;
}

int import_contents(struct store *s, int64_t run, const json_t *o, bool known,
                    struct err *err)
{
    const char *key;
    json_t *v;
    size_t i;
    int rc = import_summaries(s, run, o, false, err);
    if (rc == 0)
        rc = import_texts(s, sql[PARAM_ADD], run, o, "params", err);
    json_object_foreach(json_object_get(o, "series"), key, v)
    {
        if (rc == 0)
            rc = add_series(s, run, key, v, err);
    }
    json_object_foreach(json_object_get(o, "more"), key, v)
    {
        if (rc == 0)
            rc = add_more(s, run, key, v, err);
    }
    json_array_foreach(json_object_get(o, "datasets"), i, v)
    {
        if (rc == 0)
            rc = add_dataset(s, run, v, err);
    }
    json_array_foreach(json_object_get(o, "events"), i, v)
    {
        if (rc == 0)
            rc = add_event(s, run, v, known, err);
    }
    json_array_foreach(json_object_get(o, "artifacts"), i, v)
    {
        if (rc == 0)
            rc = add_artifact(s, run, v, err);
    }
    return rc;
}

static int add_run(struct store *s, int64_t trial, const json_t *o, int64_t *run,
                   struct err *err)
{
    bool running = str_eq(import_text(o, "state"), "running");
    const char *state = running ? "stale" : import_text(o, "state");
    int64_t started = json_get_int(o, "started_ms", 0);
    struct arg ended = running ? (struct arg)A_INT(started) : import_count(o, "ended_ms");
    struct buf environment = BUF_INIT, method = BUF_INIT;
    const char *environment_text = import_json(o, "environment", &environment);
    const char *method_text = import_json(o, "method_facts", &method);
    char *reason =
        store_repair_text(running ? IMPORT_WAS_RUNNING : import_text(o, "reason"));
    int rc = store_int(s, sql[RUN_ADD],
                       ARGS(A_INT(json_get_int(o, "id", 0)), A_INT(trial),
                            A_INT(json_get_int(o, "attempt", 0)), A_TEXT(state),
                            import_count(o, "exit_code"), A_TEXT(reason),
                            A_TEXT(import_text(o, "run_dir")), A_INT(started), ended,
                            A_TEXT(json_get_str(o, "owner_host", "")),
                            A_TEXT(environment_text), import_count(o, "until_step"),
                            import_count(o, "cores"), A_TEXT(method_text)),
                       run, err);
    buf_release(&environment);
    buf_release(&method);
    free(reason);
    return rc < 0 ? rc : import_contents(s, *run, o, false, err);
}

int import_run(struct store *s, int64_t trial, const json_t *o, struct import_news *news,
               struct err *err)
{
    int64_t run = 0;
    bool grew = false;
    int rc = CHECK(o, run_fields, "run", err);
    if (rc == 0)
        rc = import_check_state(import_text(o, "state"), "run", err);
    if (rc == 0 && str_eq(import_text(o, "state"), "waiting"))
        rc = err_set(err, ERR_PARSE, "a run cannot be waiting");
    if (rc == 0 && json_get_int(o, "attempt", 0) < 1)
        rc = err_set(err, ERR_PARSE, "'attempt' of the run must be 1 or more");
    if (rc == 0)
        rc = store_int(s, sql[RUN],
                       ARGS(A_INT(trial), A_INT(json_get_int(o, "attempt", 0))), &run,
                       err);
    if (rc == 0) {
        news->runs++;
        return add_run(s, trial, o, &run, err);
    }
    if (rc > 0)
        rc = import_grow(s, run, o, &grew, err);
    news->grown += rc == 0 && grew;
    return rc;
}

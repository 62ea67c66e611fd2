/* tracker/import.c - trials into a store; see exchange.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/proc.h"
#include "lib/str.h"
#include "tracker/exchange.h"
#include "tracker/store_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPERIMENT,
    EXPERIMENT_ADD,
    SWEEP,
    SWEEP_ADD,
    TRIAL,
    TRIAL_ADD,
    TRIAL_SET,
    TAG_ADD,
    RUN,
    RUN_ADD,
    VALUE,
    EVENT_ADD,
    ARTIFACT_ADD,
};
/* A number is kept where it is free; the empty subquery is NULL, which takes the next. */
#define FREE_ID(table)                                                                   \
    "(SELECT ?1 WHERE ?1 > 0 AND NOT EXISTS (SELECT 1 FROM " table " WHERE id = ?1))"
static const char *const sql[] = {
    [EXPERIMENT] = "SELECT id FROM experiment WHERE name = ?1",
    [EXPERIMENT_ADD] = "INSERT INTO experiment (id, name, created_ms) VALUES "
                       "(" FREE_ID("experiment") ", ?2, ?3) RETURNING id",
    [SWEEP] = "SELECT id FROM sweep WHERE experiment = ?1 AND name = ?2",
    [SWEEP_ADD] = "INSERT INTO sweep (id, experiment, name, file_json, base_dir, "
                  "stopped, created_ms, note, budget_json) VALUES (" FREE_ID(
                      "sweep") ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id",
    [TRIAL] = "SELECT id, state, attempts FROM trial WHERE experiment = ?1 AND "
              "ifnull(sweep, 0) = ?2 AND key = ?3 AND seed = ?4",
    [TRIAL_ADD] =
        "INSERT INTO trial (id, experiment, sweep, number, key, seed, base_dir, "
        "config_json, params_json, predicted_bytes, predicted_s, state, "
        "created_ms, parent, warm, note) VALUES (" FREE_ID(
            "trial") ", ?2, ?3, ifnull(?4, (SELECT count(*) FROM trial WHERE experiment "
                     "= ?2 AND "
                     "sweep IS ?3)), ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'waiting', ?12, ?13, "
                     "?14, "
                     "?15) RETURNING id",
    [TRIAL_SET] = "UPDATE trial SET state = ?2, attempts = max(attempts, ?3), lost = ?4, "
                  "last_run = (SELECT id FROM run WHERE trial = ?1 ORDER BY attempt DESC "
                  "LIMIT 1), summary_run = (SELECT id FROM run WHERE trial = ?1 AND "
                  "attempt = ?5) WHERE id = ?1",
    [TAG_ADD] = "INSERT OR IGNORE INTO tag (trial, key, value) VALUES (?1, ?2, ?3)",
    [RUN] = "SELECT id FROM run WHERE trial = ?1 AND attempt = ?2",
    [RUN_ADD] =
        "INSERT INTO run (id, trial, attempt, state, exit_code, reason, run_dir, "
        "started_ms, ended_ms, heartbeat_ms, lease_until_ms, owner_host, "
        "owner_scope, owner_pid, owner_start_ticks, environment_json, until_step, "
        "cores) "
        "VALUES (" FREE_ID("run") ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
                                  "ifnull(?9, ?8), ifnull(?9, ?8), ?10, '', 0, 0, ?11, "
                                  "?12, ifnull(?13, 1)) RETURNING id",
    [VALUE] = "SELECT CASE kind WHEN 1 THEN 'NaN' WHEN 2 THEN 9e999 WHEN 3 THEN -9e999 "
              "WHEN 4 THEN -0.0 ELSE value END FROM run_summary JOIN metric_key ON "
              "metric_key.id = run_summary.key WHERE run = ?1 AND name = ?2",
    [EVENT_ADD] = "INSERT INTO event (run, at_ms, kind, text) VALUES (?1, ?2, ?3, ?4)",
    [ARTIFACT_ADD] =
        "INSERT INTO artifact (run, name, path, bytes, sha256, at_ms) VALUES "
        "(?1, ?2, ?3, ?4, ?5, ?6)",
};

/* ---- reading an object ---- */

enum wanted { TEXT, COUNT, NUMBER, OBJECT, LIST, FLAG };
static const char *const wanted_names[] = {
    "a text", "a whole number from 0 on", "a number", "an object", "a list", "0 or 1"};

static bool is_wanted(const json_t *v, enum wanted wanted)
{
    switch (wanted) {
    case TEXT:
        return json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v);
    case COUNT:
        return json_is_integer(v) && json_integer_value(v) >= 0;
    case NUMBER:
        return json_is_number(v);
    case OBJECT:
        return json_is_object(v);
    case LIST:
        return json_is_array(v);
    default:
        return json_is_integer(v) &&
               (json_integer_value(v) == 0 || json_integer_value(v) == 1);
    }
}

struct field {
    const char *name;
    enum wanted wanted;
    bool required;
};
static const struct field experiment_fields[] = {
    {"name",       TEXT,  true },
    {"id",         COUNT, false},
    {"created_ms", COUNT, false}
};
static const struct field sweep_fields[] = {
    {"name",       TEXT,   true },
    {"experiment", TEXT,   true },
    {"id",         COUNT,  false},
    {"file",       OBJECT, false},
    {"base_dir",   TEXT,   false},
    {"stopped",    FLAG,   false},
    {"created_ms", COUNT,  false},
    {"note",       TEXT,   false},
    {"budget",     OBJECT, false}
};
static const struct field trial_fields[] = {
    {"experiment",      TEXT,   true },
    {"seed",            COUNT,  true },
    {"state",           TEXT,   true },
    {"params",          OBJECT, true },
    {"id",              COUNT,  false},
    {"sweep",           TEXT,   false},
    {"number",          COUNT,  false},
    {"key",             TEXT,   false},
    {"attempts",        COUNT,  false},
    {"lost",            COUNT,  false},
    {"base_dir",        TEXT,   false},
    {"config",          OBJECT, false},
    {"created_ms",      COUNT,  false},
    {"parent",          COUNT,  false},
    {"warm",            FLAG,   false},
    {"note",            TEXT,   false},
    {"tags",            OBJECT, false},
    {"summary_attempt", COUNT,  false},
    {"runs",            LIST,   false},
    {"predicted_s",     NUMBER, false},
    {"predicted_bytes", COUNT,  false}
};
static const struct field run_fields[] = {
    {"attempt",     COUNT,  true },
    {"state",       TEXT,   true },
    {"started_ms",  COUNT,  true },
    {"id",          COUNT,  false},
    {"ended_ms",    COUNT,  false},
    {"exit_code",   NUMBER, false},
    {"reason",      TEXT,   false},
    {"run_dir",     TEXT,   false},
    {"until_step",  COUNT,  false},
    {"cores",       COUNT,  false},
    {"owner_host",  TEXT,   false},
    {"environment", OBJECT, false},
    {"summary",     OBJECT, false},
    {"series",      OBJECT, false},
    {"events",      LIST,   false},
    {"artifacts",   LIST,   false}
};
static const struct field artifact_fields[] = {
    {"name",   TEXT,  true },
    {"path",   TEXT,  true },
    {"bytes",  COUNT, false},
    {"sha256", TEXT,  false},
    {"at_ms",  COUNT, false}
};
#define CHECK(object, fields, what, err)                                                 \
    check_fields(object, fields, ARRAY_LEN(fields), what, err)

static int check_fields(const json_t *object, const struct field *f, size_t count,
                        const char *what, struct err *err)
{
    if (!json_is_object(object))
        return err_set(err, ERR_PARSE, "a %s must be an object", what);
    for (size_t i = 0; i < count; i++) {
        const json_t *v = json_object_get(object, f[i].name);
        if (!v || json_is_null(v)) {
            if (f[i].required)
                return err_set(err, ERR_PARSE, "the %s lacks '%s'", what, f[i].name);
        } else if (!is_wanted(v, f[i].wanted)) {
            return err_set(err, ERR_PARSE, "'%s' of the %s must be %s", f[i].name, what,
                           wanted_names[f[i].wanted]);
        }
    }
    return 0;
}

static const char *text(const json_t *object, const char *key)
{
    return json_get_str(object, key, NULL);
}

/* A member as JSON text in `out`; NULL when it is not there. */
static const char *json_text(const json_t *object, const char *key, struct buf *out)
{
    const json_t *v = json_object_get(object, key);
    if (!v || json_is_null(v))
        return NULL;
    json_write(out, v, 0);
    return buf_str(out);
}

static struct arg count_or_null(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? (struct arg)A_INT(json_integer_value(v))
                              : (struct arg){.type = ARG_NULL};
}

static int read_value(const json_t *v, const char *key, double *out, struct err *err)
{
    json_t *holder = json_pack("{s:O}", "v", v);
    bool word = json_is_string(v), nan = word && str_eq(json_string_value(v), "NaN");
    *out = json_get_num(holder, "v", NAN);
    json_decref(holder);
    if (json_is_number(v) || nan || (word && isinf(*out)))
        return 0;
    char *clean = str_clean(key, strlen(key));
    int rc = err_set(err, ERR_PARSE,
                     "value of '%.200s' must be a number, \"NaN\", \"Infinity\" or "
                     "\"-Infinity\"",
                     clean);
    free(clean);
    return rc;
}

/* ---- experiments and sweeps ---- */

static int take_experiment(struct store *s, const char *name, int64_t wanted,
                           int64_t created_ms, int64_t *id, struct err *err)
{
    int rc = store_check_name("the experiment", name, err);
    if (rc == 0)
        rc = store_int(s, sql[EXPERIMENT], ARGS(A_TEXT(name)), id, err);
    if (rc == 0)
        rc = store_int(s, sql[EXPERIMENT_ADD],
                       ARGS(A_INT(wanted), A_TEXT(name), A_INT(created_ms)), id, err);
    return rc < 0 ? rc : 0;
}

static int take_sweep(struct store *s, const json_t *o, const char *name,
                      int64_t experiment, int64_t *id, struct err *err)
{
    int rc = store_check_name("the sweep", name, err);
    if (rc == 0)
        rc = store_int(s, sql[SWEEP], ARGS(A_INT(experiment), A_TEXT(name)), id, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    struct buf file = BUF_INIT, budget = BUF_INIT;
    const char *file_text = json_text(o, "file", &file),
               *budget_text = json_text(o, "budget", &budget);
    rc = store_int(s, sql[SWEEP_ADD],
                   ARGS(A_INT(json_get_int(o, "id", 0)), A_INT(experiment), A_TEXT(name),
                        A_TEXT(file_text ? file_text : "{}"),
                        A_TEXT(json_get_str(o, "base_dir", ".")),
                        A_INT(json_get_int(o, "stopped", 0)),
                        A_INT(json_get_int(o, "created_ms", clock_wall_ms())),
                        A_TEXT(text(o, "note")), A_TEXT(budget_text)),
                   id, err);
    buf_release(&file);
    buf_release(&budget);
    return rc < 0 ? rc : 0;
}

static int import_experiment(struct import *in, const json_t *o, struct err *err)
{
    int64_t id = 0;
    int rc = CHECK(o, experiment_fields, "experiment", err);
    if (rc == 0)
        rc = take_experiment(in->store, text(o, "name"), json_get_int(o, "id", 0),
                             json_get_int(o, "created_ms", clock_wall_ms()), &id, err);
    return rc;
}

static int import_sweep(struct import *in, const json_t *o, struct err *err)
{
    int64_t experiment = 0, id = 0;
    int rc = CHECK(o, sweep_fields, "sweep", err);
    if (rc == 0)
        rc = take_experiment(in->store, text(o, "experiment"), 0, clock_wall_ms(),
                             &experiment, err);
    if (rc == 0)
        rc = take_sweep(in->store, o, text(o, "name"), experiment, &id, err);
    return rc;
}

/* ---- runs ---- */

static int differs(const char *key, double have, double value, struct err *err)
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
            rc = differs(key, have, value, err);
    } else if (rc == 0) {
        rc = store_put_metric(s, run, &(struct metric_point){key, -1, value}, err);
    }
    if (stmt)
        store_done(stmt);
    return rc < 0 ? rc : 0;
}

static int take_summaries(struct store *s, int64_t run, const json_t *o, bool known,
                          struct err *err)
{
    const char *key;
    json_t *v;
    int rc = 0;
    json_object_foreach(json_object_get(o, "summary"), key, v)
    {
        double value = NAN;
        if (rc == 0)
            rc = read_value(v, key, &value, err);
        if (rc == 0)
            rc = take_summary(s, run, key, value, known, err);
    }
    return rc;
}

static int add_series(struct store *s, int64_t run, const char *key, const json_t *points,
                      struct err *err)
{
    json_t *point;
    size_t i;
    int rc = json_is_array(points)
                 ? 0
                 : err_set(err, ERR_PARSE, "a series must be a list of [step, value]");
    json_array_foreach((json_t *)points, i, point)
    {
        const json_t *step = json_array_get(point, 0);
        double value = NAN;
        if (rc == 0 && (json_array_size(point) != 2 || !is_wanted(step, COUNT)))
            rc = err_set(err, ERR_PARSE, "a point of a series must be [step, value]");
        if (rc == 0)
            rc = read_value(json_array_get(point, 1), key, &value, err);
        if (rc == 0)
            rc = store_put_metric(
                s, run, &(struct metric_point){key, json_integer_value(step), value},
                err);
    }
    return rc;
}

static int add_event(struct store *s, int64_t run, const json_t *e, struct err *err)
{
    const char *kind = json_string_value(json_array_get(e, 1)),
               *said = json_string_value(json_array_get(e, 2));
    const json_t *at = json_array_get(e, 0);
    if (!json_is_integer(at) || !kind || !said)
        return err_set(err, ERR_PARSE, "an event must be [at_ms, kind, text]");
    char *repaired = store_repair_text(said);
    int rc = store_check_name("the event", kind, err);
    if (rc == 0)
        rc = store_exec(s, sql[EVENT_ADD],
                        ARGS(A_INT(run), A_INT(json_integer_value(at)), A_TEXT(kind),
                             A_TEXT(repaired)),
                        err);
    free(repaired);
    return rc < 0 ? rc : 0;
}

static int add_artifact(struct store *s, int64_t run, const json_t *a, struct err *err)
{
    int rc = CHECK(a, artifact_fields, "artifact", err);
    if (rc == 0)
        rc = store_check_name("the artifact", text(a, "name"), err);
    if (rc == 0)
        rc = store_exec(s, sql[ARTIFACT_ADD],
                        ARGS(A_INT(run), A_TEXT(text(a, "name")), A_TEXT(text(a, "path")),
                             count_or_null(a, "bytes"), A_TEXT(text(a, "sha256")),
                             A_INT(json_get_int(a, "at_ms", 0))),
                        err);
    return rc < 0 ? rc : 0;
}

static int add_contents(struct store *s, int64_t run, const json_t *o, struct err *err)
{
    const char *key;
    json_t *v;
    size_t i;
    int rc = take_summaries(s, run, o, false, err);
    json_object_foreach(json_object_get(o, "series"), key, v)
    {
        if (rc == 0)
            rc = add_series(s, run, key, v, err);
    }
    json_array_foreach(json_object_get(o, "events"), i, v)
    {
        if (rc == 0)
            rc = add_event(s, run, v, err);
    }
    json_array_foreach(json_object_get(o, "artifacts"), i, v)
    {
        if (rc == 0)
            rc = add_artifact(s, run, v, err);
    }
    return rc;
}

static int check_state(const char *state, const char *what, struct err *err)
{
    if (trial_state_from_name(state) >= 0)
        return 0;
    char *clean = str_clean(state, strlen(state));
    int rc = err_set(err, ERR_PARSE,
                     "state '%.100s' of the %s is none of waiting, running, complete, "
                     "pruned, failed, oom, nan, timeout, preempted, stale, cancelled",
                     clean, what);
    free(clean);
    return rc;
}

static int add_run(struct store *s, int64_t trial, const json_t *o, int64_t *run,
                   struct err *err)
{
    bool running = str_eq(text(o, "state"), "running");
    const char *state = running ? "stale" : text(o, "state");
    int64_t started = json_get_int(o, "started_ms", 0);
    struct arg ended =
        running ? (struct arg)A_INT(started) : count_or_null(o, "ended_ms");
    struct buf environment = BUF_INIT;
    const char *environment_text = json_text(o, "environment", &environment);
    char *reason = store_repair_text(running ? "was running when it was exported"
                                             : text(o, "reason"));
    int rc = store_int(s, sql[RUN_ADD],
                       ARGS(A_INT(json_get_int(o, "id", 0)), A_INT(trial),
                            A_INT(json_get_int(o, "attempt", 0)), A_TEXT(state),
                            count_or_null(o, "exit_code"), A_TEXT(reason),
                            A_TEXT(text(o, "run_dir")), A_INT(started), ended,
                            A_TEXT(json_get_str(o, "owner_host", "")),
                            A_TEXT(environment_text), count_or_null(o, "until_step"),
                            count_or_null(o, "cores")),
                       run, err);
    buf_release(&environment);
    free(reason);
    return rc < 0 ? rc : add_contents(s, *run, o, err);
}

/* *added tells whether the run was new. */
static int take_run(struct store *s, int64_t trial, const json_t *o, bool *added,
                    struct err *err)
{
    int64_t run = 0;
    int rc = CHECK(o, run_fields, "run", err);
    if (rc == 0)
        rc = check_state(text(o, "state"), "run", err);
    if (rc == 0 && str_eq(text(o, "state"), "waiting"))
        rc = err_set(err, ERR_PARSE, "a run cannot be waiting");
    if (rc == 0 && json_get_int(o, "attempt", 0) < 1)
        rc = err_set(err, ERR_PARSE, "'attempt' of the run must be 1 or more");
    if (rc == 0)
        rc = store_int(s, sql[RUN],
                       ARGS(A_INT(trial), A_INT(json_get_int(o, "attempt", 0))), &run,
                       err);
    *added = rc == 0;
    if (rc == 0)
        return add_run(s, trial, o, &run, err);
    return rc < 0 ? rc : take_summaries(s, run, o, true, err);
}

/* ---- trials ---- */

/* The configuration, which without more said is the parameters and the seed; its key. */
static void resolve_config(const json_t *o, struct buf *config, char key[SHA256_HEX])
{
    json_t *tree = json_object_get(o, "config");
    tree = tree ? json_copy(tree) : json_copy(json_object_get(o, "params"));
    if (!json_object_get(o, "config"))
        json_object_set(tree, "seed", json_object_get(o, "seed"));
    json_canonical(config, tree);
    struct buf unseeded = BUF_INIT;
    json_object_del(tree, "seed");
    json_canonical(&unseeded, tree);
    sha256_hex(unseeded.data, unseeded.len, key);
    buf_release(&unseeded);
    json_decref(tree);
}

/* The parent's number here; NULL where it was not part of what came. */
static struct arg parent_arg(const struct import *in, const json_t *o)
{
    char id[32];
    int64_t here = 0;
    snprintf(id, sizeof id, "%lld", (long long)json_get_int(o, "parent", 0));
    return strmap_get(in->ids, id, strlen(id), &here) ? (struct arg)A_INT(here)
                                                      : (struct arg){.type = ARG_NULL};
}

static int take_trial(struct import *in, const json_t *o, int64_t experiment,
                      int64_t sweep, int64_t *id, bool *added, struct err *err)
{
    struct buf config = BUF_INIT, params = BUF_INIT;
    char key[SHA256_HEX];
    resolve_config(o, &config, key);
    const char *named = json_get_str(o, "key", key),
               *params_text = json_text(o, "params", &params);
    int64_t seed = json_get_int(o, "seed", 0);
    int rc = store_check_name("the trial (its key)", named, err);
    if (rc == 0)
        rc = store_int(in->store, sql[TRIAL],
                       ARGS(A_INT(experiment), A_INT(sweep), A_TEXT(named), A_INT(seed)),
                       id, err);
    *added = rc == 0;
    if (rc == 0)
        rc = store_int(
            in->store, sql[TRIAL_ADD],
            ARGS(A_INT(json_get_int(o, "id", 0)), A_INT(experiment), A_ID(sweep),
                 count_or_null(o, "number"), A_TEXT(named), A_INT(seed),
                 A_TEXT(json_get_str(o, "base_dir", ".")), A_TEXT(buf_str(&config)),
                 A_TEXT(params_text), count_or_null(o, "predicted_bytes"),
                 A_REAL(json_get_num(o, "predicted_s", NAN)),
                 A_INT(json_get_int(o, "created_ms", clock_wall_ms())), parent_arg(in, o),
                 A_INT(json_get_int(o, "warm", 0)), A_TEXT(text(o, "note"))),
            id, err);
    buf_release(&config);
    buf_release(&params);
    return rc < 0 ? rc : 0;
}

static int take_tags(struct store *s, int64_t trial, const json_t *o, struct err *err)
{
    const char *key;
    json_t *v;
    int rc = 0;
    json_object_foreach(json_object_get(o, "tags"), key, v)
    {
        if (rc >= 0)
            rc = store_check_name("the tag", key, err);
        if (rc >= 0 && !is_wanted(v, TEXT))
            rc = err_set(err, ERR_PARSE, "a tag's value must be a text");
        if (rc >= 0)
            rc = store_exec(s, sql[TAG_ADD],
                            ARGS(A_INT(trial), A_TEXT(key), A_TEXT(json_string_value(v))),
                            err);
    }
    return rc < 0 ? rc : 0;
}

static int take_runs(struct import *in, int64_t trial, const json_t *o, size_t *added,
                     struct err *err)
{
    json_t *run;
    size_t i;
    int rc = 0;
    json_array_foreach(json_object_get(o, "runs"), i, run)
    {
        bool new_run = false;
        if (rc == 0)
            rc = take_run(in->store, trial, run, &new_run, err);
        *added += new_run;
    }
    return rc;
}

static int is_running(struct store *s, int64_t trial, struct err *err)
{
    static const char running[] =
        "SELECT 1 FROM trial WHERE id = ?1 AND state = 'running'";
    int64_t yes = 0;
    int rc = store_int(s, running, ARGS(A_INT(trial)), &yes, err);
    return rc <= 0 ? rc
                   : err_set(err, ERR_BUSY,
                             "trial %lld runs here at the moment; import when it is done",
                             (long long)trial);
}

/* The newest word about a trial is that of the newest attempt; its numbers are those of
 * the newest that ended by itself, unless the object says. */
static int set_state(struct store *s, int64_t trial, const json_t *o, struct err *err)
{
    const json_t *runs = json_object_get(o, "runs"), *run;
    const char *state = text(o, "state");
    int64_t attempts = json_get_int(o, "attempts", 0), summary = 0;
    size_t i;
    json_array_foreach((json_t *)runs, i, run)
    {
        int64_t attempt = json_get_int(run, "attempt", 0);
        if (attempt > attempts)
            attempts = attempt;
        if (attempt > summary &&
            !str_in_list(text(run, "state"), "running|stale|preempted", '|'))
            summary = attempt;
    }
    int rc = store_exec(s, sql[TRIAL_SET],
                        ARGS(A_INT(trial),
                             A_TEXT(str_eq(state, "running") ? "waiting" : state),
                             A_INT(attempts), A_INT(json_get_int(o, "lost", 0)),
                             A_INT(json_get_int(o, "summary_attempt", summary))),
                        err);
    return rc < 0 ? rc : 0;
}

static int import_trial(struct import *in, const json_t *o, struct err *err)
{
    struct store *s = in->store;
    int64_t experiment = 0, sweep = 0, id = 0;
    size_t runs = 0;
    bool added = false;
    char there[32];
    int rc = CHECK(o, trial_fields, "trial", err);
    if (rc == 0)
        rc = check_state(text(o, "state"), "trial", err);
    if (rc == 0)
        rc = take_experiment(s, text(o, "experiment"), 0, clock_wall_ms(), &experiment,
                             err);
    if (rc == 0 && text(o, "sweep"))
        rc = take_sweep(s, NULL, text(o, "sweep"), experiment, &sweep, err);
    if (rc == 0)
        rc = take_trial(in, o, experiment, sweep, &id, &added, err);
    if (rc == 0)
        rc = take_tags(s, id, o, err);
    if (rc == 0)
        rc = take_runs(in, id, o, &runs, err);
    if (rc == 0 && runs > 0 && !added)
        rc = is_running(s, id, err);
    if (rc == 0 && (added || runs > 0))
        rc = set_state(s, id, o, err);
    snprintf(there, sizeof there, "%lld", (long long)json_get_int(o, "id", 0));
    strmap_put(in->ids, there, strlen(there), id);
    in->trials += added;
    in->known += !added;
    in->runs += runs;
    return rc;
}

/* ---- all of it ---- */

static int import_head(struct import *in, const json_t *o, struct err *err)
{
    (void)in;
    int64_t version = json_get_int(o, "version", 0);
    if (version != 1)
        return err_set(err, ERR_CONFIG,
                       "this export has version %lld, this program reads 1; use a newer "
                       "peftlab",
                       (long long)version);
    return 0;
}

int import_object(struct import *in, const json_t *o, struct err *err)
{
    static const struct {
        const char *type;
        int (*take)(struct import *, const json_t *, struct err *);
    } kinds[] = {
        {"peftlab",    import_head      },
        {"experiment", import_experiment},
        {"sweep",      import_sweep     },
        {"trial",      import_trial     }
    };
    const char *type = json_get_str(o, "type", "");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(kinds[i].type, type))
            return kinds[i].take(in, o, err);
    char *clean = str_clean(type, strlen(type));
    int rc =
        err_set(err, ERR_PARSE,
                "\"type\" is '%.100s', none of peftlab, experiment, sweep, trial; is "
                "it a file of 'peftlab export'?",
                clean);
    free(clean);
    return rc;
}

int import_begin(struct import *in, struct store *s, struct err *err)
{
    *in = (struct import){.store = s};
    int rc = store_begin(s, err);
    if (rc == 0)
        in->ids = strmap_new();
    return rc;
}

int import_end(struct import *in, int rc, struct err *err)
{
    rc = store_end(in->store, rc, err);
    strmap_free(in->ids);
    in->ids = NULL;
    return rc < 0 ? rc : 0;
}

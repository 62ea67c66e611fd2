/* tracker/exchange/import.c - trials into a store; see exchange.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/exchange/exchange.h"
#include "tracker/exchange/import_parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPERIMENT,
    EXPERIMENT_ADD,
    EXPERIMENT_SET,
    EXPERIMENT_REVIVE,
    EXPERIMENT_TAG_ADD,
    SWEEP,
    SWEEP_ADD,
    TRIAL,
    TRIAL_ADD,
    TRIAL_SET,
    TRIAL_RENEW,
    TAG_ADD,
};
static const char *const sql[] = {
    [EXPERIMENT] = "SELECT id FROM experiment WHERE name = ?1",
    [EXPERIMENT_ADD] = "INSERT INTO experiment (id, name, created_ms) VALUES "
                       "(" FREE_ID("experiment") ", ?2, ?3) RETURNING id",
    [EXPERIMENT_SET] = "UPDATE experiment SET deleted_ms = ?2, updated_ms = ?3, "
                       "artifact_location = ?4 WHERE id = ?1",
    [EXPERIMENT_REVIVE] = "UPDATE experiment SET deleted_ms = NULL WHERE id = ?1 AND "
                          "deleted_ms IS NOT NULL",
    [EXPERIMENT_TAG_ADD] =
        "INSERT OR IGNORE INTO experiment_tag (experiment, key, value) VALUES (?1, ?2, "
        "?3)",
    [SWEEP] = "SELECT id FROM sweep WHERE experiment = ?1 AND name = ?2",
    [SWEEP_ADD] = "INSERT INTO sweep (id, experiment, name, file_json, base_dir, "
                  "stopped, created_ms, note, budget_json) VALUES (" FREE_ID(
                      "sweep") ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id",
    [TRIAL] = "SELECT id, state, attempts FROM trial WHERE experiment = ?1 AND "
              "ifnull(sweep, 0) = ?2 AND key = ?3 AND (seed = ?4 OR ?5)",
    [TRIAL_ADD] =
        "INSERT INTO trial (id, experiment, sweep, number, key, seed, base_dir, "
        "config_json, params_json, predicted_bytes, predicted_s, state, "
        "created_ms, parent, warm, note, deleted_ms, origin) VALUES (" FREE_ID(
            "trial") ", ?2, ?3, ifnull(?4, (SELECT count(*) FROM trial WHERE experiment "
                     "= ?2 AND "
                     "sweep IS ?3)), ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'waiting', ?12, ?13, "
                     "?14, "
                     "?15, ?16, ?17) RETURNING id",
    [TRIAL_SET] = "UPDATE trial SET state = ?2, attempts = max(attempts, ?3), lost = ?4, "
                  "last_run = (SELECT id FROM run WHERE trial = ?1 ORDER BY attempt DESC "
                  "LIMIT 1), summary_run = (SELECT id FROM run WHERE trial = ?1 AND "
                  "attempt = ?5) WHERE id = ?1",
    [TRIAL_RENEW] = "UPDATE trial SET config_json = ?2, params_json = ?3, note = "
                    "ifnull(note, ?4), seed = ?5 WHERE id = ?1",
    [TAG_ADD] = "INSERT OR IGNORE INTO tag (trial, key, value) VALUES (?1, ?2, ?3)",
};

static const struct field experiment_fields[] = {
    {"name", TEXT, true},         {"id", COUNT, false},
    {"created_ms", COUNT, false}, {"deleted_ms", COUNT, false},
    {"updated_ms", COUNT, false}, {"artifact_location", TEXT, false},
    {"tags", OBJECT, false}};
static const struct field sweep_fields[] = {
    {"name", TEXT, true},         {"experiment", TEXT, true}, {"id", COUNT, false},
    {"file", OBJECT, false},      {"base_dir", TEXT, false},  {"stopped", FLAG, false},
    {"created_ms", COUNT, false}, {"note", TEXT, false},      {"budget", OBJECT, false}};
static const struct field trial_fields[] = {{"experiment", TEXT, true},
                                            {"seed", COUNT, true},
                                            {"state", TEXT, true},
                                            {"params", OBJECT, true},
                                            {"id", COUNT, false},
                                            {"sweep", TEXT, false},
                                            {"number", COUNT, false},
                                            {"key", TEXT, false},
                                            {"attempts", COUNT, false},
                                            {"lost", COUNT, false},
                                            {"base_dir", TEXT, false},
                                            {"config", OBJECT, false},
                                            {"created_ms", COUNT, false},
                                            {"parent", COUNT, false},
                                            {"warm", FLAG, false},
                                            {"note", TEXT, false},
                                            {"deleted_ms", COUNT, false},
                                            {"origin", TEXT, false},
                                            {"by_key", FLAG, false},
                                            {"tags", OBJECT, false},
                                            {"summary_attempt", COUNT, false},
                                            {"runs", LIST, false},
                                            {"predicted_s", NUMBER, false},
                                            {"predicted_bytes", COUNT, false}};

/* ---- experiments and sweeps ---- */

/* 1: it is new. */
static int take_experiment(struct store *s, const char *name, int64_t wanted,
                           int64_t created_ms, int64_t *id, struct err *err)
{
    int rc = store_check_name("the experiment", name, err);
    if (rc == 0)
        rc = store_int(s, sql[EXPERIMENT], ARGS(A_TEXT(name)), id, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = store_int(s, sql[EXPERIMENT_ADD],
                   ARGS(A_INT(wanted), A_TEXT(name), A_INT(created_ms)), id, err);
    return rc < 0 ? rc : 1;
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
    const char *file_text = import_json(o, "file", &file),
               *budget_text = import_json(o, "budget", &budget);
    char *note = store_repair_text(import_text(o, "note"));
    rc = store_int(s, sql[SWEEP_ADD],
                   ARGS(A_INT(json_get_int(o, "id", 0)), A_INT(experiment), A_TEXT(name),
                        A_TEXT(file_text ? file_text : "{}"),
                        A_TEXT(json_get_str(o, "base_dir", ".")),
                        A_INT(json_get_int(o, "stopped", 0)),
                        A_INT(json_get_int(o, "created_ms", clock_wall_ms())),
                        A_TEXT(note), A_TEXT(budget_text)),
                   id, err);
    free(note);
    buf_release(&file);
    buf_release(&budget);
    return rc < 0 ? rc : 0;
}

static int import_experiment(struct import *in, const json_t *o, struct err *err)
{
    int64_t id = 0;
    int rc = CHECK(o, experiment_fields, "experiment", err);
    if (rc == 0)
        rc = take_experiment(in->store, import_text(o, "name"), json_get_int(o, "id", 0),
                             json_get_int(o, "created_ms", clock_wall_ms()), &id, err);
    if (rc > 0)
        rc = store_exec(in->store, sql[EXPERIMENT_SET],
                        ARGS(A_INT(id), import_count(o, "deleted_ms"),
                             import_count(o, "updated_ms"),
                             A_TEXT(import_text(o, "artifact_location"))),
                        err);
    return rc < 0 ? rc
                  : import_texts(in->store, sql[EXPERIMENT_TAG_ADD], id, o, "tags", err);
}

static int import_sweep(struct import *in, const json_t *o, struct err *err)
{
    int64_t experiment = 0, id = 0;
    int rc = CHECK(o, sweep_fields, "sweep", err);
    if (rc == 0)
        rc = take_experiment(in->store, import_text(o, "experiment"), 0, clock_wall_ms(),
                             &experiment, err);
    if (rc >= 0)
        rc = take_sweep(in->store, o, import_text(o, "name"), experiment, &id, err);
    return rc;
}

/* ---- trials ---- */

/* The configuration without secrets, which without more said is the parameters and the
 * seed; its key, which tells secrets apart all the same. */
static void resolve_config(const json_t *o, struct buf *config, char key[SHA256_HEX])
{
    json_t *tree = json_object_get(o, "config");
    tree = tree ? json_copy(tree) : json_copy(json_object_get(o, "params"));
    if (!json_object_get(o, "config"))
        json_object_set(tree, "seed", json_object_get(o, "seed"));
    json_t *clean = secret_json(tree);
    json_configuration(config, clean);
    json_decref(clean);
    struct buf unseeded = BUF_INIT;
    json_object_del(tree, "seed");
    json_configuration(&unseeded, tree);
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
               *params_text = import_json(o, "params", &params);
    char *note = store_repair_text(import_text(o, "note"));
    int64_t seed = json_get_int(o, "seed", 0);
    int rc = store_check_name("the trial (its key)", named, err);
    if (rc == 0)
        rc = store_int(in->store, sql[TRIAL],
                       ARGS(A_INT(experiment), A_INT(sweep), A_TEXT(named), A_INT(seed),
                            A_INT(json_get_int(o, "by_key", 0))),
                       id, err);
    *added = rc == 0;
    if (rc == 0)
        rc = store_int(
            in->store, sql[TRIAL_ADD],
            ARGS(A_INT(json_get_int(o, "id", 0)), A_INT(experiment), A_ID(sweep),
                 import_count(o, "number"), A_TEXT(named), A_INT(seed),
                 A_TEXT(json_get_str(o, "base_dir", ".")), A_TEXT(buf_str(&config)),
                 A_TEXT(params_text), import_count(o, "predicted_bytes"),
                 A_REAL(json_get_num(o, "predicted_s", NAN)),
                 A_INT(json_get_int(o, "created_ms", clock_wall_ms())), parent_arg(in, o),
                 A_INT(json_get_int(o, "warm", 0)), A_TEXT(note),
                 import_count(o, "deleted_ms"), A_TEXT(import_text(o, "origin"))),
            id, err);
    free(note);
    buf_release(&config);
    buf_release(&params);
    return rc < 0 ? rc : 0;
}

static int take_runs(struct import *in, int64_t trial, const json_t *o,
                     struct import_news *news, struct err *err)
{
    json_t *run;
    size_t i;
    int rc = 0;
    json_array_foreach(json_object_get(o, "runs"), i, run)
    {
        if (rc == 0)
            rc = import_run(in->store, trial, run, news, err);
    }
    return rc;
}

/* A run that went on may have told more of its configuration. */
static int renew_trial(struct store *s, int64_t trial, const json_t *o, struct err *err)
{
    struct buf config = BUF_INIT, params = BUF_INIT;
    char key[SHA256_HEX];
    resolve_config(o, &config, key);
    const char *params_text = import_json(o, "params", &params);
    char *note = store_repair_text(import_text(o, "note"));
    const int rc =
        store_exec(s, sql[TRIAL_RENEW],
                   ARGS(A_INT(trial), A_TEXT(buf_str(&config)), A_TEXT(params_text),
                        A_TEXT(note), A_INT(json_get_int(o, "seed", 0))),
                   err);
    buf_release(&config);
    buf_release(&params);
    free(note);
    return rc < 0 ? rc : 0;
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
    const char *state = import_text(o, "state");
    int64_t attempts = json_get_int(o, "attempts", 0), summary = 0;
    size_t i;
    json_array_foreach((json_t *)runs, i, run)
    {
        int64_t attempt = json_get_int(run, "attempt", 0);
        if (attempt > attempts)
            attempts = attempt;
        if (attempt > summary &&
            !str_in_list(import_text(run, "state"), "running|stale|preempted", '|'))
            summary = attempt;
    }
    int rc = store_exec(s, sql[TRIAL_SET],
                        ARGS(A_INT(trial),
                             A_TEXT(!str_eq(state, "running")  ? state
                                    : import_text(o, "origin") ? "stale"
                                                               : "waiting"),
                             A_INT(attempts), A_INT(json_get_int(o, "lost", 0)),
                             A_INT(json_get_int(o, "summary_attempt", summary))),
                        err);
    return rc < 0 ? rc : 0;
}

static int import_trial(struct import *in, const json_t *o, struct err *err)
{
    struct store *s = in->store;
    int64_t experiment = 0, sweep = 0, id = 0;
    struct import_news news = {0};
    bool added = false;
    char there[32];
    int rc = CHECK(o, trial_fields, "trial", err);
    if (rc == 0)
        rc = import_check_state(import_text(o, "state"), "trial", err);
    if (rc == 0)
        rc = take_experiment(s, import_text(o, "experiment"), 0, clock_wall_ms(),
                             &experiment, err);
    rc = rc > 0 ? 0 : rc;
    if (rc == 0 && import_text(o, "sweep"))
        rc = take_sweep(s, NULL, import_text(o, "sweep"), experiment, &sweep, err);
    if (rc == 0)
        rc = take_trial(in, o, experiment, sweep, &id, &added, err);
    /* one that was deleted is wanted again, as in store_experiment */
    if (rc == 0 && added && import_count(o, "deleted_ms").type == ARG_NULL)
        rc = store_exec(s, sql[EXPERIMENT_REVIVE], ARGS(A_INT(experiment)), err);
    if (rc >= 0)
        rc = import_texts(s, sql[TAG_ADD], id, o, "tags", err);
    if (rc == 0)
        rc = take_runs(in, id, o, &news, err);
    const bool more = news.runs + news.grown > 0;
    if (rc == 0 && more && !added)
        rc = is_running(s, id, err);
    if (rc == 0 && news.grown > 0)
        rc = renew_trial(s, id, o, err);
    if (rc == 0 && (added || more))
        rc = set_state(s, id, o, err);
    if (json_get_int(o, "id", 0) > 0) {
        snprintf(there, sizeof there, "%lld", (long long)json_get_int(o, "id", 0));
        strmap_put(in->ids, there, strlen(there), id);
    }
    in->trials += added;
    in->known += !added;
    in->runs += news.runs;
    in->grown += news.grown;
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
    } kinds[] = {{"peftlab", import_head},
                 {"experiment", import_experiment},
                 {"sweep", import_sweep},
                 {"trial", import_trial}};
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

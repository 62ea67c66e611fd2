/* tracker/exchange/push.c - see push.h: experiments, sweeps and trials, one after the
 * other. Each trial is read by itself, so that no transaction waits for the network. */
#include "tracker/exchange/push.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/exchange/exchange.h"
#include "tracker/exchange/push_parts.h"
#include "tracker/mlflow/mlflow_api.h"
#include "tracker/store/store_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { FORM = 1 }; /* raised when trials are sent otherwise than before */

static const char list_sql[] =
    "SELECT id, ifnull(sweep, 0), experiment_name FROM trial_view WHERE (?1 = 0 OR "
    "experiment = ?1) AND (?2 = 0 OR sweep = ?2) ORDER BY experiment, ifnull(sweep, 0), "
    "id";

struct item {
    int64_t trial, sweep;
    char *experiment;
};
struct list {
    struct item *items;
    size_t count, cap;
};

void push_left_out(struct push *p, const char *what, size_t count)
{
    json_t **all = &p->total->left_out;
    if (count == 0)
        return;
    if (!*all)
        *all = json_object();
    json_object_set_new(*all, what,
                        json_integer(json_get_int(*all, what, 0) + (json_int_t)count));
}

void push_total_release(struct push_total *total)
{
    json_decref(total->left_out);
    *total = (struct push_total){0};
}

static int list_trials(struct push *p, struct list *list, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(p->store, list_sql,
                             ARGS(A_INT(p->wish->experiment), A_INT(p->wish->sweep)),
                             &stmt, err);
    while (rc >= 0 && (rc = store_step(p->store, stmt, err)) > 0) {
        list->items =
            xgrow(list->items, &list->cap, list->count + 1, sizeof(struct item));
        list->items[list->count++] =
            (struct item){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
                          store_column_text(stmt, 2)};
    }
    if (stmt)
        store_done(stmt);
    return rc;
}

/* ---- what runs have in common ---- */

/* A text as a tag's value, without secrets. */
static void set_tag(json_t *tags, const char *key, const char *text)
{
    if (!text || !*text)
        return;
    char *clean = secret_text(text), *cut = push_cut(clean ? clean : text, PUSH_MAX_TAG);
    json_object_set_new(tags, key, json_string(cut));
    free(clean);
    free(cut);
}

static void set_common(struct push_run *r, const char *kind, int64_t id,
                       const struct push *p)
{
    r->tags = json_object();
    r->params = json_object();
    r->id = xasprintf("%s/%s-%lld", p->store_id, kind, (long long)id);
    set_tag(r->tags, "mlflow.user", getenv("USER"));
    set_tag(r->tags, "mlflow.source.name", "peftlab");
    set_tag(r->tags, "mlflow.source.type", "LOCAL");
}

/* ---- a sweep ---- */

static const char sweep_sql[] =
    "SELECT name, note, created_ms, file_json, (SELECT max(ended_ms) FROM trial_view "
    "WHERE sweep = ?1), (SELECT count(*) FROM trial_view WHERE sweep = ?1 AND state IN "
    "('waiting', 'running', 'preempted')) FROM sweep WHERE id = ?1";

static int fill_sweep(struct push *p, struct push_run *r, int64_t sweep, char **name,
                      struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(p->store, sweep_sql, ARGS(A_INT(sweep)), &stmt, err);
    if (rc == 0)
        rc = store_step(p->store, stmt, err);
    if (rc > 0) {
        char *file = secret_json_text((const char *)sqlite3_column_text(stmt, 3));
        *name = store_column_text(stmt, 0);
        r->name = *name;
        r->started_ms = sqlite3_column_int64(stmt, 2);
        r->ended_ms = sqlite3_column_int64(stmt, 5) ? 0 : sqlite3_column_int64(stmt, 4);
        r->status = r->ended_ms ? "FINISHED" : "RUNNING";
        set_tag(r->tags, "mlflow.runName", *name);
        set_tag(r->tags, "mlflow.note.content",
                (const char *)sqlite3_column_text(stmt, 1));
        set_tag(r->tags, "peftlab.sweep_file",
                file ? file : (const char *)sqlite3_column_text(stmt, 3));
        free(file);
    }
    if (stmt)
        store_done(stmt);
    return rc < 0 ? rc : 0;
}

/* The parent of its trials; *run_id is its name there. */
static int push_sweep(struct push *p, int64_t sweep, char **run_id, struct err *err)
{
    struct push_run r = {0};
    char *name = NULL;
    free(*run_id);
    *run_id = NULL;
    if (!sweep)
        return 0;
    set_common(&r, "sweep", sweep, p);
    int rc = fill_sweep(p, &r, sweep, &name, err);
    if (rc == 0)
        rc = push_run_take(p, &r, err);
    if (rc == 0)
        rc = push_run_fill(p, &r, err);
    if (rc == 0)
        rc = push_run_end(p, &r, NULL, err);
    if (rc == 0)
        *run_id = xstrdup(r.run_id);
    push_run_release(&r);
    free(name);
    return rc;
}

/* ---- a trial ---- */

static const char *status_of(const char *state)
{
    static const struct {
        const char *states, *status;
    } map[] = {{"complete|pruned", "FINISHED"},
               {"cancelled", "KILLED"},
               {"running", "RUNNING"},
               {"waiting|preempted", "SCHEDULED"}};
    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        if (str_in_list(state, map[i].states, '|'))
            return map[i].status;
    return "FAILED";
}

static void flatten(json_t *flat, const json_t *tree, const char *prefix)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)tree, key, v)
    {
        char *name = *prefix ? xasprintf("%s.%s", prefix, key) : xstrdup(key);
        if (json_object_size(v) > 0)
            flatten(flat, v, name);
        else if (!json_is_null(v))
            json_object_set(flat, name, v);
        free(name);
    }
}

static void add_params(struct push_run *r, const json_t *flat, struct strmap *taken,
                       bool stay)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)flat, key, v)
    {
        if (push_name_stays(key) != stay)
            continue;
        char *there = push_name(key, taken), *text = push_text(v),
             *cut = push_cut(text, PUSH_MAX_PARAM);
        json_object_set_new(r->params, there, json_string(cut));
        free(there);
        free(text);
        free(cut);
    }
}

/* The configuration, in which what the sweep sets stands too; the seed where it has none. */
static void set_params(struct push_run *r, const json_t *trial)
{
    struct strmap *taken = strmap_new();
    json_t *run, *flat = json_object();
    size_t i;
    json_t *all = json_copy(json_object_get(trial, "config"));
    if (!json_is_object(all)) {
        json_decref(all);
        all = json_object();
    }
    json_object_update_missing(all, json_object_get(trial, "params"));
    json_array_foreach(json_object_get(trial, "runs"), i, run)
        json_object_update_missing(all, json_object_get(run, "params"));
    if (!json_object_get(all, "seed"))
        json_object_set(all, "seed", json_object_get(trial, "seed"));
    flatten(flat, all, "");
    add_params(r, flat, taken, true);
    add_params(r, flat, taken, false);
    json_decref(flat);
    json_decref(all);
    strmap_free(taken);
}

/* The trial's own, but those of MLflow's that tell another place's runs. */
static void set_tags(struct push_run *r, const json_t *trial, const char *parent)
{
    const json_t *runs = json_object_get(trial, "runs"),
                 *last = json_array_get(runs, json_array_size(runs) - 1),
                 *git = json_object_get(json_object_get(last, "environment"), "git");
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(trial, "tags"), key, v)
    {
        if (str_in_list(
                key, "mlflow.parentRunId|mlflow.runName|" PUSH_TAG_ID "|" PUSH_TAG_SENT,
                '|'))
            continue;
        char *name = push_name(key, NULL);
        set_tag(r->tags, name, json_string_value(v));
        free(name);
    }
    set_tag(r->tags, "mlflow.runName", r->name);
    set_tag(r->tags, "mlflow.note.content", json_get_str(trial, "note", NULL));
    set_tag(r->tags, "mlflow.parentRunId", parent);
    set_tag(r->tags, "mlflow.source.git.commit", json_get_str(git, "commit", NULL));
    set_tag(r->tags, "trial.state", json_get_str(trial, "state", ""));
    set_tag(r->tags, "trial.reason", json_get_str(last, "reason", NULL));
    set_tag(r->tags, "trial.host", json_get_str(last, "owner_host", NULL));
}

static char *name_of(const json_t *trial)
{
    const json_t *tags = json_object_get(trial, "tags");
    const char *own =
                   json_get_str(tags, "name", json_get_str(tags, "mlflow.runName", NULL)),
               *sweep = json_get_str(trial, "sweep", NULL);
    const long long id = (long long)json_get_int(trial, "id", 0);
    if (own && *own)
        return push_cut(own, PUSH_MAX_KEY);
    return sweep ? xasprintf("%.200s %lld", sweep, id) : xasprintf("trial %lld", id);
}

/* What there is to send, as a hash. */
static char *fingerprint(const struct push *p, const json_t *trial)
{
    struct buf text = BUF_INIT;
    char sha256[SHA256_HEX];
    buf_printf(&text, "%d %d ", FORM, p->wish->artifacts);
    json_canonical(&text, trial);
    sha256_hex(text.data, text.len, sha256);
    buf_release(&text);
    return xstrdup(sha256);
}

static int send_trial(struct push *p, struct push_run *r, const json_t *trial,
                      const char *sent, struct err *err)
{
    int rc = push_run_take(p, r, err);
    if (rc == 0)
        rc = push_run_fill(p, r, err);
    if (rc == 0)
        rc = push_run_inputs(p, r, trial, err);
    if (rc == 0)
        rc = push_values(p, r, trial, err);
    if (rc == 0 && p->wish->artifacts)
        rc = push_files(p, r, trial, err);
    if (rc == 0)
        rc = push_run_end(p, r, sent, err);
    if (rc == 0 && r->was_there)
        p->total->renewed++;
    else if (rc == 0)
        p->total->added++;
    return rc;
}

static int push_trial(struct push *p, int64_t id, const char *parent, struct err *err)
{
    struct push_run r = {0};
    json_t *trial = NULL;
    int rc = store_export_trial(p->store, id, &trial, err);
    if (rc < 0)
        return rc;
    const json_t *runs = json_object_get(trial, "runs"),
                 *last = json_array_get(runs, json_array_size(runs) - 1);
    char *sent = fingerprint(p, trial), *name = name_of(trial);
    set_common(&r, "trial", id, p);
    const json_t *known = json_object_get(p->known, r.id);
    if (json_array_size(runs) == 0) {
        push_left_out(p, "trials that never ran", 1);
    } else if (str_eq(json_get_str(known, "sent", ""), sent)) {
        p->total->same++;
    } else {
        const int64_t started = json_get_int(json_array_get(runs, 0), "started_ms", 0);
        r.name = name;
        r.started_ms = started > 0 ? started : 1;
        r.status = status_of(json_get_str(trial, "state", ""));
        if (!str_in_list(r.status, "RUNNING|SCHEDULED", '|'))
            r.ended_ms = json_get_int(last, "ended_ms", r.started_ms);
        set_params(&r, trial);
        set_tags(&r, trial, parent);
        rc = send_trial(p, &r, trial, sent, err);
    }
    push_run_release(&r);
    free(name);
    free(sent);
    json_decref(trial);
    return rc < 0 ? err_context(err, "trial %lld: ", (long long)id) : 0;
}

/* ---- all of it ---- */

static int push_list(struct push *p, const struct list *list, struct err *err)
{
    char *parent = NULL;
    int rc = 0;
    for (size_t i = 0; i < list->count && rc == 0; i++) {
        const struct item *at = &list->items[i], *before = i > 0 ? at - 1 : NULL;
        const bool moved = !before || !str_eq(before->experiment, at->experiment);
        if (moved)
            rc = push_experiment(p, at->experiment, err);
        if (rc == 0 && (moved || before->sweep != at->sweep))
            rc = push_sweep(p, at->sweep, &parent, err);
        if (rc == 0)
            rc = push_trial(p, at->trial, parent, err);
    }
    free(parent);
    return rc;
}

/* The lock ends with the process, however that ends. Where none can be had it goes without.
 * A byte that no sweep has (tracker/claims/attend.h). */
static int lock(struct store *s, bool take, struct err *err)
{
    struct flock byte = {.l_type = take ? F_WRLCK : F_UNLCK,
                         .l_whence = SEEK_SET,
                         .l_start = 1 << 19,
                         .l_len = 1};
    if ((s->turn_fd < 0 && turn_open(s, NULL) < 0) ||
        fcntl(s->turn_fd, F_OFD_SETLK, &byte) == 0 || errno != EAGAIN)
        return 0;
    return err_set(err, ERR_BUSY,
                   "another export of this store to a server goes on; again when it is "
                   "over");
}

/* A `peftlab ui` on this very store has all of it; each export would double it. */
static int refuse_itself(struct push *p, struct err *err)
{
    char id[MLFLOW_RUN_ID_BYTES];
    struct err why = ERR_INIT;
    int64_t run = 0;
    int rc = store_int(p->store, "SELECT id FROM run LIMIT 1", NULL, &run, err);
    if (rc > 0)
        rc = mlflow_run_id(p->store, run, id, err);
    if (rc < 0 || !run)
        return rc;
    json_t *fields = json_pack("{s:s}", "run_id", id), *answer = NULL;
    rc = push_get(p, "runs/get", fields, &answer, &why);
    const json_t *info = json_object_get(json_object_get(answer, "run"), "info");
    if (str_eq(json_get_str(info, "run_id", ""), id))
        rc = err_set(
            err, ERR_CONFIG,
            "%.200s is a server on this very store, which has all of it; give the "
            "address of another",
            p->base);
    else if (rc < 0)
        rc = *p->code ? 0 : err_set(err, why.code, "%s", why.msg);
    json_decref(answer);
    json_decref(fields);
    return rc;
}

int store_push(struct store *s, const struct push_wish *wish, struct push_total *total,
               struct err *err)
{
    struct push p = {.store = s, .wish = wish, .total = total};
    struct list list = {0};
    *total = (struct push_total){0};
    p.store_id = store_id(s, err);
    int rc = p.store_id ? lock(s, true, err) : err_code(err);
    if (rc < 0)
        return rc;
    rc = list_trials(&p, &list, err);
    if (rc == 0)
        rc = push_open(&p, err);
    if (rc == 0 && list.count > 0)
        rc = refuse_itself(&p, err);
    if (rc == 0)
        rc = push_list(&p, &list, err);
    push_close(&p);
    lock(s, false, NULL);
    for (size_t i = 0; i < list.count; i++)
        free(list.items[i].experiment);
    free(list.items);
    return rc;
}

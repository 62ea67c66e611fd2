/* tracker/worker/sink.c - the sink that drops everything, and the one that writes to a
 * store of this host.
 *
 * Metrics wait in memory and are written in one transaction when BATCH have come, at each
 * heartbeat and at the end. If writing fails they stay and are tried again, up to
 * MAX_WAITING; training never waits longer than the store's busy time and never fails. A
 * lost lease is for good: from then on everything is dropped and alive() is false. A
 * keeper (keeper.h) renews the lease between two calls. */
#include "tracker/worker/sink.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/os/git.h"
#include "lib/os/proc.h"
#include "lib/text_table.h"
#include "tracker/store/store_priv.h"
#include "tracker/store/upkeep.h"
#include "tracker/worker/keeper.h"
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 256, MAX_WAITING = 1 << 16 };
#define BEAT_S 1.0

/* ---- null ---- */

static void null_metric(struct sink *s, const char *key, int64_t step, double value)
{
    (void)s, (void)key, (void)step, (void)value;
}

static void null_progress(struct sink *s, const struct sink_progress *p)
{
    (void)s, (void)p;
}

static void null_event(struct sink *s, const char *kind, const char *text)
{
    (void)s, (void)kind, (void)text;
}

static void null_environment(struct sink *s, const json_t *environment)
{
    (void)s, (void)environment;
}

static void null_method(struct sink *s, const struct method_facts *facts)
{
    (void)s, (void)facts;
}

static void null_artifact(struct sink *s, const char *name, const char *path)
{
    (void)s, (void)name, (void)path;
}

static bool null_alive(struct sink *s)
{
    (void)s;
    return true;
}

static int null_close(struct sink *s, struct err *err)
{
    (void)err;
    free(s);
    return 0;
}

struct sink *sink_null(void)
{
    static const struct sink_ops ops = {null_metric,      null_progress, null_event,
                                        null_environment, null_method,   null_artifact,
                                        null_artifact,    null_alive,    null_close};
    struct sink *s = xcalloc(1, sizeof *s);
    s->ops = &ops;
    return s;
}

/* ---- local ---- */

struct local {
    struct sink base;
    struct store *store; /* borrowed */
    struct keeper *keeper;
    int64_t run, lease_ms;
    double next_beat_s;           /* clock_mono_s of the next heartbeat */
    bool lost, stop, incomplete;  /* incomplete: something was dropped */
    bool planned;                 /* the store knows how many updates there are */
    struct metric_point *waiting; /* keys are owned */
    size_t count, cap;
};

static void remember(struct local *l, const struct err *e)
{
    if (l->base.error.code == ERR_OK) {
        l->base.error = *e;
        text_print(stderr, "peftlab: tracking: %s; training goes on\n", e->msg);
    }
}

/* What failed because the run is not ours any more will fail for ever; other failures
 * (a locked store, a full disk) may pass. */
static void check(struct local *l, const struct err *e, bool will_be_tried_again)
{
    l->lost |= store_run_is_over(l->store, l->run);
    l->incomplete |= l->lost || !will_be_tried_again;
    remember(l, e);
}

static void drop_waiting(struct local *l)
{
    for (size_t i = 0; i < l->count; i++)
        free((char *)l->waiting[i].key);
    l->count = 0;
}

static void flush(struct local *l)
{
    struct err e = ERR_INIT;
    if (l->count == 0)
        return;
    if (!l->lost && store_log_metrics(l->store, l->run, l->waiting, l->count, &e) < 0) {
        check(l, &e, true);
        if (!l->lost)
            return;
    }
    drop_waiting(l);
}

static void local_metric(struct sink *s, const char *key, int64_t step, double value)
{
    struct local *l = (struct local *)s;
    l->incomplete |= l->count >= MAX_WAITING;
    if (l->lost || l->count >= MAX_WAITING)
        return;
    l->waiting = xgrow(l->waiting, &l->cap, l->count + 1, sizeof *l->waiting);
    l->waiting[l->count++] = (struct metric_point){xstrdup(key), step, value};
    if (l->count % BATCH == 0)
        flush(l);
}

static void local_event(struct sink *s, const char *kind, const char *text)
{
    struct local *l = (struct local *)s;
    struct err e = ERR_INIT;
    if (!l->lost && store_log_event(l->store, l->run, kind, text, &e) < 0)
        check(l, &e, false);
}

/* Once, for who reckons the time left; the store has the steps and their times. */
static void local_progress(struct sink *s, const struct sink_progress *p)
{
    struct local *l = (struct local *)s;
    char text[64];
    if (l->planned)
        return;
    l->planned = true;
    snprintf(text, sizeof text, PLANNED_UPDATES, (long long)p->done, (long long)p->total);
    local_event(s, "planned", text);
}

/* The state of the user's folder, with what was changed in it as an artifact. A slice
 * that goes on where another parked is spared the question. */
static json_t *folder_state(struct local *l)
{
    static const char sql[] =
        "SELECT trial.base_dir FROM run JOIN trial ON trial.id = run.trial WHERE run.id "
        "= "
        "?1 AND NOT EXISTS (SELECT 1 FROM run AS before WHERE before.trial = run.trial "
        "AND before.attempt = run.attempt - 1 AND before.state = 'preempted')";
    enum { MAX_DIFF_BYTES = 4 << 20 };
    sqlite3_stmt *stmt = NULL;
    struct buf diff;
    char *dir = NULL;
    buf_init(&diff, MAX_DIFF_BYTES);
    if (store_statement(l->store, sql, ARGS(A_INT(l->run)), &stmt, NULL) == 0) {
        if (store_step(l->store, stmt, NULL) > 0)
            dir = store_column_text(stmt, 0);
        store_done(stmt);
    }
    json_t *state = dir ? git_state(dir, &diff) : NULL;
    if (diff.len > 0)
        store_keep_artifact(l->store, l->run, "git-diff", diff.data, diff.len, NULL);
    buf_release(&diff);
    free(dir);
    return state;
}

static void local_environment(struct sink *s, const json_t *environment)
{
    struct local *l = (struct local *)s;
    struct err e = ERR_INIT;
    if (l->lost)
        return;
    json_t *all = json_copy((json_t *)environment), *git = folder_state(l);
    if (git)
        json_object_set_new(all, "git", git);
    if (store_set_environment(l->store, l->run, all, &e) < 0)
        check(l, &e, false);
    json_decref(all);
}

static void local_method(struct sink *s, const struct method_facts *facts)
{
    struct local *l = (struct local *)s;
    struct err e = ERR_INIT;
    json_t *j = method_facts_json(facts);
    if (!l->lost && store_set_method(l->store, l->run, j, &e) < 0)
        check(l, &e, false);
    json_decref(j);
}

static void local_artifact(struct sink *s, const char *name, const char *path)
{
    struct local *l = (struct local *)s;
    struct err e = ERR_INIT;
    char sha256[SHA256_HEX];
    bool file = fs_exists(path) && !fs_is_dir(path);
    bool hashed = file && sha256_file(path, sha256, NULL) == 0;
    if (!l->lost &&
        store_log_artifact(l->store, l->run, name, path, file ? fs_size(path) : -1,
                           hashed ? sha256 : NULL, &e) < 0)
        check(l, &e, false);
}

static void local_keep(struct sink *s, const char *name, const char *path)
{
    enum { MAX_BYTES = 1 << 28 };
    struct local *l = (struct local *)s;
    struct err e = ERR_INIT;
    struct buf content;
    buf_init(&content, MAX_BYTES);
    int rc = l->lost ? 0 : fs_read(path, MAX_BYTES, &content, &e);
    if (!l->lost && rc == 0)
        rc = store_keep_artifact(l->store, l->run, name, buf_str(&content), content.len,
                                 &e);
    if (rc < 0)
        check(l, &e, false);
    buf_release(&content);
}

/* Three heartbeats fit into a lease, so that one may come late. They bring the numbers
 * along, by which a controller judges the trial while it runs. */
static double beat_s(const struct local *l)
{
    const double third = (double)l->lease_ms / 3000.0;
    return third < BEAT_S ? third : BEAT_S;
}

static bool local_alive(struct sink *s)
{
    struct local *l = (struct local *)s;
    struct err e = ERR_INIT;
    keeper_sign(l->keeper);
    if (l->lost || l->stop || clock_mono_s() < l->next_beat_s)
        return !l->lost && !l->stop;
    flush(l);
    if (!l->lost && store_heartbeat(l->store, l->run, l->lease_ms, &l->stop, &e) < 0)
        check(l, &e, true);
    l->next_beat_s = clock_mono_s() + beat_s(l);
    return !l->lost && !l->stop;
}

static int local_close(struct sink *s, struct err *err)
{
    struct local *l = (struct local *)s;
    keeper_free(l->keeper);
    flush(l);
    int rc = l->base.error.code && (l->incomplete || l->count > 0)
                 ? err_set(err, l->base.error.code, "%s", l->base.error.msg)
                 : 0;
    drop_waiting(l);
    free(l->waiting);
    free(l);
    return rc;
}

struct sink *sink_local(struct store *store, int64_t run, int64_t lease_ms)
{
    static const struct sink_ops ops = {local_metric,      local_progress, local_event,
                                        local_environment, local_method,   local_artifact,
                                        local_keep,        local_alive,    local_close};
    struct local *l = xcalloc(1, sizeof *l);
    l->base.ops = &ops;
    l->store = store;
    l->run = run;
    l->lease_ms = lease_ms;
    l->keeper = keeper_new(store_path(store), run, lease_ms);
    l->next_beat_s = clock_mono_s() + beat_s(l);
    return &l->base;
}

bool sink_alive(struct sink *s)
{
    return s->ops->alive(s) && !(s->stop && atomic_load(s->stop));
}

int sink_close(struct sink *s, struct err *err)
{
    return s ? s->ops->close(s, err) : 0;
}

/* tracker/worker/by_hand.c - see by_hand.h. What comes before the first number waits here
 * and is handed to the store's sink (sink_local) when that is opened. */
#include "tracker/worker/by_hand.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "tracker/store/store_priv.h"
#include <math.h>
#include <stdlib.h>

#define LEASE_MS 30000

struct by_hand {
    struct sink base;
    const struct by_hand_trial *t;
    bool begun;           /* was tried */
    struct store *store;  /* NULL: not recorded */
    struct sink *inner;   /* NULL: not recorded, or closed */
    struct run_claim run; /* with a store */
    /* what waits */
    json_t *environment, *events; /* [[kind, text]] */
    struct method_facts method;
    bool has_method;
};

/* ---- its trial ---- */

static int add_trial(struct store *s, const struct by_hand_trial *t,
                     const char *experiment, int64_t *id, struct err *err)
{
    struct trial_row row = {.key = t->key,
                            .seed = t->seed,
                            .base_dir = t->base_dir,
                            .config = t->config,
                            .params = t->params,
                            .predicted_bytes = -1,
                            .predicted_s = NAN,
                            .state = TRIAL_waiting};
    int rc = store_experiment(s, experiment, &row.experiment, err);
    if (rc == 0)
        rc = store_add_trials(s, &row, 1, NULL, err);
    *id = row.id;
    return rc;
}

/* 1: the known trial is of another folder. */
static int of_other_folder(struct store *s, int64_t id, const char *base_dir,
                           struct err *err)
{
    struct trial_row known;
    int rc = store_get_trial(s, id, &known, err);
    if (rc < 0)
        return rc;
    rc = !str_eq(known.base_dir, base_dir);
    trial_row_release(&known);
    return rc;
}

static int claim(struct by_hand *b, struct err *err)
{
    const struct by_hand_trial *t = b->t;
    int64_t id = 0;
    int rc = add_trial(b->store, t, t->experiment, &id, err);
    if (rc == 0)
        rc = of_other_folder(b->store, id, t->base_dir, err);
    if (rc > 0)
        rc = add_trial(b->store, t, t->base_dir, &id, err);
    if (rc == 0)
        rc = store_claim_again(b->store, id, LEASE_MS, t->run_dir, &b->run, err);
    return rc != 0
               ? rc
               : err_set(err, ERR_BUSY,
                         "trial %lld of store '%s' is being trained by another process "
                         "('peftlab show %lld')",
                         (long long)id, t->store, (long long)id);
}

static void hand_over(struct by_hand *b)
{
    const json_t *event;
    size_t i;
    if (b->environment)
        b->inner->ops->environment(b->inner, b->environment);
    if (b->has_method)
        b->inner->ops->method(b->inner, &b->method);
    json_array_foreach(b->events, i, event)
    {
        b->inner->ops->event(b->inner, json_string_value(json_array_get(event, 0)),
                             json_string_value(json_array_get(event, 1)));
    }
}

static void begin(struct by_hand *b)
{
    struct err e = ERR_INIT;
    if (b->begun)
        return;
    b->begun = true;
    int rc = store_open(b->t->store, STORE_CREATE, &b->store, &e);
    if (rc == 0)
        rc = claim(b, &e);
    if (rc > 0) {
        b->inner = sink_local(b->store, b->run.run, LEASE_MS);
        hand_over(b);
        return;
    }
    text_print(stderr, "peftlab: not recorded: %s; training goes on\n", e.msg);
    store_close(b->store);
    b->store = NULL;
}

/* ---- the sink ---- */

static void hand_metric(struct sink *sink, const char *key, int64_t step, double value)
{
    struct by_hand *b = (struct by_hand *)sink;
    begin(b);
    if (b->inner)
        b->inner->ops->metric(b->inner, key, step, value);
}

static void hand_progress(struct sink *sink, const struct sink_progress *p)
{
    struct by_hand *b = (struct by_hand *)sink;
    if (b->inner)
        b->inner->ops->progress(b->inner, p);
}

static void hand_event(struct sink *sink, const char *kind, const char *text)
{
    struct by_hand *b = (struct by_hand *)sink;
    if (b->inner)
        b->inner->ops->event(b->inner, kind, text);
    else if (!b->begun)
        json_array_append_new(b->events, json_pack("[s, s]", kind, text));
}

static void hand_environment(struct sink *sink, const json_t *environment)
{
    struct by_hand *b = (struct by_hand *)sink;
    if (b->inner)
        b->inner->ops->environment(b->inner, environment);
    json_decref(b->environment);
    b->environment = json_incref((json_t *)environment);
}

static void hand_method(struct sink *sink, const struct method_facts *facts)
{
    struct by_hand *b = (struct by_hand *)sink;
    if (b->inner)
        b->inner->ops->method(b->inner, facts);
    b->method = *facts;
    b->has_method = true;
}

/* The run folder may have been named from here; the store is read from anywhere. */
static void hand_file(struct by_hand *b, bool keep, const char *name, const char *path)
{
    if (!b->inner)
        return;
    char *absolute = fs_absolute(path);
    (keep ? b->inner->ops->keep : b->inner->ops->artifact)(b->inner, name, absolute);
    free(absolute);
}

static void hand_artifact(struct sink *sink, const char *name, const char *path)
{
    hand_file((struct by_hand *)sink, false, name, path);
}

static void hand_keep(struct sink *sink, const char *name, const char *path)
{
    hand_file((struct by_hand *)sink, true, name, path);
}

/* Whoever lost the trial to another process trains on, for itself; but one that was
 * retired stops. */
static bool hand_alive(struct sink *sink)
{
    struct by_hand *b = (struct by_hand *)sink;
    return !b->inner || b->inner->ops->alive(b->inner) ||
           store_run_is_over(b->store, b->run.run);
}

static int hand_close(struct sink *sink, struct err *err)
{
    struct by_hand *b = (struct by_hand *)sink;
    int rc = sink_close(b->inner, err);
    b->inner = NULL;
    return rc;
}

/* ---- from begin to end ---- */

struct by_hand *by_hand_new(const struct by_hand_trial *t)
{
    static const struct sink_ops ops = {hand_metric,      hand_progress, hand_event,
                                        hand_environment, hand_method,   hand_artifact,
                                        hand_keep,        hand_alive,    hand_close};
    struct by_hand *b = xcalloc(1, sizeof *b);
    b->base.ops = &ops;
    b->t = t;
    b->events = json_array();
    return b;
}

struct sink *by_hand_sink(struct by_hand *b)
{
    return &b->base;
}

static bool is_of_the_input(enum err_code code)
{
    return code == ERR_USAGE || code == ERR_CONFIG || code == ERR_NOINPUT ||
           code == ERR_PARSE || code == ERR_DEVICE;
}

static void finish(struct by_hand *b, const struct err *why)
{
    struct err e = ERR_INIT;
    const enum err_code code = why->code;
    if (store_run_finish(b->store, b->run.run, trial_state_after(code),
                         err_exit_status(code), code ? why->msg : NULL, &e) < 0)
        text_print(stderr, "peftlab: not recorded to its end: %s\n", e.msg);
}

int64_t by_hand_end(struct by_hand *b, const struct err *why)
{
    int64_t trial = 0;
    if (!b->begun && why->code && !is_of_the_input(why->code)) {
        begin(b);
        sink_close(b->inner, NULL);
    }
    if (b->store) {
        finish(b, why);
        trial = b->run.trial;
    }
    store_close(b->store);
    json_decref(b->environment);
    json_decref(b->events);
    free(b);
    return trial;
}

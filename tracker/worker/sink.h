/* tracker/worker/sink.h - where a running trial's events go. The trainer knows only this
 * interface.
 *
 * Calls never fail the training: a sink that cannot write remembers its first error
 * (sink->error) and says it once on stderr; sink_close returns it, unless everything
 * could be written after all. Values are buffered and flushed in batches and at each
 * heartbeat. */
#ifndef TRACKER_WORKER_SINK_H
#define TRACKER_WORKER_SINK_H

#include "lib/err.h"
#include "tracker/store/store.h"
#include "tracker/view/method_facts.h"
#include <jansson.h>
#include <stdatomic.h>

/* How far a training is, after an update. */
struct sink_progress {
    int64_t done, total; /* updates */
    double loss;
    double tokens_per_s, seconds_left; /* by the updates of late; NaN: not known yet */
};

/* The event "planned" of a run: its first and its last update. */
#define PLANNED_UPDATES "updates %lld to %lld"

struct sink;
struct sink_ops {
    /* Step -1: summary */
    void (*metric)(struct sink *s, const char *key, int64_t step, double value);
    void (*progress)(struct sink *s, const struct sink_progress *p);
    void (*event)(struct sink *s, const char *kind, const char *text);
    void (*environment)(struct sink *s, const json_t *environment);
    void (*method)(struct sink *s, const struct method_facts *facts); /* of the trial */
    void (*artifact)(struct sink *s, const char *name, const char *path);
    /* The same of a small file, of which the store keeps a copy. */
    void (*keep)(struct sink *s, const char *name, const char *path);
    bool (*alive)(struct sink *s); /* called once per update: heartbeats when due; false:
                                      stop (asked to, or lease lost) */
    int (*close)(struct sink *s, struct err *err);
};
struct sink {
    const struct sink_ops *ops;
    struct err error;
    /* Set by whoever in this process wants the trial to stop; NULL: nobody can. */
    const atomic_bool *stop;
};
/* Called once per update, see alive; false: stop. */
bool sink_alive(struct sink *s);

struct sink *sink_null(void); /* drops everything */
/* The store on this host. Keeps the run's lease by a thread of its own until it is
 * closed; close it before store_run_finish. */
struct sink *sink_local(struct store *store, int64_t run, int64_t lease_ms);
int sink_close(struct sink *s, struct err *err); /* flushes and frees */

#endif

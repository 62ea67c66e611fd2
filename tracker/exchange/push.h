/* tracker/exchange/push.h - trials into an MLflow server, so that they look right there.
 *
 * An experiment here is the one of that name there, made where there is none. A sweep is a
 * run, the parent (mlflow.parentRunId) of a run for each of its trials; a trial that never
 * ran stays here. Parameters are the trial's whole configuration, flat, as texts, with its
 * seed; metrics its curves, and what it measured once (at step 0). A result that differs
 * from the last point of the curve of its name goes as "result/NAME". Tags are the trial's
 * own and MLflow's: the run's name, who, from which commit, the note; trial.state keeps what
 * MLflow has no status for (pruned is FINISHED there, the other ends but complete and
 * cancelled are FAILED).
 *
 * Of several attempts at a trial each counts from its first step on, until the next one's.
 * A point's time is the one that the store knows, else it is spread over its attempt.
 *
 * It may be stopped at any moment and started again, and a trial that has grown goes on:
 * each run there has a tag peftlab.id, STORE/trial-N, which is looked for before one is
 * made, since making is the only call that counts twice. Two at once would look before either
 * makes it, so a store has one export at a time (ERR_BUSY). A server on the store itself is
 * refused. Of a run that is there, only
 * parameters and points that it lacks are sent; one whose tag peftlab.sent is the hash of
 * all that there is to send costs nothing.
 *
 * What MLflow does not take is changed and not left out: letters of names that it refuses
 * become "_", what is too long is cut, a parameter with a mark ("..."). Secrets do not go
 * along (lib/secret), but files of --artifacts go as they are. They go through the server
 * where it says so (artifact_uri "mlflow-artifacts:"); one that keeps them elsewhere would
 * need that place's own keys, and they are counted as left out. So are those of imported runs
 * but what lies beside the store: a path that somebody else wrote names files of this machine
 * that are not his (tracker/mlflow/artifacts.h).
 *
 * Credentials as for MLflow's own client: MLFLOW_TRACKING_USERNAME and _PASSWORD, else
 * MLFLOW_TRACKING_TOKEN; never in the clear over a network (lib/net/http.h). */
#ifndef TRACKER_EXCHANGE_PUSH_H
#define TRACKER_EXCHANGE_PUSH_H

#include "lib/net/http.h"
#include "tracker/store/store.h"

struct push_wish {
    const char *url;
    int64_t experiment, sweep; /* 0: all */
    bool artifacts;
    struct http_policy policy; /* of each request */
};
struct push_total {
    size_t added, renewed, same; /* trials */
    size_t values, files;        /* that were sent */
    json_t *left_out;            /* {what: how many}; NULL: nothing. Owned */
};
/* On an error *total says how far it came. */
int store_push(struct store *s, const struct push_wish *wish, struct push_total *total,
               struct err *err);
void push_total_release(struct push_total *total);

#endif

/* tracker/mlflow/mlflow_ids.h - the names that MLflow's clients have for what is in a store.
 *
 * A run: the store's id and the run's number, 16 hexadecimal digits each. An experiment: its
 * number in decimal digits; the one called Default is "0", whether it is there yet or not. */
#ifndef TRACKER_MLFLOW_MLFLOW_IDS_H
#define TRACKER_MLFLOW_MLFLOW_IDS_H

#include "tracker/mlflow/mlflow_api.h"

#define MLFLOW_DEFAULT "Default"
enum { MLFLOW_EXPERIMENT_ID_BYTES = 24 };

struct mlflow_run {
    int64_t run, trial, experiment;
    enum trial_state state; /* of the run */
    bool foreign;           /* a client made it: no process of ours says how it ends */
    bool trial_runs;        /* by this attempt or a later one */
    bool deleted;
    int64_t started_ms, heartbeat_ms;
    char id[MLFLOW_RUN_ID_BYTES];
};
/* By "run_id", else "run_uuid" of the request. RESOURCE_DOES_NOT_EXIST where there is none. */
int mlflow_find_run(struct store *s, const json_t *fields, struct mlflow_run *out,
                    struct mlflow_error *e);
/* The same for who writes to it: INVALID_PARAMETER_VALUE where it was deleted. */
int mlflow_find_active_run(struct store *s, const json_t *fields, struct mlflow_run *out,
                           struct mlflow_error *e);
/* The number of a run by its id; 0: no run of this store can have it. */
int64_t mlflow_run_number(struct store *s, const char *run_id);

struct mlflow_experiment {
    int64_t id; /* 0: it is Default, and is not there yet */
    bool deleted;
    char shown[MLFLOW_EXPERIMENT_ID_BYTES];
};
void mlflow_experiment_id(int64_t id, const char *name,
                          char out[MLFLOW_EXPERIMENT_ID_BYTES]);
/* INVALID_PARAMETER_VALUE: no number; RESOURCE_DOES_NOT_EXIST. */
int mlflow_find_experiment(struct store *s, const char *id, struct mlflow_experiment *out,
                           struct mlflow_error *e);
/* The same for who writes to it: Default is made where it is not there. */
int mlflow_take_experiment(struct store *s, const char *id, struct mlflow_experiment *out,
                           struct mlflow_error *e);

#endif

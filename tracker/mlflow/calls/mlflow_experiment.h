/* tracker/mlflow/calls/mlflow_experiment.h - an experiment as MLflow's clients see one. */
#ifndef TRACKER_MLFLOW_CALLS_MLFLOW_EXPERIMENT_H
#define TRACKER_MLFLOW_CALLS_MLFLOW_EXPERIMENT_H

#include "lib/err.h"
#include "tracker/store/store.h"
#include <jansson.h>

/* {"experiment_id", "name", "artifact_location", "lifecycle_stage", "last_update_time",
 * "creation_time", "tags"}; 0: Default, where nobody has made it yet. New reference; NULL:
 * ERR_NOINPUT. */
json_t *mlflow_experiment_json(struct store *s, int64_t id, struct err *err);

#endif

/* tracker/mlflow/run_text.h - a run of the store as MLflow's clients see one, as JSON text.
 *
 *     {"info": {"run_id", "run_uuid", "run_name", "experiment_id", "user_id", "status",
 *               "start_time", "end_time", "artifact_uri", "lifecycle_stage"},
 *      "data": {"metrics": [{key, value, timestamp, step}], "params": [{key, value}],
 *               "tags": [{key, value}]},
 *      "inputs": {"dataset_inputs": [...]}, "outputs": {}}
 *
 * It is text, not a tree, since a page of search has a thousand of them; lists that would be
 * empty are left out, as MLflow does. The fragments of SQL below say what the parts are, for
 * the text and for search alike: both take `trial` and `run` joined.
 *
 * Runs of ours have no tag mlflow.runName: they are called by sweep and number; their note is
 * mlflow.note.content. A metric is the summary value where there is one, else the last of its
 * series. Params are those of flat_params.h. Nothing secret is in it. */
#ifndef TRACKER_MLFLOW_RUN_TEXT_H
#define TRACKER_MLFLOW_RUN_TEXT_H

#include "lib/buf.h"
#include "lib/err.h"
#include "tracker/store/store.h"
#include <jansson.h>

/* Experiment "0" is the one named Default. */
#define RUN_EXPERIMENT_SQL                                                               \
    "(SELECT iif(name = 'Default', 0, id) FROM experiment WHERE experiment.id = "        \
    "trial.experiment)"
#define RUN_ID_SQL "((SELECT id FROM store) || printf('%016x', run.id))"
#define RUN_TAG_SQL(key)                                                                 \
    "(SELECT value FROM tag WHERE tag.trial = trial.id AND tag.key = '" key "')"
#define RUN_NAME_SQL                                                                     \
    "coalesce(" RUN_TAG_SQL(                                                             \
        "mlflow.runName") ", ifnull((SELECT name FROM sweep WHERE "                      \
                          "sweep.id = trial.sweep) || '/' || trial.number, 'trial ' || " \
                          "trial.id) || "                                                \
                          "iif(run.attempt > 1, ' attempt ' || run.attempt, ''))"
#define RUN_NOTE_SQL "ifnull(" RUN_TAG_SQL("mlflow.note.content") ", trial.note)"
/* Where flat_params.h finds them: a client's runs have all in their configuration. */
#define RUN_PARAMS_SQL                                                                   \
    "iif(trial.origin = 'mlflow', trial.config_json, trial.params_json)"
#define RUN_USER_SQL "ifnull(" RUN_TAG_SQL("mlflow.user") ", '')"
#define RUN_STATUS_SQL                                                                   \
    "CASE run.state WHEN 'running' THEN 'RUNNING' WHEN 'complete' THEN 'FINISHED' "      \
    "WHEN 'pruned' THEN 'FINISHED' WHEN 'cancelled' THEN 'KILLED' "                      \
    "WHEN 'preempted' THEN iif(trial.origin = 'mlflow', 'SCHEDULED', 'KILLED') ELSE "    \
    "'FAILED' END"
#define RUN_ARTIFACTS_SQL                                                                \
    "(ifnull((SELECT artifact_location FROM experiment WHERE experiment.id = "           \
    "trial.experiment), 'mlflow-artifacts:/' || " RUN_EXPERIMENT_SQL                     \
    ") || '/' || " RUN_ID_SQL " || '/artifacts')"

/* Appends the object; ERR_NOINPUT where there is no such run. */
int run_text_write(struct store *s, int64_t run, struct buf *out, struct err *err);
/* The same as a tree; NULL on error. */
json_t *run_text_tree(struct store *s, int64_t run, struct err *err);

#endif

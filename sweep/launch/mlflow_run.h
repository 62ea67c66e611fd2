/* sweep/launch/mlflow_run.h - whether a program of the user's logs to this store by MLflow's API.
 *
 * Its client goes on with the run that MLFLOW_RUN_ID names, at the server that
 * MLFLOW_TRACKING_URI names. So the launcher sets the former, where the latter is a `peftlab ui` on
 * this store (or one in front of it): it is asked whether it has the run. Any other server
 * would refuse a run that it does not know, and the program, which may well log to an MLflow
 * of its own, would fail by us. */
#ifndef SWEEP_LAUNCH_MLFLOW_RUN_H
#define SWEEP_LAUNCH_MLFLOW_RUN_H

#include <stdbool.h>

/* One request of a few seconds at most; false too where there is no server. */
bool mlflow_server_has(const char *uri, const char *run_id);

#endif

/* tracker/foreign/mlflow_parts.h - what runs of MLflow have in common, wherever they are
 * kept: its SQLite store (mlflow.c), an mlruns folder (mlruns.c).
 *
 * Parameters are texts in MLflow: what reads as a number, True or False becomes one. Tags
 * keep their names ("mlflow.parentRunId"), but the note's is the trial's note and the name's
 * is "name". Deleted runs and experiments are left out, and so are runs that go on; one
 * that does not, without having said so, failed. */
#ifndef TRACKER_FOREIGN_MLFLOW_PARTS_H
#define TRACKER_FOREIGN_MLFLOW_PARTS_H

#include "tracker/foreign/foreign_run.h"

void mlflow_param(struct foreign_run *r, const char *key, const char *text, size_t len);
void mlflow_tag(struct foreign_run *r, const char *key, const char *text, size_t len);
/* Is it one to take? Its state then. goes_on: somebody may be writing it. */
bool mlflow_state(struct foreign_run *r, const char *status, bool goes_on);

#endif

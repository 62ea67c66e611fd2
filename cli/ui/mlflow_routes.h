/* cli/ui/mlflow_routes.h - MLflow's API as a part of `peftlab ui`. */
#ifndef CLI_UI_MLFLOW_ROUTES_H
#define CLI_UI_MLFLOW_ROUTES_H

#include "cli/ui/ui.h"

extern const struct ui_part ui_mlflow_part;
/* Runs whose clients fell silent are given up; each write does it, too. */
void mlflow_routes_reap(struct ui *ui);
/* The body of an error of the server's own under these paths, in MLflow's form. */
json_t *mlflow_routes_error(int status, const char *param, const char *message);

#endif

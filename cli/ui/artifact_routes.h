/* cli/ui/artifact_routes.h - MLflow's artifact proxy as a part of `peftlab ui`. */
#ifndef CLI_UI_ARTIFACT_ROUTES_H
#define CLI_UI_ARTIFACT_ROUTES_H

#include "cli/ui/ui.h"

extern const struct ui_part ui_artifact_part;

#endif

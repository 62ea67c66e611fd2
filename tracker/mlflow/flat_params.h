/* tracker/mlflow/flat_params.h - a trial's parameters as MLflow's clients see them: texts
 * under flat names.
 *
 * trial.params_json is an object of whatever a sweep sets. An object within gives a name
 * per member, "lora.rank"; texts are themselves, numbers, true, false and null as JSON
 * writes them, lists as JSON text. What is a secret (lib/secret) is not shown, and cannot be
 * searched for. The text is read where it lies, since search asks it of
 * thousands of trials; it has to be valid JSON (the store holds no other). */
#ifndef TRACKER_MLFLOW_FLAT_PARAMS_H
#define TRACKER_MLFLOW_FLAT_PARAMS_H

#include "lib/buf.h"
#include "lib/err.h"
#include "tracker/store/store.h"
#include <stdbool.h>
#include <stddef.h>

/* Told each parameter in the order of the text; false ends it. name and value live until it
 * returns. */
typedef bool flat_params_told(void *ctx, const char *name, const char *value);
void flat_params_each(const char *json, flat_params_told *told, void *ctx);
/* The value of one; false: there is none. */
bool flat_params_find(const char *json, const char *name, struct buf *value);

/* Makes flat_param(params_json, name) known to the statements of a store; 1 the first time,
 * then 0. */
int flat_params_register(struct store *s, struct err *err);

#endif

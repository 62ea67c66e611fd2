/* tracker/mlflow/mlflow_inner.h - what the calls share: fields of requests, names that are
 * allowed, and the calls themselves. */
#ifndef TRACKER_MLFLOW_MLFLOW_INNER_H
#define TRACKER_MLFLOW_MLFLOW_INNER_H

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/mlflow_api.h"
#include "tracker/mlflow/mlflow_ids.h"
#include "tracker/store/store_priv.h"
#include <stdlib.h>
#include <string.h>

/* ---- calls/mlflow_fields.c ---- */
int mlflow_check_fields(const struct mlflow_field *f, const json_t *fields,
                        struct mlflow_error *e);
/* Also of a text; false: neither, or it is not there. */
bool mlflow_as_int(const json_t *v, int64_t *out);
bool mlflow_as_number(const json_t *v, double *out);
/* A text of an object; "" where it is not there (or not one). */
const char *mlflow_text(const json_t *fields, const char *name);
/* That a value is not of its type. -1. */
int mlflow_refuse_value(const char *where, const json_t *v, struct mlflow_error *e);
/* Of [{"key", "value"}]: both are texts, or not there. `list` names it in messages. */
int mlflow_check_pairs(const char *list, const json_t *pairs, struct mlflow_error *e);

/* ---- calls/mlflow_names.c ---- */
enum {
    MLFLOW_MAX_KEY = 250, /* characters, all of these */
    MLFLOW_MAX_PARAM = 6000,
    MLFLOW_MAX_TAG = 8000,
    MLFLOW_MAX_EXPERIMENT_NAME = 500,
    MLFLOW_MAX_EXPERIMENT_TAG = 20000,
};
/* `where` names it in messages: "key", "params[3].key". `what`: "Param key". */
int mlflow_check_name(const char *where, const char *what, const char *name,
                      struct mlflow_error *e);
int mlflow_check_length(const char *what, const char *text, size_t limit,
                        struct mlflow_error *e);
/* What is kept of a parameter or a tag: no longer than the limit, without secrets. */
char *mlflow_kept_text(const char *key, const char *value, size_t limit);
/* "bold-otter-417", at most 20 letters. */
void mlflow_random_name(char out[32]);
/* Python's \w: letters, digits and other numbers of any script, '_'. */
bool mlflow_is_word(int32_t letter);

/* ---- calls/mlflow_touch.c ---- */
/* A run of ours that lost its lease gets no more numbers: RESOURCE_CONFLICT. */
int mlflow_check_lease(const struct mlflow_run *r, struct mlflow_error *e);
/* Inside a transaction: the run's client has said something. */
int mlflow_touch(struct store *s, struct mlflow_run *r, struct mlflow_error *e);
enum { MLFLOW_LEASE_MS = 3600000 };

/* ---- calls/mlflow_tags.c ---- */
int mlflow_put_tag(struct store *s, const struct mlflow_run *r, const char *key,
                   const char *value, const char *where, struct mlflow_error *e);
int mlflow_put_tags(struct store *s, const struct mlflow_run *r, const json_t *tags,
                    struct mlflow_error *e);

/* ---- calls/mlflow_params.c ---- */
/* [{"key", "value"}]; one that is known with another value is refused, and so is a key
 * that comes twice. `single`: the request is about one alone (its words). */
int mlflow_put_params(struct store *s, const struct mlflow_run *r, const json_t *params,
                      bool single, struct mlflow_error *e);

/* ---- the calls ---- */
#define CALL(name)                                                                       \
    int mlflow_##name(struct store *s, const json_t *fields, struct buf *answer,         \
                      struct mlflow_error *e)
CALL(experiment_create);
CALL(experiment_get);
CALL(experiment_get_by_name);
CALL(experiment_update);
CALL(experiment_delete);
CALL(experiment_restore);
CALL(experiment_set_tag);
CALL(experiment_delete_tag);
CALL(run_create);
CALL(run_update);
CALL(run_get);
CALL(run_delete);
CALL(run_restore);
CALL(log_metric);
CALL(log_param);
CALL(log_batch);
CALL(log_inputs);
CALL(set_tag);
CALL(delete_tag);
CALL(history);
CALL(history_bulk);
CALL(history_interval);
CALL(list_artifacts);

#endif

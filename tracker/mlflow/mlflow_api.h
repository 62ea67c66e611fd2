/* tracker/mlflow/mlflow_api.h - MLflow's tracking API over a store, without HTTP: what a request
 * says, what is done, what is answered. `peftlab ui` puts it behind
 * /api/2.0/mlflow and /ajax-api/2.0/mlflow (cli/ui/mlflow_routes.c, docs/mlflow.md).
 *
 * Every run of the store is an MLflow run. Its id is the store's (16 hexadecimal digits) and
 * the run's number (16 more), so that it stays what it is wherever the store is opened. An
 * experiment's id is its number, but "0" is the one that is called Default, which is made
 * when somebody first writes to it. What a client creates is a trial with one run, origin
 * 'mlflow': its parameters are flat texts (config_json has all of them, params_json all but
 * the seed, which is the trial's), its tags the trial's, its run_name, user, source and note
 * tags under MLflow's names. No process holds its lease: each word of its client renews it
 * for an hour; after that it is stale, and the next word brings it back. FINISHED, FAILED and
 * KILLED are complete, failed and cancelled. Runs of peftlab's own are read the same way;
 * a program of a sweep may log to its run, whose process says how it ends.
 *
 * Meaning, limits, codes and messages are those of MLflow 3.17's server with a database
 * (searches: search.h); where ours differ docs/mlflow.md says
 * so. Parameters and tags that are secrets by their name are kept redacted (lib/secret).
 *
 * A call reads, or it writes within one transaction (a savepoint, where one is open):
 * what fails leaves nothing behind, also of a batch. Each route says which, since readers
 * and writers have threads of their own. */
#ifndef TRACKER_MLFLOW_MLFLOW_API_H
#define TRACKER_MLFLOW_MLFLOW_API_H

#include "lib/buf.h"
#include "tracker/store/store.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clients try again after 408, 429, 500, 502, 503 and 504, for minutes: what would fail
 * again is none of these, not INVALID_STATE either, for which MLflow's server has 500. */
#define MLFLOW_CODES(X)                                                                  \
    X(INTERNAL_ERROR, 500)                                                               \
    X(TEMPORARILY_UNAVAILABLE, 503)                                                      \
    X(NOT_IMPLEMENTED, 501)                                                              \
    X(INVALID_STATE, 400)                                                                \
    X(RESOURCE_CONFLICT, 409)                                                            \
    X(ENDPOINT_NOT_FOUND, 404)                                                           \
    X(RESOURCE_DOES_NOT_EXIST, 404)                                                      \
    X(PERMISSION_DENIED, 403)                                                            \
    X(UNAUTHENTICATED, 401)                                                              \
    X(BAD_REQUEST, 400)                                                                  \
    X(RESOURCE_ALREADY_EXISTS, 400)                                                      \
    X(INVALID_PARAMETER_VALUE, 400)
enum mlflow_code {
#define X(name, status) MLFLOW_##name,
    MLFLOW_CODES(X)
#undef X
};
int mlflow_code_status(enum mlflow_code code);

struct mlflow_error {
    enum mlflow_code code;
    char message[2048]; /* "": none; a longer one is cut */
};
/* Keeps the first message; -1, so that `return mlflow_fail(...)` reads well. */
int mlflow_fail(struct mlflow_error *e, enum mlflow_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same of what the store said: busy and a full disk may pass, the rest is ours. */
int mlflow_fail_store(struct mlflow_error *e, const struct err *err);
/* {"error_code", "message"}. New reference. */
json_t *mlflow_error_json(const struct mlflow_error *e);

/* What a route knows of its request. A whole number may come as a number or as a text, a
 * number also as "NaN", "Infinity", "-Infinity"; further fields are ignored. */
enum mlflow_kind { MLFLOW_TEXT, MLFLOW_INT, MLFLOW_NUMBER, MLFLOW_LIST, MLFLOW_ANY };
struct mlflow_field {
    const char *name;
    enum mlflow_kind kind;
    bool required; /* not "" either */
};

struct mlflow_route {
    const char *method, *path; /* "POST", "runs/create" */
    bool writes;
    const struct mlflow_field *fields; /* up to one without a name */
    int (*call)(struct store *s, const json_t *fields, struct buf *answer,
                struct mlflow_error *e);
};
/* In the order of the table; NULL: no more. */
const struct mlflow_route *mlflow_route_at(size_t i);
/* Checks the fields and does it; the answer is JSON text, an object. Negative: failed. */
int mlflow_call(struct store *s, const struct mlflow_route *route, const json_t *fields,
                struct buf *answer, struct mlflow_error *e);

/* The id of a run, for whoever starts a program that may log to it. */
enum { MLFLOW_RUN_ID_BYTES = 33 };
int mlflow_run_id(struct store *s, int64_t run, char out[MLFLOW_RUN_ID_BYTES],
                  struct err *err);
/* Runs of clients, and of shells (tracker/worker/hand_log.h), that have said nothing for an
 * hour become stale. *count: how many. */
int mlflow_reap(struct store *s, int *count, struct err *err);

#endif

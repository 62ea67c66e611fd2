/* tests/unit/tracker/mlflow/calls.h - MLflow's calls as tests make them: requests with single
 * quotes, answers as trees. */
#ifndef TESTS_TRACKER_MLFLOW_CALLS_H
#define TESTS_TRACKER_MLFLOW_CALLS_H

#include "lib/str.h"
#include "tests/unit/tracker/fixture.h"
#include "tracker/mlflow/mlflow_api.h"
#include "tracker/store/store_priv.h"

static inline const struct mlflow_route *route_of(const char *name)
{
    const char *path = strchr(name, ' ') + 1;
    for (size_t i = 0; mlflow_route_at(i); i++)
        if (str_eq(mlflow_route_at(i)->path, path) &&
            !strncmp(mlflow_route_at(i)->method, name, (size_t)(path - name - 1)))
            return mlflow_route_at(i);
    fail_msg("no route %s", name);
    return NULL;
}

/* The answer; NULL: failed with *e. `quotes` of the request are single ones. */
static inline json_t *call(struct store *s, const char *name, const char *request,
                           struct mlflow_error *e)
{
    struct buf answer = BUF_INIT;
    char *text = xstrdup(request);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *fields = json_loads(text, 0, NULL), *out = NULL;
    if (!fields)
        fail_msg("request '%s'", text);
    *e = (struct mlflow_error){0};
    if (mlflow_call(s, route_of(name), fields, &answer, e) == 0) {
        out = json_loads(buf_str(&answer), 0, NULL);
        if (!out)
            fail_msg("%s answered '%s'", name, buf_str(&answer));
    }
    buf_release(&answer);
    json_decref(fields);
    free(text);
    return out;
}

static inline json_t *works(struct store *s, const char *name, const char *fmt, ...)
{
    struct mlflow_error e;
    struct buf request = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&request, fmt, ap);
    va_end(ap);
    json_t *answer = call(s, name, buf_str(&request), &e);
    if (!answer)
        fail_msg("%s %s: %s", name, buf_str(&request), e.message);
    buf_release(&request);
    return answer;
}
#define DO(...) json_decref(works(s, __VA_ARGS__))

static inline void fails(struct store *s, const char *name, const char *request,
                         enum mlflow_code code, const char *words)
{
    struct mlflow_error e;
    json_t *answer = call(s, name, request, &e);
    if (answer)
        fail_msg("%s %s was done", name, request);
    if (e.code != code || !strstr(e.message, words))
        fail_msg("%s %s: %d, '%s'", name, request, (int)e.code, e.message);
}
#define REFUSED(code, words, name, ...)                                                  \
    do {                                                                                 \
        char *request_ = xasprintf(__VA_ARGS__);                                         \
        fails(s, name, request_, MLFLOW_##code, words);                                  \
        free(request_);                                                                  \
    } while (0)

/* A new run's id. */
static inline void new_run(struct store *s, const char *request,
                           char id[MLFLOW_RUN_ID_BYTES])
{
    json_t *run = works(s, "POST runs/create", "%s", request);
    const json_t *info = json_object_get(json_object_get(run, "run"), "info");
    snprintf(id, MLFLOW_RUN_ID_BYTES, "%s", json_get_str(info, "run_id", ""));
    assert_int_equal(strlen(id), 32);
    json_decref(run);
}

static inline json_t *get_run(struct store *s, const char *id)
{
    json_t *answer = works(s, "GET runs/get", "{'run_id': '%s'}", id),
           *run = json_incref(json_object_get(answer, "run"));
    json_decref(answer);
    return run;
}

/* "key=value" of a list of a run's data, in its order. */
static inline void assert_data(struct store *s, const char *id, const char *list,
                               const char *wanted)
{
    json_t *run = get_run(s, id), *item;
    struct buf text = BUF_INIT;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(run, "data"), list), i, item)
    {
        const json_t *value = json_object_get(item, "value");
        buf_printf(&text, "%s%s=", i ? " " : "", json_get_str(item, "key", ""));
        if (json_is_string(value))
            buf_str_add(&text, json_string_value(value));
        else
            json_put_double(&text, json_number_value(value));
    }
    assert_string_equal(buf_str(&text), wanted);
    buf_release(&text);
    json_decref(run);
}

#endif

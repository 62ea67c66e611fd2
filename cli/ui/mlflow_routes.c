/* cli/ui/mlflow_routes.c - MLflow's API over HTTP: /api/2.0/mlflow/..., the same under /ajax-api,
 * /health, /version, server-info. What the calls mean is tracker/mlflow/.
 *
 * A handler takes the request apart and leaves it at a desk; a write is answered when it is in
 * the file. Every error has MLflow's form, which its clients show. */
#include "cli/ui/mlflow_routes.h"
#include "cli/ui/ui.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/mlflow_api.h"
#include <stdlib.h>
#include <string.h>

struct asked {
    struct server_call *call;
    const struct mlflow_route *route;
    json_t *fields;
    struct buf answer;
    struct mlflow_error error;
};

/* ---- answers ---- */

static void reply_error(struct server_call *call, const struct mlflow_error *e)
{
    server_reply_json(call, mlflow_code_status(e->code), mlflow_error_json(e));
}

static int work(struct store *s, void *ctx, struct err *err)
{
    struct asked *a = ctx;
    int count = 0;
    if (a->route->writes && mlflow_reap(s, &count, err) < 0)
        return err_code(err);
    if (mlflow_call(s, a->route, a->fields, &a->answer, &a->error) < 0)
        return err_set(err, ERR_FAILED, "%s", a->error.message);
    return 0;
}

/* What the desk itself says (busy, a full disk) may pass: the client tries again. */
static void done(void *ctx, int rc, const struct err *err)
{
    struct asked *a = ctx;
    if (rc < 0 && !a->error.message[0])
        mlflow_fail(&a->error, MLFLOW_TEMPORARILY_UNAVAILABLE, "%s", err->msg);
    if (rc < 0)
        reply_error(a->call, &a->error);
    else
        server_reply(a->call, 200, "application/json", buf_str(&a->answer),
                     a->answer.len);
    json_decref(a->fields);
    buf_release(&a->answer);
    free(a);
}

/* Takes `fields` over. */
static void ask(struct ui *ui, struct server_call *call, const struct mlflow_route *route,
                json_t *fields)
{
    static const struct desk_job job = {work, done};
    struct asked *a = xcalloc(1, sizeof *a);
    *a = (struct asked){
        .call = call, .route = route, .fields = fields, .answer = BUF_INIT};
    desk_ask(route->writes ? ui->write : ui->read, &job, a);
}

static int reap(struct store *s, void *ctx, struct err *err)
{
    int count;
    (void)ctx;
    return mlflow_reap(s, &count, err);
}

static void reaped(void *ctx, int rc, const struct err *err)
{
    (void)ctx;
    (void)rc;
    (void)err; /* the next time then */
}

void mlflow_routes_reap(struct ui *ui)
{
    static const struct desk_job job = {reap, reaped};
    desk_ask(ui->write, &job, NULL);
}

/* ---- requests ---- */

static const struct mlflow_route *find(const char *method, const char *path)
{
    const struct mlflow_route *r = NULL;
    for (size_t i = 0; path && (r = mlflow_route_at(i)); i++)
        if (str_eq(r->path, path) && str_eq(r->method, method))
            return r;
    return NULL;
}

static void no_such_endpoint(struct server_call *call)
{
    struct mlflow_error e = {0};
    mlflow_fail(&e, MLFLOW_ENDPOINT_NOT_FOUND,
                "'%.300s' is none of the calls that this server has (docs/mlflow.md)",
                server_call_path(call));
    reply_error(call, &e);
}

/* Of a field that is a list every value counts, of others the first. */
static json_t *query_fields(struct server_call *call, const struct mlflow_field *f)
{
    json_t *fields = json_object();
    const char *name, *value;
    for (size_t i = 0; server_call_query_at(call, i, &name, &value); i++) {
        const struct mlflow_field *known = f;
        while (known->name && !str_eq(known->name, name))
            known++;
        const bool list = known->name && known->kind == MLFLOW_LIST;
        json_t *there = json_object_get(fields, name);
        if (list && !there)
            json_object_set_new(fields, name, there = json_array());
        if (list)
            json_array_append_new(there, json_string(value));
        else if (!there)
            json_object_set_new(fields, name, json_string(value));
    }
    return fields;
}

static void get(void *ctx, struct server_call *call)
{
    const struct mlflow_route *route = find("GET", server_call_rest(call));
    if (!route)
        no_such_endpoint(call);
    else
        ask(ctx, call, route, query_fields(call, route->fields));
}

static bool is_json(const struct server_call *call)
{
    const char *type = server_call_header(call, "Content-Type");
    return type && str_has_prefix(type, "application/json");
}

static void post(void *ctx, struct server_call *call)
{
    const struct mlflow_route *route = find("POST", server_call_rest(call));
    struct mlflow_error e = {0};
    struct err err = ERR_INIT;
    size_t size = 0;
    const char *body = server_call_body(call, &size);
    if (!route) {
        no_such_endpoint(call);
        return;
    }
    json_t *fields = size ? json_parse(body, size, "body", &err) : json_object();
    if (!is_json(call)) /* nor a form of another site's page, which has no body at all */
        mlflow_fail(&e, MLFLOW_INVALID_PARAMETER_VALUE,
                    "Bad Request. Content-Type must be one of ['application/json'].");
    else if (!json_is_object(fields))
        mlflow_fail(&e, MLFLOW_BAD_REQUEST, "the request is no JSON object%s%.300s",
                    err.msg[0] ? ": " : "", err.msg);
    if (e.message[0]) {
        json_decref(fields);
        reply_error(call, &e);
        return;
    }
    ask(ctx, call, route, fields);
}

/* ---- what clients ask of the server itself ---- */

static void health(void *ctx, struct server_call *call)
{
    (void)ctx;
    server_reply(call, 200, "text/plain; charset=utf-8", "OK", 2);
}

/* Of MLflow, whose meaning the calls have. */
static void version(void *ctx, struct server_call *call)
{
    static const char text[] = "3.17.2";
    (void)ctx;
    server_reply(call, 200, "text/plain; charset=utf-8", text, strlen(text));
}

static void server_info(void *ctx, struct server_call *call)
{
    (void)ctx;
    server_reply_json(call, 200,
                      json_pack("{s:s, s:b, s:b}", "store_type", "SqlStore",
                                "workspaces_enabled", 0, "trace_archival_enabled", 0));
}

json_t *mlflow_routes_error(int status, const char *param, const char *message)
{
    static const struct {
        int status;
        enum mlflow_code code;
    } known[] = {{404, MLFLOW_ENDPOINT_NOT_FOUND},
                 {403, MLFLOW_PERMISSION_DENIED},
                 {401, MLFLOW_UNAUTHENTICATED},
                 {503, MLFLOW_TEMPORARILY_UNAVAILABLE}};
    struct mlflow_error e = {.code = status >= 500 ? MLFLOW_INTERNAL_ERROR
                                                   : MLFLOW_BAD_REQUEST};
    (void)param;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].status == status)
            e.code = known[i].code;
    mlflow_fail(&e, e.code, "%s", message);
    return mlflow_error_json(&e);
}

static const struct server_route rows[] = {
    {"GET", "/api/2.0/mlflow/*", get, 0},
    {"POST", "/api/2.0/mlflow/*", post, 0},
    {"GET", "/ajax-api/2.0/mlflow/*", get, 0},
    {"POST", "/ajax-api/2.0/mlflow/*", post, 0},
    {"GET", "/api/3.0/mlflow/server-info", server_info, 0},
    {"GET", "/ajax-api/3.0/mlflow/server-info", server_info, 0},
    {"GET", "/health", health, SERVER_OPEN},
    {"GET", "/version", version, SERVER_OPEN},
};
const struct ui_part ui_mlflow_part = {rows, ARRAY_LEN(rows)};

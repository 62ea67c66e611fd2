/* cli/ui/artifact_routes.c - files of runs for MLflow's clients (the artifact proxy):
 * /api/2.0/mlflow-artifacts/artifacts/EXPERIMENT/RUN/artifacts/NAME.
 *
 * A body goes to a file beside the store as it comes; whatever waits for the disk is done at
 * the desk of readers, and the row of a file is written by the writer behind it. Files are
 * given out as attachments without a type of their own: a page must not run what somebody
 * uploaded (nosniff). */
#include "cli/ui/artifact_routes.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/net/server_upload.h"
#include "lib/net/url.h"
#include "tracker/mlflow/artifacts.h"
#include "tracker/mlflow/mlflow_api.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct asked_file {
    struct ui *ui;
    struct server_call *call;
    char *path;     /* within the artifacts */
    char *uploaded; /* the file that was sent; NULL: none, or it is in its place */
    int fd;
    uint64_t size;
    json_t *answer;
};

static void asked_free(struct asked_file *a)
{
    if (a->uploaded)
        unlink(a->uploaded);
    free(a->uploaded);
    free(a->path);
    json_decref(a->answer);
    free(a);
}

/* --- answers --- */

static void reply_failed(struct server_call *call, int rc, const struct err *err)
{
    static const struct {
        enum err_code code;
        enum mlflow_code shown;
    } rows[] = {{ERR_CONFIG, MLFLOW_INVALID_PARAMETER_VALUE},
                {ERR_NOINPUT, MLFLOW_RESOURCE_DOES_NOT_EXIST},
                {ERR_USAGE, MLFLOW_PERMISSION_DENIED},
                {ERR_BUSY, MLFLOW_TEMPORARILY_UNAVAILABLE}};
    struct mlflow_error e = {.message = ""};
    enum mlflow_code code = MLFLOW_INTERNAL_ERROR;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rc == -(int)rows[i].code)
            code = rows[i].shown;
    mlflow_fail(&e, code, "%s", err->msg);
    server_reply_json(call, mlflow_code_status(code), mlflow_error_json(&e));
}

static void reply_done(void *ctx, int rc, const struct err *err)
{
    struct asked_file *a = ctx;
    if (rc < 0)
        reply_failed(a->call, rc, err);
    else
        server_reply_json(a->call, 200,
                          a->answer ? json_incref(a->answer) : json_object());
    asked_free(a);
}

/* What the path names, as far as it is one; NULL: it was answered. */
static struct asked_file *ask_for(struct ui *ui, struct server_call *call,
                                  const char *sent)
{
    struct err err = ERR_INIT;
    struct asked_file *a = xcalloc(1, sizeof *a);
    *a = (struct asked_file){.ui = ui, .call = call, .fd = -1};
    const int rc = mlflow_artifact_path(sent, &a->path, &err);
    if (rc == 0)
        return a;
    reply_failed(call, rc, &err);
    free(a);
    return NULL;
}

/* What of the path is behind the routes' own. */
static const char *sent_path(const struct server_call *call)
{
    static const char room[] = "/mlflow-artifacts/artifacts/";
    const char *at = strstr(server_call_path(call), room);
    return at ? at + strlen(room) : "";
}

/* --- put --- */

static int place(struct store *s, void *ctx, struct err *err)
{
    struct asked_file *a = ctx;
    const int rc = mlflow_artifact_place(s, a->path, a->uploaded, err);
    if (rc == 0) {
        free(a->uploaded);
        a->uploaded = NULL;
    }
    return rc;
}

static int log_row(struct store *s, void *ctx, struct err *err)
{
    const struct asked_file *a = ctx;
    return mlflow_artifact_log(s, a->path, err);
}

static void placed(void *ctx, int rc, const struct err *err)
{
    static const struct desk_job job = {log_row, reply_done};
    struct asked_file *a = ctx;
    if (rc < 0)
        reply_done(a, rc, err);
    else
        desk_ask(a->ui->write, &job, a);
}

static void uploaded(void *ctx, struct server_call *call)
{
    static const struct desk_job job = {place, placed};
    struct asked_file *a = ask_for(ctx, call, sent_path(call));
    if (!a) /* it was one at the head: */
        return;
    a->uploaded = server_call_take_file(call, &a->size);
    desk_ask(a->ui->read, &job, a);
}

static void put_artifact(void *ctx, struct server_call *call)
{
    struct ui *ui = ctx;
    struct err err = ERR_INIT;
    struct asked_file *a = ask_for(ui, call, sent_path(call));
    if (!a)
        return;
    asked_free(a);
    char *folder = mlflow_artifact_uploads(ui->store);
    const int rc = fs_mkdirs(folder, &err);
    if (rc)
        reply_failed(call, rc, &err);
    else
        server_call_upload(call, folder, MLFLOW_ARTIFACT_MOST, uploaded);
    free(folder);
}

/* --- get --- */

static int open_one(struct store *s, void *ctx, struct err *err)
{
    struct asked_file *a = ctx;
    return mlflow_artifact_open(s, a->path, &a->fd, &a->size, err);
}

static void send_one(void *ctx, int rc, const struct err *err)
{
    struct asked_file *a = ctx;
    const char *slash = strrchr(a->path, '/');
    char *name = url_escape(slash ? slash + 1 : a->path, false),
         *attached = xasprintf("attachment; filename*=UTF-8''%s", name);
    if (rc < 0) {
        reply_failed(a->call, rc, err);
    } else {
        server_call_put(a->call, "Content-Disposition", attached);
        server_call_put(a->call, "X-Content-Type-Options", "nosniff");
        server_reply_file(a->call, 200, "application/octet-stream", a->fd, a->size);
    }
    free(name);
    free(attached);
    asked_free(a);
}

static void get_artifact(void *ctx, struct server_call *call)
{
    static const struct desk_job job = {open_one, send_one};
    struct asked_file *a = ask_for(ctx, call, sent_path(call));
    if (a)
        desk_ask(a->ui->read, &job, a);
}

/* --- list --- */

static int list(struct store *s, void *ctx, struct err *err)
{
    struct asked_file *a = ctx;
    json_t *files;
    const int rc = mlflow_artifact_list(s, a->path, &files, err);
    a->answer = rc ? NULL : json_pack("{s:o}", "files", files);
    return rc;
}

static void list_artifacts(void *ctx, struct server_call *call)
{
    static const struct desk_job job = {list, reply_done};
    const char *path = server_call_query(call, "path");
    struct asked_file *a = ask_for(ctx, call, path ? path : "");
    if (a)
        desk_ask(a->ui->read, &job, a);
}

/* --- delete --- */

static int remove_one(struct store *s, void *ctx, struct err *err)
{
    const struct asked_file *a = ctx;
    return mlflow_artifact_remove(s, a->path, err);
}

static int forget_row(struct store *s, void *ctx, struct err *err)
{
    const struct asked_file *a = ctx;
    return mlflow_artifact_forget(s, a->path, err);
}

static void removed(void *ctx, int rc, const struct err *err)
{
    static const struct desk_job job = {forget_row, reply_done};
    struct asked_file *a = ctx;
    if (rc < 0)
        reply_done(a, rc, err);
    else
        desk_ask(a->ui->write, &job, a);
}

static void delete_artifact(void *ctx, struct server_call *call)
{
    static const struct desk_job job = {remove_one, removed};
    struct asked_file *a = ask_for(ctx, call, sent_path(call));
    if (a)
        desk_ask(a->ui->read, &job, a);
}

/* --- in parts, by addresses of a store in the cloud: clients then send the whole --- */

static void refuse_parts(void *ctx, struct server_call *call)
{
    struct mlflow_error e = {.message = ""};
    (void)ctx;
    mlflow_fail(&e, MLFLOW_NOT_IMPLEMENTED, "files are sent whole here");
    server_reply_json(call, mlflow_code_status(e.code), mlflow_error_json(&e));
}

#define ROOM(root)                                                                       \
    {"GET", root "/mlflow-artifacts/artifacts", list_artifacts, 0},                      \
        {"GET", root "/mlflow-artifacts/artifacts/*", get_artifact, 0},                  \
        {"PUT", root "/mlflow-artifacts/artifacts/*", put_artifact, SERVER_UPLOAD},      \
        {"DELETE", root "/mlflow-artifacts/artifacts/*", delete_artifact, 0},            \
        {"POST", root "/mlflow-artifacts/mpu/*", refuse_parts, 0},                       \
    {                                                                                    \
        "GET", root "/mlflow-artifacts/presigned/*", refuse_parts, 0                     \
    }

static const struct server_route rows[] = {ROOM("/api/2.0"), ROOM("/ajax-api/2.0")};
const struct ui_part ui_artifact_part = {rows, ARRAY_LEN(rows)};

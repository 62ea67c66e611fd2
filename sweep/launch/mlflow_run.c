/* sweep/launch/mlflow_run.c - see mlflow_run.h. */
#include "sweep/launch/mlflow_run.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net/http.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

/* Servers of other kinds answer anything with a page of theirs. */
static bool is_of_run(const struct buf *body, const char *run_id)
{
    json_t *answer = json_parse(body->data, body->len, "run", NULL);
    const json_t *info = json_object_get(json_object_get(answer, "run"), "info");
    const bool is = str_eq(json_get_str(info, "run_id", NULL), run_id);
    json_decref(answer);
    return is;
}

bool mlflow_server_has(const char *uri, const char *run_id)
{
    enum { MOST_BYTES = 16 << 20 };
    static const struct http_policy once = {
        .tries = 1, .redirects = 2, .connect_timeout_s = 2, .stall_timeout_s = 5};
    struct http_reply reply = {0};
    struct buf body = BUF_INIT;
    if (!uri || (!str_has_prefix(uri, "http://") && !str_has_prefix(uri, "https://")))
        return false;
    const size_t n = strlen(uri);
    char *url = xasprintf("%.*s/api/2.0/mlflow/runs/get?run_id=%s",
                          (int)(n - (uri[n - 1] == '/')), uri, run_id);
    const char *user = getenv("MLFLOW_TRACKING_USERNAME"),
               *password = getenv("MLFLOW_TRACKING_PASSWORD");
    const bool named = user && password;
    struct http *h =
        http_new(&once, uri, named ? NULL : getenv("MLFLOW_TRACKING_TOKEN"), NULL);
    const bool has = h && (!named || http_login(h, user, password, NULL) == 0) &&
                     http_get(h, url, MOST_BYTES, &body, &reply, NULL) == 0 &&
                     is_of_run(&body, run_id);
    http_reply_release(&reply);
    http_free(h);
    buf_release(&body);
    free(url);
    return has;
}

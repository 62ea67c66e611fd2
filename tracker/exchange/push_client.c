/* tracker/exchange/push_client.c - MLflow's REST calls, as a client. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net/url.h"
#include "lib/str.h"
#include "tracker/exchange/push_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is said is what is used in MLflow's own client, in its order. */
static int log_in(struct push *p, struct err *err)
{
    const char *user = getenv("MLFLOW_TRACKING_USERNAME"),
               *password = getenv("MLFLOW_TRACKING_PASSWORD"),
               *token = getenv("MLFLOW_TRACKING_TOKEN");
    const bool named = user && *user && password && *password;
    p->http = http_new(&p->wish->policy, p->base, named ? NULL : token, err);
    if (!p->http)
        return err_code(err);
    return named ? http_login(p->http, user, password, err) : 0;
}

int push_open(struct push *p, struct err *err)
{
    CURLU *address = url_parse(p->wish->url, err);
    if (!address)
        return err_code(err);
    char *user = url_part(address, CURLUPART_USER);
    const bool named = user != NULL;
    curl_free(user);
    curl_url_cleanup(address);
    if (named)
        return err_set(err, ERR_CONFIG,
                       "the address has a name or a password in it, which messages would "
                       "show; MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD say "
                       "who asks");
    size_t n = strlen(p->wish->url);
    while (n > 0 && p->wish->url[n - 1] == '/')
        n--;
    p->base = xstrndup(p->wish->url, n);
    return log_in(p, err);
}

void push_close(struct push *p)
{
    http_free(p->http);
    json_decref(p->known);
    free(p->base);
    free(p->experiment_id);
}

/* {"a": "b c"} as "?a=b%20c". */
static void add_query(struct buf *url, const json_t *fields)
{
    const char *key;
    json_t *v;
    char sign = '?';
    json_object_foreach((json_t *)fields, key, v)
    {
        char *text = push_text(v), *escaped = url_escape(text, false);
        buf_printf(url, "%c%s=%s", sign, key, escaped);
        sign = '&';
        free(text);
        free(escaped);
    }
}

/* The server's own words, where it has some; else what HTTP says. */
static int refused(struct push *p, const struct buf *body, long status, struct err *why,
                   struct err *err)
{
    json_t *said =
        body->len ? json_parse(buf_str(body), body->len, "answer", NULL) : NULL;
    const char *code = json_get_str(said, "error_code", "");
    int rc;
    snprintf(p->code, sizeof p->code, "%s", code);
    if (*code)
        rc = err_set(err, why->code, "%.200s says %.60s: %.600s", p->base, code,
                     json_get_str(said, "message", ""));
    else if (status == 404)
        rc = err_set(err, ERR_DEVICE,
                     "%.200s does not answer as an MLflow server (HTTP 404); is it the "
                     "address of one?",
                     p->base);
    else if (status == 401 || status == 403)
        rc =
            err_set(err, ERR_DEVICE,
                    "%.200s refuses access (HTTP %ld); MLFLOW_TRACKING_TOKEN, or "
                    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, say who asks",
                    p->base, status);
    else
        rc = err_set(err, why->code, "%.200s: %.700s", p->base, why->msg);
    json_decref(said);
    return rc;
}

static int call(struct push *p, const struct http_send *what, const char *url,
                json_t **answer, struct err *err)
{
    struct http_reply reply = {0};
    struct buf body = BUF_INIT;
    struct err why = ERR_INIT;
    json_t *tree = NULL;
    p->code[0] = '\0';
    int rc = http_send(p->http, url, what, PUSH_MAX_ANSWER, &body, &reply, &why);
    if (rc < 0 && why.code != ERR_BUSY)
        rc = refused(p, &body, reply.status, &why, err);
    else if (rc < 0)
        rc = err_set(err, why.code, "%s", why.msg);
    else if (answer && !(tree = json_parse(buf_str(&body), body.len, "answer", NULL)))
        rc = err_set(err, ERR_DEVICE,
                     "%.200s does not answer as an MLflow server; is it the address of "
                     "one?",
                     p->base);
    if (answer)
        *answer = tree;
    http_reply_release(&reply);
    buf_release(&body);
    return rc;
}

static char *route_url(const struct push *p, const char *route, const json_t *query)
{
    struct buf url = BUF_INIT;
    buf_printf(&url, "%s/api/2.0/mlflow/%s", p->base, route);
    add_query(&url, query);
    return buf_detach(&url, NULL);
}

int push_get(struct push *p, const char *route, const json_t *fields, json_t **answer,
             struct err *err)
{
    char *url = route_url(p, route, fields);
    const int rc = call(p, &(struct http_send){.method = "GET"}, url, answer, err);
    free(url);
    return rc;
}

static int post(struct push *p, const char *route, const json_t *fields, bool once,
                json_t **answer, struct err *err)
{
    struct buf text = BUF_INIT;
    char *url = route_url(p, route, NULL);
    json_write(&text, fields, 0);
    const struct http_send what = {.method = "POST",
                                   .type = "application/json",
                                   .bytes = buf_str(&text),
                                   .size = text.len,
                                   .once = once};
    const int rc = call(p, &what, url, answer, err);
    buf_release(&text);
    free(url);
    return rc;
}

int push_post(struct push *p, const char *route, const json_t *fields, json_t **answer,
              struct err *err)
{
    return post(p, route, fields, false, answer, err);
}

int push_post_once(struct push *p, const char *route, const json_t *fields,
                   json_t **answer, struct err *err)
{
    return post(p, route, fields, true, answer, err);
}

int push_put_file(struct push *p, const char *place, const char *path, size_t size,
                  struct err *err)
{
    char *escaped = url_escape(place, true),
         *url = xasprintf("%s/api/2.0/mlflow-artifacts/artifacts/%s", p->base, escaped);
    const struct http_send what = {
        .method = "PUT", .type = "application/octet-stream", .file = path, .size = size};
    const int rc = call(p, &what, url, NULL, err);
    free(escaped);
    free(url);
    return rc;
}

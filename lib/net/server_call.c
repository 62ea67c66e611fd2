/* lib/net/server_call.c - see server_call.h: a request's life, and what handlers see of it. */
#include "lib/net/server_call.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net/url.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utf8proc.h>

struct server_call *server_call_new(struct server *s, struct MHD_Connection *connection)
{
    struct server_call *c = xcalloc(1, sizeof *c);
    c->server = s;
    c->connection = connection;
    c->begin_s = clock_mono_s();
    c->most = s->options.max_body;
    c->file = -1;
    atomic_init(&c->holders, 1);
    buf_init(&c->body, s->options.max_body);
    buf_init(&c->reply, (size_t)1 << 30);
    pthread_mutex_init(&c->lock, NULL);
    atomic_fetch_add(&s->calls, 1);
    return c;
}

static void free_pairs(struct server_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(pairs[i].name);
        free(pairs[i].value);
    }
}

void server_call_let_go(struct server_call *c)
{
    if (atomic_fetch_sub(&c->holders, 1) > 1)
        return;
    free_pairs(c->headers, c->header_count);
    free_pairs(c->query, c->query_count);
    free(c->query);
    buf_release(&c->body);
    buf_release(&c->reply);
    server_upload_free(c->upload);
    if (c->file >= 0)
        close(c->file);
    pthread_mutex_destroy(&c->lock);
    free(c->type);
    free(c->rest);
    free(c);
}

void server_call_hand_over(struct server_call *c)
{
    c->handed_over = true;
    atomic_fetch_add(&c->holders, 1);
}

void server_call_over(struct server_call *c)
{
    pthread_mutex_lock(&c->lock);
    c->over = true;
    pthread_mutex_unlock(&c->lock);
    atomic_fetch_sub(&c->server->calls, 1);
    server_call_let_go(c);
}

/* --- what a handler sees --- */

const char *server_call_header(const struct server_call *c, const char *name)
{
    return MHD_lookup_connection_value(c->connection, MHD_HEADER_KIND, name);
}

const char *server_call_rest(struct server_call *c)
{
    if (!c->rest) {
        c->rest = xstrdup(c->path + strcspn(c->route->path, "*"));
        MHD_http_unescape(c->rest);
    }
    return c->rest;
}

const char *server_call_path(const struct server_call *c)
{
    return c->path;
}

/* A new text; up to the first that is no UTF-8. */
static char *unescape(const char *s)
{
    size_t size, good = 0;
    char *out = url_unescape(s, &size);
    while (good < size && out[good]) {
        int32_t code;
        const utf8proc_ssize_t step = utf8proc_iterate(
            (const utf8proc_uint8_t *)out + good, (utf8proc_ssize_t)(size - good), &code);
        if (step <= 0)
            break;
        good += (size_t)step;
    }
    out[good] = '\0';
    return out;
}

/* The library has made blanks of the pluses. */
static enum MHD_Result take_pair(void *ctx, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct server_call *c = ctx;
    (void)kind;
    c->query = xgrow(c->query, &c->query_cap, c->query_count + 1, sizeof *c->query);
    c->query[c->query_count++] =
        (struct server_pair){unescape(name), unescape(value ? value : "")};
    return MHD_YES;
}

bool server_call_query_at(struct server_call *c, size_t i, const char **name,
                          const char **value)
{
    if (!c->query_read)
        MHD_get_connection_values(c->connection, MHD_GET_ARGUMENT_KIND, take_pair, c);
    c->query_read = true;
    if (i >= c->query_count)
        return false;
    *name = c->query[i].name;
    *value = c->query[i].value;
    return true;
}

const char *server_call_query(struct server_call *c, const char *name)
{
    const char *found, *value;
    for (size_t i = 0; server_call_query_at(c, i, &found, &value); i++)
        if (str_eq(found, name))
            return value;
    return NULL;
}

const char *server_call_body(const struct server_call *c, size_t *size)
{
    *size = c->body.len;
    return buf_str(&c->body);
}

double server_call_begin_s(const struct server_call *c)
{
    return c->begin_s;
}

json_t *server_call_json(struct server_call *c)
{
    struct err err = ERR_INIT;
    json_t *v = json_parse(buf_str(&c->body), c->body.len, "body", &err);
    if (!v)
        server_reply_error(c, 400, "%s", err.msg);
    else if (!json_is_object(v)) {
        server_reply_error(c, 400, "the body is no JSON object");
        json_decref(v);
        v = NULL;
    }
    return v;
}

/* Behind a request a client that waits says nothing: where its socket has an end instead,
 * it went. While the handler has the call nobody else reads there. */
bool server_call_ended(const struct server_call *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    const ssize_t n =
        info ? recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 1;
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

bool server_call_left(struct server_call *c)
{
    pthread_mutex_lock(&c->lock);
    const bool left = c->over || c->slow || server_call_ended(c);
    pthread_mutex_unlock(&c->lock);
    return left;
}

/* lib/net/server_call.c - see server_call.h: what handlers see of a request, and answers. */
#include "lib/net/server_call.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PIECE_BYTES = 16 << 10 };
static const size_t unread_most = (size_t)4 << 20;

struct server_call *server_call_new(struct server *s, struct MHD_Connection *connection)
{
    struct server_call *c = xcalloc(1, sizeof *c);
    c->server = s;
    c->connection = connection;
    c->begin_s = clock_mono_s();
    atomic_init(&c->holders, 1);
    buf_init(&c->body, s->options.max_body);
    buf_init(&c->reply, (size_t)1 << 30);
    pthread_mutex_init(&c->lock, NULL);
    atomic_fetch_add(&s->calls, 1);
    return c;
}

static void let_go(struct server_call *c)
{
    if (atomic_fetch_sub(&c->holders, 1) > 1)
        return;
    for (size_t i = 0; i < c->header_count; i++) {
        free(c->headers[i].name);
        free(c->headers[i].value);
    }
    buf_release(&c->body);
    buf_release(&c->reply);
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
    let_go(c);
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
static bool socket_ended(const struct server_call *c)
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
    const bool left = c->over || c->slow || socket_ended(c);
    pthread_mutex_unlock(&c->lock);
    return left;
}

/* --- answers --- */

void server_call_put(struct server_call *c, const char *name, const char *value)
{
    if (c->header_count == ARRAY_LEN(c->headers))
        return;
    c->headers[c->header_count].name = xstrdup(name);
    c->headers[c->header_count++].value = xstrdup(value);
}

void server_reply(struct server_call *c, int status, const char *type, const char *body,
                  size_t size)
{
    c->type = xstrdup(type);
    buf_add(&c->reply, body, size);
    c->status = status;
    if (!c->handed_over)
        return;
    MHD_resume_connection(c->connection);
    let_go(c);
}

void server_reply_json(struct server_call *c, int status, json_t *value)
{
    struct buf b = BUF_INIT;
    json_write(&b, value, 0);
    json_decref(value);
    server_reply(c, status, "application/json", buf_str(&b), b.len);
    buf_release(&b);
}

json_t *server_error(int status, const char *param, const char *message)
{
    const char *type = status == 401   ? "authentication_error"
                       : status == 404 ? "not_found_error"
                       : status == 429 ? "rate_limit_error"
                       : status < 500  ? "invalid_request_error"
                                       : "server_error";
    char *text = str_clean(message, strlen(message)); /* it may quote anything */
    json_t *error = json_pack("{s:{s:s, s:s, s:s?, s:i}}", "error", "message", text,
                              "type", type, "param", param, "code", status);
    free(text);
    return error;
}

void server_reply_error(struct server_call *c, int status, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    server_reply_json(c, status, server_error(status, NULL, text));
}

/* --- answers in pieces --- */

/* In the connection's thread, when the client takes more. */
static ssize_t read_pieces(void *ctx, uint64_t at, char *out, size_t most)
{
    struct server_call *c = ctx;
    (void)at;
    pthread_mutex_lock(&c->lock);
    const size_t left = c->reply.len - c->read, n = left < most ? left : most;
    memcpy(out, buf_str(&c->reply) + c->read, n);
    c->read += n;
    if (c->read == c->reply.len) {
        buf_clear(&c->reply);
        c->read = 0;
    }
    const bool end = !n && (c->whole || c->slow);
    if (!n && !end) {
        c->waits = true;
        MHD_suspend_connection(c->connection);
    }
    const ssize_t rc = !end      ? (ssize_t)n
                       : c->slow ? MHD_CONTENT_READER_END_WITH_ERROR
                                 : MHD_CONTENT_READER_END_OF_STREAM;
    pthread_mutex_unlock(&c->lock);
    return rc;
}

/* So that what was read takes no memory while there is always something unread. */
static void drop_read(struct server_call *c)
{
    if (c->read < PIECE_BYTES || c->read < c->reply.len / 2)
        return;
    c->reply.len -= c->read;
    memmove(c->reply.data, c->reply.data + c->read, c->reply.len);
    c->read = 0;
}

/* Under the lock: there is something new to read. */
static void wake(struct server_call *c)
{
    if (c->waits && !c->over)
        MHD_resume_connection(c->connection);
    c->waits = false;
}

void server_stream_begin(struct server_call *c, int status, const char *type)
{
    c->type = xstrdup(type);
    c->pieces = true;
    c->status = status;
    MHD_resume_connection(c->connection);
}

bool server_stream_put(struct server_call *c, const char *data, size_t size)
{
    pthread_mutex_lock(&c->lock);
    if (c->reply.len - c->read + size > unread_most)
        c->slow = true;
    drop_read(c);
    if (!c->over && !c->slow)
        buf_add(&c->reply, data, size);
    wake(c);
    const bool heard = !c->over && !c->slow && !socket_ended(c);
    pthread_mutex_unlock(&c->lock);
    return heard;
}

void server_stream_end(struct server_call *c)
{
    pthread_mutex_lock(&c->lock);
    c->whole = true;
    wake(c);
    pthread_mutex_unlock(&c->lock);
    let_go(c);
}

enum MHD_Result server_call_send(struct server_call *c)
{
    struct MHD_Response *r =
        c->pieces ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES,
                                                      read_pieces, c, NULL)
                  : MHD_create_response_from_buffer(
                        c->reply.len, (void *)buf_str(&c->reply), MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(r, "Content-Type", c->type);
    if (c->pieces)
        MHD_add_response_header(r, "Cache-Control", "no-cache");
    for (size_t i = 0; i < c->header_count; i++)
        MHD_add_response_header(r, c->headers[i].name, c->headers[i].value);
    if (c->closes)
        MHD_add_response_header(r, "Connection", "close");
    if (c->status == 401)
        MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    const enum MHD_Result rc = MHD_queue_response(c->connection, (unsigned)c->status, r);
    MHD_destroy_response(r);
    return rc;
}

/* lib/net/server_reply.c - see server.h: answers, whole, in pieces, and of files. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net/server_call.h"
#include "lib/net/server_upload.h"
#include "lib/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 16 << 10 };
static const size_t unread_most = (size_t)4 << 20;

/* --- whole ones --- */

void server_call_put(struct server_call *c, const char *name, const char *value)
{
    if (c->header_count == ARRAY_LEN(c->headers))
        return;
    c->headers[c->header_count].name = xstrdup(name);
    c->headers[c->header_count++].value = xstrdup(value);
}

/* Before a handler has the call it is sent once the request is whole. */
static void answer(struct server_call *c, int status, const char *type)
{
    c->type = xstrdup(type);
    c->status = status;
    if (!c->handed_over)
        return;
    MHD_resume_connection(c->connection);
    server_call_let_go(c);
}

void server_reply(struct server_call *c, int status, const char *type, const char *body,
                  size_t size)
{
    buf_add(&c->reply, body, size);
    answer(c, status, type);
}

void server_reply_file(struct server_call *c, int status, const char *type, int fd,
                       uint64_t size)
{
    c->file = fd;
    c->file_size = size;
    answer(c, status, type);
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

static const struct server_form *form_of(const struct server_call *c)
{
    static const struct server_form usual = {"", server_error};
    const struct server_options *o = &c->server->options;
    for (size_t i = 0; i < o->form_count; i++)
        if (str_has_prefix(c->path, o->forms[i].prefix))
            return &o->forms[i];
    return &usual;
}

void server_reply_error(struct server_call *c, int status, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    server_reply_json(c, status, form_of(c)->error(status, NULL, text));
}

void server_call_too_large(struct server_call *c)
{
    server_reply_error(c, 413, "a body may have %llu bytes", (unsigned long long)c->most);
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
    const bool heard = !c->over && !c->slow && !server_call_ended(c);
    pthread_mutex_unlock(&c->lock);
    return heard;
}

void server_stream_end(struct server_call *c)
{
    pthread_mutex_lock(&c->lock);
    c->whole = true;
    wake(c);
    pthread_mutex_unlock(&c->lock);
    server_call_let_go(c);
}

/* --- sending --- */

/* Takes a file over. */
static struct MHD_Response *response_of(struct server_call *c)
{
    if (c->pieces)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES,
                                                 read_pieces, c, NULL);
    if (c->file < 0)
        return MHD_create_response_from_buffer(c->reply.len, (void *)buf_str(&c->reply),
                                               MHD_RESPMEM_MUST_COPY);
    struct MHD_Response *r = MHD_create_response_from_fd64(c->file_size, c->file);
    if (r)
        c->file = -1;
    return r;
}

enum MHD_Result server_call_send(struct server_call *c)
{
    struct MHD_Response *r = response_of(c);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Type", c->type);
    if (c->pieces)
        MHD_add_response_header(r, "Cache-Control", "no-cache");
    for (size_t i = 0; i < c->header_count; i++)
        MHD_add_response_header(r, c->headers[i].name, c->headers[i].value);
    if (c->closes)
        MHD_add_response_header(r, "Connection", "close");
    if (c->status == 401)
        MHD_add_response_header(r, "WWW-Authenticate",
                                c->server->options.basic ? "Basic realm=\"peftlab\""
                                                         : "Bearer");
    const enum MHD_Result rc = MHD_queue_response(c->connection, (unsigned)c->status, r);
    MHD_destroy_response(r);
    return rc;
}

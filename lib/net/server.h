/* lib/net/server.h - an HTTP server for commands that answer requests (libmicrohttpd).
 *
 * One thread owns all connections. A handler is called there once a request is whole, and
 * answers at once or later, from any thread; meanwhile the connection is suspended and
 * costs no thread. An answer is given whole, or begun and given in pieces, which go out as
 * they come (a stream of events): whoever writes them is never held up by whoever reads.
 * What a request may ask for is a table of routes; what is in none is 404,
 * or 405 where only the method is wrong.
 *
 * Limits: bytes of a body (413; of an upload its own, server_upload.h), of a head (431), seconds without a byte (30), seconds for a
 * whole request (60, however it drips), bytes of an answer in pieces that a client has not
 * read yet (4 MiB), connections: beyond their number the one that has owed a request for
 * longest is closed, so that new ones are always heard (server_links.h). Off the loopback one
 * address has 1,024. A body must have a JSON form where the handler asks for it (400 else).
 *
 * A request that another reader, a proxy in front, could take for two (two lengths, a length
 * and chunks) is refused and its connection closed. Paths are compared as they are sent.
 * OPTIONS says which methods a path has, 405 too; HEAD is GET without its body.
 *
 * Who may ask: with a key only requests that carry it (`Authorization: Bearer KEY`, or
 * `X-Peftlab-Token: KEY`, compared in constant time; 401 else), but for open routes. Where
 * the options allow it, it may also be the password of `Authorization: Basic`, which browsers
 * ask for and then send by themselves: so pages of another origin than the server's own are
 * refused with it, whatever they know (403). Without one and on a loopback address the
 * Host must be a name of this machine's loopback, so that no web page reaches it by a name that its
 * owner points here (DNS rebinding); a request that names an Origin other than that is
 * refused as well (403); pages of this machine's loopback may read answers (CORS), others
 * where they carry the key. On any other address a key is demanded.
 *
 * Errors are answered in the form that OpenAI's clients show:
 * {"error": {"message", "type", "param": null, "code"}}, or for paths that begin as a
 * server_form says in its form. */
#ifndef LIB_NET_SERVER_H
#define LIB_NET_SERVER_H

#include "lib/buf.h"
#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct server;
struct server_call; /* a request; ends with its answer */

enum {
    SERVER_OPEN = 1,  /* needs no key */
    SERVER_UPLOAD = 2 /* handled at its head, see server_upload.h */
};

struct server_route {
    const char *method,
        *path; /* "/v1/models", or "/v1/models/" and '*' for what follows */
    void (*handle)(void *ctx, struct server_call *call);
    unsigned flags;
};

/* The body of errors of paths that begin so; param: what of the request was wrong, or
 * NULL. */
struct server_form {
    const char *prefix;
    json_t *(*error)(int status, const char *param, const char *message);
};

struct server_options {
    const char *address;    /* "127.0.0.1", "::1", "0.0.0.0" */
    int port;               /* 0: any that is free */
    const char *key;        /* NULL: none */
    bool basic;             /* the key may be a password of Authorization: Basic */
    size_t max_body;        /* bytes */
    size_t max_connections; /* that have no whole request to be answered */
    double
        request_s; /* for a request to come, from the connection or the answer before; 0:
                         60 */
    const struct server_form *forms;
    size_t form_count;
};

/* ERR_CONFIG: the options do not go together. server_start asks, too; this is for who would
 * begin something else before it. */
int server_check(const struct server_options *options, struct err *err);
/* Routes, key and forms are borrowed. ERR_CONFIG as above; ERR_DEVICE: the address cannot be
 * used. */
int server_start(struct server **out, const struct server_options *options,
                 const struct server_route *routes, size_t count, void *ctx,
                 struct err *err);
int server_port(const struct server *s);
/* No new connections. Requests under way are still answered. */
void server_drain(struct server *s);
/* Once handlers have answered what they have; waits some seconds until that is sent. */
void server_stop(struct server *s);

/* --- in a handler --- */
/* The body as JSON; NULL: it was answered (400). The caller's. */
json_t *server_call_json(struct server_call *c);
/* NULL: not given. */
const char *server_call_header(const struct server_call *c, const char *name);
/* What of its path a route's '*' stands for, unescaped; asked first while the handler runs. */
const char *server_call_rest(struct server_call *c);
/* The path as it was sent. */
const char *server_call_path(const struct server_call *c);
/* What follows the path's '?', as forms write it: a plus is a blank, %XX a byte; what is not
 * UTF-8 or has a NUL is cut off there. The first value of a name (NULL: not given, "" for a name
 * without one); the i-th pair, false: there is none. Asked first while the handler runs. */
const char *server_call_query(struct server_call *c, const char *name);
bool server_call_query_at(struct server_call *c, size_t i, const char **name,
                          const char **value);
/* The body's bytes; NUL behind them. */
const char *server_call_body(const struct server_call *c, size_t *size);
double
server_call_begin_s(const struct server_call *c); /* clock_mono_s of its first byte */

/* A further header of the answer; before it. */
void server_call_put(struct server_call *c, const char *name, const char *value);
/* The client is gone: nobody would read the answer, which is to be given all the same. One
 * system call, no wait. */
bool server_call_left(struct server_call *c);
/* Each ends the call. */
void server_reply(struct server_call *c, int status, const char *type, const char *body,
                  size_t size);
void server_reply_json(struct server_call *c, int status,
                       json_t *value); /* takes it over */
void server_reply_error(struct server_call *c, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The body of an error as OpenAI's clients want it. */
json_t *server_error(int status, const char *param, const char *message);

/* In pieces: begin, any number of pieces, end, which ends the call; none of them waits. False:
 * nobody reads any more, further pieces are dropped. */
void server_stream_begin(struct server_call *c, int status, const char *type);
bool server_stream_put(struct server_call *c, const char *data, size_t size);
void server_stream_end(struct server_call *c);

#endif

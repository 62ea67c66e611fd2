/* lib/net/server.c - see server.h. */
#include "lib/mem.h"
#include "lib/net/server_call.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IDLE_S = 30,
    REQUEST_S = 60,
    LAST_S = 5,
    HEAD_BYTES = 32 << 10,
    EACH_ADDRESS = 1024,
    OTHER_FILES = 256
};

/* --- requests --- */

/* A route's path ends with '*' where anything may follow. */
static bool is_path(const struct server_route *r, const char *path)
{
    const size_t n = strlen(r->path);
    return n && r->path[n - 1] == '*'
               ? strlen(path) >= n && !strncmp(r->path, path, n - 1)
               : str_eq(r->path, path);
}

/* Where the path has it by this method; HEAD is a GET whose answer is not sent. */
static const struct server_route *find_route(const struct server *s, const char *method,
                                             const char *path)
{
    const char *wanted = str_eq(method, "HEAD") ? "GET" : method;
    for (size_t i = 0; i < s->route_count; i++)
        if (is_path(&s->routes[i], path) && str_eq(s->routes[i].method, wanted))
            return &s->routes[i];
    return NULL;
}

/* Has an earlier route of the same path this method? */
static bool is_listed(const struct server *s, const char *path, size_t before)
{
    for (size_t i = 0; i < before; i++)
        if (str_eq(s->routes[i].method, s->routes[before].method) &&
            is_path(&s->routes[i], path))
            return true;
    return false;
}

/* "GET, HEAD, OPTIONS"; empty: there is no such path. */
static void list_methods(const struct server *s, const char *path, struct buf *out)
{
    for (size_t i = 0; i < s->route_count; i++)
        if (is_path(&s->routes[i], path) && !is_listed(s, path, i))
            buf_printf(out, "%s%s, ", s->routes[i].method,
                       str_eq(s->routes[i].method, "GET") ? ", HEAD" : "");
    if (out->len)
        buf_str_add(out, "OPTIONS");
}

/* What is known of a path where no route takes the method. */
static void answer_methods(struct server_call *c, const char *path)
{
    struct buf methods = BUF_INIT;
    list_methods(c->server, path, &methods);
    if (methods.len)
        server_call_put(c, "Allow", buf_str(&methods));
    if (!methods.len) {
        server_reply_error(c, 404, "there is no %s here", path);
    } else if (str_eq(c->method, "OPTIONS")) {
        server_call_put(c, "Access-Control-Allow-Methods", buf_str(&methods));
        server_call_put(c, "Access-Control-Allow-Headers",
                        "Authorization, Content-Type, X-Deadline-Ms");
        server_call_put(c, "Access-Control-Max-Age", "600");
        server_reply(c, 200, "text/plain", "", 0);
    } else {
        server_reply_error(c, 405, "%s has no method %s", path, c->method);
    }
    buf_release(&methods);
}

static struct server_call *begin_call(struct server *s, struct MHD_Connection *connection,
                                      const char *method, const char *path)
{
    struct server_call *c = server_call_new(s, connection);
    c->method = method;
    c->path = path;
    c->route = find_route(s, method, path);
    if (!server_call_formed(c))
        return c;
    const char *length = server_call_header(c, "Content-Length");
    const uint64_t size = length ? strtoull(length, NULL, 10) : 0;
    const bool allowed = server_call_allowed(c);
    if (allowed && c->route && c->route->flags & SERVER_UPLOAD)
        c->route->handle(s->ctx, c);
    else if (allowed && !c->route)
        answer_methods(c, path);
    if (!c->status && size > c->most)
        server_call_too_large(c);
    c->closes = c->status && size > s->options.max_body;
    return c;
}

static struct server_link *link_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        ->socket_context;
}

/* Who uploads has the time of a request for each MiB. */
static void take_body(struct server_call *c, const char *data, size_t size)
{
    const uint64_t before = c->taken;
    if (c->status)
        return;
    c->taken += size;
    if (c->taken > c->most) {
        server_call_too_large(c);
    } else if (!c->upload) {
        buf_add(&c->body, data, size);
    } else {
        server_upload_take(c, data, size);
        if (before >> 20 != c->taken >> 20)
            link_owes(&c->server->links, link_of(c->connection));
    }
}

/* Called when the head is there, for each piece of the body, at its end, and once more when
 * the answer is there. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *data, size_t *size,
                                  void **state)
{
    struct server_call *c = *state;
    (void)version;
    if (!c) {
        *state = c = begin_call(ctx, connection, method, path);
        return c->closes ? server_call_send(c) : MHD_YES; /* before all of it comes */
    }
    if (*size) {
        take_body(c, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (!c->handed_over)
        link_paid(&c->server->links, link_of(connection));
    if (c->upload && !c->status)
        server_upload_end(c);
    if (c->status)
        return server_call_send(c);
    server_call_hand_over(c);
    MHD_suspend_connection(connection);
    (c->upload ? c->upload->then : c->route->handle)(c->server->ctx, c);
    return MHD_YES;
}

static void on_end(void *ctx, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode why)
{
    struct server_call *c = *state;
    struct server *s = ctx;
    (void)why;
    if (c)
        server_call_over(c);
    *state = NULL;
    link_owes(&s->links, link_of(connection));
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **link,
                          enum MHD_ConnectionNotificationCode what)
{
    struct server *s = ctx;
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        *link = link_open(&s->links, MHD_get_connection_info(
                                         connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                                         ->connect_fd);
    else
        link_close(&s->links, *link);
}

/* Paths are taken as they are: none here has anything to be escaped. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *connection, char *text)
{
    (void)ctx, (void)connection;
    return strlen(text);
}

/* --- start and end --- */

static socklen_t read_address(const struct server_options *o,
                              struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, o->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)o->port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, o->address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)o->port);
        return sizeof *v6;
    }
    return 0;
}

static bool is_loopback(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
    return a->ss_family == AF_INET ? ntohl(v4->sin_addr.s_addr) >> 24 == 127
                                   : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void say_nothing(void *ctx, const char *fmt, va_list ap)
{
    (void)ctx, (void)fmt, (void)ap;
}

/* Some more than may owe a request: those that are being answered, those that are about to be
 * cut off. */
static struct MHD_Daemon *start_daemon(struct server *s, struct sockaddr_storage *address,
                                       size_t most)
{
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                           MHD_USE_ERROR_LOG |
                           (address->ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    return MHD_start_daemon(
        flags, (uint16_t)s->options.port, NULL, NULL, on_request, s,
        MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_SOCK_ADDR,
        (struct sockaddr *)address, MHD_OPTION_NOTIFY_COMPLETED, on_end, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)(2 * most),
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)(s->loopback ? 0 : EACH_ADDRESS),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES, MHD_OPTION_END);
}

static int start_parts(struct server *s, struct sockaddr_storage *address,
                       struct err *err)
{
    const struct server_options *o = &s->options;
    const size_t files = proc_allow_files(2 * o->max_connections + OTHER_FILES),
                 others = files / 2 < OTHER_FILES ? files / 2 : OTHER_FILES,
                 room = (files - others) / 2,
                 most = room < o->max_connections ? room : o->max_connections;
    const double limit_s = o->request_s > 0 ? o->request_s : REQUEST_S;
    if (!links_start(&s->links, most, limit_s))
        return err_set(err, ERR_DEVICE, "no thread could be started");
    s->daemon = start_daemon(s, address, most);
    if (s->daemon)
        return 0;
    links_stop(&s->links);
    return err_set(err, ERR_DEVICE, "cannot listen on %s, port %d: is it in use?",
                   o->address, o->port);
}

static int check_options(const struct server_options *o, struct sockaddr_storage *address,
                         struct err *err)
{
    if (!read_address(o, address))
        return err_set(err, ERR_CONFIG, "'%s' is no address (127.0.0.1, ::1, 0.0.0.0)",
                       o->address);
    if (!is_loopback(address) && !o->key)
        return err_set(err, ERR_CONFIG,
                       "on %s anybody could ask: give a key, or listen on 127.0.0.1",
                       o->address);
    return 0;
}

int server_check(const struct server_options *o, struct err *err)
{
    struct sockaddr_storage address;
    return check_options(o, &address, err);
}

int server_start(struct server **out, const struct server_options *o,
                 const struct server_route *routes, size_t count, void *ctx,
                 struct err *err)
{
    struct sockaddr_storage address;
    int rc = check_options(o, &address, err);
    if (rc)
        return rc;
    struct server *s = xcalloc(1, sizeof *s);
    *s = (struct server){.options = *o,
                         .routes = routes,
                         .route_count = count,
                         .ctx = ctx,
                         .loopback = is_loopback(&address)};
    rc = start_parts(s, &address, err);
    if (rc)
        free(s);
    else
        *out = s;
    return rc;
}

int server_port(const struct server *s)
{
    return MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void server_drain(struct server *s)
{
    atomic_store(&s->draining, true);
    const MHD_socket listening = MHD_quiesce_daemon(s->daemon);
    if (listening != MHD_INVALID_SOCKET)
        close(listening);
}

void server_stop(struct server *s)
{
    const double begin = clock_mono_s();
    while (atomic_load(&s->calls) && clock_mono_s() - begin < LAST_S)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    MHD_stop_daemon(s->daemon);
    links_stop(&s->links);
    free(s);
}

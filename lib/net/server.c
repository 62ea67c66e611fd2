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

enum { IDLE_S = 30, LAST_S = 5, HEAD_BYTES = 32 << 10, EACH_ADDRESS = 1024 };

/* --- who may ask --- */

/* "localhost:8080", "127.0.0.1", "[::1]:8080" */
static bool is_loopback_name(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; host && i < ARRAY_LEN(names); i++) {
        const size_t n = strlen(names[i]);
        if (!strncasecmp(host, names[i], n) && (!host[n] || host[n] == ':'))
            return true;
    }
    return false;
}

static bool is_loopback_origin(const char *origin)
{
    const char *host = strstr(origin, "://");
    return host && is_loopback_name(host + 3);
}

/* In a time that does not tell how much of it is right. */
static bool same_secret(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    unsigned differ = n != m;
    for (size_t i = 0; i < m; i++)
        differ |= (unsigned char)b[i] ^ (unsigned char)a[i < n ? i : 0];
    return !differ;
}

static bool has_key(const struct server_call *c)
{
    static const char scheme[] = "Bearer ";
    const char *given = server_call_header(c, "Authorization");
    return given && !strncasecmp(given, scheme, sizeof scheme - 1) &&
           same_secret(given + sizeof scheme - 1, c->server->options.key);
}

/* False: answered. */
static bool is_allowed(struct server_call *c)
{
    const struct server *s = c->server;
    const char *origin = server_call_header(c, "Origin");
    if (s->options.key && !(c->route && c->route->open) && !has_key(c))
        server_reply_error(c, 401, "a key is needed: Authorization: Bearer KEY");
    else if (!s->options.key && s->loopback &&
             !is_loopback_name(server_call_header(c, "Host")))
        server_reply_error(c, 403, "Host is no name of this machine's loopback");
    else if (!s->options.key && origin && !is_loopback_origin(origin))
        server_reply_error(c, 403, "a page of another origin may not ask without a key");
    else if (atomic_load(&s->draining))
        server_reply_error(c, 503, "the server is stopping");
    else
        return true;
    return false;
}

/* --- requests --- */

static const struct server_route *find_route(const struct server *s, const char *method,
                                             const char *path, bool *other_method)
{
    *other_method = false;
    for (size_t i = 0; i < s->route_count; i++)
        if (str_eq(s->routes[i].path, path)) {
            if (str_eq(s->routes[i].method, method))
                return &s->routes[i];
            *other_method = true;
        }
    return NULL;
}

static struct server_call *begin_call(struct server *s, struct MHD_Connection *connection,
                                      const char *method, const char *path)
{
    struct server_call *c = server_call_new(s, connection);
    bool other;
    c->route = find_route(s, method, path, &other);
    if (!is_allowed(c))
        return c;
    const char *length = server_call_header(c, "Content-Length");
    if (length && strtoull(length, NULL, 10) > s->options.max_body)
        server_reply_error(c, 413, "a body may have %zu bytes", s->options.max_body);
    else if (!c->route && other)
        server_reply_error(c, 405, "%s has no method %s", path, method);
    else if (!c->route)
        server_reply_error(c, 404, "there is no %s here", path);
    return c;
}

static void take_body(struct server_call *c, const char *data, size_t size)
{
    if (c->status || c->too_large)
        return;
    c->too_large = c->body.len + size > c->server->options.max_body;
    if (!c->too_large)
        buf_add(&c->body, data, size);
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
        return c->status == 413 ? server_call_send(c)
                                : MHD_YES; /* before all of it comes */
    }
    if (*size) {
        take_body(c, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (c->too_large && !c->status)
        server_reply_error(c, 413, "a body may have %zu bytes",
                           c->server->options.max_body);
    if (c->status)
        return server_call_send(c);
    server_call_hand_over(c);
    MHD_suspend_connection(connection);
    c->route->handle(c->server->ctx, c);
    return MHD_YES;
}

static void on_end(void *ctx, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode why)
{
    struct server_call *c = *state;
    (void)ctx, (void)connection, (void)why;
    if (c)
        server_call_over(c);
    *state = NULL;
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

int server_start(struct server **out, const struct server_options *o,
                 const struct server_route *routes, size_t count, void *ctx,
                 struct err *err)
{
    struct sockaddr_storage address;
    if (!read_address(o, &address))
        return err_set(err, ERR_CONFIG, "'%s' is no address (127.0.0.1, ::1, 0.0.0.0)",
                       o->address);
    const bool loopback = is_loopback(&address);
    if (!loopback && !o->key)
        return err_set(err, ERR_CONFIG,
                       "on %s anybody could ask: give a key, or listen on 127.0.0.1",
                       o->address);
    struct server *s = xcalloc(1, sizeof *s);
    *s = (struct server){.options = *o,
                         .routes = routes,
                         .route_count = count,
                         .ctx = ctx,
                         .loopback = loopback};
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                           MHD_USE_ERROR_LOG |
                           (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    s->daemon = MHD_start_daemon(
        flags, (uint16_t)o->port, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
        say_nothing, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->max_connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)EACH_ADDRESS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES, MHD_OPTION_END);
    if (!s->daemon) {
        free(s);
        return err_set(err, ERR_DEVICE, "cannot listen on %s, port %d: is it in use?",
                       o->address, o->port);
    }
    *out = s;
    return 0;
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
    free(s);
}

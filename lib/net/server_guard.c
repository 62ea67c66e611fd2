/* lib/net/server_guard.c - who may ask, and requests whose form two readers could take for
 * two different ones. */
#include "lib/mem.h"
#include "lib/net/server_call.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- names of this machine --- */

/* Bytes of a name that may be followed by a port; 0: it begins with none. All of 127/8 is
 * the loopback; nobody's domain ends with a number. */
static size_t loopback_bytes(const char *host)
{
    static const char *const names[] = {"localhost", "[::1]"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strncasecmp(host, names[i], strlen(names[i])))
            return strlen(names[i]);
    return strncmp(host, "127.", 4) ? 0 : strspn(host, "0123456789.");
}

/* "localhost:8080", "127.0.0.1", "[::1]:8080" */
static bool is_loopback_name(const char *host)
{
    if (!host)
        return false;
    const size_t n = loopback_bytes(host);
    const char *rest = host + n;
    return n && (!*rest || (*rest == ':' && !rest[1 + strspn(rest + 1, "0123456789")]));
}

static bool is_loopback_origin(const char *origin)
{
    const char *host = strstr(origin, "://");
    return host && is_loopback_name(host + 3);
}

/* --- the key --- */

/* In a time that does not tell how much of it is right. */
static bool same_secret(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    unsigned differ = n != m;
    for (size_t i = 0; i < m; i++)
        differ |= (unsigned char)b[i] ^ (unsigned char)a[i < n ? i : 0];
    return !differ;
}

enum given { NO_KEY, KEY, PASSWORD };

/* "name:KEY" in base64 */
static bool is_password(const struct server *s, const char *text)
{
    const size_t n = strlen(text);
    unsigned char *plain = xcalloc(n + 1, 1);
    const int64_t size = str_base64_decode(text, n, plain);
    const char *colon = size > 0 ? strchr((const char *)plain, ':') : NULL;
    const bool right = colon && same_secret(colon + 1, s->options.key);
    free(plain);
    return right;
}

static enum given given_key(const struct server_call *c)
{
    static const char bearer[] = "Bearer ", basic[] = "Basic ";
    const struct server *s = c->server;
    const char *given = server_call_header(c, "Authorization"),
               *token = server_call_header(c, "X-Peftlab-Token");
    if ((token && same_secret(token, s->options.key)) ||
        (given && !strncasecmp(given, bearer, sizeof bearer - 1) &&
         same_secret(given + sizeof bearer - 1, s->options.key)))
        return KEY;
    return s->options.basic && given && !strncasecmp(given, basic, sizeof basic - 1) &&
                   is_password(s, given + sizeof basic - 1)
               ? PASSWORD
               : NO_KEY;
}

/* --- pages of other origins --- */

/* "http://host:5000" is of the server that was asked by "host:5000". */
static bool is_own_origin(const char *origin, const char *host)
{
    const char *of = strstr(origin, "://");
    return of && host && !strcasecmp(of + 3, host);
}

/* A browser says that another site's page asks, and not by a link to here. */
static bool crosses_sites(const struct server_call *c)
{
    const char *mode = server_call_header(c, "Sec-Fetch-Mode");
    return str_eq(server_call_header(c, "Sec-Fetch-Site"), "cross-site") &&
           !str_eq(mode, "navigate");
}

/* --- form --- */

struct counted {
    int lengths, encodings, hosts;
    bool chunked; /* the only encoding that there is */
    bool blank;   /* in a name */
};

static enum MHD_Result count_header(void *ctx, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    struct counted *n = ctx;
    (void)kind;
    n->blank |= key[strcspn(key, " \t")] != '\0';
    n->lengths += !strcasecmp(key, "Content-Length");
    n->hosts += !strcasecmp(key, "Host");
    if (!strcasecmp(key, "Transfer-Encoding")) {
        n->encodings++;
        n->chunked = value && !strcasecmp(value, "chunked");
    }
    return MHD_YES;
}

bool server_call_formed(struct server_call *c)
{
    struct counted n = {0};
    MHD_get_connection_values(c->connection, MHD_HEADER_KIND, count_header, &n);
    const char *why = n.blank         ? "a header has a blank in its name"
                      : n.hosts > 1   ? "there are two Host headers"
                      : n.lengths > 1 ? "there are two Content-Length headers"
                      : n.encodings > 1 || (n.encodings && n.lengths)
                          ? "a body has one Content-Length, or one Transfer-Encoding"
                      : n.encodings && !n.chunked ? "a Transfer-Encoding is 'chunked'"
                                                  : NULL;
    c->closes = why != NULL;
    if (why)
        server_reply_error(c, 400, "%s", why);
    return !why;
}

/* --- both --- */

static bool is_foreign(const struct server_call *c, const char *origin, enum given given)
{
    if (given == KEY)
        return false;
    if (!origin)
        return crosses_sites(c);
    return given == PASSWORD ? !is_own_origin(origin, server_call_header(c, "Host"))
                             : !is_loopback_origin(origin);
}

/* Browsers send no key when they ask what they may ask. */
bool server_call_allowed(struct server_call *c)
{
    const struct server *s = c->server;
    const bool keyed = s->options.key != NULL,
               open = c->route && c->route->flags & SERVER_OPEN,
               asks_what = str_eq(c->method, "OPTIONS");
    const char *origin = server_call_header(c, "Origin");
    const enum given given = keyed ? given_key(c) : NO_KEY;
    if (keyed && given == NO_KEY && !open && !asks_what)
        server_reply_error(c, 401, "a key is needed: Authorization: Bearer KEY");
    else if (!keyed && s->loopback && !is_loopback_name(server_call_header(c, "Host")))
        server_reply_error(c, 403, "Host is no name of this machine's loopback");
    else if ((!keyed || given == PASSWORD) && is_foreign(c, origin, given))
        server_reply_error(c, 403, "a page of another origin may not ask without a key");
    else if (atomic_load(&s->draining))
        server_reply_error(c, 503, "the server is stopping");
    if (!c->status && origin &&
        (is_loopback_origin(origin) || asks_what || given != NO_KEY)) {
        server_call_put(c, "Access-Control-Allow-Origin", origin);
        server_call_put(c, "Vary", "Origin");
        server_call_put(c, "Access-Control-Expose-Headers",
                        "Retry-After, Server-Timing, X-Adapter-Cold");
    }
    return !c->status;
}

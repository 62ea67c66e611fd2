/* lib/net/http.h - a small HTTP client (libcurl): texts into memory, files onto disk, and
 * what is said to a server.
 *
 * Every request has limits: bytes, redirects, time without a byte. A request that fails
 * on the way (no connection, broken off, stalled) or is answered 408, 425, 429, 500, 502,
 * 503 or 504 is tried again after a pause that doubles from first_wait_s to 60 s, or as
 * long as Retry-After says. Redirects are followed here and not by libcurl, so that two
 * things hold: from https never to http, and the token goes to the scheme, host and port
 * that it was given for and to no other. It travels by https, or to this machine alone
 * and then past any proxy.
 *
 * Certificates are those of CURL_CA_BUNDLE, else of SSL_CERT_FILE and SSL_CERT_DIR where
 * they are set, else libcurl's; proxies those of http_proxy, https_proxy, all_proxy and
 * no_proxy. An error names the variable that had a hand in it; what no second try can
 * change (a certificate, a proxy's no) ends at once (http_env.h).
 *
 * Errors: ERR_DEVICE the server cannot be used (no connection, refused, 5xx after all
 * tries), ERR_NOINPUT 404 and 410, ERR_PARSE answers that cannot be, ERR_IO this
 * machine's disk, ERR_BUSY a signal came (proc_catch_signals). `reply->status` is that of
 * the last answer, so that callers can say more about 401 or 404. */
#ifndef LIB_NET_HTTP_H
#define LIB_NET_HTTP_H

#include "lib/buf.h"
#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct http_policy {
    int tries; /* of one request in a row without progress */
    int redirects;
    double first_wait_s, connect_timeout_s, stall_timeout_s;
    /* Called before each pause, with the reason; NULL: silent. */
    void (*waiting)(void *ctx, const char *why, double seconds);
    void *ctx;
};
extern const struct http_policy http_policy_default;

struct http_reply {
    long status;          /* 0: there was none */
    json_t *first, *last; /* headers of the first and the last answer of the redirects,
                             names in lower case; owned */
};
void http_reply_release(struct http_reply *r);

struct http;
/* token NULL: none. It is for `origin`, a URL, alone. */
struct http *http_new(const struct http_policy *policy, const char *origin,
                      const char *token, struct err *err);
void http_free(struct http *h);

/* The whole answer into `body`; more than max_bytes is ERR_PARSE. */
int http_get(struct http *h, const char *url, size_t max_bytes, struct buf *body,
             struct http_reply *reply, struct err *err);

/* A request that says something. Either `bytes` or `file` has what is sent. */
struct http_send {
    const char *method, *type; /* "POST", "application/json" */
    const void *bytes;
    const char *file; /* read again for every try */
    size_t size;      /* 0: nothing is sent */
    bool once;        /* not tried again: what arrives twice may count twice */
};
/* The answer into `body`, also of one that is a refusal: what the server says of it. */
int http_send(struct http *h, const char *url, const struct http_send *what,
              size_t max_bytes, struct buf *body, struct http_reply *reply,
              struct err *err);
/* Instead of a token: a name and a password, by the same rules. */
int http_login(struct http *h, const char *user, const char *password, struct err *err);

struct http_file {
    const char *path; /* what is there already is kept and gone on from */
    int64_t size;     /* that the whole file must have; -1: not known */
    void (*progress)(void *ctx, int64_t bytes); /* in the file so far; NULL: none */
    void *ctx;
};
/* Brings the file to its whole size. The bytes are not judged: check a hash. */
int http_download(struct http *h, const char *url, const struct http_file *file,
                  struct http_reply *reply, struct err *err);

#endif

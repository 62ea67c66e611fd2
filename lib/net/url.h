/* lib/net/url.h - addresses on libcurl's parser (CURLU), and the rules that hold for them.
 *
 * Only http and https are addresses. Ports that are not written are those of the scheme,
 * so that "https://x" and "https://x:443" are one origin. */
#ifndef LIB_NET_URL_H
#define LIB_NET_URL_H

#include "lib/err.h"
#include <curl/curl.h>
#include <stdbool.h>

/* The caller's (curl_url_cleanup); NULL with ERR_CONFIG where it is no address. */
CURLU *url_parse(const char *url, struct err *err);
/* curl_free it; NULL: it has none. */
char *url_part(CURLU *u, CURLUPart part);

bool url_same_origin(CURLU *a, CURLU *b); /* scheme, host and port */
bool url_is_https(CURLU *u);
bool url_is_loopback(CURLU *u); /* this machine's own name or number */

/* Turns `address` into where a redirect's Location leads, relative or not. ERR_DEVICE
 * where that is no address, or leads from https to http. */
int url_follow(CURLU *address, const char *to, struct err *err);

/* "org/a b" as part of a path: everything but letters, digits, - . _ ~ and, with
 * keep_slash, / is escaped. Caller frees. */
char *url_escape(const char *text, bool keep_slash);
/* The bytes that %XX stand for; other percent signs stay. A NUL among them counts, and one
 * is behind them. Caller frees. */
char *url_unescape(const char *text, size_t *size);

#endif

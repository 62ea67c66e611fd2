/* lib/net/http_headers.h - lines of an answer's head (inside lib/http).
 *
 * A server may send anything: names are made lower case, values are trimmed, what is not
 * UTF-8 is left out, and no more than 200 headers are kept. */
#ifndef LIB_NET_HTTP_HEADERS_H
#define LIB_NET_HTTP_HEADERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One line. *headers is an object, made anew at each status line ("HTTP/1.1 200 OK", also
 * after a "100 Continue"). */
void http_headers_line(json_t **headers, const char *line, size_t len);
/* Whether Content-Range says that the bytes begin at `at`. */
bool http_headers_range_at(const json_t *headers, int64_t at);

#endif

/* lib/net/http_parts.h - what the files of the HTTP client share (inside lib/net). */
#ifndef LIB_NET_HTTP_PARTS_H
#define LIB_NET_HTTP_PARTS_H

#include "lib/net/http.h"
#include <curl/curl.h>

struct http {
    CURL *curl;
    struct http_policy policy;
    CURLU *origin;
    char *authorization; /* the header, NULL: none */
};

#endif

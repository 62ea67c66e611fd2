/* lib/http_env.h - what the environment says about connections (inside lib/http).
 *
 * Proxies are libcurl's own affair: http_proxy, https_proxy, all_proxy and no_proxy.
 * Certificates are not: CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR are read here, as
 * the curl command does. An error says which of them had a hand in it. */
#ifndef LIB_HTTP_ENV_H
#define LIB_HTTP_ENV_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

/* Before a request. */
void http_env_apply(CURL *c);
/* Appends to `why` what is set and may be the reason of `code`. */
void http_env_explain(CURLcode code, bool https, char *why, size_t why_size);
/* Whether another try is of no use. */
bool http_env_is_final(CURLcode code);

#endif

/* lib/net/http_env.h - what the environment says about connections (inside lib/http).
 *
 * Proxies are libcurl's own affair: http_proxy, https_proxy, all_proxy and no_proxy.
 * Certificates are not: they are read here as the curl command reads them, that is
 * CURL_CA_BUNDLE, and where it is not set SSL_CERT_FILE and SSL_CERT_DIR. An error says
 * which of them had a hand in it, never with a proxy's password. */
#ifndef LIB_NET_HTTP_ENV_H
#define LIB_NET_HTTP_ENV_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

/* Before a request. */
void http_env_apply(CURL *c);
/* Appends to `why` what is set and may be the reason: of `code`, or, where that is
 * CURLE_OK, of an answer that is a refusal (a proxy of plain http answers itself). */
void http_env_explain(CURL *c, CURLcode code, char *why, size_t why_size);
/* Whether another try is of no use: certificates, another protocol, a proxy's no.
 * `message` is libcurl's. */
bool http_env_is_final(CURL *c, CURLcode code, const char *message);

#endif

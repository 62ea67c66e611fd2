/* lib/http_env.c - see http_env.h. */
#include "lib/http_env.h"
#include "lib/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first of the names that is set. */
static const char *first_set(const char *const *names, size_t count, const char **value)
{
    for (size_t i = 0; i < count; i++) {
        *value = getenv(names[i]);
        if (*value && **value)
            return names[i];
    }
    return NULL;
}

static const char *const bundles[] = {"CURL_CA_BUNDLE", "SSL_CERT_FILE"};
static const char *const folders[] = {"SSL_CERT_DIR"};

void http_env_apply(CURL *c)
{
    const char *value;
    if (first_set(bundles, ARRAY_LEN(bundles), &value))
        curl_easy_setopt(c, CURLOPT_CAINFO, value);
    if (first_set(folders, ARRAY_LEN(folders), &value))
        curl_easy_setopt(c, CURLOPT_CAPATH, value);
}

static bool is_about_certificates(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_SSL_CRL_BADFILE || code == CURLE_SSL_ISSUER_ERROR;
}

bool http_env_is_final(CURLcode code)
{
    return is_about_certificates(code);
}

static void append(char *why, size_t size, const char *format, const char *name,
                   const char *value)
{
    const size_t n = strlen(why);
    snprintf(why + n, size - n, format, name, value);
}

/* Without the user and password that it may hold. */
static const char *without_secrets(const char *proxy)
{
    const char *at = strrchr(proxy, '@');
    return at ? at + 1 : proxy;
}

void http_env_explain(CURLcode code, bool https, char *why, size_t why_size)
{
    static const char *const for_https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
                                            "ALL_PROXY"};
    static const char *const for_http[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    const char *value;
    const char *proxy = https ? first_set(for_https, ARRAY_LEN(for_https), &value)
                              : first_set(for_http, ARRAY_LEN(for_http), &value);
    if (proxy)
        append(why, why_size, " (%s is '%.200s')", proxy, without_secrets(value));
    if (!is_about_certificates(code))
        return;
    const char *bundle = first_set(bundles, ARRAY_LEN(bundles), &value);
    if (!bundle)
        bundle = first_set(folders, ARRAY_LEN(folders), &value);
    if (bundle)
        append(why, why_size, " (%s is '%.200s')", bundle, value);
    else
        append(why, why_size, "; %s can name the certificates to trust%s",
               "SSL_CERT_FILE", "");
}

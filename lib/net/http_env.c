/* lib/net/http_env.c - see http_env.h. */
#include "lib/net/http_env.h"
#include "lib/mem.h"
#include "lib/net/url.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *value_of(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The first of the names that is set; the list ends with NULL. */
static const char *first_set(const char *const *names, const char **value)
{
    for (; *names; names++)
        if ((*value = value_of(*names)))
            return *names;
    return NULL;
}

static const char *const bundles[] = {"CURL_CA_BUNDLE", "SSL_CERT_FILE", NULL};

/* The file that libcurl was built to read, where a machine lacks it (Debian's package
 * ca-certificates is not installed): with it named every request would fail before it is
 * made, whatever SSL_CERT_DIR has. */
static bool lacks_bundle(void)
{
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    return built->cainfo && access(built->cainfo, R_OK) != 0;
}

/* Where other systems than the one that libcurl was built on have it (a wheel brings its
 * libcurl along); NULL: at none of these. */
static const char *usual_bundle(void)
{
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch, Alpine */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
        "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    };
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

void http_env_apply(CURL *c)
{
    const char *value;
    if (first_set(bundles, &value))
        curl_easy_setopt(c, CURLOPT_CAINFO, value);
    else if (lacks_bundle())
        curl_easy_setopt(c, CURLOPT_CAINFO, usual_bundle());
    if (!value_of("CURL_CA_BUNDLE") && (value = value_of("SSL_CERT_DIR")))
        curl_easy_setopt(c, CURLOPT_CAPATH, value);
}

/* --- what is final --- */

/* With `text`: only where libcurl's message has it. A broken connection during the
 * handshake is worth another try, what OpenSSL's routines found out is not. */
static const struct {
    CURLcode code;
    const char *text;
    bool certificates;
} finals[] = {
    {CURLE_PEER_FAILED_VERIFICATION, "", true},
    {CURLE_SSL_CACERT_BADFILE, "", true},
    {CURLE_SSL_CRL_BADFILE, "", true},
    {CURLE_SSL_ISSUER_ERROR, "", true},
    {CURLE_SSL_CONNECT_ERROR, "SSL routines", false},
    {CURLE_SSL_CIPHER, "", false},
    {CURLE_URL_MALFORMAT, "", false},
    {CURLE_UNSUPPORTED_PROTOCOL, "", false},
    {CURLE_COULDNT_CONNECT, "Unsupported proxy", false},
    {CURLE_COULDNT_RESOLVE_PROXY, "Unsupported proxy", false},
};

static bool is_about_certificates(CURLcode code)
{
    for (size_t i = 0; i < ARRAY_LEN(finals); i++)
        if (finals[i].code == code)
            return finals[i].certificates;
    return false;
}

bool http_env_is_final(CURL *c, CURLcode code, const char *message)
{
    long connect = 0; /* what a proxy answered to CONNECT */
    curl_easy_getinfo(c, CURLINFO_HTTP_CONNECTCODE, &connect);
    if (connect >= 400 && connect < 500 && connect != 408 && connect != 429)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(finals); i++)
        if (finals[i].code == code && strstr(message, finals[i].text))
            return true;
    return false;
}

/* --- what is told --- */

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

/* Whether no_proxy has the host: by name, as a domain above it, or all ("*"). */
static bool is_exempt(const char *host)
{
    static const char *const names[] = {"no_proxy", "NO_PROXY", NULL};
    const char *at, *const blanks = ", \t";
    const size_t length = strlen(host);
    if (!first_set(names, &at))
        return false;
    for (size_t n; *(at += strspn(at, blanks)); at += n) {
        n = strcspn(at, blanks);
        const size_t dot = *at == '.', m = n - dot;
        if (n == 1 && *at == '*')
            return true;
        if (m && m <= length && !strncasecmp(host + length - m, at + dot, m) &&
            (m == length || host[length - m - 1] == '.'))
            return true;
    }
    return false;
}

/* The proxy's variable for the last address, NULL: it is asked directly. */
static const char *proxy_of(CURL *c, bool *https, const char **value)
{
    static const char *const for_https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
                                            "ALL_PROXY", NULL},
                             *const for_http[] = {"http_proxy", "all_proxy", "ALL_PROXY",
                                                  NULL};
    char *url = NULL, *host = NULL;
    curl_easy_getinfo(c, CURLINFO_EFFECTIVE_URL, &url);
    CURLU *u = url_parse(url ? url : "", NULL);
    *https = u && url_is_https(u);
    const char *name = u && (host = url_part(u, CURLUPART_HOST)) && !is_exempt(host)
                           ? first_set(*https ? for_https : for_http, value)
                           : NULL;
    curl_free(host);
    curl_url_cleanup(u);
    return name;
}

static void explain_certificates(char *why, size_t size)
{
    const char *value, *name = first_set(bundles, &value);
    if (!name && (value = value_of("SSL_CERT_DIR")))
        name = "SSL_CERT_DIR";
    if (!name)
        append(why, size, "; %s can name the certificates to trust%s", "SSL_CERT_FILE",
               lacks_bundle() ? ", the package ca-certificates brings the usual ones"
                              : "");
    else if (name == bundles[0])
        append(why, size, " (%s is '%.200s'; it goes before SSL_CERT_FILE)", name, value);
    else
        append(why, size, " (%s is '%.200s')", name, value);
}

void http_env_explain(CURL *c, CURLcode code, char *why, size_t why_size)
{
    bool https;
    const char *value, *proxy = proxy_of(c, &https, &value);
    if (proxy && (code != CURLE_OK || !https))
        append(why, why_size, " (%s is '%.200s')", proxy, without_secrets(value));
    if (is_about_certificates(code))
        explain_certificates(why, why_size);
}

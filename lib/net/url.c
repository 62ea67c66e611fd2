/* lib/net/url.c - see url.h. */
#include "lib/net/url.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *url_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *x = url_part(a, part), *y = url_part(b, part);
    bool same = x && y && !strcasecmp(x, y);
    curl_free(x);
    curl_free(y);
    return same;
}

bool url_same_origin(CURLU *a, CURLU *b)
{
    return same_part(a, b, CURLUPART_SCHEME) && same_part(a, b, CURLUPART_HOST) &&
           same_part(a, b, CURLUPART_PORT);
}

bool url_is_https(CURLU *u)
{
    char *scheme = url_part(u, CURLUPART_SCHEME);
    bool yes = scheme && !strcasecmp(scheme, "https");
    curl_free(scheme);
    return yes;
}

bool url_is_loopback(CURLU *u)
{
    char *host = url_part(u, CURLUPART_HOST);
    bool yes = host && (!strcasecmp(host, "localhost") || !strcmp(host, "[::1]") ||
                        str_has_prefix(host, "127."));
    curl_free(host);
    return yes;
}

CURLU *url_parse(const char *url, struct err *err)
{
    CURLU *u = curl_url();
    char *scheme = NULL;
    bool ok = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
              (scheme = url_part(u, CURLUPART_SCHEME)) &&
              (!strcasecmp(scheme, "https") || !strcasecmp(scheme, "http"));
    curl_free(scheme);
    if (ok)
        return u;
    curl_url_cleanup(u);
    err_set(err, ERR_CONFIG, "'%.300s' is no http or https address", url);
    return NULL;
}

int url_follow(CURLU *address, const char *to, struct err *err)
{
    const bool was_https = url_is_https(address);
    char *scheme = NULL;
    if (!*to || curl_url_set(address, CURLUPART_URL, to, 0) != CURLUE_OK ||
        !(scheme = url_part(address, CURLUPART_SCHEME)) ||
        (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)) {
        curl_free(scheme);
        return err_set(err, ERR_DEVICE, "redirected to '%.200s', which is no address",
                       to);
    }
    curl_free(scheme);
    if (was_https && !url_is_https(address))
        return err_set(err, ERR_DEVICE, "redirected from https to '%.200s': not followed",
                       to);
    return 0;
}

char *url_escape(const char *text, bool keep_slash)
{
    struct buf out = BUF_INIT;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (isalnum(*c) || strchr("-._~", *c) || (keep_slash && *c == '/'))
            buf_char(&out, (char)*c);
        else
            buf_printf(&out, "%%%02X", *c);
    buf_str_add(&out, "");
    return buf_detach(&out, NULL);
}

static bool is_escape(const char *s)
{
    return s[0] == '%' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2]);
}

char *url_unescape(const char *text, size_t *size)
{
    char *out = xmalloc(strlen(text) + 1);
    size_t n = 0;
    while (*text) {
        const bool escape = is_escape(text);
        const char two[] = {escape ? text[1] : '0', escape ? text[2] : '0', '\0'};
        out[n++] = escape ? (char)strtol(two, NULL, 16) : *text;
        text += escape ? 3 : 1;
    }
    out[n] = '\0';
    *size = n;
    return out;
}

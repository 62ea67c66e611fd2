/* lib/net/http_open.c - a client, and whom it says it is; see http.h. */
#include "lib/mem.h"
#include "lib/net/http_parts.h"
#include "lib/net/url.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

const struct http_policy http_policy_default = {.tries = 6,
                                                .redirects = 10,
                                                .first_wait_s = 1,
                                                .connect_timeout_s = 20,
                                                .stall_timeout_s = 60};

static int may_tell(struct http *h, const char *what, struct err *err)
{
    char *origin = NULL;
    int rc = 0;
    if (!url_is_https(h->origin) && !url_is_loopback(h->origin)) {
        origin = url_part(h->origin, CURLUPART_URL);
        rc = err_set(err, ERR_CONFIG,
                     "%s is not sent over plain http; use https in '%.200s'", what,
                     origin);
    }
    curl_free(origin);
    return rc;
}

struct http *http_new(const struct http_policy *policy, const char *origin,
                      const char *token, struct err *err)
{
    struct http *h = xcalloc(1, sizeof *h);
    h->policy = policy ? *policy : http_policy_default;
    h->curl = curl_easy_init();
    h->origin = url_parse(origin, err);
    int rc = h->origin ? 0 : -1;
    if (!rc && !h->curl)
        rc = err_set(err, ERR_DEVICE, "libcurl cannot be started");
    if (!rc && token && *token) {
        if (strpbrk(token, " \t\r\n"))
            rc = err_set(err, ERR_CONFIG, "the token has blanks or line ends in it");
        else
            rc = may_tell(h, "a token", err);
        if (!rc)
            h->authorization = xasprintf("Authorization: Bearer %s", token);
    }
    if (!rc)
        return h;
    http_free(h);
    return NULL;
}

int http_login(struct http *h, const char *user, const char *password, struct err *err)
{
    int rc = may_tell(h, "a password", err);
    if (!rc && strchr(user, ':'))
        rc = err_set(err, ERR_CONFIG, "the user's name has a colon in it");
    if (rc)
        return rc;
    char *both = xasprintf("%s:%s", user, password),
         *code = str_base64_encode(both, strlen(both));
    free(h->authorization);
    h->authorization = xasprintf("Authorization: Basic %s", code);
    free(both);
    free(code);
    return 0;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    curl_url_cleanup(h->origin);
    free(h->authorization);
    free(h);
}

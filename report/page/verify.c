/* report/page/verify.c - see verify.h. */
#include "report/page/verify.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/trials/store_data.h"
#include <stdlib.h>
#include <string.h>

#define SEAL_TAG "<meta name=\"peftlab-seal\" content=\""
#define DATA_TAG "<template id=\"report-data\" data-sha256=\""
#define DATA_END "</template>"
#define HEX      64
static const char zeros[] =
    "0000000000000000000000000000000000000000000000000000000000000000";

void verify_write_seal(struct html *h)
{
    html_raw(h, SEAL_TAG);
    html_raw(h, zeros);
    html_raw(h, "\">\n");
}

void verify_write_data(const json_t *data, struct html *h)
{
    struct buf text = BUF_INIT, safe = BUF_INIT;
    char hex[SHA256_HEX];
    json_canonical(&text, data);
    for (const char *c = buf_str(&text); *c; c++)
        if (*c == '<' || *c == '>' || *c == '&')
            buf_printf(&safe, "\\u%04x", (unsigned)*c);
        else
            buf_char(&safe, *c);
    sha256_hex(buf_str(&safe), safe.len, hex);
    html_raw(h, DATA_TAG);
    html_raw(h, hex);
    html_raw(h, "\">");
    html_raw(h, buf_str(&safe));
    html_raw(h, DATA_END "\n");
    buf_release(&text);
    buf_release(&safe);
}

void verify_seal(struct html *h)
{
    char hex[SHA256_HEX];
    if (buf_overflowed(&h->out))
        return;
    char *at = strstr(h->out.data, SEAL_TAG);
    sha256_hex(h->out.data, h->out.len, hex);
    if (at)
        memcpy(at + strlen(SEAL_TAG), hex, HEX);
}

/* ---- checking ---- */

/* The 64 digits behind the tag; NULL: not there. */
static const char *digits_behind(const char *page, const char *tag)
{
    const char *at = strstr(page, tag);
    if (!at)
        return NULL;
    at += strlen(tag);
    return strspn(at, "0123456789abcdef") == HEX && at[HEX] == '"' ? at : NULL;
}

static bool seal_holds(const char *page, size_t len)
{
    const char *seal = digits_behind(page, SEAL_TAG);
    char hex[SHA256_HEX];
    if (!seal)
        return false;
    char *copy = xstrndup(page, len);
    memcpy(copy + (seal - page), zeros, HEX);
    sha256_hex(copy, len, hex);
    free(copy);
    return memcmp(seal, hex, HEX) == 0;
}

/* The scope that the page was made of, read again. */
static int check_rows(const json_t *content, struct store *s, struct verification *out,
                      struct err *err)
{
    const json_t *scope = json_object_get(content, "scope");
    struct report_scope again = {
        .sweeps = json_object_get(scope, "sweeps"),
        .experiments = json_object_get(scope, "experiments"),
        .group_by = json_object_get(content, "group_by"),
    };
    if (!json_is_array(again.group_by))
        again.group_by = NULL;
    struct report_data d;
    int rc = report_data_load(s, &again, &d, err);
    if (rc)
        return rc;
    memcpy(out->rows_sha256, d.rows_sha256, sizeof out->rows_sha256);
    out->store = str_eq(d.rows_sha256, json_get_str(content, "store_rows_sha256", ""));
    report_data_release(&d);
    return 0;
}

int verify_page(const char *page, size_t len, struct store *store,
                struct verification *out, struct err *err)
{
    *out = (struct verification){.store = -1};
    char hex[SHA256_HEX];
    const char *hash = strlen(page) == len ? digits_behind(page, DATA_TAG) : NULL;
    const char *text = hash && hash[HEX + 1] == '>' ? hash + HEX + 2 : NULL,
               *end = text ? strstr(text, DATA_END) : NULL;
    if (!end)
        return err_set(
            err, ERR_PARSE,
            "the file is not a page of 'peftlab report': it has no report-data");
    size_t n = (size_t)(end - text);
    sha256_hex(text, n, hex);
    out->data = memcmp(hash, hex, HEX) == 0;
    out->page = seal_holds(page, len);
    out->content = json_parse(text, n, "report-data", err);
    if (!out->content)
        return -ERR_PARSE;
    return store ? check_rows(out->content, store, out, err) : 0;
}

void verification_release(struct verification *v)
{
    json_decref(v->content);
    *v = (struct verification){.store = -1};
}

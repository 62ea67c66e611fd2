/* report/page/script.c - see script.h. */
#include "report/page/script.h"
#include "lib/embed.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>

#define PART(name) EMBED(script_##name, "report/page/script/" #name ".js");
#include "report/page/script.def"
#undef PART

static const char *const parts[] = {
#define PART(name) script_##name,
#include "report/page/script.def"
#undef PART
};

/* The text between the tags, which is what its hash is of. The parts' names stay theirs. */
static char *whole_script(size_t *len)
{
    struct buf text = BUF_INIT;
    buf_str_add(&text, "\n(() => {\n");
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        buf_str_add(&text, parts[i]);
    buf_str_add(&text, "})();\n");
    return buf_detach(&text, len);
}

void script_write_policy(struct html *h)
{
    unsigned char digest[SHA256_BYTES];
    size_t len;
    char *text = whole_script(&len);
    sha256_bytes(text, len, digest);
    char *hash = str_base64_encode(digest, sizeof digest);
    buf_printf(
        &h->out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'; img-src data:; script-src 'sha256-%s'\">\n",
        hash);
    free(hash);
    free(text);
}

void script_write(struct html *h)
{
    char *text = whole_script(&(size_t){0});
    html_raw(h, "<script>");
    html_raw(h, text);
    html_raw(h, "</script>\n");
    free(text);
}

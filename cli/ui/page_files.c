/* cli/ui/page_files.c - the page and its files, which are inside the program.
 *
 * A browser keeps what it has and asks whether it is still the same (ETag); nothing is
 * loaded from elsewhere, nothing within the page is script (Content-Security-Policy).
 * Marks in page.html stand for the store's name and for what can be read without any
 * script (plain.h); /plain is the page without its scripts. */
#include "cli/ui/plain.h"
#include "cli/ui/ui.h"
#include "lib/embed.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_FILE(identifier, name, type) EMBED(identifier, "cli/ui/page/" name);
#include "cli/ui/page/files.def"
#undef PAGE_FILE

static const struct {
    const char *name, *type, *data;
    const size_t *size;
} files[] = {
#define PAGE_FILE(identifier, name, type) {name, type, identifier, &identifier##_size},
#include "cli/ui/page/files.def"
#undef PAGE_FILE
};

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static void put_guards(struct server_call *call)
{
    server_call_put(call, "Content-Security-Policy", policy);
    server_call_put(call, "X-Content-Type-Options", "nosniff");
    server_call_put(call, "Referrer-Policy", "no-referrer");
    server_call_put(call, "Cache-Control", "no-cache");
}

static void reply_file(struct server_call *call, const char *type, const char *data,
                       size_t size)
{
    char hash[SHA256_HEX], tag[24];
    const char *has = server_call_header(call, "If-None-Match");
    sha256_hex(data, size, hash);
    snprintf(tag, sizeof tag, "\"%.16s\"", hash);
    put_guards(call);
    server_call_put(call, "ETag", tag);
    if (has && strstr(has, tag))
        server_reply(call, 304, type, "", 0);
    else
        server_reply(call, 200, type, data, size);
}

static void send_asset(void *ctx, struct server_call *call)
{
    const char *name = server_call_rest(call);
    (void)ctx;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (str_eq(files[i].name, name)) {
            reply_file(call, files[i].type, files[i].data, *files[i].size);
            return;
        }
    server_reply_error(call, 404, "there is no such file");
}

/* --- the page, with what can be read without a script --- */

struct opened {
    struct ui *ui;
    struct server_call *call;
    bool scripts;
    struct plain_query query;
    struct html html;
};

static int read_plain(struct store *s, void *ctx, struct err *err)
{
    struct opened *o = ctx;
    return plain_write(s, &o->query, &o->html, err);
}

/* What lies before the mark goes out, with `instead` for the mark; what is behind it is
 * returned. Without the mark nothing happens. */
static const char *put_before(struct buf *out, const char *at, const char *mark,
                              const char *instead)
{
    const char *found = strstr(at, mark);
    if (!found)
        return at;
    buf_add(out, at, (size_t)(found - at));
    buf_str_add(out, instead);
    return found + strlen(mark);
}

static void put_page(const struct opened *o, struct buf *out)
{
    static const char scripts[] = "<!-- script -->", end[] = "<!-- /script -->";
    struct html store;
    const char *at = page_html;
    html_init(&store);
    html_text(&store, o->ui->store);
    if (!o->scripts) {
        const char *behind = strstr(at, end);
        at = put_before(out, at, scripts, "");
        at = behind ? behind + sizeof end - 1 : at;
    }
    at = put_before(out, at, "<!-- store -->", buf_str(&store.out));
    at = put_before(out, at, "<!-- overview -->", buf_str(&o->html.out));
    buf_str_add(out, at);
    html_release(&store);
}

static void reply_page(void *ctx, int rc, const struct err *err)
{
    struct opened *o = ctx;
    struct buf page = BUF_INIT;
    if (rc < 0) {
        html_release(&o->html);
        html_init(&o->html);
        html_el(&o->html, "p", "error", "%s", err->msg);
    }
    put_page(o, &page);
    put_guards(o->call);
    server_reply(o->call, rc < 0 ? ui_status(rc) : 200, "text/html; charset=utf-8",
                 buf_str(&page), page.len);
    buf_release(&page);
    html_release(&o->html);
    free(o);
}

static int64_t number(struct server_call *call, const char *name)
{
    const char *text = server_call_query(call, name);
    int64_t n = 0;
    return !text || str_whole(text, &n) ? n : -1; /* nobody has that number */
}

static void send_page(void *ctx, struct server_call *call)
{
    static const struct desk_job job = {read_plain, reply_page};
    struct ui *ui = ctx;
    struct opened *o = xcalloc(1, sizeof *o);
    o->ui = ui;
    o->call = call;
    o->scripts = str_eq(server_call_path(call), "/");
    o->query = (struct plain_query){.experiment = number(call, "experiment"),
                                    .sweep = number(call, "sweep"),
                                    .trial = number(call, "trial")};
    html_init(&o->html);
    o->html.unstyled = true; /* as the policy says */
    desk_ask(ui->read, &job, o);
}

static const struct server_route rows[] = {
    {"GET", "/", send_page, 0},
    {"GET", "/plain", send_page, 0},
    {"GET", "/page/*", send_asset, 0},
};
const struct ui_part ui_page_part = {rows, ARRAY_LEN(rows)};

/* cli/ui/ui.h - what the parts of `peftlab ui` share.
 *
 * One process on one store: the page, its API (docs/ui.md) and MLflow's. Each part is a
 * table of routes of its own (ui_routes.c joins them). Handlers run on the server's one
 * thread and leave what they ask of the store at a desk (desk.h).
 *
 * The token is for the page: whoever changes something through /api sends it as
 * X-Peftlab-Token. It is printed with the address at the start, so that only who started
 * the server, or was given that address, can press a button; other pages in the same
 * browser cannot. Reading needs none on the loopback. */
#ifndef CLI_UI_UI_H
#define CLI_UI_UI_H

#include "cli/ui/desk.h"
#include "lib/net/server.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { UI_TOKEN_MAX = 256 };

struct ui_feed;
struct ui_acts;

struct ui {
    struct server *server;
    struct server_route *routes;
    struct desk *read, *write;
    struct ui_feed *feed; /* what has changed: feed.h */
    struct ui_acts *acts; /* commands that were asked for: act.h */
    const char *store;    /* absolute path */
    char token[UI_TOKEN_MAX];
};

/* A part's routes; its handlers get the struct ui. */
struct ui_part {
    const struct server_route *rows;
    size_t count;
};
extern const struct ui_part ui_page_part, ui_api_part;

/* All parts, one behind the other; the caller's. */
struct server_route *ui_routes(size_t *count);

/* A new token, 32 hexadecimal digits. */
int ui_token_make(char out[UI_TOKEN_MAX], struct err *err);
/* Does the call carry it? Compared in a time that does not tell. */
bool ui_has_token(const struct ui *ui, const struct server_call *call);

/* What a program printed, as JSON can hold it and without secrets. */
json_t *ui_text(const char *text, size_t n);

/* The status of an error of the store's, and the answer that says it. */
int ui_status(int rc);
void ui_reply_error(struct server_call *call, int rc, const struct err *err);

#endif

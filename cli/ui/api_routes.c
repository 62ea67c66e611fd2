/* cli/ui/api_routes.c - the paths of the page's API; what GET answers out of the store is in
 * api.def. */
#include "cli/ui/act.h"
#include "cli/ui/api/api.h"
#include "cli/ui/feed.h"
#include "cli/ui/ui.h"
#include "lib/mem.h"
#include "lib/str.h"

static void listen_to(void *ctx, struct server_call *call)
{
    struct ui *ui = ctx;
    const char *last = server_call_header(call, "Last-Event-ID");
    if (!last)
        last = server_call_query(call, "since");
    int64_t since = -1;
    if (last)
        str_whole(last, &since);
    feed_listen(ui->feed, call, since);
}

static const struct server_route rows[] = {
    {"GET", "/api/events", listen_to, 0},  {"POST", "/api/do", act_do, 0},
    {"GET", "/api/do", act_show, 0},       {"GET", "/api/started", act_started, 0},
    {"GET", "/api/report", act_report, 0}, {"GET", "/api/advise", act_advise, 0},
    {"GET", "/api/*", api_get, 0},
};
const struct ui_part ui_api_part = {rows, ARRAY_LEN(rows)};

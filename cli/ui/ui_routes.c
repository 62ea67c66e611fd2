/* cli/ui/ui_routes.c - the parts of what is served, and what their answers share. */
#include "cli/ui/artifact_routes.h"
#include "cli/ui/mlflow_routes.h"
#include "cli/ui/ui.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const struct ui_part *const parts[] = {&ui_mlflow_part, &ui_artifact_part,
                                              &ui_page_part, &ui_api_part};

struct server_route *ui_routes(size_t *count)
{
    struct server_route *out = NULL;
    size_t n = 0, cap = 0;
    for (size_t p = 0; p < ARRAY_LEN(parts); p++)
        for (size_t i = 0; i < parts[p]->count; i++) {
            out = xgrow(out, &cap, n + 1, sizeof *out);
            out[n++] = parts[p]->rows[i];
        }
    *count = n;
    return out;
}

/* --- the token --- */

int ui_token_make(char out[UI_TOKEN_MAX], struct err *err)
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_set(err, ERR_DEVICE, "the system has no random numbers for a token");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

bool ui_has_token(const struct ui *ui, const struct server_call *call)
{
    const char *given = server_call_header(call, "X-Peftlab-Token");
    char a[SHA256_HEX], b[SHA256_HEX];
    if (!given)
        return false;
    sha256_hex(given, strlen(given), a);
    sha256_hex(ui->token, strlen(ui->token), b);
    return memcmp(a, b, sizeof a) == 0;
}

/* --- texts and errors --- */

json_t *ui_text(const char *text, size_t n)
{
    struct buf quoted = BUF_INIT;
    char *own = xmalloc(n + 1);
    for (size_t i = 0; i < n; i++)
        own[i] = text[i] ? text[i] : '?';
    own[n] = '\0';
    char *clean = secret_text(own);
    const char *shown = clean ? clean : own;
    json_put_string(&quoted, shown, strlen(shown));
    json_t *out = json_loads(buf_str(&quoted), JSON_DECODE_ANY, NULL);
    buf_release(&quoted);
    free(clean);
    free(own);
    return out ? out : json_string("");
}

int ui_status(int rc)
{
    static const struct {
        enum err_code code;
        int status;
    } rows[] = {{ERR_NOINPUT, 404},
                {ERR_USAGE, 400},
                {ERR_CONFIG, 400},
                {ERR_PARSE, 400},
                {ERR_BUSY, 503}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rc == -(int)rows[i].code)
            return rows[i].status;
    return 500;
}

void ui_reply_error(struct server_call *call, int rc, const struct err *err)
{
    server_reply_error(call, ui_status(rc), "%s", err->msg);
}

/* cli/ui/api/api.c - see api.h. */
#include "cli/ui/api/api.h"
#include "cli/ui/feed.h"
#include "cli/ui/ui.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net/url.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

static const struct api_row {
    const char *path, *parameters;
    api_function *answer;
    api_text_function *write;
} rows[] = {
#define API(path, parameters, function)      {path, parameters, function, NULL},
#define API_TEXT(path, parameters, function) {path, parameters, NULL, function},
#include "cli/ui/api/api.def"
#undef API
#undef API_TEXT
};

/* ---- parameters ---- */

int api_number(const json_t *args, const char *name, int64_t low, int64_t high,
               int64_t otherwise, int64_t *out, struct err *err)
{
    const char *text = json_get_str(args, name, NULL);
    *out = otherwise;
    if (!text || !*text)
        return 0;
    if (!str_whole(text, out) || *out < low || *out > high)
        return err_set(err, ERR_USAGE, "%s: '%.60s' is no number from %lld to %lld", name,
                       text, (long long)low, (long long)high);
    return 0;
}

int api_ids(const json_t *args, const char *name, int64_t **out, size_t *count,
            struct err *err)
{
    const char *at = json_get_str(args, name, "");
    size_t cap = 0;
    *out = NULL;
    *count = 0;
    while (*at) {
        char *end;
        const int64_t id = strtoll(at, &end, 10);
        if (end == at || id < 1 || (*end && *end != ',') || *count == API_MOST_IDS) {
            free(*out);
            *out = NULL;
            return err_set(err, ERR_USAGE, "%s: a list of at most %d numbers is wanted",
                           name, API_MOST_IDS);
        }
        *out = xgrow(*out, &cap, *count + 1, sizeof **out);
        (*out)[(*count)++] = id;
        at = *end ? end + 1 : end;
    }
    return 0;
}

json_t *api_names(const json_t *args, const char *name)
{
    const char *at = json_get_str(args, name, NULL);
    if (!at || !*at)
        return NULL;
    json_t *list = json_array();
    while (*at) {
        const size_t n = strcspn(at, ",");
        char *sent = xstrndup(at, n), *word;
        size_t size;
        word = url_unescape(sent, &size);
        if (n)
            json_array_append_new(list, json_stringn(word, size));
        free(word);
        free(sent);
        at += n + (at[n] == ',');
    }
    return list;
}

/* ---- paths ---- */

/* "trial/#/log" and "trial/17/log": the number, 0 without one; false: another path. */
static bool is_path(const char *pattern, const char *path, int64_t *id)
{
    *id = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*pattern != *path++)
                return false;
            continue;
        }
        char *end;
        if (*path < '1' || *path > '9')
            return false;
        *id = strtoll(path, &end, 10);
        path = end;
    }
    return !*path;
}

static const struct api_row *find_row(const char *path, int64_t *id)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_path(rows[i].path, path, id))
            return &rows[i];
    return NULL;
}

static json_t *read_arguments(const struct api_row *row, struct server_call *call,
                              int64_t id)
{
    json_t *args = json_object();
    const char *name, *value;
    for (size_t i = 0; server_call_query_at(call, i, &name, &value); i++)
        if (str_in_list(name, row->parameters, '|') && !json_object_get(args, name))
            json_object_set_new(args, name, json_string(value));
    if (id)
        json_object_set_new(args, "id", json_integer(id));
    return args;
}

/* ---- questions ---- */

struct question {
    const struct api_row *row;
    struct server_call *call;
    json_t *args;
    struct buf answer;
    int64_t change;
};

/* Behind what the object has: its last brace is at the end. */
static void put_change(struct question *q)
{
    q->answer.len--;
    buf_printf(&q->answer, ", \"change\": %lld}", (long long)q->change);
}

static int find_answer(struct store *s, void *ctx, struct err *err)
{
    struct question *q = ctx;
    int rc = 0;
    if (q->row->write) {
        rc = q->row->write(s, q->args, &q->answer, err);
    } else {
        json_t *answer = q->row->answer(s, q->args, err);
        rc = answer ? 0 : err_code(err);
        if (answer)
            json_write(&q->answer, answer, 0);
        json_decref(answer);
    }
    if (rc >= 0)
        put_change(q);
    return rc;
}

static void reply(void *ctx, int rc, const struct err *err)
{
    struct question *q = ctx;
    if (rc < 0) {
        ui_reply_error(q->call, rc, err);
    } else {
        server_call_put(q->call, "Cache-Control", "no-store");
        server_reply(q->call, 200, "application/json", buf_str(&q->answer),
                     q->answer.len);
    }
    buf_release(&q->answer);
    json_decref(q->args);
    free(q);
}

void api_get(void *ctx, struct server_call *call)
{
    static const struct desk_job job = {find_answer, reply};
    struct ui *ui = ctx;
    int64_t id;
    const struct api_row *row = find_row(server_call_rest(call), &id);
    if (!row) {
        server_reply_error(call, 404, "the API has no such path (docs/ui.md)");
        return;
    }
    struct question *q = xcalloc(1, sizeof *q);
    *q = (struct question){.row = row,
                           .call = call,
                           .args = read_arguments(row, call, id),
                           .answer = BUF_INIT,
                           .change = feed_change(ui->feed)};
    desk_ask(ui->read, &job, q);
}

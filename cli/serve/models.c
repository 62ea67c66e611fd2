/* cli/serve/models.c - what is served: the base, and adapters that come and go. */
#include "cli/serve/serving.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/serve/write/writer.h"
#include <stdlib.h>

static json_t *model_of(const struct serving *s, const char *id, const char *parent)
{
    const struct session *base = &s->base.session;
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s?, s:i}", "id", id, "object", "model",
                     "created", (json_int_t)(s->begin_ms / 1000), "owned_by", "peftlab",
                     "root", base->hf->dir, "parent", parent, "max_model_len",
                     s->writer ? writer_room(&s->base) : base->net.shape.max_positions);
}

/* Adapters first: clients that take the first one take what answers. */
void serve_models(void *ctx, struct server_call *call)
{
    struct serving *s = ctx;
    json_t *data = json_array();
    size_t count;
    char **names = shelf_names(&s->shelf, &count);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(data, model_of(s, names[i], s->name));
        free(names[i]);
    }
    free(names);
    json_array_append_new(data, model_of(s, s->name, NULL));
    server_reply_json(call, 200, json_pack("{s:s, s:o}", "object", "list", "data", data));
}

void serve_model(void *ctx, struct server_call *call)
{
    struct serving *s = ctx;
    const char *name = server_call_rest(call);
    const bool adapter = shelf_want(&s->shelf, name, 0) != NULL;
    if (adapter || str_eq(name, s->name))
        server_reply_json(call, 200, model_of(s, name, adapter ? s->name : NULL));
    else
        server_reply_error(call, 404, "there is no model '%s'", name);
}

/* So that it can be shown that the base which was approved is the one that answers. */
void serve_base_about(void *ctx, struct server_call *call)
{
    const struct serving *s = ctx;
    const struct session *base = &s->base.session;
    server_reply_json(call, 200,
                      json_pack("{s:s, s:s, s:O?, s:s, s:s, s:s}", "model", s->name,
                                "folder", base->hf->dir, "sha256",
                                json_object_get(base->hashes, "model"), "backend",
                                base->backend->name, "variant", base->backend->variant,
                                "task", base->goal.task->name));
}

char *serving_only_adapter(struct serving *s, size_t *count)
{
    char **names = shelf_names(&s->shelf, count),
         *only = *count == 1 ? xstrdup(names[0]) : NULL;
    for (size_t i = 0; i < *count; i++)
        free(names[i]);
    free(names);
    return only;
}

/* What a body says of an adapter that is to come. */
static int add_adapter(struct serving *s, const json_t *body, struct err *err)
{
    struct shelf *shelf = &s->shelf;
    const char *name = json_get_str(body, "lora_name", NULL),
               *dir = json_get_str(body, "lora_path", NULL);
    const json_t *limit = json_object_get(body, "limit_ms");
    const double ms = json_number_value(limit);
    if (!name || !dir)
        return err_set(err, ERR_PARSE, "'lora_name' and 'lora_path' are needed");
    if (limit && !(ms > 0))
        return err_set(err, ERR_PARSE, "'limit_ms' is a number of milliseconds, above 0");
    const int rc = shelf_add(shelf, name, dir, json_get_bool(body, "pinned", 0), err);
    if (!rc && limit)
        shelf_limit(shelf, name, ms / 1e3);
    return rc;
}

void serve_load(void *ctx, struct server_call *call)
{
    struct serving *s = ctx;
    struct err err = ERR_INIT;
    json_t *body = server_call_json(call);
    if (!body)
        return;
    const int rc = add_adapter(s, body, &err);
    if (rc)
        server_reply_error(call, serving_status(rc, false), "%s", err.msg);
    else
        server_reply(call, 200, "text/plain", "added\n", 6);
    json_decref(body);
}

void serve_unload(void *ctx, struct server_call *call)
{
    struct serving *s = ctx;
    json_t *body = server_call_json(call);
    if (!body)
        return;
    const char *name = json_get_str(body, "lora_name", NULL);
    if (!name)
        server_reply_error(call, 400, "'lora_name' is needed");
    else if (!shelf_forget(&s->shelf, name))
        server_reply_error(call, 404, "there is no adapter '%s'", name);
    else
        server_reply(call, 200, "text/plain", "removed\n", 8);
    json_decref(body);
}

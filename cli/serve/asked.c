/* cli/serve/asked.c - see asked.h. */
#include "cli/serve/asked.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MOST = 1024 };

static void asked_free(struct asked *a)
{
    engine_request_free(a->request);
    json_decref(a->models);
    free(a);
}

/* --- reading --- */

static int read_ids(const json_t *list, struct example *e, int32_t vocabulary,
                    struct err *err)
{
    e->n = (int32_t)json_array_size(list);
    e->ids = xcalloc((size_t)e->n + 1, sizeof *e->ids);
    for (int32_t i = 0; i < e->n; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 ||
            json_integer_value(v) >= vocabulary)
            return err_set(err, ERR_PARSE, "token %d is no id below %d", (int)i + 1,
                           (int)vocabulary);
        e->ids[i] = (int32_t)json_integer_value(v);
    }
    return 0;
}

static int read_text(const struct tokenizer *t, const json_t *text, const json_t *pair,
                     int32_t max_length, struct example *e, struct err *err)
{
    struct encoding c = {0};
    if (!t)
        return err_set(err, ERR_CONFIG, "the base has no tokenizer: send token ids");
    if (!json_is_string(text) || (pair && !json_is_string(pair)))
        return err_set(err, ERR_PARSE,
                       "an input is text, a list of token ids, or a pair "
                       "of texts");
    const int rc = tokenizer_encode(t, json_string_value(text), json_string_length(text),
                                    json_string_value(pair), json_string_length(pair),
                                    max_length, true, &c, err);
    if (!rc) {
        e->n = (int32_t)c.n;
        e->ids = c.ids;
        e->type_ids = c.type_ids;
        c.ids = c.type_ids = NULL;
    }
    encoding_release(&c);
    return rc;
}

/* A text, a pair of texts, or ids. */
static int read_input(const struct serving *s, const json_t *v, int32_t max_length,
                      struct example *e, struct err *err)
{
    const struct session *base = &s->base.session;
    int rc;
    if (json_is_array(v) && json_is_integer(json_array_get(v, 0)))
        rc = read_ids(v, e, base->net.shape.vocab_size, err);
    else if (json_is_array(v) && json_array_size(v) == 2)
        rc = read_text(base->tokenizer, json_array_get(v, 0), json_array_get(v, 1),
                       max_length, e, err);
    else
        rc = read_text(base->tokenizer, v, NULL, max_length, e, err);
    if (!rc && !e->n)
        rc = err_set(err, ERR_PARSE, "an input without tokens");
    if (!rc && e->n > base->net.shape.max_positions)
        rc = err_set(err, ERR_PARSE, "an input of %d tokens, the model takes %d",
                     (int)e->n, (int)base->net.shape.max_positions);
    return rc;
}

static struct example copy_example(const struct example *e)
{
    struct example c = *e;
    const size_t bytes = (size_t)e->n * sizeof *e->ids;
    c.ids = memcpy(xmalloc(bytes + 1), e->ids, bytes);
    if (e->type_ids)
        c.type_ids = memcpy(xmalloc(bytes + 1), e->type_ids, bytes);
    return c;
}

/* Names as a list; where none is given, the only adapter that there is, for vectors the
 * base. */
static json_t *read_models(struct serving *s, const json_t *body, bool vectors)
{
    json_t *model = json_object_get(body, "model");
    if (json_is_array(model))
        return json_incref(model);
    json_t *list = json_array();
    if (json_is_string(model)) {
        json_array_append(list, model);
        return list;
    }
    if (vectors) {
        json_array_append_new(list, json_string(s->name));
        return list;
    }
    size_t count;
    char *only = serving_only_adapter(s, &count);
    if (only)
        json_array_append_new(list, json_string(only));
    free(only);
    return list;
}

/* Is it one input, and not a list of them? */
static bool is_one(const json_t *input)
{
    return !json_is_array(input) || json_is_integer(json_array_get(input, 0));
}

static int fill_rows(struct asked *a, const json_t *input, int32_t max_length,
                     struct err *err)
{
    struct engine_request *r = a->request;
    const size_t models = json_array_size(a->models);
    for (size_t i = 0; i < a->inputs; i++)
        for (size_t m = 0; m < models; m++) {
            struct engine_row *row = &r->rows[r->count];
            const json_t *v = a->one ? input : json_array_get(input, i);
            const int rc =
                m ? 0 : read_input(a->serving, v, max_length, &row->example, err);
            r->count++; /* so that what was read is freed */
            if (rc)
                return rc;
            if (m)
                row->example = copy_example(&r->rows[r->count - 2].example);
            a->tokens += row->example.n;
        }
    return 0;
}

static struct shelf_entry *want_adapter(struct asked *a, const char *name)
{
    struct shelf *shelf = &a->serving->shelf;
    if (!a->kind->vectors)
        return shelf_want(shelf, name, 1);
    struct shelf_entry *e = shelf_want_pooled(shelf, name, 1);
    return e || !str_eq(name, a->serving->name) ? e : shelf_want_pooled(shelf, NULL, 1);
}

/* Takes the adapters; a name that is not there is told, and all are given back. */
static const char *want_adapters(struct asked *a)
{
    struct engine_request *r = a->request;
    const size_t models = json_array_size(a->models);
    for (size_t i = 0; i < r->count; i++) {
        const char *name = json_string_value(json_array_get(a->models, i % models));
        r->rows[i].adapter = name ? want_adapter(a, name) : NULL;
        if (r->rows[i].adapter)
            continue;
        while (i-- > 0)
            shelf_done(&a->serving->shelf, r->rows[i].adapter, 1);
        return name ? name : "";
    }
    return NULL;
}

/* The shortest limit of its adapters, where it says none itself. */
static void take_limits(struct engine_request *r)
{
    if (r->limit_s > 0)
        return;
    for (size_t i = 0; i < r->count; i++) {
        const double limit = r->rows[i].adapter->limit_s;
        if (limit > 0 && (limit < r->limit_s || !(r->limit_s > 0)))
            r->limit_s = limit;
    }
}

/* --- the answer --- */

static void on_done(struct engine_request *r)
{
    struct asked *a = r->ctx;
    char timing[160];
    snprintf(timing, sizeof timing, "queue;dur=%.3f, batch;dur=%.3f",
             (r->begin_s - r->put_s) * 1e3, r->run_s * 1e3);
    server_call_put(a->call, "Server-Timing", timing);
    if (r->cold)
        server_call_put(a->call, "X-Adapter-Cold", "1");
    serving_answered(a->serving, clock_mono_s() - server_call_begin_s(a->call));
    if (r->rc)
        server_reply_error(a->call, serving_status(r->rc, r->late), "%s", r->err.msg);
    else
        server_reply_json(a->call, 200, a->kind->answer(a));
    asked_free(a);
}

/* --- the way through --- */

static void put_request(struct asked *a)
{
    struct err err = ERR_INIT;
    double retry_s;
    const char *missing = want_adapters(a);
    if (missing) {
        server_reply_error(a->call, 404,
                           "there is no adapter '%s' (GET /v1/models has all)", missing);
        asked_free(a);
        return;
    }
    take_limits(a->request);
    if (engine_put(a->serving->engine, a->request, &retry_s, &err) == 0)
        return;
    for (size_t i = 0; i < a->request->count; i++)
        shelf_done(&a->serving->shelf, a->request->rows[i].adapter, 1);
    serving_put_retry(a->call, retry_s);
    server_reply_error(a->call, 429, "%s", err.msg);
    asked_free(a);
}

/* Room for as many rows as it asks for. */
static int open_request(struct asked *a, const json_t *input, struct err *err)
{
    const size_t models = json_array_size(a->models);
    a->one = is_one(input);
    a->inputs = a->one ? 1 : json_array_size(input);
    const bool fits = models && a->inputs && a->inputs * models <= ROWS_MOST;
    a->request = xcalloc(1, sizeof *a->request);
    a->request->ctx = a;
    a->request->done = on_done;
    a->request->rows = xcalloc(fits ? a->inputs * models : 1, sizeof *a->request->rows);
    if (!input)
        return err_set(err, ERR_PARSE, "'%s' is missing", a->kind->key);
    if (!models)
        return err_set(err, ERR_PARSE, "'model' is missing: the name of an adapter");
    return fits ? 0
                : err_set(err, ERR_PARSE, "a request takes 1 to %d texts, times adapters",
                          ROWS_MOST);
}

/* What texts are cut to, where that is asked for; 0: nothing is cut. */
static int32_t cut_at(const struct asked *a, const json_t *body)
{
    const int32_t most = a->serving->base.session.net.shape.max_positions,
                  of_vectors = a->serving->vector_tokens;
    if (!json_get_bool(body, "truncate", 0))
        return 0;
    return a->kind->vectors && of_vectors && of_vectors < most ? of_vectors : most;
}

static int read_body(struct asked *a, const json_t *body, struct err *err)
{
    const json_t *input = json_object_get(body, a->kind->key);
    int rc = open_request(a, input, err);
    if (!rc)
        rc = serving_read_limit(a->call, body, &a->request->limit_s, err);
    if (!rc && a->kind->read)
        rc = a->kind->read(a, body, err);
    return rc ? rc : fill_rows(a, input, cut_at(a, body), err);
}

void ask(struct serving *s, struct server_call *call, const struct ask_kind *kind)
{
    struct err err = ERR_INIT;
    json_t *body = server_call_json(call);
    if (!body)
        return;
    struct asked *a = xcalloc(1, sizeof *a);
    *a = (struct asked){.serving = s,
                        .call = call,
                        .kind = kind,
                        .models = read_models(s, body, kind->vectors),
                        .id = ++s->next_id};
    const int rc = read_body(a, body, &err);
    json_decref(body);
    if (!rc) {
        put_request(a);
        return;
    }
    server_reply_error(call, 400, "%s", err.msg);
    asked_free(a);
}

void serve_tokenize(void *ctx, struct server_call *call)
{
    struct serving *s = ctx;
    struct err err = ERR_INIT;
    struct example e = {0};
    json_t *body = server_call_json(call);
    if (!body)
        return;
    const int rc = read_text(s->base.session.tokenizer, json_object_get(body, "prompt"),
                             NULL, 0, &e, &err);
    json_decref(body);
    if (rc) {
        server_reply_error(call, 400, "%s", err.msg);
        return;
    }
    serving_reply_tokens(call, e.ids, e.n, s->base.session.net.shape.max_positions);
    free(e.ids);
    free(e.type_ids);
}

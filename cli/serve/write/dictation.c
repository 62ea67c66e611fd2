/* cli/serve/write/dictation.c - the way of a request to write: see dictation.h. */
#include "cli/serve/write/dictation.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPLETION_USUAL = 16 }; /* new tokens, where it does not say how many */

static void dictation_free(struct dictation *d)
{
    for (size_t i = 0; i < d->count; i++) {
        writer_request_release(&d->texts[i].request);
        spelling_release(&d->texts[i].spelling);
        free(d->texts[i].tokens);
    }
    free(d->texts);
    prompts_release(&d->prompts);
    wish_release(&d->wish);
    free(d->model);
    free(d);
}

/* --- the stream --- */

static bool put_event(struct dictation *d, json_t *event)
{
    struct buf b = BUF_INIT;
    buf_str_add(&b, "data: ");
    json_write(&b, event, 0);
    buf_str_add(&b, "\n\n");
    json_decref(event);
    const bool heard = server_stream_put(d->call, buf_str(&b), b.len);
    buf_release(&b);
    return heard;
}

static void put_timing(struct dictation *d, const struct writer_request *r)
{
    char timing[160];
    int n = snprintf(timing, sizeof timing, "queue;dur=%.3f, first;dur=%.3f",
                     (r->begin_s - r->put_s) * 1e3, (r->first_s - r->begin_s) * 1e3);
    if (!d->wish.stream)
        snprintf(timing + n, sizeof timing - (size_t)n, ", rest;dur=%.3f",
                 (r->end_s - r->first_s) * 1e3);
    server_call_put(d->call, "Server-Timing", timing);
    if (r->cold)
        server_call_put(d->call, "X-Adapter-Cold", "1");
}

/* Before the first event of a text. */
static void begin_stream(struct dictation *d, struct text *t)
{
    if (!d->streams) {
        put_timing(d, &t->request);
        server_stream_begin(d->call, 200, "text/event-stream");
        d->streams = true;
    }
    if (d->wish.chat && !t->began)
        put_event(d, answer_role_event(d, t));
    t->began = true;
}

/* --- in the writer's thread --- */

static bool is_end(const struct wish *w, int32_t id)
{
    for (size_t i = 0; i < json_array_size(w->ends); i++)
        if (json_integer_value(json_array_get(w->ends, i)) == id)
            return true;
    return json_is_integer(w->ends) && json_integer_value(w->ends) == id;
}

static size_t count_chars(const char *s, size_t n)
{
    size_t chars = 0;
    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)s[i] & 0xc0) != 0x80;
    return chars;
}

static void tell_token(struct text *t, const struct writer_token *token)
{
    t->tokens = xgrow(t->tokens, &t->cap, t->n_tokens + 1, sizeof *t->tokens);
    t->tokens[t->n_tokens++] = (struct told_token){
        *token, count_chars(buf_str(&t->spelling.text), t->spelling.text.len)};
}

/* The last event waits for `done`, which knows why the text ends. */
static bool on_token(struct writer_request *r, const struct writer_token *token)
{
    struct text *t = r->ctx;
    struct dictation *d = t->dictation;
    const bool may_end = r->n > r->least;
    if (d->wish.top >= 0)
        tell_token(t, token);
    t->ended = may_end && is_end(&d->wish, token->id);
    if (!t->ended && !token->ends)
        spelling_add(&t->spelling, token->id, may_end);
    t->ended |= t->spelling.stopped;
    if (t->ended)
        return false;
    if (token->ends || r->n >= r->most)
        return true;
    if (d->wish.stream)
        begin_stream(d, t);
    t->unheard =
        d->wish.stream
            ? !put_event(d, answer_event(d, t, spelling_ready(&t->spelling), NULL))
            : server_call_left(d->call);
    return !t->unheard;
}

static void fail(struct text *t, int rc, const struct err *err)
{
    struct dictation *d = t->dictation;
    t->request.rc = rc;
    t->request.err = *err;
    atomic_store(&d->failed, true);
    for (size_t i = 0; i < d->count; i++)
        atomic_store(&d->texts[i].request.unwanted, true);
}

/* What went wrong first, by the number of its text; NULL: nothing. */
static const struct writer_request *failed_one(const struct dictation *d)
{
    for (size_t i = 0; i < d->count && atomic_load(&d->failed); i++)
        if (d->texts[i].request.rc)
            return &d->texts[i].request;
    return NULL;
}

static void reply_failure(struct dictation *d, const struct writer_request *r)
{
    if (r->rc == -(int)ERR_BUSY && !r->late)
        serving_put_retry(d->call, d->retry_s);
    server_reply_error(d->call, serving_status(r->rc, r->late), "%s", r->err.msg);
}

static void finish_stream(struct dictation *d, const struct writer_request *failed)
{
    static const char end[] = "data: [DONE]\n\n";
    if (failed)
        put_event(d, server_error(serving_status(failed->rc, failed->late), NULL,
                                  failed->err.msg));
    else if (d->wish.usage)
        put_event(d, answer_usage_event(d));
    server_stream_put(d->call, end, sizeof end - 1);
    server_stream_end(d->call);
}

/* A text less; the last one gives the answer. */
static void one_done(struct dictation *d)
{
    if (atomic_fetch_sub(&d->left, 1) > 1)
        return;
    const struct writer_request *failed = failed_one(d);
    serving_answered(d->serving, clock_mono_s() - server_call_begin_s(d->call));
    if (d->streams) {
        finish_stream(d, failed);
    } else if (failed) {
        reply_failure(d, failed);
    } else {
        put_timing(d, &d->texts[0].request);
        server_reply_json(d->call, 200, answer_whole(d));
    }
    dictation_free(d);
}

static void on_done(struct writer_request *r)
{
    struct text *t = r->ctx;
    struct dictation *d = t->dictation;
    spelling_end(&t->spelling);
    t->ended |= t->spelling.stopped;
    if (t->unheard)
        r->rc = err_set(&r->err, ERR_CONFIG,
                        "the connection was closed, on its sending side at least, before "
                        "the text was whole");
    if (r->rc)
        fail(t, r->rc, &r->err);
    else if (r->n) /* none where another one's failure came before its first */
        serving_wrote(d->serving, r->first_s - r->put_s, r->end_s - r->first_s, r->n - 1);
    if (d->wish.stream && !atomic_load(&d->failed)) {
        begin_stream(d, t);
        put_event(d, answer_event(d, t, t->spelling.text.len, answer_reason(t)));
    }
    one_done(d);
}

/* --- in the connection's thread --- */

/* 404, or 400: which one? Answered, and the request is over. */
static void refuse(struct dictation *d, int status, const char *param,
                   const char *message)
{
    server_reply_json(d->call, status, server_error(status, param, message));
    dictation_free(d);
}

/* The only adapter that there is, or the base where there is none; NULL: there are several. */
static char *usual_model(struct serving *s)
{
    size_t count;
    char *only = serving_only_adapter(s, &count);
    return count ? only : xstrdup(s->name);
}

/* False: it was answered. */
static bool take_model(struct dictation *d)
{
    struct serving *s = d->serving;
    const char *asked = json_get_str(d->wish.values, "model", NULL);
    d->model = asked ? xstrdup(asked) : usual_model(s);
    if (!d->model) {
        refuse(d, 400, "model",
               "model is missing: the name of an adapter, or the base's");
        return false;
    }
    struct shelf_entry *e = shelf_want(&s->shelf, d->model, (int)d->count);
    if (!e && !str_eq(d->model, s->name) && !str_eq(d->model, s->base.session.hf->dir)) {
        char text[200];
        snprintf(text, sizeof text, "there is no model '%.100s' (GET /v1/models has all)",
                 d->model);
        refuse(d, 404, "model", text);
        return false;
    }
    if (!(d->limit_s > 0) && e)
        d->limit_s = e->limit_s;
    for (size_t i = 0; i < d->count; i++) {
        d->texts[i].request.adapter = e;
        d->texts[i].request.limit_s = d->limit_s;
    }
    return true;
}

static void prepare(struct dictation *d, struct text *t, size_t i)
{
    const struct wish *wish = &d->wish;
    const struct prompt *p = &d->prompts.at[i / (size_t)wish->n];
    const int32_t room = writer_room(&d->serving->base) - p->n,
                  usual =
                      !wish->chat && room > COMPLETION_USUAL ? COMPLETION_USUAL : room;
    *t = (struct text){.dictation = d, .index = (int)i};
    t->request = (struct writer_request){.prompt = p->ids,
                                         .n_prompt = p->n,
                                         .most = wish->most > 0 ? wish->most : usual,
                                         .least = wish->least,
                                         .ignores_end = wish->ignores_end,
                                         .how = wish->how,
                                         .stream = i,
                                         .top = wish->top,
                                         .heard = on_token,
                                         .done = on_done,
                                         .ctx = t};
    spelling_init(&t->spelling, d->serving->base.session.tokenizer, wish->stops,
                  wish->n_stops);
}

/* From the first put on the writer's thread may be at work on it. */
static void put_texts(struct dictation *d)
{
    struct serving *s = d->serving;
    const size_t count = d->count;
    atomic_init(&d->left, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct err err = ERR_INIT;
        struct text *t = &d->texts[i];
        double retry_s = 0;
        const int rc = writer_put(s->writer, &t->request, &retry_s, &err);
        if (!rc)
            continue;
        if (t->request.adapter)
            shelf_done(&s->shelf, t->request.adapter, 1);
        d->retry_s = retry_s;
        fail(t, rc, &err);
        one_done(d); /* not the last: one is left for the end */
    }
    one_done(d);
}

static void write_texts(struct serving *s, struct server_call *call, bool chat)
{
    struct err err = ERR_INIT;
    const char *param = NULL;
    json_t *body = server_call_json(call);
    if (!body)
        return;
    struct dictation *d = xcalloc(1, sizeof *d);
    d->serving = s;
    d->call = call;
    d->created = clock_wall_ms() / 1000;
    snprintf(d->id, sizeof d->id, "%s-%lld", chat ? "chatcmpl" : "cmpl",
             (long long)++s->next_id);
    int rc = wish_read(&d->wish, body, chat, &param, &err);
    if (!rc)
        rc = serving_read_limit(call, body, &d->limit_s, &err);
    if (!rc)
        rc = prompts_read(&d->prompts, &s->prompter, &d->wish, writer_room(&s->base),
                          &param, &err);
    if (rc) {
        refuse(d, 400, param, err.msg);
    } else {
        d->count = d->prompts.count * (size_t)d->wish.n;
        d->texts = xcalloc(d->count, sizeof *d->texts);
        for (size_t i = 0; i < d->count; i++)
            prepare(d, &d->texts[i], i);
        if (take_model(d))
            put_texts(d);
    }
    json_decref(body);
}

void serve_completions(void *ctx, struct server_call *call)
{
    write_texts(ctx, call, false);
}

void serve_chat(void *ctx, struct server_call *call)
{
    write_texts(ctx, call, true);
}

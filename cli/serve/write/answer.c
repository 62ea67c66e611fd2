/* cli/serve/write/answer.c - texts and tokens as OpenAI's API tells them. */
#include "cli/serve/write/dictation.h"
#include "lib/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *answer_reason(const struct text *t)
{
    return t->ended || t->request.end == WRITER_STOP ? "stop" : "length";
}

/* --- probabilities --- */

static json_t *token_text(const struct text *t, int32_t id)
{
    struct buf b = BUF_INIT;
    tokenizer_decode(t->spelling.tokenizer, &id, 1, false, &b, NULL);
    json_t *text = json_stringn(buf_str(&b), b.len);
    buf_release(&b);
    return text ? text : json_string("");
}

/* Of completions: lists beside one another. */
static json_t *plain_logprobs(const struct text *t, size_t from)
{
    json_t *tokens = json_array(), *logprobs = json_array(), *tops = json_array(),
           *offsets = json_array();
    for (size_t i = from; i < t->n_tokens; i++) {
        const struct writer_token *k = &t->tokens[i].token;
        json_t *text = token_text(t, k->id), *top = json_object();
        for (int a = k->n_top - 1; a >= 0; a--) {
            json_t *other = token_text(t, k->top[a].id);
            json_object_set_new(top, json_string_value(other),
                                json_number_or_word((double)k->top[a].logprob));
            json_decref(other);
        }
        json_object_set_new(top, json_string_value(text),
                            json_number_or_word((double)k->logprob));
        json_array_append_new(tokens, text);
        json_array_append_new(logprobs, json_number_or_word((double)k->logprob));
        json_array_append_new(tops, top);
        json_array_append_new(offsets, json_integer((json_int_t)t->tokens[i].offset));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", tokens, "token_logprobs", logprobs,
                     "top_logprobs", tops, "text_offset", offsets);
}

/* Its bytes, null where they are a part of a character. */
static json_t *bytes_of(const json_t *text)
{
    const char *s = json_string_value(text);
    if (strstr(s, "\xef\xbf\xbd"))
        return json_null();
    json_t *list = json_array();
    for (size_t i = 0; i < json_string_length(text); i++)
        json_array_append_new(list, json_integer((unsigned char)s[i]));
    return list;
}

static json_t *chat_token(const struct text *t, int32_t id, float logprob)
{
    json_t *text = token_text(t, id);
    return json_pack("{s:o, s:o, s:o}", "token", text, "logprob",
                     json_number_or_word((double)logprob), "bytes", bytes_of(text));
}

static json_t *chat_logprobs(const struct text *t, size_t from)
{
    json_t *content = json_array();
    for (size_t i = from; i < t->n_tokens; i++) {
        const struct writer_token *k = &t->tokens[i].token;
        json_t *token = chat_token(t, k->id, k->logprob), *top = json_array();
        for (int a = 0; a < k->n_top; a++)
            json_array_append_new(top, chat_token(t, k->top[a].id, k->top[a].logprob));
        json_object_set_new(token, "top_logprobs", top);
        json_array_append_new(content, token);
    }
    return json_pack("{s:o}", "content", content);
}

/* Of the tokens from one on; null where none were asked for. */
static json_t *logprobs_of(const struct text *t, size_t from)
{
    const struct wish *wish = &t->dictation->wish;
    if (wish->top < 0)
        return json_null();
    return wish->chat ? chat_logprobs(t, from) : plain_logprobs(t, from);
}

/* --- usage --- */

static json_t *usage_of(const struct dictation *d)
{
    int64_t prompt = 0, cached = 0, new = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct writer_request *r = &d->texts[i].request;
        prompt += i % (size_t)d->wish.n ? 0 : r->n_prompt; /* once for all its choices */
        cached += i % (size_t)d->wish.n ? 0 : r->reused;
        new += r->n;
    }
    return json_pack("{s:I, s:I, s:I, s:{s:I}}", "prompt_tokens", (json_int_t)prompt,
                     "completion_tokens", (json_int_t) new, "total_tokens",
                     (json_int_t)(prompt + new), "prompt_tokens_details", "cached_tokens",
                     (json_int_t)cached);
}

/* --- texts --- */

/* The prompt as text, where it is told before what was written. */
static void add_echo(const struct text *t, struct buf *out)
{
    const struct wish *wish = &t->dictation->wish;
    const json_t *prompt = json_object_get(wish->values, "prompt");
    const size_t number = (size_t)t->index / (size_t)wish->n;
    const json_t *own = json_is_string(prompt) ? prompt : json_array_get(prompt, number);
    if (json_is_string(own))
        buf_add(out, json_string_value(own), json_string_length(own));
    else
        tokenizer_decode(t->spelling.tokenizer, t->request.prompt,
                         (size_t)t->request.n_prompt, false, out, NULL);
}

/* Bytes of its text from what was given to `until`, behind the prompt where that is echoed. */
static json_t *text_between(const struct text *t, size_t from, size_t until)
{
    struct buf b = BUF_INIT;
    if (t->dictation->wish.echo && !t->echoed)
        add_echo(t, &b);
    buf_add(&b, buf_str(&t->spelling.text) + from, until - from);
    json_t *text = json_stringn(buf_str(&b), b.len);
    buf_release(&b);
    return text ? text : json_string("");
}

static json_t *choice_of(const struct text *t)
{
    json_t *text = text_between(t, 0, t->spelling.text.len),
           *logprobs = logprobs_of(t, 0);
    if (t->dictation->wish.chat)
        return json_pack("{s:i, s:{s:s, s:o}, s:o, s:s}", "index", t->index, "message",
                         "role", "assistant", "content", text, "logprobs", logprobs,
                         "finish_reason", answer_reason(t));
    return json_pack("{s:i, s:o, s:o, s:s}", "index", t->index, "text", text, "logprobs",
                     logprobs, "finish_reason", answer_reason(t));
}

json_t *answer_whole(const struct dictation *d)
{
    json_t *choices = json_array();
    for (size_t i = 0; i < d->count; i++)
        json_array_append_new(choices, choice_of(&d->texts[i]));
    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o}", "id", d->id, "object",
                     d->wish.chat ? "chat.completion" : "text_completion", "created",
                     (json_int_t)d->created, "model", d->model, "choices", choices,
                     "usage", usage_of(d));
}

/* --- events --- */

static json_t *event_of(const struct dictation *d, json_t *choices, json_t *usage)
{
    json_t *e =
        json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", d->id, "object",
                  d->wish.chat ? "chat.completion.chunk" : "text_completion", "created",
                  (json_int_t)d->created, "model", d->model, "choices", choices);
    if (d->wish.usage)
        json_object_set_new(e, "usage", usage);
    else
        json_decref(usage);
    return e;
}

static json_t *usage_so_far(const struct dictation *d)
{
    return d->wish.usage_always ? usage_of(d) : json_null();
}

json_t *answer_role_event(const struct dictation *d, const struct text *t)
{
    return event_of(d,
                    json_pack("[{s:i, s:{s:s, s:s}, s:n, s:n}]", "index", t->index,
                              "delta", "role", "assistant", "content", "", "logprobs",
                              "finish_reason"),
                    usage_so_far(d));
}

json_t *answer_event(struct dictation *d, struct text *t, size_t until,
                     const char *reason)
{
    json_t *text = text_between(t, t->given, until), *logprobs = logprobs_of(t, t->told),
           *choice;
    t->given = until;
    t->told = t->n_tokens;
    t->echoed = true;
    if (d->wish.chat)
        choice =
            json_pack("{s:i, s:{s:o}, s:o, s:s?}", "index", t->index, "delta", "content",
                      text, "logprobs", logprobs, "finish_reason", reason);
    else
        choice = json_pack("{s:i, s:o, s:o, s:s?}", "index", t->index, "text", text,
                           "logprobs", logprobs, "finish_reason", reason);
    return event_of(d, json_pack("[o]", choice), usage_so_far(d));
}

json_t *answer_usage_event(const struct dictation *d)
{
    return event_of(d, json_array(), usage_of(d));
}

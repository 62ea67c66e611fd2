/* cli/serve/write/prompts.c - see prompts.h. */
#include "cli/serve/write/prompts.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- messages --- */

/* The texts of a content that comes in parts, a line each. NULL: one is none. */
static json_t *join_parts(const json_t *parts, size_t message, struct err *err)
{
    struct buf b = BUF_INIT;
    json_t *out = NULL;
    size_t i = 0;
    for (; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i),
                     *text = json_object_get(part, "text");
        if (!str_eq(json_get_str(part, "type", NULL), "text") || !json_is_string(text))
            break;
        buf_str_add(&b, i ? "\n" : "");
        buf_add(&b, json_string_value(text), json_string_length(text));
    }
    if (i == json_array_size(parts))
        out = json_stringn(buf_str(&b), b.len);
    else
        err_set(err, ERR_PARSE,
                "message %zu: part %zu is no text, and others are not read", message + 1,
                i + 1);
    buf_release(&b);
    return out;
}

/* As chat templates want them: content is a text. A new list. */
static json_t *plain_messages(const json_t *messages, struct err *err)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *m = json_array_get(messages, i), *c = json_object_get(m, "content");
        if (!json_is_string(json_object_get(m, "role"))) {
            err_set(err, ERR_PARSE, "message %zu has no role", i + 1);
            break;
        }
        json_t *copy = json_copy((json_t *)m);
        json_array_append_new(out, copy);
        if (!json_is_array(c))
            continue;
        json_t *text = join_parts(c, i, err);
        if (!text)
            break;
        json_object_set_new(copy, "content", text);
    }
    if (json_array_size(out) && (!err->code))
        return out;
    if (!err->code)
        err_set(err, ERR_PARSE, "messages is a list of one message at least");
    json_decref(out);
    return NULL;
}

/* The variables of the template that a body gives beside the messages. */
static int add_variables(json_t *row, const struct prompter *p, const json_t *body,
                         const char **param, struct err *err)
{
    static const char *const names[] = {"tools", "documents", "add_generation_prompt",
                                        "continue_final_message"};
    const json_t *more = json_object_get(body, "chat_template_kwargs");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *v = json_object_get(body, names[i]);
        if (!v || json_is_null(v) || (json_is_array(v) && !json_array_size(v)))
            continue;
        if (i < 2 && p->chat && !chat_template_mentions(p->chat, names[i])) {
            *param = names[i];
            return err_set(err, ERR_CONFIG, "the model's chat template takes no %s",
                           names[i]);
        }
        json_object_set(row, names[i], v);
    }
    if (str_eq(json_get_str(body, "tool_choice", NULL), "none"))
        json_object_del(row, "tools");
    if (more && !json_is_null(more) && !json_is_object(more)) {
        *param = "chat_template_kwargs";
        return err_set(err, ERR_CONFIG, "chat_template_kwargs is no object");
    }
    if (json_is_object(more) && json_object_get(more, "messages")) {
        *param = "chat_template_kwargs";
        return err_set(err, ERR_CONFIG, "chat_template_kwargs may not say messages");
    }
    json_object_update(row, (json_t *)more);
    return 0;
}

static json_t *row_of_messages(const struct prompter *p, const json_t *body,
                               const char **param, struct err *err)
{
    *param = "messages";
    json_t *messages = plain_messages(json_object_get(body, "messages"), err);
    if (!messages)
        return NULL;
    json_t *row = json_pack("{s:o}", "messages", messages);
    if (!add_variables(row, p, body, param, err))
        return row;
    json_decref(row);
    return NULL;
}

/* Of all strings in it. */
static size_t text_bytes(const json_t *v)
{
    size_t bytes = json_string_length(v);
    const char *name;
    json_t *item;
    for (size_t i = 0; i < json_array_size(v); i++)
        bytes += text_bytes(json_array_get(v, i));
    json_object_foreach((json_t *)v, name, item)
    {
        bytes += text_bytes(item);
    }
    return bytes;
}

int prompts_check_size(const json_t *row, int32_t room, struct err *err)
{
    const size_t bytes = text_bytes(row);
    return bytes <= (size_t)room * TOKEN_BYTES_MOST
               ? 0
               : err_set(err, ERR_CONFIG,
                         "a prompt of %zu bytes: there is room for %d tokens", bytes,
                         room);
}

json_t *prompts_row(const struct prompter *prompter, const json_t *body,
                    const json_t *prompt, const char **param, struct err *err)
{
    if (!prompt)
        return row_of_messages(prompter, body, param, err);
    *param = "prompt";
    if (json_is_string(prompt))
        return json_pack("{s:O}", "text", prompt);
    if (json_is_array(prompt))
        return json_pack("{s:O}", "input_ids", prompt);
    err_set(err, ERR_PARSE, "a prompt is a text or a list of token ids");
    return NULL;
}

/* --- all prompts of a request --- */

/* A list of prompts, and not the ids of one? */
static bool is_list(const json_t *prompt)
{
    return json_is_array(prompt) && !json_is_integer(json_array_get(prompt, 0));
}

static int check_room(const struct prompt *p, const struct wish *w, int32_t room,
                      const char **param, struct err *err)
{
    if (p->n >= room)
        return err_set(err, ERR_CONFIG,
                       "a prompt of %d tokens: there is room for %d, an answer of one "
                       "token at least among them",
                       p->n, room);
    if (w->most > room - p->n) {
        *param = "max_tokens";
        return err_set(err, ERR_CONFIG,
                       "a prompt of %d tokens and %d new ones: there is room for %d",
                       p->n, w->most, room);
    }
    return 0;
}

static int add_prompt(struct prompts *out, struct prompter *p, const struct wish *w,
                      const json_t *prompt, int32_t room, const char **param,
                      struct err *err)
{
    json_t *row = prompts_row(p, w->values, prompt, param, err);
    if (!row)
        return err_code(err);
    struct prompt *at = &out->at[out->count];
    int rc = prompts_check_size(row, room, err);
    if (!rc)
        rc = prompter_row(p, row, &at->ids, &at->n, err);
    json_decref(row);
    out->count += rc == 0;
    return rc ? rc : check_room(at, w, room, param, err);
}

int prompts_read(struct prompts *p, struct prompter *prompter, const struct wish *w,
                 int32_t room, const char **param, struct err *err)
{
    const json_t *prompt = json_object_get(w->values, "prompt");
    const size_t count = is_list(prompt) ? json_array_size(prompt) : 1;
    *p = (struct prompts){0};
    if (!count || count * (size_t)w->n > PROMPTS_MOST) {
        *param = "prompt";
        return err_set(err, ERR_PARSE, "a request takes 1 to %d texts, prompts times n",
                       PROMPTS_MOST);
    }
    const time_t now = time(NULL);
    if (!prompter->session->language.dated)
        localtime_r(&now, &prompter->now);
    p->at = xcalloc(count, sizeof *p->at);
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++)
        rc = add_prompt(p, prompter, w,
                        is_list(prompt) ? json_array_get(prompt, i) : prompt, room, param,
                        err);
    return rc;
}

void prompts_release(struct prompts *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->at[i].ids);
    free(p->at);
    *p = (struct prompts){0};
}

/* runner/data/conversation.c - see conversation.h. */
#include "runner/data/conversation.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/chat/value.h"
#include "runner/data/language.h"
#include <stdlib.h>
#include <string.h>

/* --- rows --- */

/* ShareGPT's words for role and content, which TRL takes too. New reference. */
static json_t *chat_words(const json_t *message)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {{"from", "role"}, {"value", "content"}};
    json_t *out = json_copy((json_t *)message);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        json_t *v = json_object_get(out, words[i].theirs);
        if (!v)
            continue;
        json_object_set(out, words[i].ours, v);
        json_object_del(out, words[i].theirs);
    }
    return out;
}

json_t *conversation_messages(const json_t *row, const char *key)
{
    const json_t *list = json_object_get(row, key);
    if (!json_is_array(list))
        return NULL;
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        json_array_append_new(out, json_is_object(m) ? chat_words(m)
                                                     : json_incref((json_t *)m));
    }
    return out;
}

/* chat_template_kwargs: further variables, but none of those that the row decides. */
static int add_variables(json_t *chat, const json_t *row, struct err *err)
{
    static const char taken[] =
        "|messages|tools|add_generation_prompt|continue_final_message|chat_template|"
        "conversation|tokenize|padding|truncation|max_length|return_tensors|return_dict|"
        "return_assistant_tokens_mask|tokenizer_kwargs|sanitize_control_tokens|";
    json_t *more = json_object_get(row, "chat_template_kwargs"), *v;
    const char *key;
    if (more && !json_is_object(more) && !json_is_null(more))
        return err_set(err, ERR_PARSE, "'chat_template_kwargs' must be an object");
    json_object_foreach(more, key, v)
    {
        char *item = xasprintf("|%s|", key);
        const bool refused = strstr(taken, item) != NULL;
        free(item);
        if (refused)
            return err_set(err, ERR_PARSE, "'chat_template_kwargs' may not have '%s'",
                           key);
        json_object_set(chat, key, v);
    }
    return 0;
}

/* A list, or the text of one. */
static int add_tools(json_t *chat, const json_t *row, struct err *err)
{
    json_t *tools = json_object_get(row, "tools");
    if (!tools || json_is_null(tools))
        return 0;
    tools = json_is_string(tools) ? json_parse(json_string_value(tools),
                                               json_string_length(tools), "'tools'", err)
                                  : json_incref(tools);
    if (tools && !json_is_array(tools) && !json_is_null(tools))
        (void)err_set(err, ERR_PARSE, "'tools' must be a list");
    const bool good = tools && (json_is_array(tools) || json_is_null(tools));
    if (good)
        json_object_set(chat, "tools", tools);
    json_decref(tools);
    return good ? 0 : err_code(err);
}

/* --- the template --- */

static int open_template(struct reader *r, struct err *err)
{
    const struct language *l = r->spec->language;
    if (r->conversation)
        return 0;
    if (!l || !(l->model || l->template_file))
        return err_set(err, ERR_PARSE,
                       "rows hold messages, but the model is known by "
                       "its configuration alone: it has no chat "
                       "template");
    struct conversation *c = xcalloc(1, sizeof *c);
    int rc =
        chat_template_open(l->model ? l->model : "", l->template_file, &c->chat, err);
    if (rc < 0) {
        free(c);
        return rc;
    }
    jinja_output_init(&c->text);
    jinja_output_init(&c->part);
    r->conversation = c;
    return 0;
}

void conversation_free(struct conversation *c)
{
    if (!c)
        return;
    chat_template_free(c->chat);
    jinja_output_release(&c->text);
    jinja_output_release(&c->part);
    free(c);
}

static int render(struct reader *r, const json_t *row, json_t *messages, bool prompt,
                  struct jinja_output *out, struct err *err)
{
    json_t *chat = json_object();
    int rc = add_variables(chat, row, err);
    if (rc >= 0)
        rc = add_tools(chat, row, err);
    json_object_set(chat, "messages", messages);
    json_object_set_new(chat, "add_generation_prompt", json_boolean(prompt));
    if (rc >= 0)
        rc = chat_template_render(r->conversation->chat, chat, &r->spec->language->now,
                                  out, err);
    if (out == &r->conversation->text)
        r->conversation->marks = chat_template_has_spans(r->conversation->chat, chat);
    if (rc >= 0 && buf_overflowed(&out->text))
        rc = err_set(err, ERR_PARSE, "the conversation is too long");
    json_decref(chat);
    return rc;
}

int conversation_encode(struct reader *r, const json_t *row, json_t *messages,
                        bool prompt, struct err *err)
{
    int rc = open_template(r, err);
    if (rc < 0)
        return rc;
    if (!json_array_size(messages))
        return err_set(err, ERR_PARSE, "there is no message");
    if (!r->tokenizer)
        return err_set(err, ERR_PARSE,
                       "rows hold messages, but the model has no tokenizer.json");
    struct jinja_output *out = &r->conversation->text;
    if ((rc = render(r, row, messages, prompt, out, err)) < 0)
        return rc;
    return tokenizer_encode(r->tokenizer, buf_str(&out->text), out->text.len, NULL, 0, 0,
                            false, &r->encoding, err);
}

/* --- what the assistant says --- */

/* Tokens of the characters [begin, end), see language.h. */
static void mark_span(const struct encoding *e, size_t begin, size_t end, bool *learned)
{
    size_t first = e->n, next = e->n, last = e->n, before = e->n;
    if (begin >= end)
        return;
    for (size_t i = 0; i < e->n; i++) {
        const size_t b = (size_t)e->offsets[i][0], z = (size_t)e->offsets[i][1];
        if (b <= begin && begin < z && first == e->n)
            first = i;
        if (b >= begin && b < z && next == e->n)
            next = i;
        if (b < end && end <= z && last == e->n)
            last = i;
        if (b < end)
            before = i;
    }
    first = first < e->n ? first : next;
    last = last < e->n ? last : before;
    for (size_t i = first; i <= last && i < e->n; i++)
        learned[i] = true;
}

/* Bytes that two texts have in common at their beginnings, whole characters. */
static size_t common(const struct buf *a, const struct buf *b)
{
    const char *x = buf_str(a), *y = buf_str(b);
    size_t n = 0;
    while (n < a->len && n < b->len && x[n] == y[n])
        n++;
    while (n > 0 && n < a->len && ((unsigned char)x[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* Where the content of the last message of a text stands in it; its bytes in *n. NULL: it
 * is not printed as it is. */
static const char *find_content(const struct buf *text, const json_t *message, size_t *n)
{
    const json_t *content = json_object_get(message, "content");
    const char *said = json_string_value(content);
    size_t from = 0, to = json_string_length(content);
    if (said)
        utf8_strip(said, &from, &to, false);
    *n = to - from;
    if (!*n || *n > text->len)
        return NULL;
    for (size_t at = text->len - *n + 1; at-- > 0;)
        if (memcmp(buf_str(text) + at, said + from, *n) == 0)
            return buf_str(text) + at;
    return NULL;
}

/* Where the turn ends that begins at `begin` of the whole text and is the last of `part`;
 * 0: that is not known. Mostly the one is the beginning of the other. Some templates end
 * every text in a way of its own (phi3): the turn goes to where the two part behind the
 * content; tokens that lie across do not belong to it. Others print a turn in another way
 * once others follow (qwen3, without its reasoning): its content, and what stands behind
 * it in `part`, are looked for. */
static size_t find_end(const struct buf *whole, const struct buf *part, size_t begin,
                       const json_t *message, bool *across)
{
    const size_t same = common(whole, part);
    size_t n;
    *across = false;
    if (same == part->len)
        return same;
    const char *content = find_content(part, message, &n);
    if (!content || begin > whole->len)
        return 0;
    const size_t at = (size_t)(content - buf_str(part)), tail = part->len - at;
    if (same >= at + n) {
        *across = true;
        return same;
    }
    const char *hit = memmem(buf_str(whole) + begin, whole->len - begin, content, tail);
    return hit ? (size_t)(hit - buf_str(whole)) + tail : 0;
}

/* A turn in characters of the whole text. */
struct turn {
    size_t begin, end;
    bool across;
};

static int find_turn(struct reader *r, const json_t *row, const json_t *messages,
                     size_t k, struct turn *turn, struct err *err)
{
    struct conversation *c = r->conversation;
    const struct buf *whole = &c->text.text, *part = &c->part.text;
    json_t *some = json_array(), *message = json_array_get(messages, k);
    for (size_t i = 0; i < k; i++)
        json_array_append(some, json_array_get(messages, i));
    /* a template may refuse to print nothing at all, in front of the first message */
    struct err empty = ERR_INIT;
    int rc = render(r, row, some, true, &c->part, k ? err : &empty);
    const bool refused = rc < 0 && k == 0;
    size_t begin = rc < 0 ? 0 : common(whole, part), n;
    json_array_append(some, message);
    if (rc >= 0 || refused)
        rc = render(r, row, some, false, &c->part, err);
    const char *said = refused && rc >= 0 ? find_content(part, message, &n) : NULL;
    begin = said ? (size_t)(said - buf_str(part)) : begin;
    const size_t end = rc < 0 ? 0 : find_end(whole, part, begin, message, &turn->across);
    json_decref(some);
    if (rc >= 0 && (end < begin || !end))
        rc =
            err_set(err, ERR_PARSE,
                    "it prints a turn in another way once others follow, so that its end "
                    "is not known (chat_template names a template with marks)");
    turn->begin = utf8_chars(buf_str(whole), begin);
    turn->end = utf8_chars(buf_str(whole), end);
    return rc < 0 ? err_context(err,
                                "assistant_only_loss: the chat template has no "
                                "generation marks, and of messages[%zu]: ",
                                k)
                  : 0;
}

/* Without marks: the differences of beginnings. */
static int mark_turns(struct reader *r, const json_t *row, const json_t *messages,
                      bool *learned, struct err *err)
{
    const struct encoding *e = &r->encoding;
    int rc = 0;
    for (size_t k = 0; k < json_array_size(messages) && rc >= 0; k++) {
        struct turn t = {0};
        if (!str_eq(json_get_str(json_array_get(messages, k), "role", NULL), "assistant"))
            continue;
        if ((rc = find_turn(r, row, messages, k, &t, err)) < 0)
            break;
        size_t end = t.across ? t.begin : t.end;
        for (size_t i = 0; t.across && i < e->n; i++)
            if ((size_t)e->offsets[i][1] <= t.end && (size_t)e->offsets[i][1] > end)
                end = (size_t)e->offsets[i][1];
        mark_span(e, t.begin, end, learned);
    }
    return rc;
}

int conversation_mark(struct reader *r, const json_t *row, json_t *messages,
                      bool *learned, struct err *err)
{
    const struct conversation *c = r->conversation;
    memset(learned, 0, r->encoding.n * sizeof *learned);
    if (!c->marks)
        return mark_turns(r, row, messages, learned, err);
    for (size_t i = 0; i < c->text.n_spans; i++)
        mark_span(&r->encoding, c->text.spans[i][0], c->text.spans[i][1], learned);
    return 0;
}

/* runner/chat/template.c - see template.h. */
#include "runner/chat/template.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/chat/value.h"
#include "runner/hub/model_text.h"
#include <stdlib.h>
#include <string.h>

struct chat_template {
    struct jinja *plain, *with_tools; /* with_tools NULL: plain is for all */
    json_t *tokens;                   /* name -> text */
};

/* ---- where templates come from ------------------------------------------------------ */

static int parse_one(const char *text, size_t len, const char *what, struct jinja **out,
                     struct err *err)
{
    int rc = jinja_parse(text, len, out, err);
    return rc < 0 ? err_context(err, "%s: ", what) : 0;
}

static int parse_file(const char *path, struct jinja **out, struct err *err)
{
    struct buf text = BUF_INIT;
    int rc = fs_read(path, JINJA_TEMPLATE_BYTES_MAX, &text, err);
    char *what = xasprintf("'%s'", path);
    if (rc >= 0)
        rc = parse_one(buf_str(&text), text.len, what, out, err);
    free(what);
    buf_release(&text);
    return rc;
}

/* "name" of a list of named templates; NULL where there is none. */
static const json_t *named(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (str_eq(json_get_str(one, "name", NULL), name))
            return json_object_get(one, "template");
    }
    return NULL;
}

/* chat_template of tokenizer_config.json, or what a GGUF file has for it. */
static int parse_config(struct chat_template *t, const json_t *config, struct err *err)
{
    const json_t *all = json_object_get(config, "chat_template"), *v = all;
    const json_t *tools = named(all, "tool_use");
    const char *what = "tokenizer_config.json: chat_template";
    if (json_is_array(all)) {
        v = named(all, "default");
        if (!json_is_string(v))
            return err_set(err, ERR_PARSE, "%s: of several none is named 'default'",
                           what);
    }
    if (!json_is_string(v))
        return 0;
    int rc = parse_one(json_string_value(v), json_string_length(v), what, &t->plain, err);
    if (rc >= 0 && json_is_string(tools))
        rc = parse_one(json_string_value(tools), json_string_length(tools), what,
                       &t->with_tools, err);
    return rc;
}

/* The model's own: files come before tokenizer_config.json. */
static int parse_own(struct chat_template *t, const char *model, const json_t *config,
                     struct err *err)
{
    char *path = fs_join(model, "chat_template.jinja");
    char *tools = fs_join(model, "additional_chat_templates/tool_use.jinja");
    int rc =
        fs_exists(path) ? parse_file(path, &t->plain, err) : parse_config(t, config, err);
    if (rc >= 0 && fs_exists(path) && fs_exists(tools))
        rc = parse_file(tools, &t->with_tools, err);
    if (rc >= 0 && !t->plain)
        rc = err_set(err, ERR_NOINPUT,
                     fs_is_dir(model)
                         ? "model folder '%s': no chat template, neither "
                           "chat_template.jinja nor in tokenizer_config.json (give one "
                           "by chat_template, --template)"
                         : "GGUF file '%s': no tokenizer.chat_template (give one by "
                           "chat_template, --template)",
                     model);
    free(tools);
    free(path);
    return rc;
}

int chat_template_open(const char *model, const char *file, struct chat_template **out,
                       struct err *err)
{
    struct chat_template *t = xcalloc(1, sizeof *t);
    struct model_text text;
    *out = NULL;
    int rc = model_text_read(model, &text, err);
    t->tokens = json_incref(text.tokens);
    if (rc >= 0)
        rc = file ? parse_file(file, &t->plain, err)
                  : parse_own(t, model, text.config, err);
    model_text_release(&text);
    if (rc < 0)
        chat_template_free(t);
    else
        *out = t;
    return rc;
}

int chat_template_parse(const char *text, size_t len, const json_t *tokens,
                        struct chat_template **out, struct err *err)
{
    struct chat_template *t = xcalloc(1, sizeof *t);
    t->tokens = json_object();
    model_text_add_tokens(t->tokens, tokens);
    *out = NULL;
    int rc = jinja_parse(text, len, &t->plain, err);
    if (rc < 0)
        chat_template_free(t);
    else
        *out = t;
    return rc;
}

void chat_template_free(struct chat_template *t)
{
    if (!t)
        return;
    jinja_free(t->plain);
    jinja_free(t->with_tools);
    json_decref(t->tokens);
    free(t);
}

/* ---- messages ----------------------------------------------------------------------- */

static const char *const reasoning[] = {"reasoning_content", "thinking", "reasoning"};

/* A message without null keys, its reasoning under the names that templates know. New
 * reference. */
static json_t *normal_message(const json_t *message)
{
    json_t *out = json_object(), *why = NULL, *v;
    const char *key;
    for (size_t i = 0; i < ARRAY_LEN(reasoning) && (!why || json_is_null(why)); i++)
        why = json_object_get(message, reasoning[i]);
    if (why && !json_is_null(why))
        json_object_set(out, "thinking", why);
    else
        why = NULL;
    json_object_foreach((json_t *)message, key, v)
    {
        if (!json_is_null(v))
            json_object_set(out, key, v);
    }
    if (why)
        json_object_set(out, "reasoning_content", why);
    return out;
}

/* New reference; NULL with a message. */
static json_t *normal_messages(const json_t *row, struct err *err)
{
    const json_t *list = json_object_get(row, "messages");
    if (!json_is_array(list)) {
        err_set(err, ERR_PARSE,
                list ? "'messages' must be a list of objects" : "no key 'messages'");
        return NULL;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *message = json_array_get(list, i);
        if (!json_is_object(message)) {
            err_set(err, ERR_PARSE, "'messages'[%zu] is not an object", i);
            json_decref(out);
            return NULL;
        }
        json_array_append_new(out, normal_message(message));
    }
    return out;
}

/* ---- going on with the last message ------------------------------------------------- */

#define CONTINUE_TAG "CONTINUE_FINAL_MESSAGE_TAG " /* the blank is part of it */

struct continued {
    char *text; /* what is gone on with */
    size_t bytes;
};

/* The text with the tag behind it; its own text is kept in `c`. New reference. */
static json_t *tagged(const json_t *v, struct continued *c)
{
    struct buf b = BUF_INIT;
    free(c->text);
    c->bytes = json_string_length(v);
    c->text = xmalloc(c->bytes + 1);
    memcpy(c->text, json_string_value(v), c->bytes);
    buf_add(&b, c->text, c->bytes);
    buf_str_add(&b, CONTINUE_TAG);
    json_t *out = json_stringn(buf_str(&b), b.len);
    buf_release(&b);
    return out;
}

/* The last block of a list that has text. */
static int tag_blocks(json_t *message, const char *key, struct continued *c,
                      struct err *err)
{
    json_t *blocks = json_deep_copy(json_object_get(message, key));
    json_object_set_new(message, key, blocks);
    for (size_t i = json_array_size(blocks); i-- > 0;) {
        json_t *block = json_array_get(blocks, i);
        const json_t *text = json_object_get(block, "text");
        if (json_is_string(text)) {
            json_object_set_new(block, "text", tagged(text, c));
            return 0;
        }
    }
    return err_set(err, ERR_PARSE,
                   "continue_final_message: the last message has no text to go on with");
}

static bool is_reasoning(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(reasoning); i++)
        if (str_eq(key, reasoning[i]))
            return true;
    return false;
}

/* Marks the end of the text that is to be continued. Reasoning stands under several names,
 * and which one the template reads is its own business: all are marked. */
static int tag_last(const struct jinja *j, json_t *messages, const char *key,
                    struct continued *c, struct err *err)
{
    size_t n = json_array_size(messages);
    json_t *last = n ? json_array_get(messages, n - 1) : NULL;
    json_t *text = json_object_get(last, key);
    bool mentioned = jinja_mentions(j, key);
    if (!text)
        return err_set(err, ERR_PARSE,
                       "continue_final_message: the last message has no '%s'", key);
    json_incref(text);
    int rc = 0;
    if (json_is_array(text)) {
        rc = tag_blocks(last, key, c, err);
    } else if (!json_is_string(text)) {
        rc = err_set(err, ERR_PARSE, "continue_final_message: '%s' is not text", key);
    } else {
        json_object_set_new(last, key, tagged(text, c));
        for (size_t i = 0; is_reasoning(key) && i < ARRAY_LEN(reasoning); i++)
            if (json_equal(json_object_get(last, reasoning[i]), text)) {
                json_object_set_new(last, reasoning[i], tagged(text, c));
                mentioned |= jinja_mentions(j, reasoning[i]);
            }
    }
    json_decref(text);
    if (rc >= 0 && !mentioned)
        rc = err_set(err, ERR_PARSE,
                     "continue_final_message: the template does not read '%s'", key);
    return rc;
}

/* Where the tag stands last; SIZE_MAX: nowhere. */
static size_t find_tag(const struct buf *b, size_t tag_bytes)
{
    size_t found = SIZE_MAX;
    const char *text = buf_str(b), *hit;
    for (size_t at = 0;
         (hit = memmem(text + at, b->len - at, CONTINUE_TAG, tag_bytes)) != NULL;
         at = found + 1)
        found = (size_t)(hit - text);
    return found;
}

/* Cuts the text before the tag. Where the template trimmed the content, the tag lost its
 * blank, and the content may have lost some before it. */
static int cut_at_tag(struct jinja_output *out, const struct continued *c,
                      struct err *err)
{
    const size_t tag_bytes = strlen(CONTINUE_TAG) - 1;
    size_t from = 0, to = c->bytes, begin = 0, end = find_tag(&out->text, tag_bytes);
    utf8_strip(c->text, &from, &to, false);
    if (end == SIZE_MAX ||
        !memmem(buf_str(&out->text), out->text.len, c->text + from, to - from))
        return err_set(err, ERR_PARSE,
                       "continue_final_message: the template does not print the last "
                       "message as it is");
    if (end + tag_bytes >= out->text.len || out->text.data[end + tag_bytes] != ' ')
        utf8_strip(out->text.data, &begin, &end, true);
    out->text.len = end;
    out->text.data[end] = 0;
    size_t chars = utf8_chars(out->text.data, end);
    for (size_t i = 0; i < out->n_spans; i++)
        for (int k = 0; k < 2; k++)
            if (out->spans[i][k] > chars)
                out->spans[i][k] = chars;
    return 0;
}

/* ---- rendering ---------------------------------------------------------------------- */

static const struct jinja *pick(const struct chat_template *t, const json_t *row)
{
    const json_t *tools = json_object_get(row, "tools");
    return t->with_tools && tools && !json_is_null(tools) ? t->with_tools : t->plain;
}

/* The key that is to be continued, NULL: none. */
static int continued_key(const json_t *row, const char **key, struct err *err)
{
    const json_t *v = json_object_get(row, "continue_final_message");
    *key = json_is_string(v) ? json_string_value(v) : json_is_true(v) ? "content" : NULL;
    if (v && !*key && !json_is_false(v) && !json_is_null(v))
        return err_set(err, ERR_PARSE,
                       "'continue_final_message' is true, false or a key of messages");
    if (*key && json_is_true(json_object_get(row, "add_generation_prompt")))
        return err_set(err, ERR_PARSE,
                       "continue_final_message and add_generation_prompt: only one of "
                       "them can be true");
    return 0;
}

/* New reference. */
static json_t *variables_of(const struct chat_template *t, const json_t *row,
                            json_t *messages)
{
    json_t *v = json_copy(t->tokens);
    json_object_set_new(v, "tools", json_null());
    json_object_set_new(v, "documents", json_null());
    json_object_set_new(v, "add_generation_prompt", json_false());
    json_object_update(v, (json_t *)row);
    json_object_del(v, "continue_final_message");
    json_object_set(v, "messages", messages);
    return v;
}

int chat_template_render(const struct chat_template *t, const json_t *row,
                         const struct tm *now, struct jinja_output *out, struct err *err)
{
    const struct jinja *j = pick(t, row);
    struct continued c = {NULL, 0};
    const char *key = NULL;
    if (!json_is_object(row))
        return err_set(err, ERR_PARSE, "the row is not an object");
    json_t *messages = normal_messages(row, err);
    int rc = messages ? continued_key(row, &key, err) : err_code(err);
    if (rc >= 0 && key)
        rc = tag_last(j, messages, key, &c, err);
    if (rc >= 0) {
        json_t *variables = variables_of(t, row, messages);
        rc = jinja_render(j, variables, now, out, err);
        json_decref(variables);
    }
    if (rc >= 0 && key)
        rc = cut_at_tag(out, &c, err);
    free(c.text);
    json_decref(messages);
    return rc;
}

bool chat_template_has_spans(const struct chat_template *t, const json_t *row)
{
    return jinja_has_generation(pick(t, row));
}

bool chat_template_mentions(const struct chat_template *t, const char *name)
{
    return jinja_mentions(t->plain, name) ||
           (t->with_tools && jinja_mentions(t->with_tools, name));
}

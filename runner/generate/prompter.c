/* runner/generate/prompter.c - see prompter.h. */
#include "runner/generate/prompter.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/generate/generator.h"
#include <stdlib.h>
#include <string.h>

/* --- end tokens --- */

static void add_stop(struct prompter *p, int64_t id)
{
    if (id < 0 || id >= p->session->net.shape.vocab_size)
        return;
    for (size_t i = 0; i < p->n_stops; i++)
        if (p->stops[i] == id)
            return;
    p->stops = xrealloc(p->stops, (p->n_stops + 1) * sizeof *p->stops);
    p->stops[p->n_stops++] = (int32_t)id;
}

/* eos_token_id is a number or a list. */
static void add_eos(struct prompter *p, const json_t *config)
{
    const json_t *eos = json_object_get(config, "eos_token_id");
    if (json_is_integer(eos))
        add_stop(p, json_integer_value(eos));
    for (size_t i = 0; i < json_array_size(eos); i++)
        if (json_is_integer(json_array_get(eos, i)))
            add_stop(p, json_integer_value(json_array_get(eos, i)));
}

/* The one that rows of text end with when it trains. */
static void add_end_token(struct prompter *p)
{
    const char *eos = p->session->language.eos;
    const struct tokenizer *t = p->session->tokenizer;
    if (eos && t &&
        tokenizer_encode(t, eos, strlen(eos), NULL, 0, 0, false, &p->encoding, NULL) >=
            0 &&
        p->encoding.n == 1)
        add_stop(p, p->encoding.ids[0]);
}

/* A new reference; NULL: there is none. */
static json_t *generation_config(const struct prompter *p, struct err *err)
{
    char *path = fs_join(p->session->hf->dir, "generation_config.json");
    json_t *c = fs_exists(path) ? json_read_file(path, err) : NULL;
    free(path);
    return c;
}

static bool is_special(const struct tokenizer *t, int32_t id)
{
    struct buf with = BUF_INIT, without = BUF_INIT;
    const bool special = tokenizer_decode(t, &id, 1, false, &with, NULL) >= 0 &&
                         tokenizer_decode(t, &id, 1, true, &without, NULL) >= 0 &&
                         with.len > 0 && without.len == 0;
    buf_release(&with);
    buf_release(&without);
    return special;
}

/* The first special token behind what the assistant says, in a conversation of one
 * turn. A template that cannot render it has none. */
static void add_end_of_turn(struct prompter *p)
{
    static const char text[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"1\"},"
        "{\"role\":\"assistant\",\"content\":\"peftlab-answer\"}]}";
    const struct tokenizer *t = p->session->tokenizer;
    json_t *row = json_parse(text, sizeof text - 1, "row", NULL);
    const char *found = NULL;
    if (chat_template_render(p->chat, row, &p->now, &p->output, NULL) >= 0)
        found = strstr(buf_str(&p->output.text), "peftlab-answer");
    if (found)
        found += strlen("peftlab-answer");
    if (found && tokenizer_encode(t, found, strlen(found), NULL, 0, 0, false,
                                  &p->encoding, NULL) >= 0)
        for (size_t i = 0; i < p->encoding.n; i++)
            if (is_special(t, p->encoding.ids[i])) {
                add_stop(p, p->encoding.ids[i]);
                break;
            }
    json_decref(row);
}

int prompter_open(struct prompter *p, const struct session *session, const char *file,
                  struct err *err)
{
    const time_t now = time(NULL);
    *p = (struct prompter){.session = session, .no_chat = ERR_INIT};
    jinja_output_init(&p->output);
    localtime_r(&now, &p->now);
    if (session->language.dated)
        p->now = session->language.now;
    if (!file)
        file = session->language.template_file;
    int rc =
        chat_template_open(session->hf->dir, file, &p->chat, file ? err : &p->no_chat);
    if (rc < 0 && file)
        return rc;
    struct err bad = ERR_INIT;
    json_t *config = generation_config(p, &bad);
    if (bad.code)
        return err_set(err, bad.code, "%s", bad.msg);
    add_eos(p, config);
    add_eos(p, session->hf->config);
    add_end_token(p);
    json_decref(config);
    if (p->chat && session->tokenizer)
        add_end_of_turn(p);
    return 0;
}

void prompter_release(struct prompter *p)
{
    chat_template_free(p->chat);
    free(p->stops);
    encoding_release(&p->encoding);
    jinja_output_release(&p->output);
    *p = (struct prompter){0};
}

char *prompter_unused_settings(const struct prompter *p)
{
    static const struct {
        const char *key;
        double neutral;
    } settings[] = {
        {"temperature", 1}, {"top_k", 0}, {"top_p", 1}, {"repetition_penalty", 1}};
    struct buf b = BUF_INIT;
    json_t *config = generation_config(p, NULL);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const double v = json_get_num(config, settings[i].key, settings[i].neutral);
        if (v != settings[i].neutral)
            buf_printf(&b, "%s%s %g", b.len ? ", " : "", settings[i].key, v);
    }
    json_decref(config);
    if (b.len)
        return buf_detach(&b, NULL);
    buf_release(&b);
    return NULL;
}

/* --- rows --- */

static int encode(struct prompter *p, const char *text, size_t len, bool special,
                  struct err *err)
{
    if (!p->session->tokenizer)
        return err_set(err, ERR_NOINPUT,
                       "model folder '%s': no tokenizer.json; rows need input_ids",
                       p->session->hf->dir);
    return tokenizer_encode(p->session->tokenizer, text, len, NULL, 0, 0, special,
                            &p->encoding, err);
}

static int encode_messages(struct prompter *p, const json_t *row, struct err *err)
{
    if (!p->chat)
        return err_set(err, p->no_chat.code, "%s", p->no_chat.msg);
    json_t *full = json_copy((json_t *)row);
    if (!json_object_get(full, "add_generation_prompt") &&
        !json_object_get(full, "continue_final_message"))
        json_object_set_new(full, "add_generation_prompt", json_true());
    int rc = chat_template_render(p->chat, full, &p->now, &p->output, err);
    json_decref(full);
    if (rc >= 0)
        rc = encode(p, buf_str(&p->output.text), p->output.text.len, false, err);
    return rc;
}

static int read_ids(struct prompter *p, const json_t *ids, struct err *err)
{
    struct encoding *e = &p->encoding;
    const size_t n = json_array_size(ids);
    e->n = 0;
    e->ids = xrealloc(e->ids, (n + 1) * sizeof *e->ids);
    e->type_ids = xrealloc(e->type_ids, (n + 1) * sizeof *e->type_ids);
    e->offsets = xrealloc(e->offsets, (n + 1) * sizeof *e->offsets);
    e->cap = n + 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(ids, i);
        const json_int_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || id >= p->session->net.shape.vocab_size)
            return err_set(err, ERR_PARSE,
                           "'input_ids': item %zu is no token of the model (0 to %d)",
                           i + 1, p->session->net.shape.vocab_size - 1);
        e->ids[e->n++] = (int32_t)id;
    }
    return 0;
}

static int check_length(const struct prompter *p, struct err *err)
{
    const int32_t room = generator_room(p->session);
    if (p->encoding.n == 0)
        return err_set(err, ERR_PARSE, "there is no token to begin with");
    if (p->encoding.n >= (size_t)room)
        return err_set(err, ERR_PARSE,
                       "%zu tokens, but the model has positions for %d and a new one "
                       "needs one of them",
                       p->encoding.n, room);
    for (size_t i = 0; i < p->encoding.n; i++)
        if (p->encoding.ids[i] >= p->session->net.shape.vocab_size)
            return err_set(err, ERR_CONFIG,
                           "the tokenizer gives token %d, the model has %d",
                           p->encoding.ids[i], p->session->net.shape.vocab_size);
    return 0;
}

int prompter_row(struct prompter *p, const json_t *row, int32_t **ids, int32_t *n,
                 struct err *err)
{
    const json_t *text = json_object_get(row, "text"),
                 *messages = json_object_get(row, "messages"),
                 *given = json_object_get(row, "input_ids");
    if (!!text + !!messages + !!given != 1)
        return err_set(err, ERR_PARSE,
                       "a row has one of 'text', 'messages' and 'input_ids'");
    int rc;
    if (json_is_string(text))
        rc = encode(p, json_string_value(text), json_string_length(text), true, err);
    else if (json_is_array(messages))
        rc = encode_messages(p, row, err);
    else if (json_is_array(given))
        rc = read_ids(p, given, err);
    else
        rc = err_set(err, ERR_PARSE, "'%s' is no %s",
                     text       ? "text"
                     : messages ? "messages"
                                : "input_ids",
                     text ? "text" : "list");
    if (rc >= 0)
        rc = check_length(p, err);
    if (rc < 0)
        return rc;
    *n = (int32_t)p->encoding.n;
    *ids = xmalloc((size_t)*n * sizeof **ids);
    memcpy(*ids, p->encoding.ids, (size_t)*n * sizeof **ids);
    return 0;
}

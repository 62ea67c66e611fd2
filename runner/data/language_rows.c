/* runner/data/language_rows.c - reads the rows of a language model (language_rows); what
 * they are and mean: language.h. */
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/data/conversation.h"
#include "runner/data/language.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NO_LABEL = -100 }; /* as torch's ignore_index */

static const struct language *language_of(const struct reader *r)
{
    static const struct language none = {.completion_only = -1};
    return r->spec->language ? r->spec->language : &none;
}

/* --- ids --- */

static int read_label(const struct reader *r, const json_t *labels, size_t i,
                      int32_t *out, struct err *err)
{
    const json_t *v = json_array_get(labels, i);
    const int64_t x = json_integer_value(v),
                  limit = r->spec->vocab_size > 0 ? r->spec->vocab_size : INT32_MAX;
    if (!json_is_integer(v) || (x != NO_LABEL && (x < 0 || x >= limit)))
        return err_set(err, ERR_PARSE,
                       "'labels'[%zu] must be an integer in 0..%" PRId64 ", or %d", i,
                       limit - 1, NO_LABEL);
    *out = x == NO_LABEL ? -1 : (int32_t)x;
    return 0;
}

static int read_ids(struct reader *r, const json_t *row, struct example *e,
                    struct err *err)
{
    const json_t *labels = json_object_get(row, "labels"),
                 *ids = json_object_get(row, "input_ids");
    const struct language *l = language_of(r);
    if (l->assistant_only || l->completion_only >= 0)
        return err_set(err, ERR_PARSE,
                       "a row of 'input_ids' says by its 'labels' what is learned: "
                       "'%s' has no meaning",
                       l->assistant_only ? "assistant_only_loss"
                                         : "completion_only_loss");
    int rc = row_ids(r, row, e, err);
    if (rc < 0)
        return rc;
    if (json_array_size(labels) != json_array_size(ids))
        return err_set(err, ERR_PARSE,
                       "'labels' must be a list of as many integers as 'input_ids'");
    e->token_labels = xcalloc((size_t)e->n, sizeof *e->token_labels);
    for (int32_t i = 0; i < e->n && rc >= 0; i++)
        rc = read_label(r, labels, (size_t)i, &e->token_labels[i], err);
    if (l->ids_length && e->n > l->ids_length) {
        e->cut = e->n - l->ids_length;
        e->n = l->ids_length;
    }
    r->truncated += e->cut > 0;
    return rc;
}

/* --- texts --- */

static int encode(struct reader *r, const char *text, size_t len, struct err *err)
{
    if (!r->tokenizer)
        return err_set(err, ERR_PARSE,
                       "rows hold text, but the model has no tokenizer.json");
    return tokenizer_encode(r->tokenizer, text, len, NULL, 0, 0, true, &r->encoding, err);
}

/* Room for a flag per token, all set. */
static bool *all_learned(struct reader *r)
{
    r->learned = xgrow(r->learned, &r->learned_cap, r->encoding.n + 1, sizeof(bool));
    memset(r->learned, true, r->encoding.n + 1);
    return r->learned;
}

/* Whether a stretch of learned tokens ends with one that ends a turn: behind it there may
 * be blanks. Such a token is no piece of text, but one that was added. */
static bool teaches_end(const struct reader *r, const struct example *e, int32_t last)
{
    for (int32_t i = last; i >= 0 && e->token_labels[i] >= 0; i--) {
        const char *token = tokenizer_token(r->tokenizer, e->ids[i]);
        struct buf text = BUF_INIT;
        if (tokenizer_is_added(r->tokenizer, e->ids[i]) ||
            str_eq(token, language_of(r)->eos))
            return true;
        const bool blank =
            tokenizer_decode(r->tokenizer, &e->ids[i], 1, false, &text, NULL) >= 0 &&
            strspn(buf_str(&text), " \t\r\n") == text.len;
        buf_release(&text);
        if (!blank)
            return false;
    }
    return false;
}

static void look_for_end(struct reader *r, const struct example *e)
{
    for (int32_t i = 0; i < e->n && !r->ends_learned; i++)
        if (e->token_labels[i] >= 0 && (i + 1 == e->n || e->token_labels[i + 1] < 0))
            r->ends_learned = teaches_end(r, e, i);
    r->texts++;
}

/* The encoding as an example; `learned`: a flag per token. */
static int take_tokens(struct reader *r, struct example *e, const bool *learned,
                       struct err *err)
{
    const struct encoding *enc = &r->encoding;
    const size_t most = (size_t)r->spec->max_length, n = enc->n;
    e->n = (int32_t)(most && n > most ? most : n);
    e->cut = (int32_t)(n - (size_t)e->n);
    e->ids = xcalloc((size_t)e->n + 1, sizeof *e->ids);
    e->token_labels = xcalloc((size_t)e->n + 1, sizeof *e->token_labels);
    bool labelled = false;
    for (int32_t i = 0; i < e->n; i++) {
        if (r->spec->vocab_size > 0 && enc->ids[i] >= r->spec->vocab_size)
            return err_set(
                err, ERR_PARSE,
                "token id %" PRId32
                " of the tokenizer is not below the model's vocab_size %" PRId32,
                enc->ids[i], r->spec->vocab_size);
        e->ids[i] = enc->ids[i];
        e->token_labels[i] = learned[i] ? enc->ids[i] : -1;
        labelled |= i > 0 && learned[i];
    }
    r->truncated += e->cut > 0;
    if (!labelled)
        return 1;
    look_for_end(r, e);
    return 0;
}

/* Text as ids, the end token behind it. */
static int encode_to_end(struct reader *r, const json_t *a, const json_t *b,
                         struct err *err)
{
    const char *eos = language_of(r)->eos;
    struct buf whole = BUF_INIT;
    buf_add(&whole, json_string_value(a), json_string_length(a));
    if (b)
        buf_add(&whole, json_string_value(b), json_string_length(b));
    const json_t *end = b ? b : a;
    if (eos && !str_has_suffix(json_string_value(end), eos))
        buf_str_add(&whole, eos);
    int rc = encode(r, buf_str(&whole), whole.len, err);
    buf_release(&whole);
    return rc;
}

static int read_plain(struct reader *r, const json_t *row, struct example *e,
                      struct err *err)
{
    const struct language *l = language_of(r);
    const char *column = r->spec->text_column ? r->spec->text_column : "text";
    const json_t *text;
    if (l->completion_only == 1 || l->assistant_only)
        return err_set(err, ERR_PARSE, "'%s' has no meaning for a row of plain text",
                       l->assistant_only ? "assistant_only_loss"
                                         : "completion_only_loss");
    int rc = row_text(row, column, true, &text, err);
    if (rc >= 0)
        rc = encode_to_end(r, text, NULL, err);
    return rc < 0 ? rc : take_tokens(r, e, all_learned(r), err);
}

/* --- prompts and completions --- */

/* A prompt's ids, kept while the whole text is encoded. */
struct prompt {
    int32_t *ids;
    size_t n;
};

static struct prompt keep_prompt(const struct reader *r)
{
    struct prompt p = {xcalloc(r->encoding.n + 1, sizeof *p.ids), r->encoding.n};
    if (p.n)
        memcpy(p.ids, r->encoding.ids, p.n * sizeof *p.ids);
    return p;
}

/* Takes the tokens that the prompt begins with from what is learned. */
static void leave_prompt(struct reader *r, const struct prompt *p)
{
    size_t from = 0;
    while (from < p->n && from < r->encoding.n && p->ids[from] == r->encoding.ids[from])
        from++;
    if (from < p->n && !r->split_prompts++)
        r->first_split = r->line;
    if (language_of(r)->completion_only != 0)
        memset(r->learned, 0, from * sizeof *r->learned);
}

static int read_text_completion(struct reader *r, const json_t *row, struct example *e,
                                struct err *err)
{
    const json_t *prompt, *completion;
    int rc = row_text(row, "prompt", true, &prompt, err);
    if (rc >= 0)
        rc = row_text(row, "completion", true, &completion, err);
    if (rc >= 0 && language_of(r)->assistant_only)
        rc = err_set(err, ERR_PARSE,
                     "'assistant_only_loss' has no meaning for a row of plain text");
    if (rc >= 0)
        rc = encode(r, json_string_value(prompt), json_string_length(prompt), err);
    if (rc < 0)
        return rc;
    struct prompt p = keep_prompt(r);
    if ((rc = encode_to_end(r, prompt, completion, err)) >= 0) {
        all_learned(r);
        leave_prompt(r, &p);
        rc = take_tokens(r, e, r->learned, err);
    }
    free(p.ids);
    return rc;
}

/* --- conversations --- */

/* Messages as ids, and which of them are learned. */
static int encode_messages(struct reader *r, const json_t *row, json_t *messages,
                           struct err *err)
{
    int rc = conversation_encode(r, row, messages, false, err);
    if (rc < 0)
        return rc;
    all_learned(r);
    return language_of(r)->assistant_only
               ? conversation_mark(r, row, messages, r->learned, err)
               : 0;
}

static int read_messages(struct reader *r, const json_t *row, json_t *messages,
                         struct example *e, struct err *err)
{
    if (language_of(r)->completion_only == 1)
        return err_set(err, ERR_PARSE,
                       "'completion_only_loss' has no meaning for a row of 'messages': "
                       "it has no completion");
    int rc = encode_messages(r, row, messages, err);
    return rc < 0 ? rc : take_tokens(r, e, r->learned, err);
}

static int read_chat_completion(struct reader *r, const json_t *row, json_t *prompt,
                                struct example *e, struct err *err)
{
    json_t *completion = conversation_messages(row, "completion");
    if (!completion)
        return err_set(err, ERR_PARSE,
                       "'completion' must be a list of messages, as 'prompt' is");
    int rc = conversation_encode(r, row, prompt, true, err);
    struct prompt p = {NULL, 0};
    if (rc >= 0) {
        p = keep_prompt(r);
        json_array_extend(prompt, completion);
        rc = encode_messages(r, row, prompt, err);
    }
    if (rc >= 0) {
        leave_prompt(r, &p);
        rc = take_tokens(r, e, r->learned, err);
    }
    free(p.ids);
    json_decref(completion);
    return rc;
}

static int read_chat(struct reader *r, const json_t *row, const char *key,
                     struct example *e, struct err *err)
{
    json_t *messages = conversation_messages(row, key);
    int rc = !messages ? err_set(err, ERR_PARSE, "'%s' must be a list of messages", key)
             : str_eq(key, "prompt") ? read_chat_completion(r, row, messages, e, err)
                                     : read_messages(r, row, messages, e, err);
    json_decref(messages);
    return rc;
}

/* --- rows --- */

static int read_row(struct reader *r, const json_t *row, struct example *e,
                    struct err *err)
{
    const json_t *prompt = json_object_get(row, "prompt");
    const char *chat = prompt                                  ? "prompt"
                       : json_object_get(row, "messages")      ? "messages"
                       : json_object_get(row, "conversations") ? "conversations"
                                                               : NULL;
    if (json_object_get(row, "input_ids"))
        return read_ids(r, row, e, err);
    if (r->spec->assume_length && !r->tokenizer)
        return e->n = r->spec->max_length, 0;
    if (chat && !json_is_string(prompt))
        return read_chat(r, row, chat, e, err);
    return prompt ? read_text_completion(r, row, e, err) : read_plain(r, row, e, err);
}

/* What somebody should know of the whole file. */
static void finish(struct reader *r, struct dataset *d)
{
    const struct language *l = language_of(r);
    if (r->left_out)
        dataset_note(d,
                     "%zu rows teach nothing and are left out (max_length %" PRId32 ")",
                     r->left_out, r->spec->max_length);
    if (r->split_prompts)
        dataset_note(d,
                     "in %zu rows, first in line %zu, the prompt alone has other tokens "
                     "at its end than in front of its completion; what is learned "
                     "begins where they part",
                     r->split_prompts, r->first_split);
    if (r->texts && !r->ends_learned)
        dataset_note(d,
                     "no row teaches the token that ends a turn, so the model will "
                     "not learn to stop%s",
                     l->assistant_only
                         ? " (the chat template leaves it out of what the assistant says)"
                     : l->eos ? ""
                              : " (neither tokenizer_config.json nor config.json names "
                                "an end token)");
    if (r->conversation && !l->dated &&
        chat_template_mentions(r->conversation->chat, "strftime_now"))
        dataset_note(d, "the chat template prints the day, and this is today's: "
                        "chat_template_date makes the rows the same on any day");
    conversation_free(r->conversation);
    free(r->learned);
}

const struct label_reader language_rows = {.row = read_row, .finish = finish};

/* runner/data/language.c - rows of a language model (language_rows): which tokens there
 * are, and which of them are learned.
 *
 *   {"input_ids", "labels"}     as they are; -100: no label
 *   {"text"}                    every token; the end token's text is appended where the
 *                               text does not end with it
 *   {"prompt", "completion"}    the tokens of the completion and of the end token: those
 *                               behind the longest common beginning of the prompt's ids
 *                               and of the whole text's (TRL's rule)
 * Texts are cut to max_length in the end; one that keeps no label is left out. */
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/data/row.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NO_LABEL = -100 }; /* as torch's ignore_index */

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
    int rc = row_ids(r, row, e, err);
    if (rc < 0)
        return rc;
    if (json_array_size(labels) != json_array_size(ids))
        return err_set(err, ERR_PARSE,
                       "'labels' must be a list of as many integers as 'input_ids'");
    e->token_labels = xcalloc((size_t)e->n, sizeof *e->token_labels);
    for (int32_t i = 0; i < e->n && rc >= 0; i++)
        rc = read_label(r, labels, (size_t)i, &e->token_labels[i], err);
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

static void append_eos(const struct reader *r, struct buf *text)
{
    if (r->spec->eos && !str_has_suffix(buf_str(text), r->spec->eos))
        buf_str_add(text, r->spec->eos);
}

/* The encoding as an example, labels from token `from` on. */
static int take_tokens(struct reader *r, struct example *e, size_t from, struct err *err)
{
    const struct encoding *enc = &r->encoding;
    const size_t most = (size_t)r->spec->max_length, n = enc->n;
    e->n = (int32_t)(most && n > most ? most : n);
    r->truncated += most && n > most;
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
        e->token_labels[i] = (size_t)i < from ? -1 : enc->ids[i];
        labelled |= i > 0 && (size_t)i >= from;
    }
    return labelled ? 0 : 1;
}

static int read_plain(struct reader *r, const json_t *row, struct example *e,
                      struct err *err)
{
    const json_t *text;
    const char *column = r->spec->text_column ? r->spec->text_column : "text";
    int rc = row_text(row, column, true, &text, err);
    if (rc < 0)
        return rc;
    struct buf whole = BUF_INIT;
    buf_add(&whole, json_string_value(text), json_string_length(text));
    append_eos(r, &whole);
    rc = encode(r, whole.data, whole.len, err);
    buf_release(&whole);
    return rc < 0 ? rc : take_tokens(r, e, 0, err);
}

static int read_completion(struct reader *r, const json_t *row, struct example *e,
                           struct err *err)
{
    const json_t *prompt, *completion;
    int rc = row_text(row, "prompt", true, &prompt, err);
    if (rc >= 0)
        rc = row_text(row, "completion", true, &completion, err);
    if (rc >= 0)
        rc = encode(r, json_string_value(prompt), json_string_length(prompt), err);
    if (rc < 0)
        return rc;
    const size_t n = r->encoding.n;
    int32_t *ids = xcalloc(n + 1, sizeof *ids);
    if (n)
        memcpy(ids, r->encoding.ids, n * sizeof *ids);
    struct buf whole = BUF_INIT;
    buf_add(&whole, json_string_value(prompt), json_string_length(prompt));
    buf_add(&whole, json_string_value(completion), json_string_length(completion));
    append_eos(r, &whole);
    rc = encode(r, whole.data, whole.len, err);
    size_t from = 0;
    while (rc >= 0 && from < n && from < r->encoding.n &&
           ids[from] == r->encoding.ids[from])
        from++;
    buf_release(&whole);
    free(ids);
    return rc < 0 ? rc : take_tokens(r, e, from, err);
}

static int read_row(struct reader *r, const json_t *row, struct example *e,
                    struct err *err)
{
    if (json_object_get(row, "input_ids"))
        return read_ids(r, row, e, err);
    if (json_object_get(row, "messages"))
        return err_set(err, ERR_PARSE,
                       "rows with 'messages' are not supported; give 'prompt' and "
                       "'completion', or 'text'");
    if (r->spec->assume_length && !r->tokenizer)
        return e->n = r->spec->max_length, 0;
    return json_object_get(row, "prompt") ? read_completion(r, row, e, err)
                                          : read_plain(r, row, e, err);
}

const struct label_reader language_rows = {.row = read_row};

/* runner/data/row.c - see row.h. */
#include "runner/data/row.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *text_column(const struct data_spec *s)
{
    return s->text_column ? s->text_column : "text";
}

static const char *pair_column(const struct data_spec *s)
{
    return s->text_pair_column ? s->text_pair_column : "text_pair";
}

const char *reader_label(const struct data_spec *s)
{
    return s->label_column ? s->label_column : "label";
}

const struct label_reader *reader_labels(const struct data_spec *s)
{
    return s->reader ? s->reader : &sequence_labels;
}

int reader_at_line(const struct reader *r, size_t i, struct err *err)
{
    return err_context(err, "%s: line %zu: ", r->what, r->lines.at[i].number);
}

static int missing(const char *column, const json_t *row, struct err *err)
{
    const char *names[64], *name;
    size_t n = 0;
    json_t *value;
    json_object_foreach((json_t *)row, name, value)
    {
        (void)value;
        if (n < ARRAY_LEN(names))
            names[n++] = name;
    }
    const char *near = str_nearest(column, names, n);
    return err_set(err, ERR_PARSE, "no key '%s'%s%s%s", column,
                   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Keys beside input_ids that transformers would pass to the model. */
static int check_inputs(const json_t *row, int32_t n, struct err *err)
{
    static const char *const never[] = {"inputs_embeds", "head_mask",
                                        "encoder_hidden_states"};
    const json_t *places = json_object_get(row, "position_ids");
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (json_is_array(json_object_get(row, never[i])))
            return err_set(err, ERR_PARSE, "'%s' is not supported", never[i]);
    for (int32_t i = 0; json_is_array(places) && i < n; i++)
        if (json_integer_value(json_array_get(places, (size_t)i)) != i)
            return err_set(err, ERR_PARSE,
                           "'position_ids' other than 0, 1, 2 ... are not supported");
    return 0;
}

/* Array of integers in 0..limit-1 (limit 0: any that fits). */
int row_ints(const json_t *array, const char *key, int64_t limit, int32_t **out,
             int32_t *count, struct err *err)
{
    size_t n = json_array_size(array);
    if (!json_is_array(array) || n == 0)
        return err_set(err, ERR_PARSE, "'%s' must be a list of at least one integer",
                       key);
    int32_t *ids = xmalloc(n * sizeof *ids);
    if (limit <= 0)
        limit = INT32_MAX;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(array, i);
        int64_t x = json_integer_value(v);
        if (!json_is_integer(v) || x < 0 || x >= limit) {
            free(ids);
            return err_set(err, ERR_PARSE, "'%s'[%zu] must be an integer in 0..%" PRId64,
                           key, i, limit - 1);
        }
        ids[i] = (int32_t)x;
    }
    *out = ids;
    *count = (int32_t)n;
    return 0;
}

/* Padding is dropped: behind the text it changes nothing but the time it takes. In front
 * of it, or in it, it would move the positions. */
static int apply_mask(const json_t *row, struct example *e, struct err *err)
{
    const json_t *mask = json_object_get(row, "attention_mask");
    int32_t *values = NULL, n = 0, used = 0;
    if (!mask || json_is_null(mask))
        return 0;
    int rc = row_ints(mask, "attention_mask", 2, &values, &n, err);
    if (!rc && n != e->n)
        rc = err_set(err, ERR_PARSE,
                     "%" PRId32 " numbers in attention_mask for %" PRId32 " input_ids", n,
                     e->n);
    while (!rc && used < n && values[used])
        used++;
    for (int32_t i = used; i < n && !rc; i++)
        if (values[i])
            rc = err_set(err, ERR_PARSE,
                         "attention_mask: 0 in front of a 1 is not supported (padding "
                         "must be behind the text)");
    if (!rc && !used)
        rc = err_set(err, ERR_PARSE, "attention_mask: no token is left");
    if (!rc)
        e->n = used;
    free(values);
    return rc;
}

int row_ids(struct reader *r, const json_t *row, struct example *e, struct err *err)
{
    const json_t *types = json_object_get(row, "token_type_ids");
    int32_t n = 0;
    int rc = row_ints(json_object_get(row, "input_ids"), "input_ids", r->spec->vocab_size,
                      &e->ids, &e->n, err);
    if (rc >= 0 && types && !json_is_null(types)) {
        rc = row_ints(types, "token_type_ids", 0, &e->type_ids, &n, err);
        if (rc >= 0 && n != e->n)
            rc = err_set(err, ERR_PARSE,
                         "%" PRId32 " token_type_ids for %" PRId32 " input_ids", n, e->n);
    }
    if (rc >= 0)
        rc = check_inputs(row, e->n, err);
    return rc >= 0 ? apply_mask(row, e, err) : rc;
}

int row_text(const json_t *row, const char *column, bool required, const json_t **out,
             struct err *err)
{
    *out = json_object_get(row, column);
    if (json_is_string(*out))
        return 0;
    if (*out && (required || !json_is_null(*out)))
        return err_set(err, ERR_PARSE, "'%s' must be text", column);
    return required ? missing(column, row, err) : 0;
}

static int32_t *copy_ints(const int32_t *src, size_t n)
{
    int32_t *p = xmalloc((n ? n : 1) * sizeof *p);
    if (n)
        memcpy(p, src, n * sizeof *p);
    return p;
}

static int read_text(struct reader *r, const json_t *row, struct example *e,
                     struct err *err)
{
    const struct data_spec *s = r->spec;
    const json_t *text, *pair;
    int rc = row_text(row, text_column(s), true, &text, err);
    if (rc >= 0)
        rc = row_text(row, pair_column(s), s->text_pair_column != NULL, &pair, err);
    if (rc < 0)
        return rc;
    if (!r->tokenizer && s->assume_length)
        return e->n = s->max_length, 0;
    if (!r->tokenizer)
        return err_set(err, ERR_PARSE,
                       "rows hold text, but the model has no tokenizer.json");
    struct encoding *enc = &r->encoding;
    rc = tokenizer_encode(r->tokenizer, json_string_value(text), json_string_length(text),
                          json_string_value(pair), json_string_length(pair),
                          s->max_length, true, enc, err);
    if (rc < 0)
        return rc;
    if (enc->n == 0)
        return err_set(err, ERR_PARSE, "'%s' gives no token at all", text_column(s));
    r->truncated += enc->cut > 0;
    e->cut = (int32_t)enc->cut;
    e->n = (int32_t)enc->n;
    e->ids = copy_ints(enc->ids, enc->n);
    for (size_t i = 0; i < enc->n; i++) {
        if (s->vocab_size > 0 && enc->ids[i] >= s->vocab_size)
            return err_set(
                err, ERR_PARSE,
                "token id %" PRId32
                " of the tokenizer is not below the model's vocab_size %" PRId32,
                enc->ids[i], s->vocab_size);
        if (enc->type_ids[i] && !e->type_ids)
            e->type_ids = copy_ints(enc->type_ids, enc->n);
    }
    return 0;
}

/* A cell as JSON; `what` it must be is NULL where others see to it. */
static int set_parsed(json_t *row, const char *column, size_t number, const char *what,
                      json_type type, struct err *err)
{
    const json_t *cell = json_object_get(row, column);
    if (!cell)
        return 0;
    json_t *v = json_parse_line(json_string_value(cell), json_string_length(cell), column,
                                number, NULL);
    if (v && (!what || json_typeof(v) == type))
        return json_object_set_new(row, column, v);
    json_decref(v);
    return err_set(err, ERR_PARSE, "column '%s' must hold %s, not '%.50s'", column,
                   what ? what : "a number, or a list such as [0.5, 1] or [\"a\", \"b\"]",
                   json_string_value(cell));
}

/* Line i as an object; the columns of a table that mean numbers hold them. */
static json_t *parse_row(const struct reader *r, size_t i, struct err *err)
{
    static const char *const lists[] = {
        "input_ids", "token_type_ids", "attention_mask", "position_ids",
        "labels",    "messages",       "conversations"};
    const struct line *l = &r->lines.at[i];
    const char *text = r->lines.text + l->begin, *label = reader_label(r->spec);
    if (!r->table.count)
        return json_parse_line(text, l->bytes, r->what, l->number, err);
    json_t *row = table_row(&r->table, text, l->bytes, err);
    int rc = row ? 0 : -ERR_PARSE;
    for (size_t k = 0; k < ARRAY_LEN(lists) && !rc; k++)
        rc = set_parsed(row, lists[k], l->number, "a list", JSON_ARRAY, err);
    if (!rc && (r->spec->labels != LABEL_class || reader_labels(r->spec)->list) &&
        !reader_labels(r->spec)->row)
        rc = set_parsed(row, label, l->number, NULL, JSON_NULL, err);
    else if (!rc && r->integer_labels)
        rc = set_parsed(row, label, l->number, "integers", JSON_INTEGER, err);
    if (!rc)
        return row;
    reader_at_line(r, i, err);
    json_decref(row);
    return NULL;
}

/* Parses line i into an object and finds its label. New reference in *row. */
int row_parse(const struct reader *r, size_t i, json_t **row, const json_t **label,
              struct err *err)
{
    *row = parse_row(r, i, err);
    if (!*row)
        return -ERR_PARSE;
    int rc = 0;
    *label = json_object_get(*row, reader_label(r->spec));
    if (!json_is_object(*row))
        rc = err_set(err, ERR_PARSE, "a JSON object expected");
    else if (!*label && !reader_labels(r->spec)->row)
        rc = missing(reader_label(r->spec), *row, err);
    return rc < 0 ? reader_at_line(r, i, err) : 0;
}

int row_read(struct reader *r, size_t i, struct example *e, struct err *err)
{
    json_t *row = NULL;
    const json_t *label;
    r->line = r->lines.at[i].number;
    int rc = row_parse(r, i, &row, &label, err);
    if (rc >= 0 && reader_labels(r->spec)->row) {
        rc = reader_labels(r->spec)->row(r, row, e, err);
        if (rc < 0)
            reader_at_line(r, i, err);
    } else if (rc >= 0) {
        rc = json_object_get(row, "input_ids") ? row_ids(r, row, e, err)
                                               : read_text(r, row, e, err);
        if (rc >= 0)
            rc = reader_labels(r->spec)->read(&r->labels, r->spec->labels, label, e, err);
        if (rc < 0)
            reader_at_line(r, i, err);
    }
    json_decref(row);
    return rc;
}

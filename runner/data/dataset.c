/* runner/data/dataset.c - JSON lines and tables into rows of token ids. */
#include "runner/data/dataset.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/str.h"
#include "runner/data/label_map.h"
#include "runner/data/table.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX ((size_t)16 << 20)
#define ROWS_MAX       50000000

/* Where the lines with content are. */
struct line {
    size_t begin, bytes, number; /* number counts from 1, empty lines included */
};
struct lines {
    const char *text;
    struct line *at;
    size_t count, cap;
};

/* What reading one file needs in every function. */
struct reader {
    const char *path;
    char *what; /* "data file 'x'" */
    const struct data_spec *spec;
    const struct tokenizer *tokenizer;
    struct lines lines;
    struct table table;  /* count 0: JSON lines */
    bool integer_labels; /* of a table */
    struct label_map labels;
    struct encoding encoding; /* reused from row to row */
    size_t truncated;
};

static const char *text_column(const struct data_spec *s)
{
    return s->text_column ? s->text_column : "text";
}

static const char *pair_column(const struct data_spec *s)
{
    return s->text_pair_column ? s->text_pair_column : "text_pair";
}

static const char *label_column(const struct data_spec *s)
{
    return s->label_column ? s->label_column : "label";
}

static const struct label_reader *reader_of(const struct data_spec *s)
{
    return s->reader ? s->reader : &sequence_labels;
}

static bool is_blank(const char *s, size_t n)
{
    while (n && (*s == ' ' || *s == '\t' || *s == '\r'))
        s++, n--;
    return n == 0;
}

static size_t line_breaks(const char *s, size_t n)
{
    size_t count = 0;
    for (const char *at = s; (at = memchr(at, '\n', n - (size_t)(at - s))); at++)
        count++;
    return count;
}

/* Of a table (delimiter not 0) the records, whose quoted fields may hold line ends. */
static int find_lines(struct lines *l, const char *path, const char *text, size_t size,
                      char delimiter, struct err *err)
{
    size_t begin = size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; /* UTF-8 mark */
    l->text = text;
    for (size_t number = 1; begin < size; number++) {
        const char *nl = memchr(text + begin, '\n', size - begin);
        size_t end = delimiter ? table_record_end(text, size, begin, delimiter)
                     : nl      ? (size_t)(nl - text)
                               : size;
        if (end - begin > LINE_BYTES_MAX)
            return err_set(err, ERR_PARSE,
                           "data file '%s': line %zu: longer than %zu MiB", path, number,
                           LINE_BYTES_MAX >> 20);
        const bool blank = delimiter ? end - begin <= (text[begin] == '\r')
                                     : is_blank(text + begin, end - begin);
        if (!blank) {
            if (l->count >= ROWS_MAX)
                return err_set(err, ERR_PARSE, "data file '%s': more than %d rows", path,
                               ROWS_MAX);
            l->at = xgrow(l->at, &l->cap, l->count + 1, sizeof *l->at);
            l->at[l->count++] = (struct line){begin, end - begin, number};
        }
        number += delimiter ? line_breaks(text + begin, end - begin) : 0;
        begin = end + 1;
    }
    return 0;
}

static int at_line(const struct reader *r, size_t i, struct err *err)
{
    return err_context(err, "%s: line %zu: ", r->what, r->lines.at[i].number);
}

/* ---- one row ----------------------------------------------------------------------- */

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

/* Array of integers in 0..limit-1 (limit 0: any that fits). */
static int read_ints(const json_t *array, const char *key, int64_t limit, int32_t **out,
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

static int read_ids(struct reader *r, const json_t *row, struct example *e,
                    struct err *err)
{
    const json_t *types = json_object_get(row, "token_type_ids");
    int32_t n = 0;
    int rc = read_ints(json_object_get(row, "input_ids"), "input_ids",
                       r->spec->vocab_size, &e->ids, &e->n, err);
    if (rc >= 0 && types && !json_is_null(types)) {
        rc = read_ints(types, "token_type_ids", 0, &e->type_ids, &n, err);
        if (rc >= 0 && n != e->n)
            rc = err_set(err, ERR_PARSE,
                         "%" PRId32 " token_type_ids for %" PRId32 " input_ids", n, e->n);
    }
    return rc;
}

static int get_text(const json_t *row, const char *column, bool required,
                    const json_t **out, struct err *err)
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
    int rc = get_text(row, text_column(s), true, &text, err);
    if (rc >= 0)
        rc = get_text(row, pair_column(s), s->text_pair_column != NULL, &pair, err);
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
    r->truncated += enc->truncated;
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
    static const char *const lists[] = {"input_ids", "token_type_ids"};
    const struct line *l = &r->lines.at[i];
    const char *text = r->lines.text + l->begin, *label = label_column(r->spec);
    if (!r->table.count)
        return json_parse_line(text, l->bytes, r->what, l->number, err);
    json_t *row = table_row(&r->table, text, l->bytes, err);
    int rc = row ? 0 : -ERR_PARSE;
    for (size_t k = 0; k < ARRAY_LEN(lists) && !rc; k++)
        rc = set_parsed(row, lists[k], l->number, "a list", JSON_ARRAY, err);
    if (!rc && (r->spec->labels != LABEL_class || reader_of(r->spec)->list))
        rc = set_parsed(row, label, l->number, NULL, JSON_NULL, err);
    else if (!rc && r->integer_labels)
        rc = set_parsed(row, label, l->number, "integers", JSON_INTEGER, err);
    if (!rc)
        return row;
    at_line(r, i, err);
    json_decref(row);
    return NULL;
}

/* Parses line i into an object and finds its label. New reference in *row. */
static int parse_line(const struct reader *r, size_t i, json_t **row,
                      const json_t **label, struct err *err)
{
    *row = parse_row(r, i, err);
    if (!*row)
        return -ERR_PARSE;
    int rc = 0;
    *label = json_object_get(*row, label_column(r->spec));
    if (!json_is_object(*row))
        rc = err_set(err, ERR_PARSE, "a JSON object expected");
    else if (!*label)
        rc = missing(label_column(r->spec), *row, err);
    return rc < 0 ? at_line(r, i, err) : 0;
}

static int read_row(struct reader *r, size_t i, struct example *e, struct err *err)
{
    json_t *row = NULL;
    const json_t *label;
    int rc = parse_line(r, i, &row, &label, err);
    if (rc >= 0) {
        rc = json_object_get(row, "input_ids") ? read_ids(r, row, e, err)
                                               : read_text(r, row, e, err);
        if (rc >= 0)
            rc = reader_of(r->spec)->read(&r->labels, r->spec->labels, label, e, err);
        if (rc < 0)
            at_line(r, i, err);
    }
    json_decref(row);
    return rc;
}

static bool is_integer_text(const json_t *v)
{
    const char *s = json_string_value(v);
    const size_t n = s ? strlen(s) : 0;
    return n && n < 10 && strspn(s, "0123456789") == n && (s[0] != '0' || n == 1);
}

/* What stands for a missing number in a column of integers; it is refused as none there. */
static bool is_hole(const json_t *v)
{
    static const char words[] = "|-1|nan|NaN|NAN|null|NULL|None|NA|N/A|n/a|<NA>|?|-";
    const char *s = json_string_value(v);
    return s && (is_blank(s, strlen(s)) || str_in_list(s, words, '|'));
}

/* The header; whether labels are class numbers: all of the training file look so, or the
 * training labels were. */
static int start_table(struct reader *r, char delimiter, const struct labels *labels,
                       struct err *err)
{
    struct lines *l = &r->lines;
    int rc =
        table_header(&r->table, delimiter, l->text + l->at[0].begin, l->at[0].bytes, err);
    if (rc)
        return at_line(r, 0, err);
    memmove(l->at, l->at + 1, --l->count * sizeof *l->at);
    bool all = true;
    for (size_t i = 0; i < l->count && !labels->count && all; i++) {
        json_t *row = table_row(&r->table, l->text + l->at[i].begin, l->at[i].bytes, err);
        if (!row)
            return at_line(r, i, err);
        const json_t *label = json_object_get(row, label_column(r->spec));
        all = is_integer_text(label) || is_hole(label);
        json_decref(row);
    }
    r->integer_labels = labels->count ? !labels->from_strings : all;
    return 0;
}

/* The whole training file teaches the classes, whatever rows are used. */
static int learn_labels(struct reader *r, struct err *err)
{
    for (size_t i = 0; i < r->lines.count; i++) {
        json_t *row = NULL;
        const json_t *label;
        int rc = parse_line(r, i, &row, &label, err);
        if (rc >= 0 &&
            (rc = reader_of(r->spec)->learn(&r->labels, r->spec->labels, label, err)) < 0)
            at_line(r, i, err);
        json_decref(row);
        if (rc < 0)
            return rc;
    }
    int rc = label_map_fix(&r->labels, r->spec->num_labels, r->path, err);
    if (rc >= 0 && !r->labels.labels->count)
        rc = err_set(err, ERR_PARSE, "data file '%s': no row has a label", r->path);
    return rc;
}

/* Leaves the lines of one side of the split. */
static int take_side(struct reader *r, struct err *err)
{
    const struct data_spec *s = r->spec;
    struct lines *l = &r->lines;
    const size_t n = l->count;
    if (n < 2)
        return err_set(err, ERR_PARSE, "data file '%s': one row cannot be split",
                       r->path);
    size_t held = (size_t)(s->held_out_share * (double)n + 0.5), kept = 0;
    held = held < 1 ? 1 : held >= n ? n - 1 : held;
    struct philox_key key = rng_key(s->split_seed, "held-out");
    uint32_t *order = xmalloc(n * sizeof *order);
    bool *out = xcalloc(n, sizeof *out);
    rng_permutation(&key, 0, n, order);
    for (size_t i = 0; i < held; i++)
        out[order[i]] = true;
    for (size_t i = 0; i < n; i++)
        if (out[i] == s->held_out)
            l->at[kept++] = l->at[i];
    l->count = kept;
    free(order);
    free(out);
    return 0;
}

static int read_rows(struct reader *r, struct dataset *d, struct err *err)
{
    if (r->spec->held_out_share > 0 && take_side(r, err) < 0)
        return -ERR_PARSE;
    size_t n = r->lines.count;
    uint32_t *order = NULL;
    if (r->spec->max_samples > 0) {
        struct philox_key key = rng_key(r->spec->seed, "subset");
        order = xmalloc(n * sizeof *order);
        rng_permutation(&key, 0, n, order);
        if ((uint64_t)r->spec->max_samples < n)
            n = (size_t)r->spec->max_samples;
    }
    d->rows = xcalloc(n, sizeof *d->rows);
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++) {
        struct example *e = &d->rows[d->count++];
        rc = read_row(r, order ? order[i] : i, e, err);
        d->total_tokens += (size_t)e->n;
        d->longest = e->n > d->longest ? e->n : d->longest;
    }
    free(order);
    return rc;
}

static int load(struct reader *r, struct labels *labels, struct dataset *d,
                struct err *err)
{
    const char delimiter = table_delimiter(r->path);
    int rc = delimiter && r->lines.count ? start_table(r, delimiter, labels, err) : 0;
    if (rc >= 0 && r->lines.count == 0)
        rc = err_set(err, ERR_PARSE, "data file '%s': no rows", r->path);
    if (rc < 0)
        return rc;
    label_map_init(&r->labels, labels);
    rc = labels->count ? 0 : learn_labels(r, err);
    if (rc >= 0)
        rc = read_rows(r, d, err);
    label_map_release(&r->labels);
    encoding_release(&r->encoding);
    return rc;
}

int dataset_parse(const char *text, size_t size, const char *name,
                  const struct data_spec *spec, const struct tokenizer *t,
                  struct labels *labels, struct dataset **out, size_t *truncated,
                  struct err *err)
{
    struct reader r = {.path = name, .spec = spec, .tokenizer = t};
    r.what = xasprintf("data file '%s'", name);
    struct dataset *d = xcalloc(1, sizeof *d);
    d->path = xstrdup(name);
    sha256_hex(text, size, d->sha256);
    bool learned = labels->count == 0;
    *out = NULL;
    const char *wide = str_wide_encoding(text, size);
    int rc = !wide ? 0
                   : err_set(err, ERR_PARSE,
                             "data file '%s' is %s text; save it as UTF-8", name, wide);
    if (rc >= 0)
        rc = find_lines(&r.lines, name, text, size, table_delimiter(name), err);
    if (rc >= 0)
        rc = load(&r, labels, d, err);
    table_release(&r.table);
    free(r.lines.at);
    free(r.what);
    if (rc < 0) {
        if (learned)
            labels_release(labels);
        dataset_free(d);
        return rc;
    }
    if (truncated)
        *truncated = r.truncated;
    *out = d;
    return 0;
}

int dataset_load(const char *path, const struct data_spec *spec,
                 const struct tokenizer *t, struct labels *labels, struct dataset **out,
                 size_t *truncated, struct err *err)
{
    struct fs_map map;
    *out = NULL;
    if (!fs_exists(path))
        return err_set(err, ERR_NOINPUT, "data file '%s': not there", path);
    int rc = fs_map(path, &map, err);
    if (rc < 0)
        return rc;
    rc = dataset_parse((const char *)map.data, map.size, path, spec, t, labels, out,
                       truncated, err);
    fs_unmap(&map);
    return rc;
}

void dataset_free(struct dataset *d)
{
    if (!d)
        return;
    for (size_t i = 0; d->rows && i < d->count; i++) {
        free(d->rows[i].ids);
        free(d->rows[i].type_ids);
        free(d->rows[i].targets);
        free(d->rows[i].token_labels);
    }
    free(d->rows);
    free(d->path);
    free(d);
}

void dataset_order(const struct dataset *d, bool shuffle, uint64_t seed, uint64_t epoch,
                   uint32_t *order)
{
    if (shuffle) {
        struct philox_key key = rng_key(seed, "shuffle");
        rng_permutation(&key, epoch, d->count, order);
        return;
    }
    for (size_t i = 0; i < d->count; i++)
        order[i] = (uint32_t)i;
}

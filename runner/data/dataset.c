/* runner/data/dataset.c - a file of rows: which of them are read, and the classes that they
 * teach. */
#include "runner/data/dataset.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/str.h"
#include "runner/data/bins.h"
#include "runner/data/row.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    return s && (lines_is_blank(s, strlen(s)) || str_in_list(s, words, '|'));
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
        return reader_at_line(r, 0, err);
    memmove(l->at, l->at + 1, --l->count * sizeof *l->at);
    bool all = true;
    const bool learns = !labels->count && !reader_labels(r->spec)->row;
    for (size_t i = 0; i < l->count && learns && all; i++) {
        json_t *row = table_row(&r->table, l->text + l->at[i].begin, l->at[i].bytes, err);
        if (!row)
            return reader_at_line(r, i, err);
        const json_t *label = json_object_get(row, reader_label(r->spec));
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
        int rc = row_parse(r, i, &row, &label, err);
        if (rc >= 0 && (rc = reader_labels(r->spec)->learn(&r->labels, r->spec->labels,
                                                           label, err)) < 0)
            reader_at_line(r, i, err);
        json_decref(row);
        if (rc < 0)
            return rc;
    }
    int rc = label_map_fix(&r->labels, r->spec, r->path, err);
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

static void example_release(struct example *e)
{
    free(e->ids);
    free(e->type_ids);
    free(e->targets);
    free(e->token_labels);
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
        e->row = order ? order[i] : (uint32_t)i;
        e->line = (uint32_t)r->lines.at[e->row].number;
        rc = row_read(r, e->row, e, err);
        r->left_out += rc == 1; /* nothing to learn from */
        e->dropped = rc == 1;
        if (rc == 1 && !r->spec->keep_dropped) {
            example_release(e);
            *e = (struct example){0};
            d->count--;
            continue;
        }
        d->total_tokens += e->dropped ? 0 : (size_t)e->n;
        d->longest = e->n > d->longest ? e->n : d->longest;
    }
    free(order);
    d->truncated = r->truncated;
    d->dropped = r->left_out;
    if (rc >= 0 && !d->count)
        rc = err_set(err, ERR_PARSE, "data file '%s': no row has a labelled token",
                     r->path);
    return rc < 0 ? rc : 0;
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
    rc = labels->count || reader_labels(r->spec)->row ? 0 : learn_labels(r, err);
    if (rc >= 0)
        rc = read_rows(r, d, err);
    if (reader_labels(r->spec)->finish)
        reader_labels(r->spec)->finish(r, d);
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
        rc = lines_find(&r.lines, name, text, size, table_delimiter(name), err);
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

void dataset_pack(const struct dataset *d, int32_t capacity, struct bins *out)
{
    int32_t *lengths = xcalloc(d->count + 1, sizeof *lengths);
    for (size_t i = 0; i < d->count; i++)
        lengths[i] = d->rows[i].dropped ? 0 : d->rows[i].n;
    bins_pack(out, lengths, d->count, capacity);
    free(lengths);
}

void dataset_note(struct dataset *d, const char *fmt, ...)
{
    va_list ap;
    char text[512];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!d->notes)
        d->notes = json_array();
    json_array_append_new(d->notes, json_string(text));
}

void dataset_free(struct dataset *d)
{
    if (!d)
        return;
    for (size_t i = 0; d->rows && i < d->count; i++)
        example_release(&d->rows[i]);
    free(d->rows);
    json_decref(d->notes);
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

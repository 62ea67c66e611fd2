/* runner/data/look/look_file.c - reads a file whose columns nobody has described, and
 * counts what is in them. */
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/data/lines.h"
#include "runner/data/look/look.h"
#include "runner/data/table.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- a row --- */

/* What a cell of a table looks like; a text where it looks like nothing else. */
static json_t *typed(const json_t *cell)
{
    const char *s = json_string_value(cell);
    const size_t n = json_string_length(cell);
    if (!n || !strchr("[-0123456789", s[0]) || strlen(s) != n)
        return json_incref((json_t *)cell);
    json_t *v = json_parse(s, n, "cell", NULL);
    if (json_is_number(v) || json_is_array(v))
        return v;
    json_decref(v);
    return json_incref((json_t *)cell);
}

static json_t *typed_row(json_t *row)
{
    const char *name;
    json_t *cell, *out = json_object();
    json_object_foreach(row, name, cell)
    {
        json_object_set_new(out, name, typed(cell));
    }
    json_decref(row);
    return out;
}

/* Takes over what the lines hold; the table's header is the first of them. */
static int read_rows(struct look_file *f, const struct lines *l, struct table *t,
                     struct err *err)
{
    char *what = xasprintf("data file '%s'", f->path);
    int rc = 0;
    f->rows = xcalloc(l->count + 1, sizeof *f->rows);
    for (size_t i = f->table; i < l->count && !rc; i++) {
        const struct line *at = &l->at[i];
        const char *text = l->text + at->begin;
        json_t *row = f->table ? table_row(t, text, at->bytes, err)
                               : json_parse_line(text, at->bytes, what, at->number, err);
        if (!row)
            rc = f->table ? err_context(err, "%s: line %zu: ", what, at->number)
                          : err_code(err);
        else if (!json_is_object(row))
            rc = err_set(err, ERR_PARSE, "%s: line %zu: a JSON object expected", what,
                         at->number);
        if (rc)
            json_decref(row);
        else
            f->rows[f->count++] = f->table ? typed_row(row) : row;
    }
    free(what);
    return rc;
}

/* --- columns --- */

struct counting {
    struct look_file *file;
    struct strmap *columns;
    struct strmap **values; /* per column: value -> index */
};

static bool is_filled(const json_t *v)
{
    const char *s = json_string_value(v);
    return v && !json_is_null(v) && !(s && lines_is_blank(s, json_string_length(v)));
}

static enum look_type type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_STRING:
        return LOOK_text;
    case JSON_INTEGER:
        return LOOK_whole;
    case JSON_REAL:
        return LOOK_fraction;
    case JSON_ARRAY:
        return LOOK_list;
    default:
        return LOOK_other;
    }
}

/* Columns beyond TABLE_COLUMNS_MAX are not looked at. */
static size_t column_index(struct counting *c, const char *name)
{
    struct look_file *f = c->file;
    int64_t at;
    if (strmap_get(c->columns, name, strlen(name), &at))
        return (size_t)at;
    if (f->column_count == TABLE_COLUMNS_MAX)
        return TABLE_COLUMNS_MAX;
    f->columns = xrealloc(f->columns, (f->column_count + 1) * sizeof *f->columns);
    c->values = xrealloc(c->values, (f->column_count + 1) * sizeof(struct strmap *));
    c->values[f->column_count] = strmap_new();
    f->columns[f->column_count] =
        (struct look_column){.name = xstrdup(name), .least = NAN, .most = NAN};
    strmap_put(c->columns, name, strlen(name), (int64_t)f->column_count);
    return f->column_count++;
}

static void count_value(struct look_column *c, struct strmap *seen, const json_t *v)
{
    struct buf text = BUF_INIT;
    int64_t at;
    json_canonical(&text, v);
    if (strmap_get(seen, buf_str(&text), text.len, &at)) {
        c->values[at].rows++;
    } else if (c->value_count < LOOK_VALUES_MAX) {
        if (!c->values)
            c->values = xcalloc(LOOK_VALUES_MAX, sizeof *c->values);
        strmap_put(seen, buf_str(&text), text.len, (int64_t)c->value_count);
        c->values[c->value_count++] = (struct look_value){xstrdup(buf_str(&text)), 1};
    } else {
        c->many = true;
    }
    buf_release(&text);
}

static void count_cell(struct counting *all, const char *name, const json_t *v)
{
    if (!is_filled(v))
        return;
    const size_t at = column_index(all, name);
    if (at == TABLE_COLUMNS_MAX)
        return;
    struct look_column *c = &all->file->columns[at];
    c->filled++;
    c->types[type_of(v)]++;
    c->chars += (double)json_string_length(v);
    if (json_is_number(v)) {
        c->least = fmin(c->least, json_number_value(v));
        c->most = fmax(c->most, json_number_value(v));
    }
    if (!c->many)
        count_value(c, all->values[at], v);
}

static int by_rows(const void *a, const void *b)
{
    const struct look_value *x = a, *y = b;
    return x->rows != y->rows ? (x->rows < y->rows) - (x->rows > y->rows)
                              : strcmp(x->text, y->text);
}

static void count_columns(struct look_file *f)
{
    struct counting c = {.file = f, .columns = strmap_new()};
    for (size_t i = 0; i < f->count; i++) {
        const char *name;
        json_t *v;
        json_object_foreach(f->rows[i], name, v)
        {
            count_cell(&c, name, v);
        }
    }
    for (size_t i = 0; i < f->column_count; i++) {
        struct look_column *column = &f->columns[i];
        if (column->value_count)
            qsort(column->values, column->value_count, sizeof *column->values, by_rows);
        strmap_free(c.values[i]);
    }
    free(c.values);
    strmap_free(c.columns);
}

/* --- a file --- */

static int read_text(struct look_file *f, const char *text, size_t size, struct err *err)
{
    const char delimiter = table_delimiter(f->path),
               *wide = str_wide_encoding(text, size);
    struct lines l = {0};
    struct table t = {0};
    if (wide)
        return err_set(err, ERR_PARSE, "data file '%s' is %s text; save it as UTF-8",
                       f->path, wide);
    int rc = lines_find(&l, f->path, text, size, delimiter, err);
    f->table = delimiter != 0;
    if (!rc && f->table && l.count)
        rc = table_header(&t, delimiter, text + l.at[0].begin, l.at[0].bytes, err);
    if (!rc)
        rc = read_rows(f, &l, &t, err);
    if (!rc && !f->count)
        rc = err_set(err, ERR_PARSE, "data file '%s': no rows", f->path);
    table_release(&t);
    free(l.at);
    return rc;
}

int look_parse(const char *text, size_t size, const char *name, struct look_file *out,
               struct err *err)
{
    *out = (struct look_file){.path = xstrdup(name)};
    int rc = read_text(out, text, size, err);
    if (!rc)
        count_columns(out);
    return rc;
}

int look_read(const char *path, struct look_file *out, struct err *err)
{
    struct fs_map map;
    *out = (struct look_file){0};
    int rc = fs_exists(path)
                 ? fs_map(path, &map, err)
                 : err_set(err, ERR_NOINPUT, "data file '%s': not there", path);
    if (rc)
        return rc;
    rc = look_parse((const char *)map.data, map.size, path, out, err);
    fs_unmap(&map);
    return rc;
}

void look_release(struct look_file *f)
{
    for (size_t i = 0; i < f->count; i++)
        json_decref(f->rows[i]);
    for (size_t i = 0; i < f->column_count; i++) {
        for (size_t k = 0; k < f->columns[i].value_count; k++)
            free(f->columns[i].values[k].text);
        free(f->columns[i].values);
        free(f->columns[i].name);
    }
    free(f->columns);
    free(f->rows);
    free(f->path);
    *f = (struct look_file){0};
}

const struct look_column *look_column(const struct look_file *f, const char *name)
{
    for (size_t i = 0; name && i < f->column_count; i++)
        if (str_eq(f->columns[i].name, name))
            return &f->columns[i];
    return NULL;
}

/* runner/data/table.c - see table.h. */
#include "runner/data/table.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char table_delimiter(const char *path)
{
    const char *dot = strrchr(path, '.');
    return !dot                       ? 0
           : !strcasecmp(dot, ".csv") ? ','
           : !strcasecmp(dot, ".tsv") ? '\t'
                                      : 0;
}

size_t table_record_end(const char *text, size_t size, size_t begin, char delimiter)
{
    enum { START, PLAIN, QUOTED, CLOSED } field = START; /* CLOSED: a quote just did */
    for (size_t i = begin; i < size; i++) {
        const char c = text[i];
        if (field == QUOTED)
            field = c == '"' ? CLOSED : QUOTED;
        else if (c == '\n')
            return i;
        else if (c == delimiter)
            field = START;
        else if (c == '"' && field != PLAIN)
            field = QUOTED;
        else
            field = PLAIN;
    }
    return size;
}

/* The next field, from *at on; *at gets the place behind its delimiter, or n + 1 behind
 * the last field. */
static int next_field(const char *record, size_t n, char delimiter, size_t *at,
                      struct buf *out, struct err *err)
{
    size_t i = *at;
    buf_clear(out);
    if (i < n && record[i] == '"') {
        const size_t open = i++;
        for (;; i++) {
            if (i >= n)
                return err_set(err, ERR_PARSE,
                               "the quote at character %zu is not closed (a quote at the "
                               "start of a field must be, or be doubled inside quotes)",
                               open + 1);
            if (record[i] == '"' && (i + 1 >= n || record[i + 1] != '"'))
                break;
            i += record[i] == '"';
            buf_char(out, record[i]);
        }
        if (++i < n && record[i] != delimiter)
            return err_set(err, ERR_PARSE,
                           "text behind the closing quote at character %zu", i);
    } else {
        while (i < n && record[i] != delimiter)
            i++;
        buf_add(out, record + *at, i - *at);
    }
    *at = i + 1;
    return 0;
}

static size_t without_cr(const char *record, size_t n)
{
    return n && record[n - 1] == '\r' ? n - 1 : n;
}

static bool is_name_taken(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (str_eq(t->columns[i], name))
            return true;
    return false;
}

int table_header(struct table *t, char delimiter, const char *record, size_t n,
                 struct err *err)
{
    struct buf field = BUF_INIT;
    size_t at = 0, named = 0;
    int rc = 0;
    *t = (struct table){.delimiter = delimiter};
    n = without_cr(record, n);
    while (at <= n && !rc) {
        rc = next_field(record, n, delimiter, &at, &field, err);
        const char *name = buf_str(&field);
        if (rc)
            break;
        if (strlen(name) != field.len)
            rc =
                err_set(err, ERR_PARSE, "column %zu has a NUL in its name", t->count + 1);
        else if (*name && is_name_taken(t, name))
            rc = err_set(err, ERR_PARSE, "column '%.100s' is there twice", name);
        else if (t->count >= TABLE_COLUMNS_MAX)
            rc = err_set(err, ERR_PARSE, "more than %d columns", TABLE_COLUMNS_MAX);
        if (rc)
            break;
        t->columns = xrealloc(t->columns, (t->count + 1) * sizeof *t->columns);
        t->columns[t->count++] = xstrdup(name);
        named += *name != '\0';
    }
    buf_release(&field);
    return rc || named ? rc : err_set(err, ERR_PARSE, "no column has a name");
}

json_t *table_row(const struct table *t, const char *record, size_t n, struct err *err)
{
    struct buf field = BUF_INIT;
    json_t *row = json_object();
    size_t at = 0, fields = 0;
    int rc = 0;
    n = without_cr(record, n);
    for (; at <= n && !rc; fields++) {
        rc = next_field(record, n, t->delimiter, &at, &field, err);
        if (rc || fields >= t->count || !*t->columns[fields])
            continue;
        json_t *text = json_stringn(buf_str(&field), field.len);
        if (!text || json_object_set_new(row, t->columns[fields], text) < 0)
            rc = err_set(err, ERR_PARSE, "column '%.100s' is not UTF-8",
                         t->columns[fields]);
    }
    if (!rc && fields != t->count)
        rc = err_set(err, ERR_PARSE, "%zu fields, but the header has %zu", fields,
                     t->count);
    buf_release(&field);
    if (!rc)
        return row;
    json_decref(row);
    return NULL;
}

bool table_is_formula(const char *text, size_t n)
{
    static const char *const starts[] = {"=",  "+",      "-",      "@",      "\t",
                                         "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"};
    size_t quotes = 0;
    while (quotes < n && text[quotes] == '\'')
        quotes++;
    char *rest = xstrndup(text + quotes, n - quotes), *end;
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(starts) && !found; i++)
        found = str_has_prefix(rest, starts[i]);
    (void)strtod(rest, &end);
    found = found && (quotes || end == rest || *end);
    free(rest);
    return found;
}

void table_undefuse(char *text)
{
    const size_t n = strlen(text);
    if (*text == '\'' && table_is_formula(text + 1, n - 1))
        memmove(text, text + 1, n);
}

void table_release(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->columns[i]);
    free(t->columns);
    *t = (struct table){0};
}

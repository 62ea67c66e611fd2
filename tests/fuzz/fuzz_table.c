/* Fuzzes CSV and TSV (the first byte chooses): records cover the text, rows have the
 * header's named columns, and a row that is written again with every field quoted reads back as
 * the same. As a data file it gives the same twice. */
#include "lib/buf.h"
#include "runner/data/dataset.h"
#include "runner/data/table.h"
#include <stdlib.h>
#include <string.h>

static void quote(struct buf *out, const char *s, size_t n)
{
    buf_char(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"')
            buf_char(out, '"');
        buf_char(out, s[i]);
    }
    buf_char(out, '"');
}

static void check_row(const struct table *t, const json_t *row)
{
    struct buf b = BUF_INIT;
    size_t named = 0;
    for (size_t c = 0; c < t->count; c++)
        named += *t->columns[c] != '\0';
    if (json_object_size(row) != named)
        abort();
    for (size_t c = 0; c < t->count; c++) {
        const json_t *v = json_object_get(row, t->columns[c]);
        if (c)
            buf_char(&b, t->delimiter);
        quote(&b, v ? json_string_value(v) : "", json_string_length(v));
    }
    if (table_record_end(buf_str(&b), b.len, 0, t->delimiter) != b.len)
        abort();
    json_t *again = table_row(t, buf_str(&b), b.len, NULL);
    if (!again || !json_equal(row, again))
        abort();
    json_decref(again);
    buf_release(&b);
}

static void check_table(const char *text, size_t size, char delimiter)
{
    struct table t = {0};
    struct err err = ERR_INIT;
    for (size_t begin = 0, end; begin < size; begin = end + 1) {
        end = table_record_end(text, size, begin, delimiter);
        if (end < begin || end > size || (end < size && text[end] != '\n'))
            abort();
        if (!t.count) {
            if (table_header(&t, delimiter, text + begin, end - begin, &err) < 0)
                break;
            continue;
        }
        json_t *row = table_row(&t, text + begin, end - begin, NULL);
        if (row)
            check_row(&t, row);
        json_decref(row);
    }
    table_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const char *text = (const char *)data + 1;
    const char *name = data[0] & 1 ? "fuzz.tsv" : "fuzz.csv";
    const struct data_spec spec = {.max_length = 8, .vocab_size = 100};
    struct labels labels = {0};
    struct dataset *d, *again;
    struct err err = ERR_INIT;
    check_table(text, size - 1, table_delimiter(name));
    int rc = dataset_parse(text, size - 1, name, &spec, NULL, &labels, &d, NULL, &err);
    if (rc < 0) {
        if (d || labels.count || rc != -(int)err.code || !err.msg[0])
            abort();
        return 0;
    }
    if (dataset_parse(text, size - 1, name, &spec, NULL, &labels, &again, NULL, NULL) <
            0 ||
        d->count != again->count || d->total_tokens != again->total_tokens)
        abort();
    dataset_free(d);
    dataset_free(again);
    labels_release(&labels);
    return 0;
}

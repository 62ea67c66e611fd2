/* runner/data/table.h - CSV and TSV files as rows of JSON (inside runner/data).
 *
 * RFC 4180: a header row, fields between commas (or tabs), a field in double quotes may
 * hold delimiters, line ends and, doubled, quotes; a quote inside a field that does not
 * begin with one is a character. Line ends are LF or CRLF. A row becomes an object of
 * texts by column name; what a column means (numbers, lists) is the reader's. Names are
 * unique. A column without a name, as DataFrame.to_csv() writes its index, is passed over.
 * Errors say where in the row; callers put file and line in front.
 */
#ifndef RUNNER_DATA_TABLE_H
#define RUNNER_DATA_TABLE_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS_MAX 1024

struct table {
    char delimiter;
    char **columns;
    size_t count;
};

/* The delimiter by the file's ending (.csv, .tsv, whatever the case); 0: no table. */
char table_delimiter(const char *path);
/* Where the record that begins at `begin` ends: its line end, or `size`. */
size_t table_record_end(const char *text, size_t size, size_t begin, char delimiter);
/* Takes the header record. */
int table_header(struct table *t, char delimiter, const char *record, size_t n,
                 struct err *err);
/* One record as an object; NULL with a message. */
json_t *table_row(const struct table *t, const char *record, size_t n, struct err *err);
void table_release(struct table *t);
/* Whether a spreadsheet would run the text as a formula: it begins with = + - @ (their
 * full-width forms too), a tab or a line end, and is no number. A text that begins with
 * apostrophes and then so counts too, so that taking one off is the way back. */
bool table_is_formula(const char *text, size_t n);
/* Takes off the apostrophe that `export --format csv` puts before such a text. */
void table_undefuse(char *text);

#endif

/* runner/data/lines.c - see lines.h. */
#include "runner/data/lines.h"
#include "lib/mem.h"
#include "runner/data/table.h"
#include <string.h>

#define LINE_BYTES_MAX ((size_t)16 << 20)
#define ROWS_MAX       50000000

bool lines_is_blank(const char *s, size_t n)
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
int lines_find(struct lines *l, const char *path, const char *text, size_t size,
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
                                     : lines_is_blank(text + begin, end - begin);
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

/* cli/trial/row_lines.c - see row_lines.h. */
#include "cli/trial/row_lines.h"
#include <string.h>

bool row_line(FILE *f, struct buf *line)
{
    int c;
    buf_clear(line);
    while ((c = getc(f)) != EOF && c != '\n')
        buf_char(line, (char)c);
    return line->overflow || line->len > 0 || c == '\n';
}

bool row_line_blank(const struct buf *line)
{
    return strspn(buf_str(line), " \t\r") == line->len;
}

int row_lines_each(row_line_fn *see, void *ctx, struct err *err)
{
    struct buf line;
    buf_init(&line, ROW_BYTES_MAX);
    int rc = 0;
    for (size_t number = 1; rc >= 0 && row_line(stdin, &line); number++)
        rc = see(ctx, &line, number, err);
    if (rc >= 0 && ferror(stdin))
        rc = err_set(err, ERR_IO, "cannot read the input");
    buf_release(&line);
    return rc;
}

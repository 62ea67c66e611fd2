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

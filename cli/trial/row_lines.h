/* cli/trial/row_lines.h - rows of JSON from a stream, a line each. */
#ifndef CLI_TRIAL_ROW_LINES_H
#define CLI_TRIAL_ROW_LINES_H

#include "lib/buf.h"
#include <stdio.h>

#define ROW_BYTES_MAX ((size_t)16 << 20)

/* The next line without its end into `line` (cleared first, of at most ROW_BYTES_MAX); of
 * a longer one the rest is skipped and buf_overflowed says so. False at the end. */
bool row_line(FILE *f, struct buf *line);
bool row_line_blank(const struct buf *line);

#endif

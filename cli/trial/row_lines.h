/* cli/trial/row_lines.h - rows of JSON from a stream, a line each. */
#ifndef CLI_TRIAL_ROW_LINES_H
#define CLI_TRIAL_ROW_LINES_H

#include "lib/buf.h"
#include "lib/err.h"
#include <stdio.h>

#define ROW_BYTES_MAX ((size_t)16 << 20)

/* The next line without its end into `line` (cleared first, of at most ROW_BYTES_MAX); of
 * a longer one the rest is skipped and buf_overflowed says so. False at the end. */
bool row_line(FILE *f, struct buf *line);
/* Every line of standard input, from number 1 on, until one fails; a line that is too long
 * has overflowed. */
typedef int row_line_fn(void *ctx, const struct buf *line, size_t number,
                        struct err *err);
int row_lines_each(row_line_fn *see, void *ctx, struct err *err);
bool row_line_blank(const struct buf *line);

#endif

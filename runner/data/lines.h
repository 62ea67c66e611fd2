/* runner/data/lines.h - where the rows of a data file are: its lines with content, or the
 * records of a table, whose quoted fields may hold line ends.
 *
 * A UTF-8 mark at the start is passed over. A line is at most 16 MiB, a file has at most
 * 50 million rows; more is ERR_PARSE with file and line. */
#ifndef RUNNER_DATA_LINES_H
#define RUNNER_DATA_LINES_H

#include "lib/err.h"
#include <stdbool.h>
#include <stddef.h>

struct line {
    size_t begin, bytes, number; /* number counts from 1, empty lines included */
};
struct lines {
    const char *text; /* borrowed */
    struct line *at;  /* free() */
    size_t count, cap;
};

/* `path` is for messages; delimiter 0: no table. */
int lines_find(struct lines *l, const char *path, const char *text, size_t size,
               char delimiter, struct err *err);
/* Nothing but blanks, tabs and carriage returns? */
bool lines_is_blank(const char *s, size_t n);

#endif

/* lib/text_table.h - tables, on a terminal or as TSV, and a progress line.
 *
 * Cells are UTF-8; width is counted in columns. On a terminal the table is cut to its
 * width. Colour only when the stream is a terminal and NO_COLOR is unset. */
#ifndef LIB_TEXT_TABLE_H
#define LIB_TEXT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct text_table;
struct text_table *text_table_new(const char *const *headings, const char *align,
                                  size_t columns); /* align: "lrr" */
void text_table_row(struct text_table *t,
                    const char *const *cells); /* copied; NULL is an empty cell */
void text_table_print(struct text_table *t, FILE *f);
void text_table_print_tsv(struct text_table *t, FILE *f);
void text_table_free(struct text_table *t);

/* Progress: on a terminal one line redrawn in place with bar and time left; elsewhere
 * nothing (callers print a line per finished item themselves with progress_note, which
 * clears and redraws the bar on a terminal). */
struct progress;
struct progress *progress_new(FILE *f, const char *label);
void progress_set(struct progress *p, double done, double total, double seconds_left,
                  const char *extra);
void progress_note(struct progress *p, const char *line);
void progress_end(struct progress *p); /* frees */

#endif

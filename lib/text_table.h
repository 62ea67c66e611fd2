/* lib/text_table.h - text for people: clean lines, tables (on a terminal or as TSV), and a
 * progress line.
 *
 * Cells are UTF-8; width is counted in columns. On a terminal the table is cut to its
 * width, or fitted into it, elsewhere it is whole. Colour only when the stream is a
 * terminal that is not dumb, and NO_COLOR is unset. */
#ifndef LIB_TEXT_TABLE_H
#define LIB_TEXT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

/* fprintf for people: what a text from elsewhere brings along of control characters (in
 * names, labels, reasons) is replaced as str_clean does; line ends of `fmt` and of the
 * texts stay. Whoever prints a %s that may come from a file, a store or a server prints
 * it by this, by a table or by a progress line. */
void text_print(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text, cleaned, in green where the stream shows colours, else between two marks. */
void text_highlight(FILE *f, const char *text, const char *begin, const char *end);

/* Columns of the terminal; 0 where the stream is none. */
size_t text_columns(FILE *f);
/* Whether lines can be drawn again in place: a terminal, and none that calls itself dumb. */
bool text_redraws(FILE *f);
/* Whether the locale has more than ASCII; bars, curves and marks are plain where not. */
bool text_has_unicode(void);

struct text_table;
struct text_table *text_table_new(const char *const *headings, const char *align,
                                  size_t columns); /* align: "lrr" */
/* Copied; NULL is an empty cell */
void text_table_row(struct text_table *t, const char *const *cells);
void text_table_print(struct text_table *t, FILE *f);
/* On a terminal only columns that are whole in it, the first ones before the later; a long
 * cell is cut to a third of the width where that helps (a path at its head). What is left out
 * is named below. */
void text_table_print_fitting(struct text_table *t, FILE *f);
/* The same for what goes to a terminal by another way; 0: whole. */
void text_table_print_within(struct text_table *t, size_t columns, FILE *f);
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

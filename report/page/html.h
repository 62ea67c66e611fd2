/* report/page/html.h - building the page: everything that comes from outside is escaped
 * here.
 *
 * Text goes through html_text (control characters and bad UTF-8 are replaced, & < > " '
 * escaped); html_raw is for markup written in the source. A NULL or empty class is left
 * out. Every formatted function formats first and escapes the whole. */
#ifndef REPORT_PAGE_HTML_H
#define REPORT_PAGE_HTML_H

#include "lib/buf.h"
#include <stdbool.h>

struct html {
    struct buf out;
    bool unstyled; /* no style attributes, where a page's policy lets none be: tables
                      stay tables on narrow screens */
};

#define HTML_MAX ((size_t)8 << 20)

void html_init(struct html *h);
void html_release(struct html *h);
void html_raw(struct html *h, const char *markup);
void html_text(struct html *h, const char *text);
void html_textf(struct html *h, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* <tag class="..">text</tag> */
void html_el(struct html *h, const char *tag, const char *class_name, const char *fmt,
             ...) __attribute__((format(printf, 4, 5)));
void html_open(struct html *h, const char *tag, const char *class_name);
void html_close(struct html *h, const char *tag);

/* A table; headings are separated by '|', '>' in front makes a column of numbers. From
 * HTML_STACKED_COLUMNS columns on it becomes a list on a narrow screen. */
enum { HTML_STACKED_COLUMNS = 3 };
void html_table_open(struct html *h, const char *class_name, const char *caption,
                     const char *headings);
void html_row(struct html *h); /* begins a row; ends the one before */
void html_cell(struct html *h, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void html_number(struct html *h, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void html_head_cell(struct html *h, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* th scope=row */
void html_table_close(struct html *h);

/* What agrees and what is for checking: folded until its reader opens it. Paper shows the
 * summary, and what was open when it was printed. */
void html_fold_open(struct html *h, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void html_fold_close(struct html *h);

/* A table that its reader can sort without a script: radio buttons in front of it choose
 * one of several orders, which CSS applies by `order` (report.css; browsers that cannot
 * show the rows as they come, as paper does). `names`: "trial|score"; order 0 is that of
 * the rows. Begin each row with html_row_ranked: its place in every order. Numbers of
 * tables and their columns are bounded by HTML_MAX_ORDERS and HTML_MAX_COLUMNS. */
enum { HTML_MAX_ORDERS = 4, HTML_MAX_COLUMNS = 16 };
void html_sorted_open(struct html *h, const char *id, const char *class_name,
                      const char *caption, const char *names, const char *headings);
void html_row_ranked(struct html *h, const size_t *places, size_t orders);
void html_sorted_close(struct html *h);

#endif

/* report/page/html.c - see html.h. */
#include "report/page/html.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void html_init(struct html *h)
{
    *h = (struct html){0};
    buf_init(&h->out, HTML_MAX);
}

void html_release(struct html *h)
{
    buf_release(&h->out);
}

void html_raw(struct html *h, const char *markup)
{
    buf_str_add(&h->out, markup);
}

void html_text(struct html *h, const char *text)
{
    char *clean = str_clean(text, strlen(text));
    for (const char *c = clean; *c; c++)
        switch (*c) {
        case '&':
            html_raw(h, "&amp;");
            break;
        case '<':
            html_raw(h, "&lt;");
            break;
        case '>':
            html_raw(h, "&gt;");
            break;
        case '"':
            html_raw(h, "&quot;");
            break;
        case '\'':
            html_raw(h, "&#39;");
            break;
        default:
            buf_char(&h->out, *c);
        }
    free(clean);
}

static void text_v(struct html *h, const char *fmt, va_list ap)
{
    struct buf text = BUF_INIT;
    buf_vprintf(&text, fmt, ap);
    html_text(h, buf_str(&text));
    buf_release(&text);
}

void html_textf(struct html *h, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_v(h, fmt, ap);
    va_end(ap);
}

void html_open(struct html *h, const char *tag, const char *class_name)
{
    buf_printf(&h->out, "<%s", tag);
    if (class_name && *class_name)
        buf_printf(&h->out, " class=\"%s\"", class_name);
    buf_char(&h->out, '>');
}

void html_close(struct html *h, const char *tag)
{
    buf_printf(&h->out, "</%s>\n", tag);
}

void html_el(struct html *h, const char *tag, const char *class_name, const char *fmt,
             ...)
{
    va_list ap;
    html_open(h, tag, class_name);
    va_start(ap, fmt);
    text_v(h, fmt, ap);
    va_end(ap);
    html_close(h, tag);
}

void html_fold_open(struct html *h, const char *fmt, ...)
{
    va_list ap;
    html_raw(h, "<details><summary>");
    va_start(ap, fmt);
    text_v(h, fmt, ap);
    va_end(ap);
    html_raw(h, "</summary>\n");
}

void html_fold_close(struct html *h)
{
    html_raw(h, "</details>\n");
}

/* ---- tables ---- */

/* A heading as a CSS string within a style attribute. */
static void css_text(struct html *h, const char *text)
{
    html_raw(h, "&quot;");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buf_char(&h->out, '\\');
        char one[] = {*c, '\0'};
        if ((unsigned char)*c >= 0x80)
            buf_char(&h->out, *c);
        else if ((unsigned char)*c >= ' ')
            html_text(h, one);
    }
    html_raw(h, "&quot;");
}

/* The i-th of "a|>b|c", without the mark of a column of numbers; NULL: the end. */
static char *next_heading(const char **at, bool *number)
{
    if (!*at)
        return NULL;
    const char *start = *at, *bar = strchr(start, '|');
    *number = *start == '>';
    start += *number;
    *at = bar ? bar + 1 : NULL;
    return bar ? xstrndup(start, (size_t)(bar - start)) : xstrdup(start);
}

/* On a narrow screen a wide table is a list of its rows, each cell behind its heading
 * (report.css), which stands in a variable: --h2, --h3, ... */
static void open_table(struct html *h, const char *class_name, const char *headings)
{
    size_t columns = 1;
    for (const char *c = headings; *c; c++)
        columns += *c == '|';
    bool stacked = !h->unstyled && columns >= HTML_STACKED_COLUMNS, number;
    const char *own = class_name ? class_name : "", *at = headings;
    if (!*own && !stacked) {
        html_raw(h, "<table>");
        return;
    }
    buf_printf(&h->out, "<table class=\"%s%s%s\"", own, *own && stacked ? " " : "",
               stacked ? "stack" : "");
    if (stacked) {
        html_raw(h, " style=\"");
        char *text;
        for (size_t i = 1; (text = next_heading(&at, &number)) != NULL; i++) {
            if (i > 1 && *text && i <= HTML_MAX_COLUMNS) {
                buf_printf(&h->out, "--h%zu:", i);
                css_text(h, text);
                buf_char(&h->out, ';');
            }
            free(text);
        }
        html_raw(h, "\"");
    }
    buf_char(&h->out, '>');
}

void html_table_open(struct html *h, const char *class_name, const char *caption,
                     const char *headings)
{
    const char *at = headings;
    bool number;
    char *text;
    html_raw(h, "<div class=\"scroll\" tabindex=\"0\">");
    open_table(h, class_name, headings);
    if (caption && *caption)
        html_el(h, "caption", NULL, "%s", caption);
    html_raw(h, "<thead><tr>");
    while ((text = next_heading(&at, &number)) != NULL) {
        html_raw(h, number ? "<th scope=\"col\" class=\"num\">" : "<th scope=\"col\">");
        html_text(h, text);
        html_raw(h, "</th>");
        free(text);
    }
    html_raw(h, "</tr></thead>\n<tbody>");
}

void html_row(struct html *h)
{
    html_raw(h, "\n<tr>");
}

void html_cell(struct html *h, const char *fmt, ...)
{
    va_list ap;
    html_raw(h, "<td>");
    va_start(ap, fmt);
    text_v(h, fmt, ap);
    va_end(ap);
    html_raw(h, "</td>");
}

void html_number(struct html *h, const char *fmt, ...)
{
    va_list ap;
    html_raw(h, "<td class=\"num\">");
    va_start(ap, fmt);
    text_v(h, fmt, ap);
    va_end(ap);
    html_raw(h, "</td>");
}

void html_head_cell(struct html *h, const char *fmt, ...)
{
    va_list ap;
    html_raw(h, "<th scope=\"row\">");
    va_start(ap, fmt);
    text_v(h, fmt, ap);
    va_end(ap);
    html_raw(h, "</th>");
}

void html_sorted_open(struct html *h, const char *id, const char *class_name,
                      const char *caption, const char *names, const char *headings)
{
    size_t columns = 1, order = 0;
    for (const char *c = headings; *c; c++)
        columns += *c == '|';
    buf_printf(&h->out, "<fieldset class=\"sorted c%zu\"><legend>Sort by</legend>",
               columns < HTML_MAX_COLUMNS ? columns : HTML_MAX_COLUMNS);
    for (const char *at = names; at && order < HTML_MAX_ORDERS; order++) {
        const char *bar = strchr(at, '|');
        char *text = bar ? xstrndup(at, (size_t)(bar - at)) : xstrdup(at);
        buf_printf(
            &h->out,
            "<input type=\"radio\" name=\"%s\" id=\"%s-%zu\" class=\"o%zu\"%s><label "
            "for=\"%s-%zu\">",
            id, id, order, order, order ? "" : " checked", id, order);
        html_text(h, text);
        html_raw(h, "</label>\n");
        free(text);
        at = bar ? bar + 1 : NULL;
    }
    html_table_open(h, class_name, caption, headings);
}

void html_row_ranked(struct html *h, const size_t *places, size_t orders)
{
    html_raw(h, "\n<tr style=\"");
    for (size_t i = 1; i < orders && i < HTML_MAX_ORDERS; i++)
        buf_printf(&h->out, "%s--o%zu:%zu", i > 1 ? ";" : "", i, places[i]);
    html_raw(h, "\">");
}

void html_sorted_close(struct html *h)
{
    html_table_close(h);
    html_raw(h, "</fieldset>\n");
}

void html_table_close(struct html *h)
{
    html_raw(h, "</tbody></table></div>\n");
}

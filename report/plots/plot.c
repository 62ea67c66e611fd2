/* report/plots/plot.c - see plot.h: building scripts, running gnuplot, writing
 * figures. */
#include "report/plots/plot.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "report/page/words.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct plot *const rows[] = {
#define PLOT(name) &plot_##name,
#include "report/plots/plots.def"
#undef PLOT
};

/* ---- scripts ---- */

double figure_column(const struct figure *f)
{
    return f->narrow ? 6.6 : 7.6;
}

void figure_begin(struct figure *f, int height, double left, double right, double top,
                  double bottom)
{
    const double width = f->narrow ? NARROW_PX : WIDE_PX, high = height;
    f->width = (int)width;
    f->height = height;
    f->left = left;
    f->right = right;
    f->top = top;
    f->bottom = bottom;
    figure_line(f,
                "set encoding utf8\n"
                "set terminal svg size %d,%d dynamic noenhanced rounded font 'Inter,%d' "
                "background rgb '" PAPER "'\n"
                "set border 3 lc rgb '" MUTED "' lw 0.8\n"
                "set grid lt 1 lc rgb '" GRID "' lw 0.6, lt 1 lc rgb '" GRID "' lw 0.6\n"
                "set tics out nomirror scale 0.5 textcolor rgb '" MUTED "'\n"
                "unset key\n"
                "set lmargin at screen %s\nset rmargin at screen %s\n"
                "set tmargin at screen %s\nset bmargin at screen %s",
                f->width, height, f->narrow ? 12 : 14, gp(left / width),
                gp(1 - right / width), gp(1 - top / high), gp(bottom / high));
}

void figure_begin_rows(struct figure *f, const char *const *names, size_t count,
                       int row_px)
{
    const size_t most = f->narrow ? 18 : 30;
    size_t longest = 6;
    for (size_t i = 0; i < count; i++)
        longest = str_width(names[i]) > longest ? str_width(names[i]) : longest;
    longest = longest < most ? longest : most;
    f->row_px = row_px;
    figure_begin(f, 80 + (int)count * row_px, (double)longest * figure_column(f) + 14, 24,
                 14, 66);
    buf_str_add(&f->script, "set ytics scale 0 (");
    for (size_t i = 0; i < count; i++)
        buf_printf(&f->script, "%s'%s' %zu", i ? ", " : "",
                   figure_name(f, names[i], longest), i);
    figure_line(f, ") textcolor rgb '" INK "'\nset yrange [%zu.5:-0.5]", count - 1);
}

void figure_line(struct figure *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&f->script, fmt, ap);
    va_end(ap);
    buf_char(&f->script, '\n');
}

const char *figure_label(struct figure *f, const char *text)
{
    f->labels = xgrow(f->labels, &f->label_cap, f->label_count + 1, sizeof *f->labels);
    f->labels[f->label_count] = xstrdup(text);
    return word_f("QZ%zuZQ", f->label_count++);
}

/* The place of the n-th character. */
static const char *skip_characters(const char *at, size_t n)
{
    while (*at && n) {
        at++;
        n -= (*at & 0xC0) != 0x80; /* not within a character */
    }
    return at;
}

const char *figure_name(struct figure *f, const char *text, size_t columns)
{
    size_t all = 0;
    for (const char *c = text; *c; c++)
        all += (*c & 0xC0) != 0x80;
    if (all <= columns)
        return figure_label(f, text);
    size_t head = (columns - 1) / 2;
    return figure_label(f,
                        word_f("%.*s…%s", (int)(skip_characters(text, head) - text), text,
                               skip_characters(text, all - (columns - 1 - head))));
}

static char *sentence(const char *fmt, va_list ap)
{
    struct buf b = BUF_INIT;
    buf_vprintf(&b, fmt, ap);
    return buf_detach(&b, NULL);
}

void figure_takeaway(struct figure *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    free(f->takeaway);
    f->takeaway = sentence(fmt, ap);
    va_end(ap);
}

void figure_note(struct figure *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    free(f->note);
    f->note = sentence(fmt, ap);
    va_end(ap);
}

void figure_alt(struct figure *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    free(f->alt);
    f->alt = sentence(fmt, ap);
    va_end(ap);
}

const char *gp(double v)
{
    return isfinite(v) ? word_f("%.9g", v) : "NaN";
}

const char *series_colour(size_t i)
{
    static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73",
                                          "#CC79A7", SERIES_5,  SERIES_6};
    return colours[i % ARRAY_LEN(colours)];
}

int series_shape(size_t i)
{
    static const int shapes[] = {7, 5, 9, 13, 11, 15};
    return shapes[i % ARRAY_LEN(shapes)];
}

int series_dash(size_t i)
{
    return (int)(i % 5) + 1;
}

/* ---- gnuplot ---- */

static void run_gnuplot(struct figure *f, size_t number)
{
    char program[] = "gnuplot", plain[] = "-d",
         *argv[] = {program, plain, NULL}; /* -d: no settings of the reader's home */
    struct buf svg = BUF_INIT, errors = BUF_INIT;
    struct err e = ERR_INIT;
    int status = 0;
    int rc =
        proc_run(argv, buf_str(&f->script), f->script.len, &svg, &errors, &status, &e);
    if (rc == 0 && status == 0)
        f->svg =
            svg_clean(buf_str(&svg), word_f("f%zu%s", number, f->narrow ? "n" : ""), f);
    if (!f->svg)
        f->problem =
            rc < 0 || status == 127
                ? xstrdup("No picture: gnuplot is not installed (Debian package "
                          "gnuplot-nox). The numbers are in the table.")
                : xasprintf("No picture: gnuplot failed (exit status %d): %.300s", status,
                            buf_str(&errors));
    buf_release(&svg);
    buf_release(&errors);
}

static struct figure figure_of(const struct plot *plot, bool narrow)
{
    struct figure f = {.plot = plot, .narrow = narrow, .script = BUF_INIT};
    html_init(&f.marks);
    html_init(&f.key);
    html_init(&f.table);
    return f;
}

static void figure_release(struct figure *f)
{
    free(f->takeaway);
    free(f->alt);
    free(f->svg);
    free(f->svg_narrow);
    free(f->note);
    free(f->note_narrow);
    free(f->problem);
    for (size_t i = 0; i < f->label_count; i++)
        free(f->labels[i]);
    free(f->labels);
    buf_release(&f->script);
    html_release(&f->marks);
    html_release(&f->key);
    html_release(&f->table);
}

void figures_free(struct figure *f, size_t count)
{
    for (size_t i = 0; i < count; i++)
        figure_release(&f[i]);
    free(f);
}

/* The same plot for a narrow screen; only its picture is kept. */
static int draw_narrow(struct report *r, struct figure *f, size_t number, struct err *err)
{
    struct figure narrow = figure_of(f->plot, true);
    int rc = f->plot->draw(r, &narrow, err);
    if (rc == 0) {
        run_gnuplot(&narrow, number);
        f->svg_narrow = narrow.svg;
        f->note_narrow = narrow.note;
        narrow.svg = narrow.note = NULL;
    }
    figure_release(&narrow);
    return rc;
}

int figures_draw(struct report *r, struct err *err)
{
    r->figures = xcalloc(ARRAY_LEN(rows), sizeof *r->figures);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct figure f = figure_of(rows[i], false);
        int rc = rows[i]->draw(r, &f, err);
        if (rc == 0)
            run_gnuplot(&f, r->figure_count);
        if (rc == 0 && f.svg)
            rc = draw_narrow(r, &f, r->figure_count, err);
        if (rc != 0) {
            figure_release(&f);
            if (rc < 0)
                return rc;
            continue;
        }
        r->figures[r->figure_count++] = f;
    }
    return 0;
}

/* ---- the page ---- */

static void write_picture(const struct figure *f, const char *svg, const char *note,
                          const char *form, struct html *h)
{
    if (!svg)
        return;
    buf_printf(&h->out, "<div class=\"plot %s p-%s\">", form, f->plot->name);
    html_raw(h, svg);
    if (note)
        html_el(h, "p", "note", "%s", note);
    html_raw(h, "</div>\n");
}

void figure_write(const struct figure *f, struct html *h)
{
    html_raw(h, "<figure>\n");
    html_open(h, "figcaption", NULL);
    html_el(h, "strong", "fig", "%s", f->plot->title);
    html_el(h, "span", "takeaway", "%s", f->takeaway ? f->takeaway : "");
    html_close(h, "figcaption");
    if (f->svg) {
        write_picture(f, f->svg, f->note, "wide", h);
        write_picture(f, f->svg_narrow, f->note_narrow, "narrow", h);
        if (f->key.out.len) {
            html_raw(h, "<ul class=\"key\">\n");
            html_raw(h, buf_str(&f->key.out));
            html_raw(h, "</ul>\n");
        }
    } else {
        html_el(h, "p", "notice", "%s", f->problem);
    }
    html_raw(h, "<details><summary>Data behind the figure</summary>\n");
    html_raw(h, buf_str(&f->table.out));
    html_raw(h, "</details>\n</figure>\n");
}

json_t *figure_json(const struct figure *f)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:s?}", "name", f->plot->name, "title",
                     f->plot->title, "takeaway", f->takeaway ? f->takeaway : "", "drawn",
                     f->svg != NULL, "problem", f->problem);
}

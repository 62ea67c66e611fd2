/* report/plots/marks.c - see plot.h: what lies over a picture to be hovered, and the key
 * below it. */
#include "lib/mem.h"
#include "report/page/words.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdarg.h>

double figure_row(const struct figure *f, double row)
{
    return f->top + (row + .5) * f->row_px;
}

/* ---- marks ---- */

static void begin_path(struct figure *f, const char *class_name, size_t configuration)
{
    buf_printf(&f->marks.out, "<path class=\"%s\"", class_name);
    if (configuration != CONFIGURATION_NONE)
        buf_printf(&f->marks.out, " data-c=\"%zu\"", configuration);
    html_raw(&f->marks, " d=\"");
}

static void end_path(struct figure *f, const char *fmt, va_list ap)
{
    struct buf text = BUF_INIT;
    buf_vprintf(&text, fmt, ap);
    html_raw(&f->marks, "\"><title>");
    html_text(&f->marks, buf_str(&text));
    html_raw(&f->marks, "</title></path>\n");
    buf_release(&text);
}

void figure_mark(struct figure *f, size_t configuration, double x, double y,
                 double half_w, double half_h, const char *fmt, ...)
{
    if (!isfinite(x) || !isfinite(y) || x < 0 || x > f->width)
        return;
    const int w = (int)lround(2 * fmax(half_w, 5)), h = (int)lround(2 * fmax(half_h, 5));
    begin_path(f, "m", configuration);
    buf_printf(&f->marks.out, "M%.0f %.0fh%dv%dh-%dz", x - w / 2.0, y - h / 2.0, w, h, w);
    va_list ap;
    va_start(ap, fmt);
    end_path(f, fmt, ap);
    va_end(ap);
}

void figure_trace_begin(struct figure *f, size_t configuration)
{
    begin_path(f, "m l", configuration);
}

void figure_trace(struct figure *f, double x, double y)
{
    const char *out = buf_str(&f->marks.out);
    if (isfinite(x) && isfinite(y))
        buf_printf(&f->marks.out, "%s%.0f %.0f",
                   out[f->marks.out.len - 1] == '"' ? "M" : "L", x, y);
}

void figure_trace_end(struct figure *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    end_path(f, fmt, ap);
    va_end(ap);
}

/* ---- the key ---- */

/* Within 24 x 12; C stands for the colour. */
static const char *const forms[] = {
    [KEY_DOT] = "<circle cx=\"12\" cy=\"6\" r=\"4.5\" fill=\"C\"/>",
    [KEY_RING] = "<circle cx=\"12\" cy=\"6\" r=\"4\" fill=\"none\" stroke=\"C\" "
                 "stroke-width=\"1.6\"/>",
    [KEY_SMALL] = "<circle cx=\"12\" cy=\"6\" r=\"2.4\" fill=\"C\"/>",
    [KEY_INTERVAL] = "<path d=\"M2 6h20\" stroke=\"C\" stroke-width=\"1.6\"/>",
    [KEY_LINE] = "<path d=\"M1 6h22\" stroke=\"C\" stroke-width=\"2.4\"/>",
    [KEY_DASHED] = "<path d=\"M1 6h22\" stroke=\"C\" stroke-width=\"1.6\" "
                   "stroke-dasharray=\"5 3\"/>",
    [KEY_DOTTED] = "<path d=\"M1 6h22\" stroke=\"C\" stroke-width=\"1.6\" "
                   "stroke-dasharray=\"2 2.5\"/>",
    [KEY_BAR] = "<rect x=\"4\" y=\"1\" width=\"16\" height=\"10\" fill=\"C\"/>",
    [KEY_BAND] = "<rect x=\"2\" y=\"1\" width=\"20\" height=\"10\" fill=\"C\" "
                 "fill-opacity=\".2\"/>",
    [KEY_FRAME] = "<rect x=\"4\" y=\"1.5\" width=\"16\" height=\"9\" fill=\"none\" "
                  "stroke=\"C\" stroke-width=\"2\"/>",
};

/* What gnuplot draws for series_shape and series_dash, in the same order. */
static const char *const shapes[] = {
    "<circle cx=\"12\" cy=\"6\" r=\"4.5\" fill=\"C\"/>",
    "<path d=\"M8 2h8v8h-8z\" fill=\"C\"/>",
    "<path d=\"M12 1l5 9h-10z\" fill=\"C\"/>",
    "<path d=\"M12 .5l5 5.5-5 5.5-5-5.5z\" fill=\"C\"/>",
    "<path d=\"M12 11l5-9h-10z\" fill=\"C\"/>",
    "<path d=\"M12 1l5 4-2 6h-6l-2-6z\" fill=\"C\"/>",
};
static const char *const dashes[] = {"none", "6 3", "2 2", "6 2 2 2", "6 2 2 2 2 2"};

static void put_form(struct html *h, const char *form, const char *colour)
{
    for (const char *c = form; *c; c++)
        if (*c == 'C')
            html_raw(h, svg_colour(colour));
        else
            buf_char(&h->out, *c);
}

static void open_item(struct html *h)
{
    html_raw(h, "<li><svg viewBox=\"0 0 24 12\" aria-hidden=\"true\">");
}

void figure_key(struct figure *f, enum key_form form, const char *colour, const char *fmt,
                ...)
{
    struct buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    open_item(&f->key);
    put_form(&f->key, forms[form], colour);
    html_raw(&f->key, "</svg>");
    html_text(&f->key, buf_str(&text));
    html_raw(&f->key, "</li>\n");
    buf_release(&text);
}

void figure_key_series(struct figure *f, size_t i, bool shape, bool line,
                       const char *name)
{
    open_item(&f->key);
    if (line)
        buf_printf(&f->key.out,
                   "<path d=\"M0 6h24\" stroke=\"%s\" stroke-width=\"2\" "
                   "stroke-dasharray=\"%s\"/>",
                   svg_colour(series_colour(i)), dashes[i % ARRAY_LEN(dashes)]);
    if (shape)
        put_form(&f->key, shapes[i % ARRAY_LEN(shapes)], series_colour(i));
    html_raw(&f->key, "</svg>");
    html_text(&f->key, name);
    html_raw(&f->key, "</li>\n");
}

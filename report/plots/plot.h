/* report/plots/plot.h - figures: a takeaway, a picture drawn by gnuplot, a key, the data
 * as a table.
 *
 * A plot is one file and one row in plots.def. Its `draw` fills a figure: a gnuplot
 * script of fixed text and numbers, and labels. Nothing from the store reaches gnuplot
 * (back-quotes run a shell there): a label is a token in the script, replaced by the
 * escaped text in the SVG that comes back. Colours of ink, muted text, grid and paper are
 * sentinels that become CSS variables, so that a figure follows dark mode; labels on data
 * keep their own colours. gnuplot gets the script on stdin and no files.
 *
 * `draw` is called twice: for WIDE_PX, and with `narrow` for a screen of 400 pixels, where
 * nothing is scaled down; the page shows one of both. Places are pixels from the picture's
 * edges, so gnuplot's picture and ours agree: over every mark lies a transparent one of
 * figure_mark, with a title to hover over and the number of its configuration
 * (report/page/configurations.h), by which the page's script finds it.
 *
 * The key is HTML and wraps at any width; every kind of mark has its line in it.
 *
 * Where gnuplot is missing or fails the figure says so and keeps its table. */
#ifndef REPORT_PLOTS_PLOT_H
#define REPORT_PLOTS_PLOT_H

#include "report/page/configurations.h"
#include "report/report.h"

/* Sentinels; report.css gives the variables their values. */
#define INK   "#010203"
#define MUTED "#010204"
#define GRID  "#010205"
#define PAPER "#010206"
/* Two further series, which need a lighter colour on dark paper. */
#define SERIES_5 "#010207"
#define SERIES_6 "#010208"

enum { WIDE_PX = 880, NARROW_PX = 380 };

struct figure {
    const struct plot *plot;
    bool narrow;
    int width, height;
    double left, right, top, bottom; /* of the drawing area, from the picture's edges */
    double row_px;                   /* of figures with a row per name */
    char *takeaway, *alt, *svg, *svg_narrow; /* svg NULL: no picture */
    char *note, *note_narrow;                /* what had no room; NULL: all had */
    char *problem;                           /* why not; NULL: none */
    struct buf script;
    char **labels;
    size_t label_count, label_cap;
    struct html marks, key;
    struct html table; /* the data behind it */
};

struct plot {
    const char *name, *section, *title;
    /* Fills the figure; 1: there is nothing to draw, so the figure is left out. */
    int (*draw)(struct report *r, struct figure *f, struct err *err);
};
#define PLOT(name) extern const struct plot plot_##name;
#include "report/plots/plots.def"
#undef PLOT

/* All figures of the report, in the order of plots.def. */
int figures_draw(struct report *r, struct err *err);
void figures_free(struct figure *f, size_t count);
void figure_write(const struct figure *f, struct html *h);
json_t *figure_json(const struct figure *f);

/* ---- for plots: the frame ---- */

/* Terminal, borders, grid; what stays free around the drawing area, in pixels, as
 * gnuplot's estimate of text widths cuts labels off. */
void figure_begin(struct figure *f, int height, double left, double right, double top,
                  double bottom);
/* The same with a row of `row_px` per name, the first on top: y is the row's number. */
void figure_begin_rows(struct figure *f, const char *const *names, size_t count,
                       int row_px);
double figure_column(const struct figure *f); /* width of a column of text */
/* "0.00123" with a point whatever the locale; for scripts. */
const char *gp(double v);
void figure_line(struct figure *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- texts ---- */

/* A token that stands for the text in the script. */
const char *figure_label(struct figure *f, const char *text);
/* The same for a name that may be too long: the middle becomes "…" beyond `columns`. */
const char *figure_name(struct figure *f, const char *text, size_t columns);
void figure_takeaway(struct figure *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void figure_alt(struct figure *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- marks and key (report/plots/marks.c) ---- */

double figure_row(const struct figure *f, double row); /* its middle, in pixels */
/* A title over what is drawn around x, y; configuration: CONFIGURATION_NONE for none. */
void figure_mark(struct figure *f, size_t configuration, double x, double y,
                 double half_w, double half_h, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
/* The same along a line: begin, points, end. */
void figure_trace_begin(struct figure *f, size_t configuration);
void figure_trace(struct figure *f, double x, double y);
void figure_trace_end(struct figure *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

enum key_form {
    KEY_DOT,
    KEY_RING,
    KEY_SMALL, /* a small dot */
    KEY_INTERVAL,
    KEY_LINE,
    KEY_DASHED,
    KEY_DOTTED,
    KEY_BAR,
    KEY_BAND,
    KEY_FRAME
};
void figure_key(struct figure *f, enum key_form form, const char *colour, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));
/* What had no room in this picture; stands below it. */
void figure_note(struct figure *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The i-th series: its shape, its dashes, or both. */
void figure_key_series(struct figure *f, size_t i, bool shape, bool line,
                       const char *name);

/* Okabe-Ito, those with enough contrast first; shape and dash double the colour. */
const char *series_colour(size_t i);
int series_shape(size_t i);
int series_dash(size_t i);

/* ---- SVG (report/plots/svg.c) ---- */

/* Turns gnuplot's SVG into one that can stand in a page: no prolog, nothing unused, ids
 * with `prefix`, title and description, sentinels as variables, tokens as text, `marks` on
 * top. NULL: not an SVG. */
char *svg_clean(const char *svg, const char *prefix, const struct figure *f);
/* "var(--ink)" of a sentinel, else the colour. */
const char *svg_colour(const char *colour);

#endif

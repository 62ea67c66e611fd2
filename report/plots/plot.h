/* report/plots/plot.h - figures: a takeaway, a picture drawn by gnuplot, the data as a
 * table.
 *
 * A plot is one file and one row in plots.def. Its `draw` fills a figure: a gnuplot
 * script of fixed text and numbers, and labels. Nothing from the store reaches gnuplot
 * (back-quotes run a shell there): a label is a token in the script, replaced by the
 * escaped text in the SVG that comes back. Colours of ink, muted text, grid and paper are
 * sentinels that become CSS variables, so that a figure follows dark mode; labels on data
 * keep their own colours. gnuplot gets the script on stdin and no files.
 *
 * Where gnuplot is missing or fails the figure says so and keeps its table. */
#ifndef REPORT_PLOTS_PLOT_H
#define REPORT_PLOTS_PLOT_H

#include "report/report.h"

/* Sentinels; report.css gives the variables their values. */
#define INK   "#010203"
#define MUTED "#010204"
#define GRID  "#010205"
#define PAPER "#010206"
/* Two further series, which need a lighter colour on dark paper. */
#define SERIES_5 "#010207"
#define SERIES_6 "#010208"

struct figure {
    const struct plot *plot;
    int width, height;
    char *takeaway, *alt, *svg; /* svg NULL: no picture */
    char *problem;              /* why not; NULL: none */
    struct buf script;
    char **labels;
    size_t label_count, label_cap;
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

/* ---- for plots ---- */

/* Terminal, borders, grid; margins are shares of the picture, as gnuplot's estimate of
 * text widths cuts labels off. */
void figure_begin(struct figure *f, int width, int height, double left, double right,
                  double top, double bottom);
/* A token that stands for the text in the script. */
const char *figure_label(struct figure *f, const char *text);
/* The same for a name that may be too long: the middle becomes "…" beyond `columns`. */
const char *figure_name(struct figure *f, const char *text, size_t columns);
void figure_line(struct figure *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void figure_takeaway(struct figure *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void figure_alt(struct figure *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* "0.00123" with a point whatever the locale; for scripts. */
const char *gp(double v);
/* Okabe-Ito, those with enough contrast first; shape and dash double the colour. */
const char *series_colour(size_t i);
int series_shape(size_t i);
int series_dash(size_t i);

/* Turns gnuplot's SVG into one that can stand in a page: no prolog, ids with `prefix`,
 * title and description, sentinels as variables, tokens as text. NULL: not an SVG. */
char *svg_clean(const char *svg, const char *prefix, const char *title, const char *alt,
                char *const *labels, size_t label_count);

#endif

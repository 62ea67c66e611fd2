/* report/plots/axis.h - ranges, tics and label places of plots, computed here because
 * gnuplot only estimates what text needs. */
#ifndef REPORT_PLOTS_AXIS_H
#define REPORT_PLOTS_AXIS_H

#include "report/plots/plot.h"

struct axis {
    double low, high; /* what is shown, padded */
    bool log;
};

void axis_init(struct axis *a);
void axis_include(struct axis *a, double v); /* NaN is skipped */
/* Pads by `share` of the range and picks a log scale where values span 8 times or
 * more. */
void axis_close(struct axis *a, double share, bool may_log);
double axis_share(const struct axis *a, double v); /* 0 at low, 1 at high */
/* "set xrange ..." with as many tics as have room; the label is for the script. */
void axis_script(const struct axis *a, char letter, const char *label, struct figure *f);
/* Where a value stands in the picture, in pixels; the figure has begun. */
double figure_x(const struct figure *f, const struct axis *a, double v);
double figure_y(const struct figure *f, const struct axis *a, double v);

/* Labels beside points that cover neither marks nor each other: a few places are tried for
 * each, in the order given, so what matters comes first; `hidden` where none is free. All
 * in pixels, y down. */
struct box {
    double left, right, top, bottom;
};
struct place {
    double x, y;    /* of the point */
    size_t columns; /* width of the text */
    bool matters;   /* may stand further away, with a line to the point */
    double dx, dy;  /* of the text's start, middle of its height */
    bool hidden, far;
};
/* `taken`: marks, with room for `count` more; `column`: width of a column of text. Returns
 * how many are hidden. */
size_t places_choose(struct place *p, size_t count, struct box page, struct box *taken,
                     size_t taken_count, double column);

#endif

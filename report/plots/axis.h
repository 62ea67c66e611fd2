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
/* "set xrange ..." with tics; unit text is for the label in the script. */
void axis_script(const struct axis *a, char letter, const char *label, struct figure *f);

/* Labels beside points, so that they cover neither points nor each other: up to eight
 * places are tried; `hidden` where none is free. Positions are in pixels, y down. */
struct place {
    double x, y;    /* of the point */
    size_t columns; /* width of the text */
    double dx, dy;  /* of the text's start, middle of its height */
    bool hidden;
};
void places_choose(struct place *p, size_t count, double width, double height);

#endif

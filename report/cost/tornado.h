/* report/cost/tornado.h - which input moves the cost most: a month of serving where an
 * SLA file gives the load, else a training run on the cheapest GPU that fits
 * (predicted). */
#ifndef REPORT_COST_TORNADO_H
#define REPORT_COST_TORNADO_H

#include "report/cost/cost.h"

struct tornado_bar {
    char input[64], range[64];
    double low, high; /* of the result */
};

enum { TORNADO_BARS = 8 };

struct tornado {
    const char *what;  /* "USD per month"; lives as long as words do */
    const char *costs; /* "A month of serving", before a name */
    const struct report_cell *of;
    double base;
    bool predicted;
    struct tornado_bar bars[TORNADO_BARS]; /* widest first */
    size_t count;
};

/* False: neither is known. */
bool cost_tornado(const struct report *r, struct tornado *out);

#endif

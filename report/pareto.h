/* report/pareto.h - who is on the front of score against a cost, and how sure that is.
 *
 * P(on the front): share of 2,000 bootstrap draws in which a point is not dominated. Each
 * draw resamples the seeds of every configuration, score and cost together, as they come
 * from the same run. Random numbers are Philox with a fixed key. */
#ifndef REPORT_PARETO_H
#define REPORT_PARETO_H

#include "report/report.h"

#define PARETO_DRAWS 2000

struct front_point {
    const struct report_cell *cell;
    struct spread score, cost;
    bool on_front;      /* by the means */
    double probability; /* NaN: a single seed somewhere, nothing to draw from */
};

/* Cells of the main column that have both numbers, best score first. Caller frees. */
struct front_point *pareto_front(const struct report *r, const char *cost_metric,
                                 size_t *count);
/* The sentence: what is gained for how much. Caller frees. */
char *pareto_takeaway(const struct report *r, const struct front_point *p, size_t count,
                      const char *(*cost_text)(double), const char *cost_name);

#endif

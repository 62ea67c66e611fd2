/* report/evidence/front.h - who is on the front of score against what it costs, and how
 * sure that is.
 *
 * Costs are compared as ratios (their logarithm), as memory, time and USD are. A point is
 * off the front when another is no worse in either by more than what matters and better
 * in one by more than that: delta in the score, PARETO_SLACK of the cost
 * (epsilon-dominance, so that the last decimal makes no winners).
 *
 * P(on the front): share of 2,000 bootstrap draws; each resamples the seeds of every
 * configuration, score and cost together, as they come from the same run
 * (lib/stats/fronts.h, fixed random key). The knee is the cheapest configuration whose
 * mean is within one standard error of the best's. */
#ifndef REPORT_EVIDENCE_FRONT_H
#define REPORT_EVIDENCE_FRONT_H

#include "report/report.h"

enum { PARETO_DRAWS = 2000, PARETO_MAX = 30 /* the best by score; more are not drawn */ };
#define PARETO_SLACK 0.05 /* of the cost */

struct front_axis {
    const char *id;   /* "memory": of figures and JSON */
    const char *name; /* "peak memory": in sentences */
    const char *unit; /* of the axis, after `scale` */
    double scale;
    const char *(*text)(double);
    /* What a trial needs; NaN: not measured. */
    double (*value)(const struct report *r, const struct report_trial *t);
};
extern const struct front_axis front_axes[];
extern const size_t front_axis_count;
const struct front_axis *front_axis_find(const char *id);
/* The scale and unit in which values up to `most` read as the axis' texts do: MiB, from 1
 * GiB on GiB. */
double front_axis_scale(const struct front_axis *axis, double most, const char **unit);
/* "latency/p99_ms" where the sample of every good trial of the main column carries it,
 * else "latency/p50_ms". */
const char *front_latency_key(const struct report *r);

struct front_point {
    const struct report_cell *cell;
    struct spread score, cost;
    bool on_front;      /* by the means */
    double probability; /* NaN: a single seed somewhere, nothing to draw from */
    bool knee;
};

/* Cells of the main column that have both numbers, best score first. Caller frees. */
struct front_point *pareto_front(const struct report *r, const struct front_axis *axis,
                                 size_t *count);
struct spread cell_cost(const struct report *r, const struct report_cell *c,
                        const struct front_axis *axis);
/* What is gained for how much, and the knee. Caller frees. */
char *pareto_takeaway(const struct report *r, const struct front_point *p, size_t count,
                      const struct front_axis *axis);

#endif

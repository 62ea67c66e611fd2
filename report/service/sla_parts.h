/* report/service/sla_parts.h - what sla.c (sizes replicas, decides) and sla_measure.c (a
 * measure per constraint) share. */
#ifndef REPORT_SERVICE_SLA_PARTS_H
#define REPORT_SERVICE_SLA_PARTS_H

#include "report/service/capacity.h"
#include "report/cost/cost.h"
#include "report/service/sla.h"

#define HOURS_PER_MONTH 730.0

/* What the constraints of one configuration share. */
struct sla_judge {
    const struct report *r;
    const struct sla *sla;
    const struct report_cell *cell;
    struct queue *queue;
    struct serving serving; /* requests 0: latency was not measured */
    struct service lower, upper;
    struct load_point at_peak, at_peak_lower, at_peak_upper;
    double replicas, usd_per_hour;
    double share;   /* load of the busiest replica at the peak; NaN: no load given */
    bool predicted; /* many adapters on one base, measured with one */
    struct sla_verdict *out;
};

/* Whether serving needs weights of its own, so that tasks cannot share replicas; -1: not
 * known, where the method is none of the trainer's. */
int sla_changes_base(const struct report_cell *cell, bool merged);
/* Mean of a metric over a cell's seeds and its one-sided 95 % bounds; with one seed no
 * bounds. */
void sla_over_seeds(const struct report_cell *cell, const char *key, struct sla_check *c);
/* Replicas of one task that has replicas of its own. */
double sla_task_replicas(const struct sla_judge *j, size_t task);

/* A row per limit of the file; `measure` fills estimate, bounds, break load and note. */
struct sla_constraint {
    const char *key, *title, *unit;
    bool more_is_better;
    bool flag;      /* its limit is true or false */
    double ceiling; /* sla.h */
    bool timed;     /* rests on measured latency */
    void (*measure)(const struct sla_judge *, struct sla_check *);
};
extern const struct sla_constraint sla_constraints[];
extern const size_t sla_constraint_count;

#endif
